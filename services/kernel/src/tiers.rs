//! Values to labels: by exact text, else by the first bound that a number lies below.

use std::collections::HashMap;

pub struct Tiers {
    pub values: HashMap<Vec<u8>, Vec<u8>>,
    /// (bound, label), bounds ascending; a number takes the first bound that it is below.
    pub below: Vec<(f64, Vec<u8>)>,
    /// For everything else; without it, that stays as it is.
    pub otherwise: Option<Vec<u8>>,
}

impl Tiers {
    pub fn label(&self, value: &[u8]) -> Option<&[u8]> {
        if let Some(label) = self.values.get(value) {
            return Some(label);
        }
        let number = if self.below.is_empty() {
            None
        } else {
            number(value)
        };
        let tier = number.and_then(|n| self.below.iter().find(|(bound, _)| n < *bound));
        let label = tier.map(|(_, label)| label).or(self.otherwise.as_ref());
        label.map(Vec::as_slice)
    }
}

/// A decimal number: `-12`, `1.5`, `2e-7`. Nothing else that parsers take for one.
fn number(text: &[u8]) -> Option<f64> {
    fn digits(s: &[u8]) -> (usize, &[u8]) {
        let n = s.iter().take_while(|b| b.is_ascii_digit()).count();
        (n, &s[n..])
    }
    let (whole, mut rest) = digits(text.strip_prefix(b"-").unwrap_or(text));
    let mut good = whole > 0;
    if let [b'.', behind @ ..] = rest {
        let (n, behind) = digits(behind);
        good &= n > 0;
        rest = behind;
    }
    if let [b'e' | b'E', behind @ ..] = rest {
        let signed = matches!(behind, [b'+' | b'-', ..]);
        let (n, behind) = digits(&behind[usize::from(signed)..]);
        good &= n > 0;
        rest = behind;
    }
    if good && rest.is_empty() {
        core::str::from_utf8(text).ok()?.parse().ok()
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_decimal() {
        for (text, want) in [
            ("12", Some(12.0)),
            ("-1.5", Some(-1.5)),
            ("2e-7", Some(2e-7)),
            ("1E+3", Some(1000.0)),
            ("", None),
            ("-", None),
            ("1.", None),
            (".5", None),
            ("1e", None),
            ("+1", None),
            ("inf", None),
            ("NaN", None),
            ("1_0", None),
        ] {
            assert_eq!(number(text.as_bytes()), want, "{text}");
        }
    }

    #[test]
    fn the_first_bound_above_wins() {
        let tiers = Tiers {
            values: HashMap::from([(b"gold".to_vec(), b"paid".to_vec())]),
            below: vec![(1.0, b"low".to_vec()), (10.0, b"high".to_vec())],
            otherwise: None,
        };
        for (value, want) in [
            ("gold", Some("paid")),
            ("0", Some("low")),
            ("1", Some("high")),
            ("10", None),
            ("tin", None),
        ] {
            assert_eq!(tiers.label(value.as_bytes()), want.map(str::as_bytes));
        }
    }
}
