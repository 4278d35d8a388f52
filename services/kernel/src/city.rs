//! CityHash 1.0.2, the version that ClickHouse froze for `cityHash64` and block checksums.
//!
//! Source: Geoff Pike and Jyrki Alakuijala, CityHash 1.0.2 (Google, 2011). Later versions give
//! other values; the test vectors come from a server.

const K0: u64 = 0xc3a5_c85c_97cb_3127;
const K1: u64 = 0xb492_b66f_be98_f273;
const K2: u64 = 0x9ae1_6a3b_2f90_404f;
const K3: u64 = 0xc949_d7c7_509e_6557;
const MUL: u64 = 0x9ddf_ea08_eb38_2d69;

type Pair = (u64, u64);

#[inline(always)]
fn load64(s: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(s[at..at + 8].try_into().unwrap())
}

#[inline(always)]
fn load32(s: &[u8], at: usize) -> u64 {
    u64::from(u32::from_le_bytes(s[at..at + 4].try_into().unwrap()))
}

#[inline(always)]
fn shift_mix(v: u64) -> u64 {
    v ^ (v >> 47)
}

#[inline(always)]
fn mix(low: u64, high: u64) -> u64 {
    let a = shift_mix((low ^ high).wrapping_mul(MUL));
    shift_mix((high ^ a).wrapping_mul(MUL)).wrapping_mul(MUL)
}

fn upto16(s: &[u8]) -> u64 {
    let n = s.len();
    let len = n as u64;
    if n > 8 {
        let (a, b) = (load64(s, 0), load64(s, n - 8));
        return mix(a, b.wrapping_add(len).rotate_right(n as u32)) ^ b;
    }
    if n >= 4 {
        return mix(len + (load32(s, 0) << 3), load32(s, n - 4));
    }
    if n > 0 {
        let y = u64::from(s[0]) + (u64::from(s[n >> 1]) << 8);
        let z = len + (u64::from(s[n - 1]) << 2);
        return shift_mix(y.wrapping_mul(K2) ^ z.wrapping_mul(K3)).wrapping_mul(K2);
    }
    K2
}

fn upto32(s: &[u8]) -> u64 {
    let n = s.len();
    let a = load64(s, 0).wrapping_mul(K1);
    let b = load64(s, 8);
    let c = load64(s, n - 8).wrapping_mul(K2);
    let d = load64(s, n - 16).wrapping_mul(K0);
    mix(
        (a.wrapping_sub(b).rotate_right(43))
            .wrapping_add(c.rotate_right(30))
            .wrapping_add(d),
        a.wrapping_add((b ^ K3).rotate_right(20))
            .wrapping_sub(c)
            .wrapping_add(n as u64),
    )
}

/// Half of the 33..=64 byte hash: four words from `at`, seeded.
#[inline(always)]
fn quarter(s: &[u8], at: usize, mut a: u64, mut z: u64) -> Pair {
    let mut b = a.wrapping_add(z).rotate_right(52);
    let mut c = a.rotate_right(37);
    a = a.wrapping_add(load64(s, at + 8));
    c = c.wrapping_add(a.rotate_right(7));
    a = a.wrapping_add(load64(s, at + 16));
    z = z.wrapping_add(a);
    b = b.wrapping_add(a.rotate_right(31)).wrapping_add(c);
    (z, b)
}

fn upto64(s: &[u8]) -> u64 {
    let n = s.len();
    let tail = load64(s, n - 16);
    let first = load64(s, 0).wrapping_add((n as u64).wrapping_add(tail).wrapping_mul(K0));
    let v = quarter(s, 0, first, load64(s, 24));
    let second = load64(s, 16).wrapping_add(load64(s, n - 32));
    let w = quarter(s, n - 32, second, load64(s, n - 8));
    let r = shift_mix(
        (v.0.wrapping_add(w.1).wrapping_mul(K2))
            .wrapping_add(w.0.wrapping_add(v.1).wrapping_mul(K0)),
    );
    shift_mix(r.wrapping_mul(K0).wrapping_add(v.1)).wrapping_mul(K2)
}

