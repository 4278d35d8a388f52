//! Columns of attributes: a Map, or a pair of key and value arrays, or JSON text.

use crate::any::{scan_pair, simple_pair, Kind};
use crate::buffer::{push_short, Offsets};
use crate::column::{Store, Text};
use crate::content::Names;
use crate::context::push_pair;
use crate::float::push_double;
use crate::frame::Body;
use crate::json::push_text;
use crate::pairs::{Pairs, SLACK};
use crate::text::{push_small, Repair};
use crate::wire::{Range, Result};

/// Where the template row lies in keys and values.
#[derive(Clone, Copy, Default)]
struct Template {
    pairs: usize,
    keys: (usize, usize),
    values: (usize, usize),
}

/// A column of attributes. Keys and values have their own type each; either may be absent when
/// a table has the other half of a pair only.
pub struct Attributes {
    offsets: Offsets,
    pub keys: Text,
    pub values: Text,
    /// One JSON object per row instead of the pairs.
    pub json: Option<Text>,
    /// Key numbers by place in the row before: the n-th key is usually the same again.
    hints: Vec<u32>,
    at: usize,
    template: Template,
    /// Keys that are kept apart: their pairs of the present row go to `aside`. A key of the
    /// dictionary is none of them, so the usual pair, whose key is known, costs nothing more.
    apart: Names,
    aside: Pairs,
}

/// `true` and `false`, with slack.
const NAMES: &[u8] = b"truefalse                                ";

/// Hints kept; later places of a row go through the dictionary's hash.
const HINTS: usize = 128;

impl Attributes {
    pub fn new(keys: Text, values: Text, json: Option<Text>) -> Attributes {
        Attributes {
            offsets: Offsets::default(),
            keys,
            values,
            json,
            hints: Vec::new(),
            at: 0,
            template: Template::default(),
            apart: Names::default(),
            aside: Pairs::default(),
        }
    }

    /// Appends a key of the current row.
    #[inline]
    fn push_key(&mut self, buf: &[u8], key: Range, repair: &mut Repair) {
        match self.hints.get_mut(self.at) {
            Some(hint) => *hint = self.keys.push_hinted(buf, key, *hint, repair),
            None => {
                let id = self.keys.push_hinted(buf, key, u32::MAX, repair);
                if self.at < HINTS {
                    self.hints.push(id);
                }
            }
        }
        self.at += 1;
    }

    /// Ends the current row.
    #[inline(always)]
    fn end_row(&mut self) {
        self.offsets.push(self.at);
        self.at = 0;
    }

    /// Appends KeyValue messages as one row. `text` is scratch.
    #[inline(always)]
    pub fn push_wire(
        &mut self,
        buf: &[u8],
        pairs: &[Range],
        text: &mut Vec<u8>,
        repair: &mut Repair,
    ) -> Result<()> {
        for &pair in pairs {
            if !self.push_simple(buf, pair, text) {
                self.push_any(buf, pair, text, repair)?;
            }
        }
        self.end_row();
        Ok(())
    }

    /// Appends a pair of the usual shape; false if it has another, or columns of other types.
    #[inline(always)]
    fn push_simple(&mut self, buf: &[u8], pair: Range, text: &mut Vec<u8>) -> bool {
        let Some((key, kind, scalar, string)) = simple_pair(buf, pair) else {
            return false;
        };
        match kind {
            Kind::Str => self.put(buf, key, buf, string),
            Kind::Bool => {
                let (start, end) = if scalar != 0 { (0, 4) } else { (4, 9) };
                self.put(buf, key, NAMES, Range { start, end })
            }
            Kind::Double => {
                text.clear();
                push_double(f64::from_bits(scalar), text);
                let value = Range::all(text);
                text.extend_from_slice(&[0; SLACK]);
                self.put(buf, key, text, value)
            }
            _ => self.put_with(key.of(buf), |out| {
                // Two bytes of varint at most.
                push_small(scalar as u32, out);
                true
            }),
        }
    }

