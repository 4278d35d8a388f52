//! Column buffers that hold text: plain strings, fixed strings and LowCardinality.
//!
//! Formats: <https://clickhouse.com/docs/native-protocol/columns>. Every buffer remembers its
//! length at `mark`, so that a rejected payload is taken back by `rollback`.

use crate::dict::Dict;
use crate::frame::Body;
use crate::text::{is_utf8, Repair};
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
    fn push(&mut self, s: &[u8], hint: u32, repair: &mut Repair) -> u32 {
        let id = if self.dict.is(hint, s) {
            hint
        } else {
            self.dict.id(s, repair)
        };
        self.ids.push(id);
        id
    }

    #[inline(always)]
    fn push_known(&mut self, number: usize, name: &str) {
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

    fn write(&self, body: &mut Body<'_>) {
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

    fn write_runs(&self, runs: impl Iterator<Item = Run> + Clone, body: &mut Body<'_>) {
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
}

/// Rows in a row that have the same values: how many values each has, and how many rows.
#[derive(Clone, Copy)]
pub struct Run {
    pub values: usize,
    pub rows: usize,
}

/// The end of the string with length that begins at `at`.
fn string_end(data: &[u8], mut at: usize) -> usize {
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

/// How a text field is stored.
pub enum Store {
    /// The table has no such column.
    Absent,
    Plain(Bytes),
    Low(Box<LowCardinality>),
    /// FixedString(n): cut or zero-padded to `n` bytes.
    Fixed(usize, Bytes),
}

/// A text column, and where its last template value lies.
pub struct Text {
    pub store: Store,
    template: (usize, usize),
}

impl Text {
    pub fn new(store: Store) -> Text {
        Text {
            store,
            template: (0, 0),
        }
    }

    pub fn plain() -> Text {
        Text::new(Store::Plain(Bytes::default()))
    }

    pub fn low() -> Text {
        Text::new(Store::Low(Box::default()))
    }

    pub fn is_absent(&self) -> bool {
        matches!(self.store, Store::Absent)
    }

    /// Appends a string of `buf`, repaired if it is not UTF-8.
    #[inline(always)]
    pub fn push(&mut self, buf: &[u8], r: Range, repair: &mut Repair) {
        self.push_hinted(buf, r, u32::MAX, repair);
    }

    /// As `push`, when the value before is probably the same.
    #[inline(always)]
    pub fn push_like_last(&mut self, buf: &[u8], r: Range, repair: &mut Repair) {
        let hint = match &self.store {
            Store::Low(low) => low.ids.last().copied().unwrap_or(u32::MAX),
            _ => u32::MAX,
        };
        self.push_hinted(buf, r, hint, repair);
    }

    /// As `push`; `hint` is the key number that the string probably has. Returns the key
    /// number, meaningful for LowCardinality only.
    #[inline(always)]
    pub fn push_hinted(&mut self, buf: &[u8], r: Range, hint: u32, repair: &mut Repair) -> u32 {
        match &mut self.store {
            Store::Plain(bytes) => {
                if push_short(&mut bytes.data, buf, r) {
                    return 0;
                }
                let mut s = r.of(buf);
                if !is_utf8(buf, r) {
                    s = repair.fix(s);
                }
                push_len(&mut bytes.data, s.len());
                bytes.data.extend_from_slice(s);
            }
            Store::Low(low) => return low.push(r.of(buf), hint, repair),
            Store::Fixed(n, bytes) => {
                let mut s = r.of(buf);
                if !is_utf8(buf, r) {
                    s = repair.fix(s);
                }
                let end = bytes.data.len() + *n;
                bytes.data.extend_from_slice(&s[..s.len().min(*n)]);
                bytes.data.resize(end, 0);
            }
            Store::Absent => {}
        }
        0
    }

    /// Appends bytes that are known to be valid.
    #[inline(always)]
    pub fn push_valid(&mut self, s: &[u8]) {
        match &mut self.store {
            Store::Plain(bytes) => {
                push_len(&mut bytes.data, s.len());
                bytes.data.extend_from_slice(s);
            }
            Store::Absent => {}
            _ => self.push(s, Range::all(s), &mut Repair::default()),
        }
    }

    /// Appends one of at most eight names, given also by number.
    #[inline(always)]
    pub fn push_known(&mut self, number: usize, name: &str) {
        match &mut self.store {
            Store::Low(low) => low.push_known(number, name),
            _ => self.push_valid(name.as_bytes()),
        }
    }

    /// Appends a valid string that `repeat` will append again.
    pub fn push_template(&mut self, s: &[u8]) {
        let from = self.place();
        self.push_valid(s);
        self.template = (from, self.place());
    }

    /// Appends the template once more.
    #[inline(always)]
    pub fn repeat(&mut self) {
        let (from, to) = self.template;
        match &mut self.store {
            Store::Plain(bytes) | Store::Fixed(_, bytes) => bytes.repeat(from, to),
            Store::Low(low) => low.ids.extend_from_within(from..to),
            Store::Absent => {}
        }
    }

    /// Where the next value will lie, for `repeat_from`.
    #[inline(always)]
    pub fn place(&self) -> usize {
        match &self.store {
            Store::Plain(bytes) | Store::Fixed(_, bytes) => bytes.data.len(),
            Store::Low(low) => low.ids.len(),
            Store::Absent => 0,
        }
    }

    /// Appends again all values between two places.
    #[inline(always)]
    pub fn repeat_from(&mut self, from: usize, to: usize) {
        match &mut self.store {
            Store::Plain(bytes) | Store::Fixed(_, bytes) => bytes.repeat(from, to),
            Store::Low(low) => low.ids.extend_from_within(from..to),
            Store::Absent => {}
        }
    }

    pub fn mark(&mut self) {
        match &mut self.store {
            Store::Plain(bytes) | Store::Fixed(_, bytes) => bytes.mark(),
            Store::Low(low) => {
                low.dict.mark();
                low.mark = low.ids.len();
            }
            Store::Absent => {}
        }
    }

    pub fn rollback(&mut self) {
        match &mut self.store {
            Store::Plain(bytes) | Store::Fixed(_, bytes) => bytes.rollback(),
            Store::Low(low) => {
                low.dict.rollback();
                low.ids.truncate(low.mark);
                low.known = [0; 8];
            }
            Store::Absent => {}
        }
    }

    pub fn clear(&mut self) {
        match &mut self.store {
            Store::Plain(bytes) | Store::Fixed(_, bytes) => bytes.clear(),
            Store::Low(low) => {
                low.dict.clear();
                clear_vec(&mut low.ids);
                low.mark = 0;
                low.known = [0; 8];
            }
            Store::Absent => {}
        }
    }

    pub fn nbytes(&self) -> (usize, usize) {
        match &self.store {
            Store::Plain(bytes) | Store::Fixed(_, bytes) => bytes.nbytes(),
            Store::Low(low) => {
                let (all, new) = low.dict.nbytes();
                (
                    all + 4 * low.ids.len(),
                    new + 4 * (low.ids.len() - low.mark),
                )
            }
            Store::Absent => (0, 0),
        }
    }

    /// The serialization version of a LowCardinality column, which stands before all else.
    pub fn write_prefix(&self, body: &mut Body<'_>) {
        if matches!(self.store, Store::Low(_)) {
            body.put(&1u64.to_le_bytes());
        }
    }

    pub fn write(&self, body: &mut Body<'_>) {
        match &self.store {
            Store::Plain(bytes) | Store::Fixed(_, bytes) => body.put(&bytes.data),
            Store::Low(low) => low.write(body),
            Store::Absent => {}
        }
    }

    /// Writes the values of each run as often as it has rows.
    pub fn write_runs(&self, runs: impl Iterator<Item = Run> + Clone, body: &mut Body<'_>) {
        let mut at = 0;
        match &self.store {
            Store::Plain(bytes) => {
                for Run { values, rows } in runs {
                    let from = at;
                    for _ in 0..values {
                        at = string_end(&bytes.data, at);
                    }
                    body.put_repeated(&bytes.data[from..at], rows);
                }
            }
            Store::Fixed(n, bytes) => {
                for Run { values, rows } in runs {
                    let from = at;
                    at += n * values;
                    body.put_repeated(&bytes.data[from..at], rows);
                }
            }
            Store::Low(low) => low.write_runs(runs, body),
            Store::Absent => {}
        }
    }

    /// Bytes of one row's values between two places.
    pub fn width(&self, from: usize, to: usize) -> usize {
        match &self.store {
            Store::Low(_) => 4 * (to - from),
            _ => to - from,
        }
    }

    /// Bytes of the template.
    pub fn template_width(&self) -> usize {
        self.width(self.template.0, self.template.1)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Buffers;

    fn written(text: &Text) -> Vec<u8> {
        let mut buffers = Buffers::default();
        let mut body = Body::new(&mut buffers, false, 0);
        text.write_prefix(&mut body);
        text.write(&mut body);
        body.finish().0
    }

    fn push(text: &mut Text, s: &[u8], repair: &mut Repair) {
        text.push(s, Range::all(s), repair);
    }

    #[test]
    fn plain_strings_with_lengths() {
        let mut text = Text::plain();
        let mut repair = Repair::default();
        push(&mut text, b"ab", &mut repair);
        push(&mut text, &[b'x'; 200], &mut repair);
        push(&mut text, b"\xff", &mut repair);
        let mut want = b"\x02ab\xc8\x01".to_vec();
        want.extend([b'x'; 200]);
        want.extend("\u{3}\u{fffd}".as_bytes());
        assert_eq!(written(&text), want);
        assert_eq!(repair.replaced, 1);
    }

    #[test]
    fn fixed_strings_are_cut_and_padded() {
        let mut text = Text::new(Store::Fixed(3, Bytes::default()));
        for s in [&b"a"[..], b"abcd", b""] {
            push(&mut text, s, &mut Repair::default());
        }
        assert_eq!(written(&text), b"a\0\0abc\0\0\0");
    }

    #[test]
    fn low_cardinality_widens_at_257_keys() {
        for (keys, flags, width) in [
            (256usize, 0x600u64, 1usize),
            (257, 0x601, 2),
            (65_537, 0x602, 4),
        ] {
            let mut text = Text::low();
            for i in 0..keys {
                push(&mut text, i.to_string().as_bytes(), &mut Repair::default());
            }
            let out = written(&text);
            assert_eq!(
                out[..16],
                [1u64.to_le_bytes(), flags.to_le_bytes()].concat()
            );
            assert_eq!(
                out[out.len() - width..],
                ((keys - 1) as u64).to_le_bytes()[..width]
            );
        }
    }

    #[test]
    fn an_empty_low_cardinality_is_its_prefix_only() {
        assert_eq!(written(&Text::low()), 1u64.to_le_bytes());
    }

    #[test]
    fn runs_repeat_their_values() {
        let runs = [Run { values: 1, rows: 3 }, Run { values: 2, rows: 2 }];
        let stores = [Text::plain, Text::low, || {
            Text::new(Store::Fixed(2, Bytes::default()))
        }];
        for new in stores {
            let (mut short, mut long) = (new(), new());
            for s in ["a", &"b".repeat(200), "c"] {
                short.push_valid(s.as_bytes());
            }
            for s in ["a", "a", "a", &"b".repeat(200), "c", &"b".repeat(200), "c"] {
                long.push_valid(s.as_bytes());
            }
            let mut buffers = Buffers::default();
            let mut body = Body::new(&mut buffers, false, 0);
            short.write_prefix(&mut body);
            short.write_runs(runs.into_iter(), &mut body);
            assert_eq!(body.finish().0, written(&long));
        }
    }

    #[test]
    fn rollback_restores_every_store() {
        for mut text in [
            Text::plain(),
            Text::low(),
            Text::new(Store::Fixed(2, Bytes::default())),
        ] {
            text.push_template(b"kept");
            text.repeat();
            let before = written(&text);
            text.mark();
            text.push_known(3, "known");
            text.push_valid(b"new");
            assert_ne!(written(&text), before);
            assert!(text.nbytes().1 > 0);
            text.rollback();
            assert_eq!(written(&text), before);
            assert_eq!(text.nbytes().1, 0);
        }
    }
}