#[inline(always)]
fn weak32(s: &[u8], at: usize, a: u64, b: u64) -> Pair {
    let (w, x, y, z) = (
        load64(s, at),
        load64(s, at + 8),
        load64(s, at + 16),
        load64(s, at + 24),
    );
    let a = a.wrapping_add(w);
    let b = b.wrapping_add(a).wrapping_add(z).rotate_right(21);
    let sum = a.wrapping_add(x).wrapping_add(y);
    let b = b.wrapping_add(sum.rotate_right(44));
    (sum.wrapping_add(z), b.wrapping_add(a))
}

/// The 56 bytes of state of the long loops.
struct State {
    x: u64,
    y: u64,
    z: u64,
    v: Pair,
    w: Pair,
}

impl State {
    /// Takes the 64 bytes from `at`.
    #[inline(always)]
    fn step(&mut self, s: &[u8], at: usize) {
        let s = &s[at..at + 64];
        let x = self
            .x
            .wrapping_add(self.y)
            .wrapping_add(self.v.0)
            .wrapping_add(load64(s, 16))
            .rotate_right(37)
            .wrapping_mul(K1)
            ^ self.w.1;
        self.y = self
            .y
            .wrapping_add(self.v.1)
            .wrapping_add(load64(s, 48))
            .rotate_right(42)
            .wrapping_mul(K1)
            ^ self.v.0;
        let z = (self.z ^ self.w.0).rotate_right(33);
        self.v = weak32(s, 0, self.v.1.wrapping_mul(K1), x.wrapping_add(self.w.0));
        self.w = weak32(s, 32, z.wrapping_add(self.w.1), self.y);
        (self.x, self.z) = (z, x);
    }
}

/// ClickHouse's `cityHash64` of one String.
pub fn city_hash_64(s: &[u8]) -> u64 {
    let n = s.len();
    match n {
        0..=16 => return upto16(s),
        17..=32 => return upto32(s),
        33..=64 => return upto64(s),
        _ => {}
    }
    let len = n as u64;
    let y = load64(s, n - 16) ^ K1;
    let z = load64(s, n - 56) ^ K0;
    let v = weak32(s, n - 64, len, y);
    let w = weak32(s, n - 32, len.wrapping_mul(K1), K0);
    let z = z.wrapping_add(shift_mix(v.1).wrapping_mul(K1));
    let mut state = State {
        x: z.wrapping_add(load64(s, 0))
            .rotate_right(39)
            .wrapping_mul(K1),
        y: y.rotate_right(33).wrapping_mul(K1),
        z,
        v,
        w,
    };
    for at in (0..(n - 1) & !63).step_by(64) {
        state.step(s, at);
    }
    let State { x, y, z, v, w } = state;
    mix(
        mix(v.0, w.0)
            .wrapping_add(shift_mix(y).wrapping_mul(K1))
            .wrapping_add(z),
        mix(v.1, w.1).wrapping_add(x),
    )
}

fn murmur(s: &[u8], seed: Pair) -> Pair {
    let n = s.len();
    let (mut a, mut b) = seed;
    let (mut c, mut d);
    if n <= 16 {
        a = shift_mix(a.wrapping_mul(K1)).wrapping_mul(K1);
        c = b.wrapping_mul(K1).wrapping_add(upto16(s));
        d = shift_mix(a.wrapping_add(if n >= 8 { load64(s, 0) } else { c }));
    } else {
        c = mix(load64(s, n - 8).wrapping_add(K1), a);
        d = mix(b.wrapping_add(n as u64), c.wrapping_add(load64(s, n - 16)));
        a = a.wrapping_add(d);
        for at in (0..n - 16).step_by(16) {
            a = (a ^ shift_mix(load64(s, at).wrapping_mul(K1)).wrapping_mul(K1)).wrapping_mul(K1);
            b ^= a;
            c = (c ^ shift_mix(load64(s, at + 8).wrapping_mul(K1)).wrapping_mul(K1))
                .wrapping_mul(K1);
            d ^= c;
        }
    }
    a = mix(a, c);
    b = mix(d, b);
    (a ^ b, mix(b, a))
}

