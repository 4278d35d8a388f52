//! The protobuf wire format, read in place.
//!
//! Source: <https://protobuf.dev/programming-guides/encoding/>. Positions are offsets into the
//! whole payload, so an error can name where it is and a string can be copied with slack behind it.

/// Why a payload was not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reject {
    /// The bytes are not a protobuf message of the expected kind; `at` is a byte offset.
    Malformed { at: usize, what: &'static str },
    /// More rows than one message may hold.
    TooManyRecords { limit: usize },
    /// More column bytes than one message may expand to.
    TooLarge { limit: usize },
    /// No verdict: a scope stands behind its records, so the payload must be read another way.
    LateScope,
}

pub type Result<T> = core::result::Result<T, Reject>;

impl Reject {
    /// The stable code of the dead-letter header.
    pub fn reason(&self) -> &'static str {
        match self {
            Reject::Malformed { .. } => "malformed",
            Reject::TooManyRecords { .. } => "too_many_records",
            Reject::TooLarge { .. } => "too_large",
            Reject::LateScope => "late_scope",
        }
    }

    /// The sentence for people.
    pub fn detail(&self) -> String {
        match self {
            Reject::Malformed { at, what } => format!("byte {at}: {what}"),
            Reject::TooManyRecords { limit } => {
                format!("the message holds more than {limit} records")
            }
            Reject::TooLarge { limit } => {
                format!("the message expands to more than {limit} bytes of columns")
            }
            Reject::LateScope => "a scope stands behind its records".to_owned(),
        }
    }
}

/// Bytes `start..end` of a buffer that the holder knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Range {
    pub start: u32,
    pub end: u32,
}

impl Range {
    /// All of `buf`, which is shorter than 4 GiB.
    #[inline]
    pub fn all(buf: &[u8]) -> Range {
        Range {
            start: 0,
            end: buf.len() as u32,
        }
    }

    #[inline(always)]
    pub fn len(&self) -> usize {
        (self.end - self.start) as usize
    }

    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    #[inline(always)]
    pub fn of<'a>(&self, buf: &'a [u8]) -> &'a [u8] {
        &buf[self.start as usize..self.end as usize]
    }
}

/// A cursor over one message. `buf` begins at the payload's first byte and ends at the
/// message's last, so that `pos` is an offset into the payload.
#[derive(Clone, Copy)]
pub struct Reader<'a> {
    buf: &'a [u8],
    pos: usize,
}

impl<'a> Reader<'a> {
    #[inline(always)]
    pub fn new(buf: &'a [u8], range: Range) -> Reader<'a> {
        Reader {
            buf: &buf[..range.end as usize],
            pos: range.start as usize,
        }
    }

    /// A cursor over a part of this message.
    #[inline(always)]
    pub fn within(&self, range: Range) -> Reader<'a> {
        Reader::new(self.buf, range)
    }

    #[inline(always)]
    pub fn done(&self) -> bool {
        self.pos >= self.buf.len()
    }

    /// Bytes up to the message's end.
    #[inline(always)]
    pub fn left(&self) -> usize {
        self.buf.len() - self.pos
    }

    /// The next byte.
    #[inline(always)]
    pub fn peek(&self) -> Option<u8> {
        self.buf.get(self.pos).copied()
    }

    #[cold]
    fn fail<T>(&self, what: &'static str) -> Result<T> {
        Err(Reject::Malformed { at: self.pos, what })
    }

    /// The next tag: field number shifted left by three, or wire type.
    #[inline(always)]
    pub fn tag(&mut self) -> Result<u32> {
        match self.buf.get(self.pos) {
            Some(&b) if b < 0x80 => {
                self.pos += 1;
                Ok(u32::from(b))
            }
            _ => self.long_tag(),
        }
    }

    fn long_tag(&mut self) -> Result<u32> {
        let mut value = 0u64;
        // A tag is an unsigned 32-bit number: five bytes at most.
        for i in 0..5 {
            let Some(&b) = self.buf.get(self.pos + i) else {
                return self.fail("a tag is cut off");
            };
            value |= u64::from(b & 0x7f) << (7 * i);
            if b < 0x80 {
                if value > u64::from(u32::MAX) {
                    break;
                }
                self.pos += i + 1;
                return Ok(value as u32);
            }
        }
        self.fail("a tag is longer than 32 bits")
    }

