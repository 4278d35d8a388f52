//! Runs of rows that share a resource, a scope and a metric.

use crate::pairs::Pairs;

/// Generations of what several rows share. Zero: nothing encoded here yet.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Shared {
    pub resource: u64,
    pub scope: u64,
    pub metric: u64,
}

/// What decides whether a shared value is still the same.
#[derive(Clone, Copy)]
pub enum Level {
    Resource,
    Scope,
    Metric,
}

/// A shared field's number and value.
pub type SharedText<'a> = (usize, Level, &'a [u8]);
pub type SharedMap<'a> = (usize, Level, &'a Pairs);

/// Rows in a row with the same resource, scope and metric: their shared columns hold one value,
/// and are written out only when the block is.
#[derive(Default)]
pub struct Runs {
    pub rows: Vec<u32>,
    /// Bytes that one row of the last run takes in the shared columns.
    width: usize,
    /// Bytes that all rows take there.
    bytes: usize,
    mark: (usize, usize),
    mark_last: u32,
}

impl Runs {
    /// One more row of the last run.
    #[inline(always)]
    pub fn extend(&mut self) {
        if let Some(rows) = self.rows.last_mut() {
            *rows += 1;
        }
        self.bytes += self.width;
    }

    /// The first row of a run whose rows take `width` bytes each.
    pub fn start(&mut self, width: usize) {
        self.rows.push(1);
        self.width = width;
        self.bytes += width;
    }

    pub fn mark(&mut self) {
        self.mark = (self.rows.len(), self.bytes);
        self.mark_last = self.rows.last().copied().unwrap_or(0);
    }

    /// Bytes that all rows take, and those since `mark`.
    pub fn nbytes(&self) -> (usize, usize) {
        (self.bytes, self.bytes - self.mark.1)
    }

    pub fn rollback(&mut self) {
        self.rows.truncate(self.mark.0);
        if let Some(last) = self.rows.last_mut() {
            *last = self.mark_last;
        }
        self.bytes = self.mark.1;
    }

    pub fn clear(&mut self) {
        crate::buffer::clear_vec(&mut self.rows);
        self.bytes = 0;
        self.mark = (0, 0);
    }
}
