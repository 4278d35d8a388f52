//! A reader of Native blocks, written against the format and not against the writer.

use crate::types::{parse, Type};

struct Body<'a> {
    left: &'a [u8],
}

impl<'a> Body<'a> {
    fn take(&mut self, n: usize) -> &'a [u8] {
        assert!(n <= self.left.len(), "the block is cut off");
        let (taken, left) = self.left.split_at(n);
        self.left = left;
        taken
    }

    fn varint(&mut self) -> usize {
        let (mut value, mut shift) = (0, 0);
        loop {
            let byte = self.take(1)[0];
            value |= usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte < 0x80 {
                return value;
            }
        }
    }

    fn string(&mut self) -> &'a str {
        let len = self.varint();
        match core::str::from_utf8(self.take(len)) {
            Ok(text) => text,
            Err(error) => panic!("a string is not UTF-8: {error}"),
        }
    }

    fn u64(&mut self) -> u64 {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(self.take(8));
        u64::from_le_bytes(bytes)
    }

    /// Offsets of `rows` arrays; gives the number of elements.
    fn offsets(&mut self, rows: usize) -> usize {
        let mut end = 0;
        for _ in 0..rows {
            let next = self.u64();
            assert!(next >= end, "offsets go back");
            end = next;
        }
        end as usize
    }

    fn prefix(&mut self, ty: &Type) {
        match ty {
            Type::LowCardinality => assert_eq!(self.u64(), 1, "version"),
            Type::Array(item) => self.prefix(item),
            Type::Map(key, value) => {
                self.prefix(key);
                self.prefix(value);
            }
            _ => {}
        }
    }

    fn values(&mut self, ty: &Type, rows: usize) {
        match ty {
            Type::String => (0..rows).for_each(|_| {
                self.string();
            }),
            Type::LowCardinality if rows > 0 => self.low_cardinality(rows),
            Type::LowCardinality => {}
            Type::Array(item) => {
                let items = self.offsets(rows);
                self.values(item, items);
            }
            Type::Map(key, value) => {
                let pairs = self.offsets(rows);
                self.values(key, pairs);
                self.values(value, pairs);
            }
            Type::FixedString(n) => {
                self.take(n * rows);
            }
            Type::Int(_, bits) => {
                self.take(usize::from(bits / 8) * rows);
            }
            Type::Bool => assert!(self.take(rows).iter().all(|&b| b < 2)),
            Type::DateTime => {
                self.take(4 * rows);
            }
            Type::Float64 | Type::DateTime64(_) => {
                self.take(8 * rows);
            }
            Type::Uuid => {
                self.take(16 * rows);
            }
            Type::Other => panic!("a type that no column can have"),
        }
    }

    fn low_cardinality(&mut self, rows: usize) {
        let flags = self.u64();
        assert_eq!(flags & !3, 0x600, "flags");
        let keys = self.u64() as usize;
        let seen: std::collections::HashSet<&str> = (0..keys).map(|_| self.string()).collect();
        assert_eq!(seen.len(), keys, "a key comes twice");
        assert_eq!(self.u64() as usize, rows);
        let width = 1 << (flags & 3);
        for id in self.take(width * rows).chunks_exact(width) {
            let id = id
                .iter()
                .rev()
                .fold(0, |id, &byte| id << 8 | usize::from(byte));
            assert!(id < keys, "a row names no key");
        }
    }
}

/// Walks a bare block; panics where it is not well-formed.
pub fn check_body(body: &[u8]) {
    let mut body = Body { left: body };
    assert_eq!(body.take(8), [1, 0, 2, 255, 255, 255, 255, 0], "BlockInfo");
    let (columns, rows) = (body.varint(), body.varint());
    assert!(rows > 0);
    for _ in 0..columns {
        body.string();
        let ty = parse(body.string());
        body.prefix(&ty);
        body.values(&ty, rows);
    }
    assert!(body.left.is_empty(), "the block goes on");
}
