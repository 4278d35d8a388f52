//! LowCardinality(String) columns.

use crate::buffer::{clear_vec, Run};
use crate::dict::Dict;
use crate::frame::Body;
use crate::text::Repair;

/// A LowCardinality(String) column: a dictionary and one key number per value.
#[derive(Default)]
pub struct LowCardinality {
    pub dict: Dict,
    pub ids: Vec<u32>,
    mark: usize,
    /// Key numbers + 1 of a few strings known by number (enum names).
    known: [u32; 8],
}

/// `LowCardinality` flags of the Native format: the keys stand with the column
/// (bit 9), and they replace what the reader had (bit 10).
const LC_FLAGS: u64 = 0x600;

impl LowCardinality {
    #[inline(always)]
    pub fn push(&mut self, s: &[u8], hint: u32, repair: &mut Repair) -> u32 {
        let id = if self.dict.is(hint, s) {
            hint
        } else {
            self.dict.id(s, repair)
        };
        self.ids.push(id);
        id
    }

    #[inline(always)]
    pub fn push_known(&mut self, number: usize, name: &str) {
        let id = match self.known[number] {
            0 => {
                let id = self.dict.id(name.as_bytes(), &mut Repair::default());
                self.known[number] = id + 1;
                id
            }
            id => id - 1,
        };
        self.ids.push(id);
    }

    pub fn write(&self, body: &mut Body<'_>) {
        let Some(width) = self.write_keys(self.ids.len(), body) else {
            return;
        };
        match width {
            0 => body.put_each(&self.ids, |id| [id as u8]),
            1 => body.put_each(&self.ids, |id| (id as u16).to_le_bytes()),
            _ => body.put_each(&self.ids, u32::to_le_bytes),
        }
    }

    /// The keys, and how many values follow. Gives the width of a key number: 1 << width bytes.
    fn write_keys(&self, values: usize, body: &mut Body<'_>) -> Option<u64> {
        if values == 0 {
            return None;
        }
        let width = match self.dict.len() {
            0..=0x100 => 0,
            0x101..=0x1_0000 => 1,
            _ => 2,
        };
        body.put(&(LC_FLAGS | width).to_le_bytes());
        body.put(&(self.dict.len() as u64).to_le_bytes());
        body.put(self.dict.arena());
        body.put(&(values as u64).to_le_bytes());
        Some(width)
    }

    pub fn write_runs(&self, runs: impl Iterator<Item = Run> + Clone, body: &mut Body<'_>) {
        let total = runs.clone().map(|run| run.values * run.rows).sum();
        let Some(width) = self.write_keys(total, body) else {
            return;
        };
        let mut at = 0;
        let mut bytes = Vec::new();
        for Run { values, rows } in runs {
            bytes.clear();
            for id in &self.ids[at..at + values] {
                bytes.extend_from_slice(&id.to_le_bytes()[..1 << width]);
            }
            at += values;
            body.put_repeated(&bytes, rows);
        }
    }

    pub fn mark(&mut self) {
        self.dict.mark();
        self.mark = self.ids.len();
    }

    pub fn rollback(&mut self) {
        self.dict.rollback();
        self.ids.truncate(self.mark);
        self.known = [0; 8];
    }

    pub fn clear(&mut self) {
        self.dict.clear();
        clear_vec(&mut self.ids);
        self.mark = 0;
        self.known = [0; 8];
    }

    /// Bytes of keys and key numbers, four each, and of those since `mark`.
    pub fn nbytes(&self) -> (usize, usize) {
        let (all, new) = self.dict.nbytes();
        (
            all + 4 * self.ids.len(),
            new + 4 * (self.ids.len() - self.mark),
        )
    }
}