    /// A base-128 varint. Bits above the 64th are dropped, as protobuf does.
    #[inline(always)]
    pub fn varint(&mut self) -> Result<u64> {
        match self.buf.get(self.pos) {
            Some(&b) if b < 0x80 => {
                self.pos += 1;
                Ok(u64::from(b))
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Result<u64> {
        let mut value = 0u64;
        for i in 0..10 {
            let Some(&b) = self.buf.get(self.pos + i) else {
                return self.fail("a varint is cut off");
            };
            value |= u64::from(b & 0x7f) << (7 * i);
            if b < 0x80 {
                self.pos += i + 1;
                return Ok(value);
            }
        }
        self.fail("a varint is longer than ten bytes")
    }

    #[inline(always)]
    pub fn fixed64(&mut self) -> Result<u64> {
        match self.buf.get(self.pos..self.pos + 8) {
            Some(b) => {
                self.pos += 8;
                Ok(u64::from_le_bytes([
                    b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7],
                ]))
            }
            None => self.fail("a 64-bit field is cut off"),
        }
    }

    #[inline(always)]
    pub fn double(&mut self) -> Result<f64> {
        Ok(f64::from_bits(self.fixed64()?))
    }

    /// The range of a fixed 64-bit value, to be read later.
    #[inline]
    pub fn fixed64_range(&mut self) -> Result<Range> {
        let start = self.pos as u32;
        self.fixed64()?;
        Ok(Range {
            start,
            end: self.pos as u32,
        })
    }

    /// The range of a varint, to be read later.
    #[inline]
    pub fn varint_range(&mut self) -> Result<Range> {
        let start = self.pos as u32;
        self.varint()?;
        Ok(Range {
            start,
            end: self.pos as u32,
        })
    }

    #[inline]
    pub fn fixed32(&mut self) -> Result<u32> {
        match self.buf.get(self.pos..self.pos + 4) {
            Some(b) => {
                self.pos += 4;
                Ok(u32::from_le_bytes([b[0], b[1], b[2], b[3]]))
            }
            None => self.fail("a 32-bit field is cut off"),
        }
    }

    /// The content of a length-delimited field.
    #[inline(always)]
    pub fn bytes(&mut self) -> Result<Range> {
        let len = self.varint()?;
        if len > (self.buf.len() - self.pos) as u64 {
            return self.fail("a length points past the end");
        }
        let start = self.pos;
        self.pos += len as usize;
        Ok(Range {
            start: start as u32,
            end: self.pos as u32,
        })
    }

    /// The content of a packed run of 64-bit values.
    pub fn packed64(&mut self) -> Result<Range> {
        let run = self.bytes()?;
        if run.len() % 8 != 0 {
            return self.fail("a packed run of 64-bit values has a broken length");
        }
        Ok(run)
    }

    /// The content of a packed run of varints; each is checked.
    pub fn packed_varints(&mut self) -> Result<Range> {
        let run = self.bytes()?;
        let mut inner = Reader::new(self.buf, run);
        while !inner.done() {
            inner.varint()?;
        }
        Ok(run)
    }

    /// Passes over a field that nobody asked for.
    pub fn skip(&mut self, tag: u32) -> Result<()> {
        if tag < 8 {
            return self.fail("field number 0");
        }
        match tag & 7 {
            0 => self.varint().map(|_| ()),
            1 => self.fixed64().map(|_| ()),
            2 => self.bytes().map(|_| ()),
            5 => self.fixed32().map(|_| ()),
            3 | 4 => self.fail("groups are not part of OTLP"),
            _ => self.fail("unknown wire type"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(buf: &[u8]) -> Reader<'_> {
        Reader::new(buf, Range::all(buf))
    }

    #[test]
    fn varints_up_to_ten_bytes() {
        assert_eq!(reader(&[0x96, 0x01]).varint(), Ok(150));
        let mut max = vec![0xff; 9];
        max.push(0x01);
        assert_eq!(reader(&max).varint(), Ok(u64::MAX));
        // Excess bits of the tenth byte fall off.
        *max.last_mut().unwrap() = 0x7f;
        assert_eq!(reader(&max).varint(), Ok(u64::MAX));
        assert!(reader(&[0xff; 11]).varint().is_err());
        assert!(reader(&[0x80]).varint().is_err());
    }

    #[test]
    fn tags_fit_in_32_bits() {
        assert_eq!(reader(&[0x85, 0x01]).tag(), Ok(133));
        assert_eq!(reader(&[0xff, 0xff, 0xff, 0xff, 0x0f]).tag(), Ok(u32::MAX));
        assert!(reader(&[0xff, 0xff, 0xff, 0xff, 0x1f]).tag().is_err());
        assert!(reader(&[0x88, 0x80, 0x80, 0x80, 0x80, 0x00]).tag().is_err());
    }

    #[test]
    fn lengths_stay_inside_the_message() {
        assert_eq!(reader(&[2, b'a', b'b']).bytes().map(|r| r.len()), Ok(2));
        assert!(reader(&[3, b'a', b'b']).bytes().is_err());
        let bomb = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
        assert!(reader(&bomb).bytes().is_err());
        assert!(reader(&[3, 0, 0, 0]).packed64().is_err());
        assert!(reader(&[1, 0x80]).packed_varints().is_err());
    }

    #[test]
    fn skipping_knows_the_wire_types() {
        assert!(reader(&[0]).skip(0x02).is_err());
        for wire_type in [3, 4, 6, 7] {
            assert!(reader(&[0; 16]).skip(8 | wire_type).is_err());
        }
        for wire_type in [0, 1, 2, 5] {
            assert!(reader(&[0; 16]).skip(8 | wire_type).is_ok());
        }
        assert!(reader(&[0; 3]).skip(8 | 5).is_err());
    }
}
