//! The five kinds of data point, scanned into one shape.

use crate::wire::{Reader, Result};
use crate::work::Scratch;

/// Scalars of a data point; a kind leaves what it does not have at zero.
#[derive(Default)]
pub struct Point {
    pub start: u64,
    pub time: u64,
    pub flags: u32,
    pub value: f64,
    pub count: u64,
    pub sum: f64,
    pub min: f64,
    pub max: f64,
    pub scale: i32,
    pub zero_count: u64,
    pub positive_offset: i32,
    pub negative_offset: i32,
}

/// Clears the lists that a scan fills: attributes, exemplars, and in `events` and `links` the
/// runs of counts and bounds (or of positive and negative counts, or the quantiles).
fn start(scratch: &mut Scratch) -> Point {
    scratch.attributes.clear();
    scratch.exemplars.clear();
    scratch.events.clear();
    scratch.links.clear();
    Point::default()
}

#[inline(always)]
pub fn scan_number(mut reader: Reader<'_>, scratch: &mut Scratch) -> Result<Point> {
    let mut point = start(scratch);
    while !reader.done() {
        match reader.tag()? {
            0x11 => point.start = reader.fixed64()?,
            0x19 => point.time = reader.fixed64()?,
            0x21 => point.value = reader.double()?,
            0x31 => point.value = reader.fixed64()? as i64 as f64,
            0x2a => scratch.exemplars.push(reader.bytes()?),
            0x3a => scratch.attributes.push(reader.bytes()?),
            0x40 => point.flags = reader.varint()? as u32,
            tag => reader.skip(tag)?,
        }
    }
    Ok(point)
}

pub fn scan_histogram(mut reader: Reader<'_>, scratch: &mut Scratch) -> Result<Point> {
    let mut point = start(scratch);
    while !reader.done() {
        match reader.tag()? {
            0x11 => point.start = reader.fixed64()?,
            0x19 => point.time = reader.fixed64()?,
            0x21 => point.count = reader.fixed64()?,
            0x29 => point.sum = reader.double()?,
            // Repeated numbers come packed or one by one; a single one is a run of one.
            0x32 => scratch.events.push(reader.packed64()?),
            0x31 => scratch.events.push(reader.fixed64_range()?),
            0x3a => scratch.links.push(reader.packed64()?),
            0x39 => scratch.links.push(reader.fixed64_range()?),
            0x42 => scratch.exemplars.push(reader.bytes()?),
            0x4a => scratch.attributes.push(reader.bytes()?),
            0x50 => point.flags = reader.varint()? as u32,
            0x59 => point.min = reader.double()?,
            0x61 => point.max = reader.double()?,
            tag => reader.skip(tag)?,
        }
    }
    Ok(point)
}

pub fn scan_exponential(mut reader: Reader<'_>, scratch: &mut Scratch) -> Result<Point> {
    let mut point = start(scratch);
    while !reader.done() {
        match reader.tag()? {
            0x0a => scratch.attributes.push(reader.bytes()?),
            0x11 => point.start = reader.fixed64()?,
            0x19 => point.time = reader.fixed64()?,
            0x21 => point.count = reader.fixed64()?,
            0x29 => point.sum = reader.double()?,
            0x30 => point.scale = zigzag(reader.varint()?),
            0x39 => point.zero_count = reader.fixed64()?,
            0x42 => scan_buckets(&mut reader, &mut point.positive_offset, &mut scratch.events)?,
            0x4a => scan_buckets(&mut reader, &mut point.negative_offset, &mut scratch.links)?,
            0x50 => point.flags = reader.varint()? as u32,
            0x5a => scratch.exemplars.push(reader.bytes()?),
            0x61 => point.min = reader.double()?,
            0x69 => point.max = reader.double()?,
            tag => reader.skip(tag)?,
        }
    }
    Ok(point)
}

fn scan_buckets(
    reader: &mut Reader<'_>,
    offset: &mut i32,
    counts: &mut Vec<crate::wire::Range>,
) -> Result<()> {
    let inner = reader.bytes()?;
    let mut buckets = reader.within(inner);
    while !buckets.done() {
        match buckets.tag()? {
            0x08 => *offset = zigzag(buckets.varint()?),
            0x12 => counts.push(buckets.packed_varints()?),
            0x10 => counts.push(buckets.varint_range()?),
            tag => buckets.skip(tag)?,
        }
    }
    Ok(())
}

/// A sint32, of whose varint protobuf takes the low 32 bits.
fn zigzag(value: u64) -> i32 {
    let value = value as u32;
    (value >> 1) as i32 ^ -((value & 1) as i32)
}

pub fn scan_summary(mut reader: Reader<'_>, scratch: &mut Scratch) -> Result<Point> {
    let mut point = start(scratch);
    while !reader.done() {
        match reader.tag()? {
            0x11 => point.start = reader.fixed64()?,
            0x19 => point.time = reader.fixed64()?,
            0x21 => point.count = reader.fixed64()?,
            0x29 => point.sum = reader.double()?,
            0x32 => scratch.events.push(reader.bytes()?),
            0x3a => scratch.attributes.push(reader.bytes()?),
            0x40 => point.flags = reader.varint()? as u32,
            tag => reader.skip(tag)?,
        }
    }
    Ok(point)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zigzag_of_small_and_extreme_numbers() {
        let pairs = [(0, 0), (1, -1), (2, 1), (u64::from(u32::MAX), i32::MIN)];
        for (wire, want) in pairs {
            assert_eq!(zigzag(wire), want);
        }
        assert_eq!(zigzag(u64::from(u32::MAX) - 1), i32::MAX);
    }
}
