//! Text on its way into columns: UTF-8 repair, hex, and numbers as Go prints them.

use crate::wire::Range;
use std::io::Write;

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

const PAIRS: [[u8; 2]; 100] = {
    let mut table = [[0; 2]; 100];
    let mut i = 0;
    while i < 100 {
        table[i] = [b'0' + (i / 10) as u8, b'0' + (i % 10) as u8];
        i += 1;
    }
    table
};

/// A decimal integer: 20 places, and slack behind them for a block copy.
pub struct Decimal {
    pub digits: [u8; 64],
    pub start: usize,
}

impl Decimal {
    const END: usize = 20;

    pub fn range(&self) -> Range {
        Range {
            start: self.start as u32,
            end: Self::END as u32,
        }
    }
}

/// Writes a decimal integer.
#[inline]
pub fn decimal(value: i64) -> Decimal {
    let mut digits = [0u8; 64];
    let mut at = Decimal::END;
    let mut rest = value.unsigned_abs();
    while rest >= 10 {
        at -= 2;
        digits[at..at + 2].copy_from_slice(&PAIRS[(rest % 100) as usize]);
        rest /= 100;
    }
    if rest > 0 || value == 0 {
        at -= 1;
        digits[at] = b'0' + rest as u8;
    }
    if value < 0 {
        at -= 1;
        digits[at] = b'-';
    }
    Decimal { digits, start: at }
}

/// Appends a decimal integer.
pub fn push_int(value: i64, out: &mut Vec<u8>) {
    let decimal = decimal(value);
    out.extend_from_slice(decimal.range().of(&decimal.digits));
}

/// Appends a finite double in the shortest form that reads back, with the exponent limits of
/// ECMAScript (below 1e-6 and from 1e21 on), as Go's encoding/json and pdata do.
pub fn push_finite(value: f64, out: &mut Vec<u8>) {
    if push_short_decimal(value, out) {
        return;
    }
    let shortest = shortest(value);
    let (digits, exponent) = shortest.parts();
    if value.is_sign_negative() {
        out.push(b'-');
    }
    let size = value.abs();
    if size != 0.0 && !(1e-6..1e21).contains(&size) {
        out.push(digits[0]);
        if digits.len() > 1 {
            out.push(b'.');
            out.extend_from_slice(&digits[1..]);
        }
        out.extend_from_slice(if exponent < 0 { b"e-" } else { b"e+" });
        push_int(exponent.abs().into(), out);
    } else if exponent < 0 {
        out.extend_from_slice(b"0.");
        out.resize(out.len() + (-1 - exponent) as usize, b'0');
        out.extend_from_slice(digits);
    } else {
        let whole = exponent as usize + 1;
        out.extend_from_slice(&digits[..whole.min(digits.len())]);
        if whole < digits.len() {
            out.push(b'.');
            out.extend_from_slice(&digits[whole..]);
        } else {
            out.resize(out.len() + whole - digits.len(), b'0');
        }
    }
}

/// A double in scientific notation without its sign: at most 17 digits and an exponent.
#[derive(Default)]
struct Scientific {
    text: [u8; 32],
    len: usize,
}

