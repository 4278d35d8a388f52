//! Column buffers of fixed width: numbers, booleans, times, and arrays of numbers.

use crate::buffer::{Bytes, Offsets};
use crate::frame::Body;
use crate::wire::{Range, Reader, Result};

/// Largest time that signed nanoseconds hold: 11 April 2262.
pub const MAX_TIME: u64 = i64::MAX as u64;

/// How a number is stored. Integers that do not fit are set to the nearest that does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    U8,
    U16,
    U32,
    U64,
    I8,
    I16,
    I32,
    I64,
    F64,
    Bool,
    /// Seconds as UInt32.
    DateTime,
    /// Ticks as Int64; the field is nanoseconds per tick.
    DateTime64(u64),
}

/// A column of numbers.
pub struct Numbers {
    width: Width,
    bytes: Bytes,
}

macro_rules! saturating {
    ($value:expr, $to:ty) => {
        <$to>::try_from($value).unwrap_or(<$to>::MAX).to_le_bytes()
    };
}

macro_rules! clamped {
    ($value:expr, $to:ty) => {
        ($value.clamp(<$to>::MIN as i64, <$to>::MAX as i64) as $to).to_le_bytes()
    };
}

impl Numbers {
    pub fn new(width: Width) -> Numbers {
        Numbers {
            width,
            bytes: Bytes::default(),
        }
    }

    /// Appends an unsigned integer. Float64 takes the nearest double.
    #[inline(always)]
    pub fn push_unsigned(&mut self, v: u64) {
        let out = &mut self.bytes;
        match self.width {
            Width::U64 => out.put(v.to_le_bytes()),
            Width::U32 => out.put(saturating!(v, u32)),
            Width::U16 => out.put(saturating!(v, u16)),
            Width::U8 => out.put(saturating!(v, u8)),
            Width::I64 => out.put(saturating!(v, i64)),
            Width::I32 => out.put(saturating!(v, i32)),
            Width::I16 => out.put(saturating!(v, i16)),
            Width::I8 => out.put(saturating!(v, i8)),
            Width::F64 => out.put((v as f64).to_le_bytes()),
            Width::Bool => out.put([u8::from(v != 0)]),
            Width::DateTime | Width::DateTime64(_) => self.push_time(v),
        }
    }

    /// Appends a signed integer. Float64 takes the nearest double.
    #[inline(always)]
    pub fn push_signed(&mut self, v: i64) {
        if v >= 0 {
            return self.push_unsigned(v as u64);
        }
        let out = &mut self.bytes;
        match self.width {
            Width::U64 | Width::DateTime64(_) => out.put([0; 8]),
            Width::U32 | Width::DateTime => out.put([0; 4]),
            Width::U16 => out.put([0; 2]),
            Width::U8 => out.put([0]),
            Width::I64 => out.put(v.to_le_bytes()),
            Width::I32 => out.put(clamped!(v, i32)),
            Width::I16 => out.put(clamped!(v, i16)),
            Width::I8 => out.put(clamped!(v, i8)),
            Width::F64 => out.put((v as f64).to_le_bytes()),
            Width::Bool => out.put([1]),
        }
    }

    /// Appends a double; the column is Float64.
    #[inline(always)]
    pub fn push_double(&mut self, v: f64) {
        self.bytes.put(v.to_le_bytes());
    }

    /// Appends nanoseconds since the epoch.
    #[inline(always)]
    pub fn push_time(&mut self, v: u64) {
        let out = &mut self.bytes;
        match self.width {
            Width::DateTime64(1) | Width::I64 => out.put(v.min(MAX_TIME).to_le_bytes()),
            Width::DateTime64(tick) => out.put((v.min(MAX_TIME) / tick).to_le_bytes()),
            Width::DateTime => out.put(saturating!(v / 1_000_000_000, u32)),
            _ => out.put(v.to_le_bytes()),
        }
    }

    pub fn mark(&mut self) {
        self.bytes.mark();
    }

    pub fn rollback(&mut self) {
        self.bytes.rollback();
    }

    pub fn clear(&mut self) {
        self.bytes.clear();
    }

    pub fn nbytes(&self) -> (usize, usize) {
        self.bytes.nbytes()
    }

    pub fn write(&self, body: &mut Body<'_>) {
        body.put(&self.bytes.data);
    }

    /// Writes one value for each run as often as the run has rows.
    pub fn write_runs(&self, rows: &[u32], body: &mut Body<'_>) {
        if rows.is_empty() {
            return;
        }
        let width = self.bytes.data.len() / rows.len();
        for (value, &rows) in self.bytes.data.chunks_exact(width).zip(rows) {
            body.put_repeated(value, rows as usize);
        }
    }
}