fn start_128(s: &[u8], seed: Pair) -> State {
    let (x, y) = seed;
    let z = (s.len() as u64).wrapping_mul(K1);
    let v0 = (y ^ K1)
        .rotate_right(49)
        .wrapping_mul(K1)
        .wrapping_add(load64(s, 0));
    let v1 = v0
        .rotate_right(42)
        .wrapping_mul(K1)
        .wrapping_add(load64(s, 8));
    let w0 = y
        .wrapping_add(z)
        .rotate_right(35)
        .wrapping_mul(K1)
        .wrapping_add(x);
    let w1 = x
        .wrapping_add(load64(s, 88))
        .rotate_right(53)
        .wrapping_mul(K1);
    let (v, w) = ((v0, v1), (w0, w1));
    State { x, y, z, v, w }
}

fn seeded_128(s: &[u8], seed: Pair) -> Pair {
    let n = s.len();
    if n < 128 {
        return murmur(s, seed);
    }
    let mut state = start_128(s, seed);
    for at in (0..n & !127).step_by(64) {
        state.step(s, at);
    }
    let State {
        mut x,
        mut y,
        z,
        mut v,
        mut w,
    } = state;
    y = y
        .wrapping_add(w.0.rotate_right(37).wrapping_mul(K0))
        .wrapping_add(z);
    x = x.wrapping_add(v.0.wrapping_add(z).rotate_right(49).wrapping_mul(K0));
    let rest = n & 127;
    for done in (32..rest + 32).step_by(32) {
        y = y
            .wrapping_sub(x)
            .rotate_right(42)
            .wrapping_mul(K0)
            .wrapping_add(v.1);
        w.0 = w.0.wrapping_add(load64(s, n - done + 16));
        x = x.rotate_right(49).wrapping_mul(K0).wrapping_add(w.0);
        w.0 = w.0.wrapping_add(v.0);
        v = weak32(s, n - done, v.0, v.1);
    }
    x = mix(x, v.0);
    y = mix(y, w.0);
    (
        mix(x.wrapping_add(v.1), w.1).wrapping_add(y),
        mix(x.wrapping_add(w.1), y.wrapping_add(v.1)),
    )
}