impl Write for Scientific {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let room = &mut self.text[self.len..];
        let now = bytes.len().min(room.len());
        room[..now].copy_from_slice(&bytes[..now]);
        self.len += now;
        Ok(now)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Scientific {
    /// Digits without their point, and the exponent of the first. Moves the point away.
    fn split(mut self) -> Digits {
        let end = self.text[..self.len].iter().position(|&b| b == b'e');
        let end = end.unwrap_or(self.len);
        let exponent = core::str::from_utf8(&self.text[end + 1..self.len]);
        let exponent = exponent.ok().and_then(|e| e.parse().ok()).unwrap_or(0);
        let count = if end > 1 {
            self.text.copy_within(2..end, 1);
            end - 1
        } else {
            1
        };
        Digits {
            text: self.text,
            count,
            exponent,
        }
    }
}

struct Digits {
    text: [u8; 32],
    count: usize,
    exponent: i32,
}

impl Digits {
    fn parts(&self) -> (&[u8], i32) {
        (&self.text[..self.count], self.exponent)
    }
}

/// The fewest digits that read back. Where two such numbers are equally near, Go takes the even
/// one and Rust the greater; rounding the exact value to as many digits tells which is even.
fn shortest(value: f64) -> Digits {
    let size = value.abs();
    let mut text = Scientific::default();
    // Writing into the buffer cannot fail: 17 digits, point and exponent fit.
    let _ = write!(text, "{size:e}");
    let digits = text.split();
    if digits.count < 15 {
        return digits;
    }
    let mut text = Scientific::default();
    let _ = write!(text, "{size:.*e}", digits.count - 1);
    let even = core::str::from_utf8(&text.text[..text.len]).map(str::parse::<f64>);
    match even {
        Ok(Ok(same)) if same == size => text.split(),
        _ => digits,
    }
}

/// Appends a double that is a decimal of at most four places and 15 digits: then no other such
/// decimal is the same double, and the fewest places that hit it are the shortest form.
#[inline]
fn push_short_decimal(value: f64, out: &mut Vec<u8>) -> bool {
    let size = value.abs();
    if size >= 1e11 || size == 0.0 {
        return false;
    }
    for (places, scale) in [(0usize, 1.0), (1, 10.0), (2, 100.0), (3, 1e3), (4, 1e4)] {
        let scaled = (size * scale).round();
        if scaled / scale == size {
            let decimal = decimal(scaled as i64);
            let digits = decimal.range().of(&decimal.digits);
            if value < 0.0 {
                out.push(b'-');
            }
            let whole = digits.len().saturating_sub(places);
            if whole == 0 {
                out.push(b'0');
            }
            out.extend_from_slice(&digits[..whole]);
            if places > 0 {
                out.push(b'.');
                out.extend_from_slice(&b"0000"[..places.saturating_sub(digits.len())]);
                out.extend_from_slice(&digits[whole..]);
            }
            return true;
        }
    }
    false
}

/// Appends a double as pdata's `Value.AsString` does.
pub fn push_double(value: f64, out: &mut Vec<u8>) {
    if value.is_nan() {
        out.extend_from_slice(b"NaN");
    } else if value.is_infinite() {
        out.extend_from_slice(if value > 0.0 {
            b"Infinity"
        } else {
            b"-Infinity"
        });
    } else {
        push_finite(value, out);
    }
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
            i64::MAX,
            i64::MIN,
            -1,
            -10,
        ] {
            assert_eq!(text(|o| push_int(value, o)), value.to_string());
        }
    }

    #[test]
    fn doubles_as_go_prints_them() {
        let cases = [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (-2.5, "-2.5"),
            (0.1, "0.1"),
            (0.7, "0.7"),
            (-0.0625, "-0.0625"),
            (0.0001, "0.0001"),
            (0.00012, "0.00012"),
            (12.34, "12.34"),
            (99999999999.0, "99999999999"),
            (0.30000000000000004, "0.30000000000000004"),
            // Halfway between two numbers of 17 digits: the even one.
            (2.500007629394531_25, "2.5000076293945312"),
            (-1.7976931348623157e-300, "-1.7976931348623157e-300"),
            (123456.789e-9, "0.000123456789"),
            (2f64.powi(60), "1152921504606847000"),
            (1e15, "1000000000000000"),
            (123456789012345680.0, "123456789012345680"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (1.5e300, "1.5e+300"),
            (1e-6, "0.000001"),
            (9.5e-7, "9.5e-7"),
            (1e-10, "1e-10"),
            (5e-324, "5e-324"),
            (f64::MAX, "1.7976931348623157e+308"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "Infinity"),
            (f64::NEG_INFINITY, "-Infinity"),
        ];
        for (value, want) in cases {
            assert_eq!(text(|o| push_double(value, o)), want);
        }
    }

    #[test]
    fn short_decimals_are_what_the_long_way_prints() {
        let mut state = 1u64;
        for _ in 0..200_000 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let value =
                (state >> 24) as i32 as f64 / [1.0, 10.0, 1e2, 1e4, 3.0][state as usize >> 3 & 3];
            let near = f64::from_bits(value.to_bits() ^ (state >> 60));
            for value in [value, near] {
                assert_eq!(text(|o| push_double(value, o)), value.to_string());
            }
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
