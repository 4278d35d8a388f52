//! Attributes outside of a column.

use crate::wire::Range;

/// Bytes behind a string that let it be copied as a block.
pub const SLACK: usize = 32;

/// Pairs of valid strings in one arena: attributes that several rows share, or that were
/// needed before their row's place was known.
#[derive(Default)]
pub struct Pairs {
    pub arena: Vec<u8>,
    pub pairs: Vec<(Range, Range)>,
}

impl Pairs {
    pub fn clear(&mut self) {
        self.arena.clear();
        self.pairs.clear();
    }

    /// Appends a pair of valid strings.
    pub fn push(&mut self, key: &[u8], value: &[u8]) {
        let start = self.arena.len() as u32;
        self.arena.extend_from_slice(key);
        let middle = self.arena.len() as u32;
        self.arena.extend_from_slice(value);
        let end = self.arena.len() as u32;
        let key = Range { start, end: middle };
        self.pairs.push((key, Range { start: middle, end }));
    }

    /// The first value of a key.
    pub fn get(&self, key: &[u8]) -> Option<Range> {
        let found = self.pairs.iter().find(|(k, _)| k.of(&self.arena) == key);
        found.map(|&(_, value)| value)
    }

    /// Most column bytes that one row of these pairs takes.
    pub fn width(&self) -> usize {
        self.arena.len() + 16 * self.pairs.len() + 16
    }
}
