//! Columns of text: plain strings, fixed strings and LowCardinality.
//!
//! Formats: <https://clickhouse.com/docs/native-protocol/columns>.

use crate::buffer::{push_len, push_short, string_end, Bytes, Run};
use crate::frame::Body;
use crate::low::LowCardinality;
use crate::text::{is_utf8, Repair};
use crate::wire::Range;

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
            Store::Low(low) => low.mark(),
            Store::Absent => {}
        }
    }

    pub fn rollback(&mut self) {
        match &mut self.store {
            Store::Plain(bytes) | Store::Fixed(_, bytes) => bytes.rollback(),
            Store::Low(low) => low.rollback(),
            Store::Absent => {}
        }
    }

    pub fn clear(&mut self) {
        match &mut self.store {
            Store::Plain(bytes) | Store::Fixed(_, bytes) => bytes.clear(),
            Store::Low(low) => low.clear(),
            Store::Absent => {}
        }
    }

    pub fn nbytes(&self) -> (usize, usize) {
        match &self.store {
            Store::Plain(bytes) | Store::Fixed(_, bytes) => bytes.nbytes(),
            Store::Low(low) => low.nbytes(),
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
