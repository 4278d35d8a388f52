//! AnyValue and KeyValue (opentelemetry-proto common/v1), read in place.

use crate::check;
use crate::wire::{Range, Reader, Result};

/// AnyValues nest this deep; what lies below is not looked at.
pub const MAX_DEPTH: usize = 32;

/// Which member of the oneof is set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    #[default]
    Empty,
    Str,
    Bool,
    Int,
    Double,
    Bytes,
    Array,
    Map,
}

/// The winning member of one AnyValue. An array or map that comes in several pieces is the
/// concatenation of the pieces, as protobuf merges them.
#[derive(Default)]
pub struct Any {
    pub kind: Kind,
    /// Bits of a bool, int or double.
    pub scalar: u64,
    /// The string or bytes, or the first piece of an array or map.
    pub range: Range,
    pub more: Vec<Range>,
}

impl Any {
    /// Reads (more of) the message from `reader`; its value lies at `depth`.
    #[inline(always)]
    pub fn scan(&mut self, buf: &[u8], mut reader: Reader<'_>, depth: usize) -> Result<()> {
        while !reader.done() {
            match reader.tag()? {
                0x0a => {
                    let range = reader.bytes()?;
                    self.set(buf, depth, Kind::Str, 0, range)?;
                }
                0x10 => {
                    let bit = u64::from(reader.varint()? != 0);
                    self.set(buf, depth, Kind::Bool, bit, Range::default())?;
                }
                0x18 => {
                    let int = reader.varint()?;
                    self.set(buf, depth, Kind::Int, int, Range::default())?;
                }
                0x21 => {
                    let bits = reader.fixed64()?;
                    self.set(buf, depth, Kind::Double, bits, Range::default())?;
                }
                0x2a => {
                    let range = reader.bytes()?;
                    self.set(buf, depth, Kind::Array, 0, range)?;
                }
                0x32 => {
                    let range = reader.bytes()?;
                    self.set(buf, depth, Kind::Map, 0, range)?;
                }
                0x3a => {
                    let range = reader.bytes()?;
                    self.set(buf, depth, Kind::Bytes, 0, range)?;
                }
                // An index into a string table, which only profiles have: nothing to show.
                0x40 => {
                    reader.varint()?;
                    self.set(buf, depth, Kind::Empty, 0, Range::default())?;
                }
                tag => reader.skip(tag)?,
            }
        }
        Ok(())
    }

    #[inline(always)]
    fn set(
        &mut self,
        buf: &[u8],
        depth: usize,
        kind: Kind,
        scalar: u64,
        range: Range,
    ) -> Result<()> {
        if matches!(self.kind, Kind::Array | Kind::Map) {
            if self.kind == kind {
                self.more.push(range);
                return Ok(());
            }
            self.discard(buf, depth)?;
        }
        self.kind = kind;
        self.scalar = scalar;
        self.range = range;
        Ok(())
    }

    /// A member that another one replaces is not stored, but it must be well-formed.
    #[cold]
    fn discard(&mut self, buf: &[u8], depth: usize) -> Result<()> {
        let message = match self.kind {
            Kind::Map => &check::KEY_VALUE_LIST,
            _ => &check::ARRAY_VALUE,
        };
        check::check(message, Reader::new(buf, self.range), depth)?;
        for &piece in &self.more {
            check::check(message, Reader::new(buf, piece), depth)?;
        }
        self.more.clear();
        Ok(())
    }

    pub fn pieces(&self) -> impl Iterator<Item = Range> + '_ {
        core::iter::once(self.range).chain(self.more.iter().copied())
    }
}

/// A KeyValue as encoders write almost all of them: key, then value, both under 128 bytes, with
/// one scalar member that fills the value.
#[inline(always)]
pub fn simple_pair(buf: &[u8], range: Range) -> Option<(Range, Kind, u64, Range)> {
    let s = range.of(buf);
    let at = |n: usize| range.start + n as u32;
    let &[0x0a, key_len @ 0..=0x7f, ..] = s else {
        return None;
    };
    let key_end = 2 + key_len as usize;
    let &[0x12, len @ 2..=0x7f, tag, first, ..] = s.get(key_end..)? else {
        return None;
    };
    let value = key_end + 2;
    if value + len as usize != s.len() {
        return None;
    }
    let key = Range {
        start: at(2),
        end: at(key_end),
    };
    match tag {
        0x0a if first < 0x80 && first + 2 == len => {
            let string = Range {
                start: at(value + 2),
                end: range.end,
            };
            Some((key, Kind::Str, 0, string))
        }
        0x10 if len == 2 && first < 0x80 => {
            Some((key, Kind::Bool, u64::from(first != 0), Range::default()))
        }
        0x18 if len == 2 && first < 0x80 => {
            Some((key, Kind::Int, u64::from(first), Range::default()))
        }
        0x18 if len == 3 && first >= 0x80 && s[value + 2] < 0x80 => {
            let int = u64::from(first & 0x7f) | u64::from(s[value + 2]) << 7;
            Some((key, Kind::Int, int, Range::default()))
        }
        0x21 if len == 9 => {
            let bits = u64::from_le_bytes(s[value + 1..value + 9].try_into().ok()?);
            Some((key, Kind::Double, bits, Range::default()))
        }
        _ => None,
    }
}

/// Key and value of one KeyValue message.
#[inline]
pub fn scan_pair(buf: &[u8], range: Range) -> Result<(Range, Any)> {
    let mut reader = Reader::new(buf, range);
    let (mut key, mut value) = (Range::default(), Any::default());
    while !reader.done() {
        match reader.tag()? {
            0x0a => key = reader.bytes()?,
            0x12 => {
                let inner = reader.bytes()?;
                value.scan(buf, Reader::new(buf, inner), 1)?;
            }
            tag => reader.skip(tag)?,
        }
    }
    Ok((key, value))
}