    /// Appends a key and a short value to columns of the usual types; false if either is not.
    #[inline(always)]
    fn put(&mut self, key_buf: &[u8], key: Range, value_buf: &[u8], value: Range) -> bool {
        self.put_with(key.of(key_buf), |out| push_short(out, value_buf, value))
    }

    /// As `put`, the value appended by `push`, which is false where it has appended nothing.
    #[inline(always)]
    fn put_with(&mut self, key: &[u8], push: impl FnOnce(&mut Vec<u8>) -> bool) -> bool {
        let (Store::Low(keys), Store::Plain(values), Some(hint)) = (
            &mut self.keys.store,
            &mut self.values.store,
            self.hints.get_mut(self.at),
        ) else {
            return false;
        };
        if !keys.dict.is(*hint, key) {
            // A new key may be one that is kept apart.
            let Some(id) = keys.dict.look_up(key) else {
                return false;
            };
            *hint = id;
        }
        if !push(&mut values.data) {
            return false;
        }
        keys.ids.push(*hint);
        self.at += 1;
        true
    }

    /// Appends a pair of any shape to columns of any types.
    #[inline(never)]
    fn push_any(
        &mut self,
        buf: &[u8],
        pair: Range,
        text: &mut Vec<u8>,
        repair: &mut Repair,
    ) -> Result<()> {
        let (key, value) = scan_pair(buf, pair)?;
        if self.apart.cover(key.of(buf)) {
            return push_pair(buf, pair, &mut self.aside, repair);
        }
        self.push_key(buf, key, repair);
        if value.kind == Kind::Str {
            self.values.push(buf, value.range, repair);
            return Ok(());
        }
        text.clear();
        push_text(buf, &value, text, repair)?;
        self.values.push_valid(text);
        Ok(())
    }

    /// Appends a row of valid strings.
    #[inline(always)]
    pub fn push_pairs(&mut self, row: &Pairs) {
        // Valid already: nothing will be repaired.
        let repair = &mut Repair::default();
        for &(key, value) in &row.pairs {
            if !self.put(&row.arena, key, &row.arena, value) {
                self.push_key(&row.arena, key, repair);
                self.values.push(&row.arena, value, repair);
            }
        }
        self.end_row();
    }

    /// Appends a row that `repeat` will append again.
    pub fn push_template(&mut self, row: &Pairs) {
        let (keys, values) = (self.keys.place(), self.values.place());
        self.push_pairs(row);
        self.template = Template {
            pairs: row.pairs.len(),
            keys: (keys, self.keys.place()),
            values: (values, self.values.place()),
        };
    }

    /// Appends the template row once more.
    #[inline(always)]
    pub fn repeat(&mut self) {
        let Template {
            pairs,
            keys,
            values,
        } = self.template;
        self.keys.repeat_from(keys.0, keys.1);
        self.values.repeat_from(values.0, values.1);
        self.offsets.push(pairs);
    }

    /// Bytes of the template row.
    pub fn template_width(&self) -> usize {
        let Template { keys, values, .. } = self.template;
        8 + self.keys.width(keys.0, keys.1) + self.values.width(values.0, values.1)
    }

    fn texts(&mut self) -> impl Iterator<Item = &mut Text> {
        [&mut self.keys, &mut self.values]
            .into_iter()
            .chain(self.json.as_mut())
    }

    pub fn mark(&mut self) {
        self.offsets.mark();
        self.texts().for_each(Text::mark);
    }

    pub fn rollback(&mut self) {
        self.at = 0;
        self.aside.clear();
        self.offsets.rollback();
        self.texts().for_each(Text::rollback);
    }

    pub fn clear(&mut self) {
        self.offsets.clear();
        self.hints.clear();
        self.texts().for_each(Text::clear);
    }

    /// Bytes of the rows' ends, which both halves of a pair of arrays show.
    pub fn end_bytes(&self) -> usize {
        self.offsets.nbytes().0
    }