/// The checksum of a compressed frame: low word, high word.
pub fn city_hash_128(s: &[u8]) -> (u64, u64) {
    let n = s.len();
    match n {
        16.. => seeded_128(&s[16..], (load64(s, 0) ^ K3, load64(s, 8))),
        8..=15 => seeded_128(
            &[],
            (
                load64(s, 0) ^ (n as u64).wrapping_mul(K0),
                load64(s, n - 8) ^ K1,
            ),
        ),
        _ => seeded_128(s, (K0, K1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// (length, cityHash64, checksum low, checksum high) of the bytes 3, 10, 17, … modulo 256.
    #[rustfmt::skip]
    const VECTORS: &[(usize, u64, u64, u64)] = &[
        (0, 0x9ae1_6a3b_2f90_404f, 0x3df0_9dfc_64c0_9a2b, 0x3cb5_40c3_92e5_1e29),
        (1, 0x5068_a5b3_d87a_0284, 0x3937_9490_ccb5_5d55, 0x2af2_b130_64cd_571f),
        (3, 0xf6aa_543c_a4b8_bf14, 0x3108_fa6b_1da1_6986, 0x3230_1bf0_c250_612d),
        (4, 0x9dd3_3b80_b9fa_6393, 0x2321_e75a_ee8d_6c41, 0xcea6_b327_f605_358d),
        (7, 0x0e1b_c102_2a1b_992c, 0x9ef9_0f69_597e_95c7, 0x4987_956c_9782_ee8f),
        (8, 0x37fe_d2db_a3a3_00e3, 0xb6ad_7c9a_5953_432f, 0x9f0e_0210_9921_888c),
        (9, 0x29b1_ff61_6f22_d6f6, 0x5601_ccf1_e058_519a, 0xf851_2fca_2833_3fef),
        (15, 0xf352_05fd_9db2_c504, 0x5a82_99d8_ab8f_2f47, 0x8ea0_a478_a90d_3277),
        (16, 0xbdf5_bcbc_9b46_03a4, 0x21e7_9cab_7f9c_2b79, 0xa356_15c2_3531_3f7a),
        (17, 0xa75f_e55f_0d77_5eda, 0x0cd5_bb13_faea_6e4c, 0x32bf_7191_78f6_bbfe),
        (31, 0xa74e_1d55_1760_088d, 0x6e4f_7032_5ec2_7ffc, 0x9a23_a7e9_f0b5_15e0),
        (32, 0xd798_9f47_d40c_660d, 0x67cf_ab84_04ee_c7e9, 0x80cd_3c27_f5bd_61ee),
        (33, 0xef04_fa08_e8e5_b8fb, 0x094b_bf1d_5b6d_db61, 0x1057_2bd5_8efa_7aaf),
        (47, 0xb4c5_032e_40ef_d9da, 0xf82d_c094_c337_6fd2, 0xa9a3_8bc2_4231_e5dd),
        (64, 0xc151_5868_c51f_c399, 0xd412_d58e_c143_2aef, 0x5754_630c_bbd8_3214),
        (65, 0xf167_72a3_2b6c_31d8, 0xb38a_d4f9_2a37_9938, 0xc86f_3b0b_be88_216d),
        (100, 0x6641_e32e_d748_1060, 0xe8ed_256d_f7c3_6d77, 0x5da4_e596_06ec_0c52),
        (127, 0x962f_7a27_804c_48f1, 0x1f1c_2a3c_6282_9942, 0x5d58_2060_4b01_deea),
        (128, 0xcfbb_3944_3ec1_9617, 0x11d0_0b10_d669_4d31, 0x108f_b9e5_b83f_dff4),
        (143, 0xefb9_f01d_36c3_ba9c, 0x2016_8914_5f2e_bee2, 0xdf56_bd91_c3fb_4dd0),
        (144, 0xfa3f_e213_51ef_a0b3, 0xd639_167b_9b85_767d, 0x07a1_0bf4_5731_07c6),
        (145, 0x9c78_82fe_f013_e74f, 0xde65_4d66_9366_fc2a, 0xd2f6_8f54_7b37_d6f5),
        (200, 0x1320_c268_cd28_5bfe, 0x6bfc_6588_f839_7554, 0xe370_6db4_8081_4454),
        (256, 0x634f_860f_45f9_0ca1, 0x8669_6dd5_96cc_f44b, 0x9fd9_b2b0_b79a_bdae),
        (271, 0x770c_e8be_9cc9_d632, 0xd3b0_86e6_bb77_a21b, 0x862f_edb3_038c_14c1),
        (272, 0x7540_a148_2fbb_4be0, 0xefd5_ff73_250b_f76d, 0xedec_81d7_42e3_b161),
        (1000, 0xdd62_8b11_0bd6_9128, 0x984b_538c_7b37_2373, 0xf6e6_cbc5_6b68_8720),
        (1100, 0xc722_94e8_ff5f_6326, 0x8c51_6694_f693_a58b, 0xc2d9_4e34_7fca_cfd6),
    ];

    #[test]
    fn vectors_of_every_length_class() {
        let data: Vec<u8> = (0..1100u32).map(|i| (i * 7 + 3) as u8).collect();
        for &(n, short, low, high) in VECTORS {
            assert_eq!(city_hash_64(&data[..n]), short, "64 bits of {n} bytes");
            assert_eq!(
                city_hash_128(&data[..n]),
                (low, high),
                "128 bits of {n} bytes"
            );
        }
    }
}