/// How a run of protobuf numbers is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Run {
    Fixed64,
    Varint,
    Double,
}

/// A column of arrays of numbers.
pub struct Arrays {
    offsets: Offsets,
    values: Numbers,
}

impl Arrays {
    pub fn new(width: Width) -> Arrays {
        Arrays {
            offsets: Offsets::default(),
            values: Numbers::new(width),
        }
    }

    /// Appends one array: the numbers of all runs, in order.
    pub fn push(&mut self, buf: &[u8], runs: &[Range], kind: Run) -> Result<()> {
        let mut count = 0;
        for &run in runs {
            // Eight little-endian bytes each: the wire's layout is the column's.
            if kind == Run::Double || (kind == Run::Fixed64 && self.values.width == Width::U64) {
                self.values.bytes.data.extend_from_slice(run.of(buf));
                count += run.len() / 8;
                continue;
            }
            let mut reader = Reader::new(buf, run);
            while !reader.done() {
                let value = match kind {
                    Run::Varint => reader.varint()?,
                    _ => reader.fixed64()?,
                };
                self.values.push_unsigned(value);
                count += 1;
            }
        }
        self.offsets.push(count);
        Ok(())
    }

    pub fn mark(&mut self) {
        self.offsets.mark();
        self.values.mark();
    }

    pub fn rollback(&mut self) {
        self.offsets.rollback();
        self.values.rollback();
    }

    pub fn clear(&mut self) {
        self.offsets.clear();
        self.values.clear();
    }

    pub fn nbytes(&self) -> (usize, usize) {
        let (a, b) = (self.offsets.nbytes(), self.values.nbytes());
        (a.0 + b.0, a.1 + b.1)
    }

    pub fn write(&self, body: &mut Body<'_>) {
        self.offsets.write(body);
        self.values.write(body);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Buffers;

    fn bytes(width: Width, push: impl Fn(&mut Numbers)) -> Vec<u8> {
        let mut numbers = Numbers::new(width);
        push(&mut numbers);
        numbers.bytes.data
    }

    #[test]
    fn integers_saturate() {
        let unsigned = |width| bytes(width, |n| n.push_unsigned(u64::MAX));
        assert_eq!(unsigned(Width::U8), [255]);
        assert_eq!(unsigned(Width::I8), [127]);
        assert_eq!(unsigned(Width::I16), i16::MAX.to_le_bytes());
        assert_eq!(unsigned(Width::U32), [255; 4]);
        assert_eq!(unsigned(Width::I64), i64::MAX.to_le_bytes());
        assert_eq!(unsigned(Width::F64), (u64::MAX as f64).to_le_bytes());
        let signed = |width| bytes(width, |n| n.push_signed(i64::MIN));
        assert_eq!(signed(Width::U64), [0; 8]);
        assert_eq!(signed(Width::I8), [128]);
        assert_eq!(signed(Width::I32), i32::MIN.to_le_bytes());
        assert_eq!(
            bytes(Width::I16, |n| n.push_signed(-2)),
            (-2i16).to_le_bytes()
        );
        assert_eq!(bytes(Width::Bool, |n| n.push_unsigned(7)), [1]);
    }

    #[test]
    fn times_follow_the_type() {
        let time = |width, v| bytes(width, |n| n.push_time(v));
        assert_eq!(time(Width::DateTime64(1), u64::MAX), i64::MAX.to_le_bytes());
        assert_eq!(time(Width::I64, 1 << 63), i64::MAX.to_le_bytes());
        assert_eq!(time(Width::U64, 1 << 63), (1u64 << 63).to_le_bytes());
        assert_eq!(
            time(Width::DateTime64(1_000_000), 1_999_999),
            1u64.to_le_bytes()
        );
        assert_eq!(time(Width::DateTime, 1_999_999_999), 1u32.to_le_bytes());
        assert_eq!(time(Width::DateTime, u64::MAX), u32::MAX.to_le_bytes());
        assert_eq!(time(Width::DateTime64(1), 0), [0; 8]);
    }

    #[test]
    fn arrays_join_their_runs() {
        let mut arrays = Arrays::new(Width::U8);
        let buf = [1, 0xac, 0x02, 5];
        let runs = [Range { start: 0, end: 3 }, Range { start: 3, end: 4 }];
        arrays.push(&buf, &runs, Run::Varint).unwrap();
        arrays.push(&buf, &[], Run::Varint).unwrap();
        let mut buffers = Buffers::default();
        let mut body = Body::new(&mut buffers, false, 0);
        arrays.write(&mut body);
        let want = [
            3u64.to_le_bytes().to_vec(),
            3u64.to_le_bytes().to_vec(),
            vec![1, 255, 5],
        ];
        assert_eq!(body.finish().0, want.concat());
    }
}
