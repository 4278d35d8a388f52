//! Guardrails on texts: bodies of log records, names and status messages of spans.

use super::{Fate, Guard};
use crate::guard_rule::Place;

impl Guard {
    /// Whether a rule is for a place.
    #[inline(always)]
    pub fn reads(&self, place: Place) -> bool {
        self.busy[place as usize]
    }

    /// Whether a text, which need not be valid, surely stays as it is.
    pub fn lets_text_pass(&mut self, place: Place, text: &[u8]) -> bool {
        self.start_list(1);
        let number = self.find(place, 0, b"");
        self.lets_pass(place, number, text)
    }

    /// A valid text after the rules, or nothing if they leave it as it is.
    pub fn pass_text(&mut self, place: Place, text: &[u8]) -> Option<&[u8]> {
        if self.lets_text_pass(place, text) {
            return None;
        }
        let number = self.find(place, 0, b"");
        match self.run(place, number, text) {
            Fate::Changed(_, true) => Some(&self.text),
            _ => None,
        }
    }
}