    pub fn nbytes(&self) -> (usize, usize) {
        let mut sum = self.offsets.nbytes();
        for text in [&self.keys, &self.values]
            .into_iter()
            .chain(self.json.as_ref())
        {
            let (all, new) = text.nbytes();
            sum = (sum.0 + all, sum.1 + new);
        }
        sum
    }
}

/// What one column of a table shows of an attribute field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Both: Map(K, V).
    Map,
    Keys,
    Values,
    Json,
}

impl Attributes {
    pub fn write_prefix(&self, part: Part, body: &mut Body<'_>) {
        match part {
            Part::Map => {
                self.keys.write_prefix(body);
                self.values.write_prefix(body);
            }
            Part::Keys => self.keys.write_prefix(body),
            Part::Values => self.values.write_prefix(body),
            Part::Json => self.json.iter().for_each(|json| json.write_prefix(body)),
        }
    }

    pub fn write(&self, part: Part, body: &mut Body<'_>) {
        if part == Part::Json {
            return self.json.iter().for_each(|json| json.write(body));
        }
        self.offsets.write(body);
        if part != Part::Values {
            self.keys.write(body);
        }
        if part != Part::Keys {
            self.values.write(body);
        }
    }

    /// Writes each row as often as `rows` says.
    pub fn write_runs(&self, part: Part, rows: &[u32], body: &mut Body<'_>) {
        self.offsets.write_runs(rows, body);
        if part != Part::Values {
            self.keys.write_runs(self.offsets.runs(rows), body);
        }
        if part != Part::Keys {
            self.values.write_runs(self.offsets.runs(rows), body);
        }
    }
}

#[path = "map_aside.rs"]
mod aside;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Buffers;

    fn pairs(list: &[(&str, &str)]) -> Pairs {
        let mut row = Pairs::default();
        for (key, value) in list {
            let mut put = |s: &str| {
                let start = row.arena.len() as u32;
                row.arena.extend_from_slice(s.as_bytes());
                Range {
                    start,
                    end: row.arena.len() as u32,
                }
            };
            let pair = (put(key), put(value));
            row.pairs.push(pair);
        }
        row
    }

    fn written(map: &Attributes, part: Part) -> Vec<u8> {
        let mut buffers = Buffers::default();
        let mut body = Body::new(&mut buffers, false, 0);
        map.write(part, &mut body);
        body.finish().0
    }

    #[test]
    fn a_template_row_repeats() {
        let row = pairs(&[("a", "1"), ("b", "2"), ("a", "3")]);
        let mut once = Attributes::new(Text::low(), Text::plain(), None);
        once.push_template(&row);
        once.repeat();
        let mut twice = Attributes::new(Text::low(), Text::plain(), None);
        twice.push_pairs(&row);
        twice.push_pairs(&row);
        for part in [Part::Map, Part::Keys, Part::Values] {
            assert_eq!(written(&once, part), written(&twice, part));
        }
        let want = [3u64.to_le_bytes(), 6u64.to_le_bytes()].concat();
        assert_eq!(
            written(&once, Part::Values),
            [&want[..], b"\x011\x012\x013\x011\x012\x013"].concat()
        );
    }

    #[test]
    fn hints_survive_rollback_and_other_keys() {
        let mut map = Attributes::new(Text::low(), Text::plain(), None);
        map.push_pairs(&pairs(&[("a", "1")]));
        let before = written(&map, Part::Map);
        map.mark();
        map.push_pairs(&pairs(&[("b", "1"), ("c", "1")]));
        map.rollback();
        assert_eq!(written(&map, Part::Map), before);
        map.push_pairs(&pairs(&[("d", "1"), ("a", "1")]));
        let mut same = Attributes::new(Text::low(), Text::plain(), None);
        same.push_pairs(&pairs(&[("a", "1")]));
        same.push_pairs(&pairs(&[("d", "1"), ("a", "1")]));
        assert_eq!(written(&map, Part::Map), written(&same, Part::Map));
    }
}
