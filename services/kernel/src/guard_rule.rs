//! The rules of guardrails: what they are for, and what they do to a value.

use crate::redact;
use crate::sip::sip_hash_128;
use crate::text::push_hex;
use crate::tiers::Tiers;

/// Where a list of attributes stands, or a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Resource,
    Scope,
    Span,
    Event,
    Link,
    Log,
    Point,
    Exemplar,
    Body,
    /// A span's name.
    Name,
    /// A span's status message.
    Status,
}

pub const PLACES: [(&str, Place); 11] = [
    ("resource", Place::Resource),
    ("scope", Place::Scope),
    ("span", Place::Span),
    ("event", Place::Event),
    ("link", Place::Link),
    ("log", Place::Log),
    ("point", Place::Point),
    ("exemplar", Place::Exemplar),
    ("body", Place::Body),
    ("name", Place::Name),
    ("status", Place::Status),
];

impl Place {
    /// Whether it is one text instead of a list of attributes, so that keys do not count there.
    pub fn is_text(self) -> bool {
        matches!(self, Place::Body | Place::Name | Place::Status)
    }

    pub fn named(name: &str) -> Option<Place> {
        PLACES.iter().find(|(n, _)| *n == name).map(|&(_, p)| p)
    }
}

/// What a rule does to an attribute that it is for.
pub enum Action {
    Drop,
    /// Drops what it is not for.
    Allow,
    /// Keeps the first so many of a list.
    Cap(usize),
    Rename(Vec<u8>),
    Hash,
    Truncate(usize),
    Map(Tiers),
    Redact {
        secrets: bool,
        emails: bool,
    },
}

impl Action {
    /// Whether it looks at the value.
    pub fn of_text(&self) -> bool {
        use Action::*;
        matches!(self, Hash | Truncate(_) | Map(_) | Redact { .. })
    }
}

pub struct Rule {
    pub action: Action,
    /// Exact keys, or with `*` at an end or at both.
    pub keys: Vec<Vec<u8>>,
    pub places: Vec<Place>,
}

impl Rule {
    pub fn is_for(&self, key: &[u8]) -> bool {
        self.keys.iter().any(|pattern| fits(pattern, key))
    }

    pub fn new_name(&self) -> &[u8] {
        match &self.action {
            Action::Rename(to) => to,
            _ => unreachable!("only Rename gives a name"),
        }
    }
}

pub fn fits(pattern: &[u8], key: &[u8]) -> bool {
    match pattern {
        [b'*'] => true,
        [b'*', middle @ .., b'*'] => {
            middle.is_empty() || key.windows(middle.len()).any(|window| window == middle)
        }
        [b'*', end @ ..] => key.ends_with(end),
        [start @ .., b'*'] => key.starts_with(start),
        _ => pattern == key,
    }
}

/// Writes what an action makes of a value to `out`; false if it leaves it as it is.
pub fn rewrite(action: &Action, key: [u64; 2], value: &[u8], out: &mut Vec<u8>) -> bool {
    match action {
        Action::Hash => {
            push_hex(&sip_hash_128(key, value), out);
            true
        }
        Action::Truncate(most) => {
            if value.len() <= *most {
                return false;
            }
            // Back to the beginning of a character that would be cut.
            let mut end = *most;
            while end > 0 && value[end] & 0xc0 == 0x80 {
                end -= 1;
            }
            out.extend_from_slice(&value[..end]);
            true
        }
        Action::Map(tiers) => match tiers.label(value) {
            Some(label) => {
                out.extend_from_slice(label);
                true
            }
            None => false,
        },
        Action::Redact { secrets, emails } => {
            let first = *secrets && redact::secrets(value, out);
            if !*emails {
                return first;
            }
            if !first {
                return redact::emails(value, out);
            }
            let mut second = Vec::new();
            if redact::emails(out, &mut second) {
                *out = second;
            }
            true
        }
        _ => false,
    }
}
