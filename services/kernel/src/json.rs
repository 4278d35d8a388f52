//! AnyValue as text, and as JSON.
//!
//! Both follow pdata's `Value.AsString`, which the Collector's ClickHouse exporter stores:
//! strings as they are, numbers as in ECMAScript, bytes in base64, arrays and maps as Go's
//! encoding/json without HTML escapes: keys sorted, the last of equal keys wins. A NaN or an
//! infinity inside an array or map makes encoding/json fail, and the whole text is empty.

use crate::any::{Any, Kind, MAX_DEPTH};
use crate::float::{push_double, push_finite};
use crate::text::{is_utf8, push_base64, push_int, Repair};
use crate::wire::{Range, Reader, Reject, Result};

const TOO_DEEP: &[u8] = b"\"<nested too deep>\"";

/// Rendered text stops growing here; the message is too large anyway.
const MAX_TEXT: usize = 256 << 20;

/// Appends the text of a value of `buf` to `out`.
pub fn push_text(buf: &[u8], value: &Any, out: &mut Vec<u8>, repair: &mut Repair) -> Result<()> {
    match value.kind {
        Kind::Empty => {}
        Kind::Str => push_repaired(buf, value.range, out, repair),
        Kind::Bool => out.extend_from_slice(if value.scalar != 0 { b"true" } else { b"false" }),
        Kind::Int => push_int(value.scalar as i64, out),
        Kind::Double => push_double(f64::from_bits(value.scalar), out),
        Kind::Bytes => push_base64(value.range.of(buf), out),
        Kind::Array | Kind::Map => {
            let from = out.len();
            if !(Json { buf, repair }.value(value, 1, out)?) {
                out.truncate(from);
            }
        }
    }
    Ok(())
}

/// Appends a string, repaired if it is not UTF-8.
#[inline]
pub fn push_repaired(buf: &[u8], r: Range, out: &mut Vec<u8>, repair: &mut Repair) {
    let s = r.of(buf);
    let valid = is_utf8(buf, r);
    out.extend_from_slice(if valid { s } else { repair.fix(s) });
}

/// Appends KeyValue messages as one JSON object. A value that JSON cannot hold is there as the
/// string of its text, so that its neighbours do not suffer.
pub fn push_object(
    buf: &[u8],
    pairs: &[Range],
    out: &mut Vec<u8>,
    repair: &mut Repair,
) -> Result<()> {
    let mut json = Json { buf, repair };
    json.object(pairs.iter().map(|&pair| Ok(pair)), 0, out)
        .map(|_| ())
}

struct Json<'a> {
    buf: &'a [u8],
    repair: &'a mut Repair,
}

/// One rendered member of an object: places in the output.
struct Member {
    key: (usize, usize),
    end: usize,
    good: bool,
}

