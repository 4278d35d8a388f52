//! The pairs of the present row whose keys are kept apart.

use super::Attributes;
use crate::content::Names;
use crate::pairs::Pairs;

impl Attributes {
    /// Keeps the pairs of these keys apart from now on.
    pub fn keep_apart(&mut self, names: &Names) {
        self.apart = names.clone();
    }

    /// Whether any pair of the present row is kept apart.
    #[inline(always)]
    pub fn has_aside(&self) -> bool {
        !self.aside.pairs.is_empty()
    }

    /// Moves the pairs kept apart behind those of `row`.
    pub fn take_aside(&mut self, row: &mut Pairs) {
        for &(key, value) in &self.aside.pairs {
            row.push(key.of(&self.aside.arena), value.of(&self.aside.arena));
        }
        self.aside.clear();
    }

    /// Keeps a pair of valid strings apart.
    pub fn put_aside(&mut self, key: &[u8], value: &[u8]) {
        self.aside.push(key, value);
    }

    /// Whether the body of a log record with this event name is kept apart.
    pub fn keeps_body_apart(&self, event_name: &[u8]) -> bool {
        self.apart.cover_body(event_name)
    }

    /// Appends empty rows up to so many.
    pub fn pad(&mut self, rows: usize) {
        self.offsets.pad(rows);
    }

    /// Rows that are written down: all, but in a column that is padded later.
    pub fn rows(&self) -> usize {
        self.offsets.rows()
    }
}
