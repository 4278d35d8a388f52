//! Prompts, completions and what else is said: attributes that have a column of their own.
//!
//! The names come from the writer (`headrace_schema/genai.py`); none: nothing is kept apart.

use std::sync::Arc;

/// The key under which a log record's body is kept.
pub const BODY: &[u8] = b"body";
/// Log records whose event name begins so have content in their body.
const EVENTS: &[u8] = b"gen_ai.";

/// Names of attributes. Each covers the key that is equal to it, and its numbered parts:
/// `gen_ai.prompt` covers `gen_ai.prompt.0.content`, but not `gen_ai.prompt.version`.
#[derive(Clone, Default)]
pub struct Names(Arc<[Vec<u8>]>);

impl Names {
    pub fn new(names: Vec<Vec<u8>>) -> Names {
        Names(names.into())
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    #[inline]
    pub fn cover(&self, key: &[u8]) -> bool {
        self.0.iter().any(|name| match key.strip_prefix(&name[..]) {
            None => false,
            Some([]) => true,
            Some([b'.', digit, ..]) => digit.is_ascii_digit(),
            Some(_) => false,
        })
    }

    /// Whether the body of a log record with this event name is content.
    #[inline]
    pub fn cover_body(&self, event_name: &[u8]) -> bool {
        !self.is_empty() && event_name.starts_with(EVENTS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_covers_itself_and_its_numbered_parts() {
        let names = Names::new(vec![b"gen_ai.prompt".to_vec(), b"input.value".to_vec()]);
        for key in ["gen_ai.prompt", "gen_ai.prompt.0.content", "input.value"] {
            assert!(names.cover(key.as_bytes()), "{key}");
        }
        for key in [
            "gen_ai.prompt.version",
            "gen_ai.prompts",
            "gen_ai.prompt.",
            "gen_ai",
            "",
        ] {
            assert!(!names.cover(key.as_bytes()), "{key}");
        }
        assert!(!Names::default().cover(b"gen_ai.prompt"));
        assert!(names.cover_body(b"gen_ai.choice"));
        assert!(!names.cover_body(b"exception"));
        assert!(!Names::default().cover_body(b"gen_ai.choice"));
    }
}
