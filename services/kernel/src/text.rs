//! Text on its way into columns: UTF-8 repair, hex, integers and base64.

use crate::wire::Range;

/// Counts repaired strings and lends the buffer in which they are repaired.
#[derive(Default)]
pub struct Repair {
    /// Strings that held invalid UTF-8, since construction.
    pub replaced: u64,
    buf: Vec<u8>,
}

impl Repair {
    /// `s` with every invalid sequence replaced by U+FFFD (one per maximal subpart, as in
    /// Unicode 15 section 3.9, which is also what Python's `errors="replace"` does).
    #[cold]
    #[inline(never)]
    pub fn fix(&mut self, s: &[u8]) -> &[u8] {
        self.replaced += 1;
        self.buf.clear();
        self.buf
            .extend_from_slice(String::from_utf8_lossy(s).as_bytes());
        &self.buf
    }
}

const HIGH_BITS: u64 = 0x8080_8080_8080_8080;

/// Whether a string of `buf` is valid UTF-8; ASCII is answered in words.
#[inline(always)]
pub fn is_utf8(buf: &[u8], r: Range) -> bool {
    let s = r.of(buf);
    let n = s.len();
    let high = if n >= 8 {
        let last = u64::from_le_bytes(s[n - 8..].try_into().unwrap());
        s.chunks_exact(8).fold(last, |acc, word| {
            acc | u64::from_le_bytes(word.try_into().unwrap())
        })
    } else {
        u64::from(s.iter().fold(0u8, |acc, &b| acc | b))
    };
    high & HIGH_BITS == 0 || core::str::from_utf8(s).is_ok()
}

/// Lower-case hex of four bytes, in one register: nibbles apart, then all digits at once.
#[inline(always)]
fn hex_word(four: [u8; 4]) -> [u8; 8] {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let mut x = u64::from(u32::from_le_bytes(four));
    x = (x | x << 16) & 0x0000_ffff_0000_ffff;
    x = (x | x << 8) & 0x00ff_00ff_00ff_00ff;
    let nibbles = (x >> 4 | x << 8) & (0x0f * EACH);
    // One in each byte that is above nine: those digits begin at 'a'.
    let letters = (nibbles + 6 * EACH) >> 4 & EACH;
    (nibbles + 0x30 * EACH + letters * 0x27).to_le_bytes()
}

/// Lower-case hex of a span id.
#[inline(always)]
pub fn hex8(raw: &[u8; 8]) -> [u8; 16] {
    let [a, b, c, d, e, f, g, h] = *raw;
    let mut out = [0; 16];
    out[..8].copy_from_slice(&hex_word([a, b, c, d]));
    out[8..].copy_from_slice(&hex_word([e, f, g, h]));
    out
}

/// Lower-case hex of a trace id.
#[inline(always)]
pub fn hex16(raw: &[u8; 16]) -> [u8; 32] {
    let mut out = [0; 32];
    out[..16].copy_from_slice(&hex8(raw[..8].try_into().unwrap()));
    out[16..].copy_from_slice(&hex8(raw[8..].try_into().unwrap()));
    out
}

/// Lower-case hex of bytes of any number, appended.
pub fn push_hex(raw: &[u8], out: &mut Vec<u8>) {
    for &b in raw {
        out.extend_from_slice(&hex_word([b, 0, 0, 0])[..2]);
    }
}

/// Eight decimal digits of a number below 100,000,000, each 0 to 9, the first in the lowest byte:
/// halves, pairs and digits apart, in all lanes of one register at once.
#[inline(always)]
fn eight_digits(value: u32) -> u64 {
    let (high, low) = (value / 10_000, value % 10_000);
    let halves = u64::from(high) | u64::from(low) << 32;
    let hundreds = (halves * 10_486) >> 20 & 0x0000_007f_0000_007f;
    let pairs = hundreds | (halves - 100 * hundreds) << 16;
    let tens = (pairs * 103) >> 10 & 0x000f_000f_000f_000f;
    tens | (pairs - 10 * tens) << 8
}

const EIGHT: u64 = 100_000_000;
const ZEROS: u64 = 0x3030_3030_3030_3030;

/// How many of eight digits are left without leading zeros; the last one always is.
#[inline(always)]
fn significant(eight: u64) -> usize {
    8 - (eight | 1 << 56).trailing_zeros() as usize / 8
}

