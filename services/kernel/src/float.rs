//! Doubles as Go prints them.

use crate::text::{decimal, push_int};
use std::io::Write;

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
        // The nearest integer, below 1e15: no call as for `round`.
        let scaled = (size * scale + 0.5) as i64;
        if scaled as f64 / scale == size {
            let decimal = decimal(scaled);
            let digits = decimal.digits();
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

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: f64) -> String {
        let mut out = Vec::new();
        push_double(value, &mut out);
        String::from_utf8(out).unwrap()
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
            (f64::from_bits(0x4004_0004_0000_0000), "2.5000076293945312"),
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
            assert_eq!(text(value), want);
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
                assert_eq!(text(value), value.to_string());
            }
        }
    }
}
