//! The buffers that columns are made of. Every one remembers its length at `mark`, so that a
//! rejected payload is taken back by `rollback`.

use crate::frame::Body;
use crate::wire::Range;

/// Empties a vector; one that has grown far beyond its use gives half of it back.
pub fn clear_vec<T>(v: &mut Vec<T>) {
    if v.capacity() > 1 << 16 && v.len() < v.capacity() / 4 {
        v.shrink_to(v.capacity() / 2);
    }
    v.clear();
}

/// Appends a length as an unsigned varint.
#[inline(always)]
pub fn push_len(out: &mut Vec<u8>, mut len: usize) {
    while len >= 0x80 {
        out.push(len as u8 | 0x80);
        len >>= 7;
    }
    out.push(len as u8);
}

/// Appends a string with its length, if it is ASCII of at most 32 bytes with slack behind it in
/// `buf`: then it is checked and copied as one block, without loops or calls.
#[inline(always)]
pub fn push_short(out: &mut Vec<u8>, buf: &[u8], r: Range) -> bool {
    const HIGH_BITS: u128 = 0x8080_8080_8080_8080_8080_8080_8080_8080;
    let (start, len) = (r.start as usize, r.len());
    if len > 32 {
        return false;
    }
    let Some(block) = buf.get(start..start + 32) else {
        return false;
    };
    let half = |at: usize| u128::from_le_bytes(block[at..at + 16].try_into().unwrap());
    let high = if len < 16 {
        half(0) & ((1 << (8 * len)) - 1)
    } else {
        // The second half ends with the string: it overlaps the first.
        let last = buf[start + len - 16..start + len].try_into().unwrap();
        half(0) | u128::from_le_bytes(last)
    };
    if high & HIGH_BITS != 0 {
        return false;
    }
    out.reserve(33);
    let end = out.len();
    // SAFETY: 33 bytes are reserved behind `end`; `block` has 32; the first `1 + len` of what
    // is written become part of the vector.
    unsafe {
        let to = out.as_mut_ptr().add(end);
        *to = len as u8;
        core::ptr::copy_nonoverlapping(block.as_ptr(), to.add(1), 32);
        out.set_len(end + 1 + len);
    }
    true
}

/// A growing byte buffer with a mark.
#[derive(Default)]
pub struct Bytes {
    pub data: Vec<u8>,
    mark: usize,
}

impl Bytes {
    #[inline(always)]
    pub fn put<const N: usize>(&mut self, bytes: [u8; N]) {
        self.data.extend_from_slice(&bytes);
    }

    /// Appends what is at `from..to` of this same buffer.
    #[inline(always)]
    pub fn repeat(&mut self, from: usize, to: usize) {
        self.data.extend_from_within(from..to);
    }

    pub fn mark(&mut self) {
        self.mark = self.data.len();
    }

    pub fn rollback(&mut self) {
        self.data.truncate(self.mark);
    }

    pub fn clear(&mut self) {
        clear_vec(&mut self.data);
        self.mark = 0;
    }

    /// Bytes held, and bytes held since `mark`.
    pub fn nbytes(&self) -> (usize, usize) {
        (self.data.len(), self.data.len() - self.mark)
    }
}

/// Rows in a row that have the same values: how many values each has, and how many rows.
#[derive(Clone, Copy)]
pub struct Run {
    pub values: usize,
    pub rows: usize,
}

/// The end of the string with length that begins at `at`.
pub fn string_end(data: &[u8], mut at: usize) -> usize {
    let (mut len, mut shift) = (0, 0);
    loop {
        let byte = data[at];
        at += 1;
        len |= usize::from(byte & 0x7f) << shift;
        shift += 7;
        if byte < 0x80 {
            return at + len;
        }
    }
}

/// Ends of arrays, counted in values: the Native format's array offsets.
#[derive(Default)]
pub struct Offsets {
    ends: Vec<u64>,
    total: u64,
    mark: (usize, u64),
}

impl Offsets {
    #[inline(always)]
    pub fn push(&mut self, count: usize) {
        self.total += count as u64;
        self.ends.push(self.total);
    }

    /// Appends empty arrays up to so many rows.
    pub fn pad(&mut self, rows: usize) {
        self.ends.resize(rows, self.total);
    }

    pub fn rows(&self) -> usize {
        self.ends.len()
    }

    pub fn mark(&mut self) {
        self.mark = (self.ends.len(), self.total);
    }

    pub fn rollback(&mut self) {
        self.ends.truncate(self.mark.0);
        self.total = self.mark.1;
    }

    pub fn clear(&mut self) {
        clear_vec(&mut self.ends);
        self.total = 0;
        self.mark = (0, 0);
    }

    pub fn nbytes(&self) -> (usize, usize) {
        (8 * self.ends.len(), 8 * (self.ends.len() - self.mark.0))
    }

    pub fn write(&self, body: &mut Body<'_>) {
        body.put_each(&self.ends, u64::to_le_bytes);
    }

    /// The arrays as runs, when each array stands for as many rows as `rows` says.
    pub fn runs<'a>(&'a self, rows: &'a [u32]) -> impl Iterator<Item = Run> + Clone + 'a {
        let starts = core::iter::once(0).chain(self.ends.iter().copied());
        let sizes = self.ends.iter().zip(starts).map(|(end, start)| end - start);
        sizes.zip(rows).map(|(size, &rows)| Run {
            values: size as usize,
            rows: rows as usize,
        })
    }

    /// Writes the ends of the arrays of all rows.
    pub fn write_runs(&self, rows: &[u32], body: &mut Body<'_>) {
        let mut end = 0u64;
        let mut chunk = Vec::with_capacity(512);
        for Run { values, rows } in self.runs(rows) {
            for _ in 0..rows {
                end += values as u64;
                chunk.push(end);
                if chunk.len() == chunk.capacity() {
                    body.put_each(&chunk, u64::to_le_bytes);
                    chunk.clear();
                }
            }
        }
        body.put_each(&chunk, u64::to_le_bytes);
    }
}