/// Appends a number below 100,000,000 as a string with its length.
#[inline(always)]
pub fn push_small(value: u32, out: &mut Vec<u8>) {
    let eight = eight_digits(value);
    let len = significant(eight);
    let text = (eight + ZEROS) >> (8 * (8 - len));
    let end = out.len() + 1 + len;
    out.extend_from_slice(&(u128::from(text) << 8 | len as u128).to_le_bytes());
    out.truncate(end);
}

/// A decimal integer, at the end of its places.
pub struct Decimal {
    places: [u8; Decimal::END],
    start: usize,
}

impl Decimal {
    const END: usize = 24;

    pub fn digits(&self) -> &[u8] {
        &self.places[self.start..]
    }
}

/// Writes a decimal integer.
#[inline]
pub fn decimal(value: i64) -> Decimal {
    let mut places = [0u8; Decimal::END];
    let mut at = Decimal::END;
    let mut rest = value.unsigned_abs();
    loop {
        let eight = eight_digits((rest % EIGHT) as u32);
        places[at - 8..at].copy_from_slice(&(eight + ZEROS).to_le_bytes());
        rest /= EIGHT;
        if rest == 0 {
            at -= significant(eight);
            break;
        }
        at -= 8;
    }
    if value < 0 {
        at -= 1;
        places[at] = b'-';
    }
    Decimal { places, start: at }
}

/// Appends a decimal integer.
pub fn push_int(value: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(decimal(value).digits());
}

/// Appends standard base64 with padding (RFC 4648 section 4).
pub fn push_base64(raw: &[u8], out: &mut Vec<u8>) {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    out.reserve(raw.len().div_ceil(3) * 4);
    for chunk in raw.chunks(3) {
        let mut bits = 0u32;
        for i in 0..3 {
            bits = bits << 8 | u32::from(*chunk.get(i).unwrap_or(&0));
        }
        for i in 0..4 {
            out.push(if i <= chunk.len() {
                ALPHABET[(bits >> (18 - 6 * i)) as usize & 63]
            } else {
                b'='
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(push: impl Fn(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        push(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn integers() {
        for value in [
            0,
            1,
            9,
            10,
            99,
            100,
            101,
            999,
            1000,
            12345,
            99_999_999,
            100_000_000,
            100_000_001,
            -100_000_000,
            9_999_999_999_999_999,
            10_000_000_000_000_000,
            i64::MAX,
            i64::MIN,
            -1,
            -10,
        ] {
            assert_eq!(text(|o| push_int(value, o)), value.to_string());
        }
    }

    #[test]
    fn small_numbers_are_strings_with_lengths() {
        // All of up to five digits, and of the longer ones some of every kind.
        let longer = (100_000..100_000_000).step_by(9_973).chain([99_999_999]);
        for value in (0..=99_999).chain(longer) {
            let mut out = vec![7];
            push_small(value, &mut out);
            let text = value.to_string();
            assert_eq!(out, [&[7, text.len() as u8], text.as_bytes()].concat());
        }
    }

    #[test]
    fn base64_pads() {
        for (raw, want) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
        ] {
            assert_eq!(text(|o| push_base64(raw.as_bytes(), o)), want);
        }
    }

    #[test]
    fn hex_is_lower_case() {
        let id = [0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef];
        assert_eq!(&hex8(&id), b"0123456789abcdef");
        let id = [
            0x00, 0x9a, 0xa9, 0xff, 0xf0, 0x0f, 0x10, 0xfe, 1, 2, 3, 4, 5, 6, 7, 8,
        ];
        assert_eq!(&hex16(&id), b"009aa9fff00f10fe0102030405060708");
        assert_eq!(text(|o| push_hex(&[0x12, 0xbc, 0], o)), "12bc00");
    }

    #[test]
    fn utf8_is_checked_and_repaired() {
        for s in ["", "a", "12345678", "1234567890ä", "ä", "日本語のテキスト"] {
            assert!(is_utf8(s.as_bytes(), Range::all(s.as_bytes())));
        }
        for s in [
            &b"\xff"[..],
            b"12345678\xc3",
            b"abc\xed\xa0\x80",
            b"\xf0\x9f\x98",
        ] {
            assert!(!is_utf8(s, Range::all(s)));
        }
        let mut repair = Repair::default();
        assert_eq!(
            repair.fix(b"a\xf0\x9f\x98b\xffc"),
            "a\u{fffd}b\u{fffd}c".as_bytes()
        );
        assert_eq!(repair.replaced, 1);
    }
}
