//! Messages that are not stored but must be well-formed: replaced oneof members and fields
//! that no column shows. The shapes are those of opentelemetry-proto 1.10.

use crate::any::MAX_DEPTH;
use crate::wire::{Reader, Result};

/// What a length-delimited field holds.
pub enum Inner {
    Message(&'static Message),
    Packed64,
    PackedVarints,
}

/// The length-delimited fields of a message that have a structure of their own.
pub struct Message {
    fields: &'static [(u32, Inner)],
    /// An AnyValue: counts towards the nesting limit.
    value: bool,
}

macro_rules! message {
    ($($number:literal => $inner:expr),*) => {
        Message { fields: &[$(($number, $inner)),*], value: false }
    };
}

use Inner::{Message as M, Packed64, PackedVarints};

pub static ANY_VALUE: Message = Message {
    fields: &[(5, M(&ARRAY_VALUE)), (6, M(&KEY_VALUE_LIST))],
    value: true,
};
pub static ARRAY_VALUE: Message = message!(1 => M(&ANY_VALUE));
pub static KEY_VALUE_LIST: Message = message!(1 => M(&KEY_VALUE));
pub static KEY_VALUE: Message = message!(2 => M(&ANY_VALUE));
pub static ENTITY_REF: Message = message!();
static EXEMPLAR: Message = message!(7 => M(&KEY_VALUE));
static NUMBER_POINT: Message = message!(7 => M(&KEY_VALUE), 5 => M(&EXEMPLAR));
static HISTOGRAM_POINT: Message =
    message!(9 => M(&KEY_VALUE), 6 => Packed64, 7 => Packed64, 8 => M(&EXEMPLAR));
static BUCKETS: Message = message!(2 => PackedVarints);
static EXPONENTIAL_POINT: Message =
    message!(1 => M(&KEY_VALUE), 8 => M(&BUCKETS), 9 => M(&BUCKETS), 11 => M(&EXEMPLAR));
static QUANTILE: Message = message!();
static SUMMARY_POINT: Message = message!(7 => M(&KEY_VALUE), 6 => M(&QUANTILE));
pub static NUMBERS: Message = message!(1 => M(&NUMBER_POINT));
pub static HISTOGRAM: Message = message!(1 => M(&HISTOGRAM_POINT));
pub static EXPONENTIAL: Message = message!(1 => M(&EXPONENTIAL_POINT));
pub static SUMMARY: Message = message!(1 => M(&SUMMARY_POINT));

/// Walks a message that lies in `depth` AnyValues; an error says where it is broken.
pub fn check(message: &Message, mut reader: Reader<'_>, depth: usize) -> Result<()> {
    let depth = depth + usize::from(message.value);
    if depth > MAX_DEPTH {
        return Ok(());
    }
    while !reader.done() {
        let tag = reader.tag()?;
        let known = message.fields.iter().find(|(n, _)| n << 3 | 2 == tag);
        match known.map(|(_, inner)| inner) {
            Some(M(inner)) => {
                let range = reader.bytes()?;
                check(inner, reader.within(range), depth)?;
            }
            Some(Packed64) => {
                reader.packed64()?;
            }
            Some(PackedVarints) => {
                reader.packed_varints()?;
            }
            None => reader.skip(tag)?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Range;

    fn verdict(message: &Message, buf: &[u8]) -> bool {
        check(message, Reader::new(buf, Range::all(buf)), 0).is_ok()
    }

    #[test]
    fn broken_insides_are_found() {
        assert!(verdict(&KEY_VALUE, b"\x0a\x01k\x12\x03\x0a\x01v"));
        assert!(!verdict(&KEY_VALUE, b"\x0a\x01k\x12\x04\x2a\x02\x0a\x05"));
        assert!(!verdict(&HISTOGRAM, b"\x0a\x03\x32\x01\x00"));
        assert!(!verdict(&EXPONENTIAL, b"\x0a\x05\x42\x03\x12\x01\x80"));
        assert!(verdict(&ENTITY_REF, b"\x0a\x01\xff"));
    }

    #[test]
    fn nesting_stops_at_the_limit() {
        let mut deep = vec![];
        for _ in 0..200 {
            let mut outer = vec![0x2a];
            let mut array = vec![0x0a];
            crate::buffer::push_len(&mut array, deep.len());
            array.extend(&deep);
            crate::buffer::push_len(&mut outer, array.len());
            outer.extend(array);
            deep = outer;
        }
        assert!(verdict(&ANY_VALUE, &deep));
    }
}