impl Json<'_> {
    /// Appends a value at `depth`. False if encoding/json would refuse it.
    fn value(&mut self, value: &Any, depth: usize, out: &mut Vec<u8>) -> Result<bool> {
        if out.len() > MAX_TEXT {
            return Err(Reject::TooLarge { limit: MAX_TEXT });
        }
        match value.kind {
            Kind::Empty => out.extend_from_slice(b"null"),
            // No bytes are a nil slice to Go.
            Kind::Bytes if value.range.is_empty() => out.extend_from_slice(b"null"),
            Kind::Str => self.string(value.range, out),
            Kind::Bool | Kind::Int => {
                push_text(self.buf, value, out, self.repair)?;
            }
            Kind::Double => {
                let double = f64::from_bits(value.scalar);
                if !double.is_finite() {
                    return Ok(false);
                }
                push_finite(double, out);
            }
            Kind::Bytes => {
                out.push(b'"');
                push_base64(value.range.of(self.buf), out);
                out.push(b'"');
            }
            Kind::Array => return self.array(value, depth, out),
            Kind::Map => {
                let buf = self.buf;
                let members = value.pieces().flat_map(|piece| Items::new(buf, piece));
                return self.object(members, depth, out);
            }
        }
        Ok(true)
    }

    /// Appends the AnyValue message in `range`, which lies at `depth`.
    fn message(&mut self, range: Range, depth: usize, out: &mut Vec<u8>) -> Result<bool> {
        if depth > MAX_DEPTH {
            out.extend_from_slice(TOO_DEEP);
            return Ok(true);
        }
        let mut value = Any::default();
        value.scan(self.buf, Reader::new(self.buf, range), depth)?;
        self.value(&value, depth, out)
    }

    fn array(&mut self, value: &Any, depth: usize, out: &mut Vec<u8>) -> Result<bool> {
        let mut good = true;
        let mut separator = b'[';
        for piece in value.pieces() {
            for item in Items::new(self.buf, piece) {
                out.push(separator);
                separator = b',';
                good &= self.message(item?, depth + 1, out)?;
            }
        }
        if separator == b'[' {
            out.push(b'[');
        }
        out.push(b']');
        Ok(good)
    }

    /// Renders the members behind each other, then copies them in the order of their keys.
    fn object(
        &mut self,
        pairs: impl Iterator<Item = Result<Range>>,
        depth: usize,
        out: &mut Vec<u8>,
    ) -> Result<bool> {
        let from = out.len();
        let mut members = Vec::new();
        for pair in pairs {
            members.push(self.member(pair?, depth + 1, out)?);
        }
        // A stable sort: of equal keys the last one on the wire stays last.
        members.sort_by(|a, b| out[a.key.0..a.key.1].cmp(&out[b.key.0..b.key.1]));
        let rendered = out.split_off(from);
        let key = |m: &Member| &rendered[m.key.0 - from..m.key.1 - from];
        let mut good = true;
        let mut separator = b'{';
        for (i, member) in members.iter().enumerate() {
            if members
                .get(i + 1)
                .is_some_and(|next| key(next) == key(member))
            {
                continue;
            }
            out.push(separator);
            separator = b',';
            push_json_string(key(member), out);
            out.push(b':');
            out.extend_from_slice(&rendered[member.key.1 - from..member.end - from]);
            good &= member.good;
        }
        if separator == b'{' {
            out.push(b'{');
        }
        out.push(b'}');
        Ok(good)
    }

    /// Appends the bare key and then the rendered value of a KeyValue message.
    fn member(&mut self, pair: Range, depth: usize, out: &mut Vec<u8>) -> Result<Member> {
        let start = out.len();
        let mut reader = Reader::new(self.buf, pair);
        let (mut key, mut value, mut seen) = (Range::default(), Any::default(), false);
        while !reader.done() {
            match reader.tag()? {
                0x0a => key = reader.bytes()?,
                0x12 => {
                    let inner = reader.bytes()?;
                    seen = true;
                    if depth <= MAX_DEPTH {
                        value.scan(self.buf, Reader::new(self.buf, inner), depth)?;
                    }
                }
                tag => reader.skip(tag)?,
            }
        }
        push_repaired(self.buf, key, out, self.repair);
        let key = (start, out.len());
        if seen && depth > MAX_DEPTH {
            out.extend_from_slice(TOO_DEEP);
            let end = out.len();
            return Ok(Member {
                key,
                end,
                good: true,
            });
        }
        let mut good = self.value(&value, depth, out)?;
        if !good && depth == 1 {
            // Only an attribute of `push_object` is a member at depth 1.
            good = true;
            out.truncate(key.1);
            out.push(b'"');
            if value.kind == Kind::Double {
                push_double(f64::from_bits(value.scalar), out);
            }
            out.push(b'"');
        }
        let end = out.len();
        Ok(Member { key, end, good })
    }

    fn string(&mut self, r: Range, out: &mut Vec<u8>) {
        let s = r.of(self.buf);
        let valid = is_utf8(self.buf, r);
        push_json_string(if valid { s } else { self.repair.fix(s) }, out);
    }
}

/// The `values` (field 1) of an ArrayValue or KeyValueList message.
struct Items<'a> {
    reader: Reader<'a>,
}

impl<'a> Items<'a> {
    fn new(buf: &'a [u8], range: Range) -> Items<'a> {
        Items {
            reader: Reader::new(buf, range),
        }
    }
}

impl Iterator for Items<'_> {
    type Item = Result<Range>;

    fn next(&mut self) -> Option<Result<Range>> {
        while !self.reader.done() {
            match self.reader.tag() {
                Ok(0x0a) => return Some(self.reader.bytes()),
                Ok(tag) => match self.reader.skip(tag) {
                    Ok(()) => {}
                    Err(reject) => return Some(Err(reject)),
                },
                Err(reject) => return Some(Err(reject)),
            }
        }
        None
    }
}

/// Appends a JSON string with the escapes of Go's encoding/json, HTML escapes off.
fn push_json_string(s: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    let mut done = 0;
    for (i, &b) in s.iter().enumerate() {
        let escape: &[u8] = match b {
            b'"' => b"\\\"",
            b'\\' => b"\\\\",
            0x08 => b"\\b",
            0x0c => b"\\f",
            b'\n' => b"\\n",
            b'\r' => b"\\r",
            b'\t' => b"\\t",
            0..=0x1f => b"\\u00",
            // U+2028 and U+2029, which JavaScript takes for line ends.
            0xe2 if s[i..].starts_with(b"\xe2\x80\xa8") => b"\\u2028",
            0xe2 if s[i..].starts_with(b"\xe2\x80\xa9") => b"\\u2029",
            _ => continue,
        };
        out.extend_from_slice(&s[done..i]);
        out.extend_from_slice(escape);
        done = i + if b == 0xe2 { 3 } else { 1 };
        if escape == b"\\u00" {
            crate::text::push_hex(&[b], out);
        }
    }
    out.extend_from_slice(&s[done..]);
    out.push(b'"');
}

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
