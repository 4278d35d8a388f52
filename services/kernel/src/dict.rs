//! The dictionary of a LowCardinality column: keys in order of first appearance.

use crate::text::{is_utf8, Repair};
use crate::wire::Range;
use std::hash::{BuildHasher, Hasher, RandomState};

/// A key's place in the arena, and the half of its hash that the table does not use.
#[derive(Clone, Copy)]
struct Key {
    /// Offset of the key's first byte, behind its length.
    start: usize,
    len: u32,
    hash: u32,
}

/// Keys as the Native format writes them (varint length, bytes), and an open-addressing table
/// over them. Slots hold key number + 1; 0 is free. Linear probing without deletion, so that
/// taking back the youngest keys is: free their slots, youngest first.
pub struct Dict {
    seed: u64,
    slots: Vec<u32>,
    keys: Vec<Key>,
    arena: Vec<u8>,
    mark: (usize, usize),
}

const FIRST_SLOTS: usize = 64;

impl Default for Dict {
    fn default() -> Dict {
        Dict {
            // Senders choose the keys; a random seed keeps them from choosing collisions.
            // It moves slots only: key numbers are given by order of appearance.
            seed: RandomState::new().build_hasher().finish() | 1,
            slots: vec![0; FIRST_SLOTS],
            keys: Vec::new(),
            arena: Vec::new(),
            mark: (0, 0),
        }
    }
}

#[inline(always)]
fn fold(a: u64, b: u64) -> u64 {
    let wide = u128::from(a) * u128::from(b);
    (wide as u64) ^ ((wide >> 64) as u64)
}

#[inline(always)]
fn hash(seed: u64, s: &[u8]) -> u64 {
    const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
    let word = |at: usize| u64::from_le_bytes(s[at..at + 8].try_into().unwrap());
    let n = s.len();
    let mut acc = seed ^ (n as u64).wrapping_mul(STEP);
    if n >= 8 {
        let mut at = 0;
        while at + 16 <= n {
            acc = fold(word(at) ^ STEP, word(at + 8) ^ acc);
            at += 16;
        }
        let middle = if at + 8 <= n { word(at) } else { 0 };
        return fold(middle ^ STEP, word(n - 8) ^ acc);
    }
    let (mut low, mut high) = (0u64, 0u64);
    if n >= 4 {
        low = u64::from(u32::from_le_bytes(s[..4].try_into().unwrap()));
        high = u64::from(u32::from_le_bytes(s[n - 4..].try_into().unwrap()));
    } else if n > 0 {
        low = u64::from(s[0]) | u64::from(s[n / 2]) << 8 | u64::from(s[n - 1]) << 16;
    }
    fold((low | high << 32) ^ STEP, acc)
}

/// Whether two slices are equal. Keys are short: two overlapping words, without a call.
#[inline(always)]
pub fn same(a: &[u8], b: &[u8]) -> bool {
    let n = a.len();
    if n != b.len() {
        return false;
    }
    let wide = |s: &[u8], at: usize| u128::from_le_bytes(s[at..at + 16].try_into().unwrap());
    let word = |s: &[u8], at: usize| u64::from_le_bytes(s[at..at + 8].try_into().unwrap());
    let half = |s: &[u8], at: usize| u32::from_le_bytes(s[at..at + 4].try_into().unwrap());
    match n {
        16..=32 => (wide(a, 0) ^ wide(b, 0)) | (wide(a, n - 16) ^ wide(b, n - 16)) == 0,
        8..=15 => (word(a, 0) ^ word(b, 0)) | (word(a, n - 8) ^ word(b, n - 8)) == 0,
        4..=7 => (half(a, 0) ^ half(b, 0)) | (half(a, n - 4) ^ half(b, n - 4)) == 0,
        _ => a == b,
    }
}

impl Dict {
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// All keys as the Native format writes them.
    pub fn arena(&self) -> &[u8] {
        &self.arena
    }

    /// Whether key number `id` is exactly `s`.
    #[inline(always)]
    pub fn is(&self, id: u32, s: &[u8]) -> bool {
        match self.keys.get(id as usize) {
            Some(key) if key.len as usize == s.len() => {
                same(&self.arena[key.start..key.start + s.len()], s)
            }
            _ => false,
        }
    }

    /// The number of a key, which is repaired and added if need be.
    #[inline]
    pub fn id(&mut self, s: &[u8], repair: &mut Repair) -> u32 {
        let h = hash(self.seed, s);
        match self.find(h, s) {
            Ok(id) => id,
            // A key that is present is valid, so only a new one has to be checked.
            Err(slot) if is_utf8(s, Range::all(s)) => self.add(slot, h, s),
            Err(_) => {
                let s = repair.fix(s);
                let h = hash(self.seed, s);
                match self.find(h, s) {
                    Ok(id) => id,
                    Err(slot) => self.add(slot, h, s),
                }
            }
        }
    }

    /// The number of a key that is present.
    #[inline(never)]
    pub fn look_up(&self, s: &[u8]) -> Option<u32> {
        self.find(hash(self.seed, s), s).ok()
    }

    #[inline(always)]
    fn find(&self, h: u64, s: &[u8]) -> Result<u32, usize> {
        let mask = self.slots.len() - 1;
        let mut slot = h as usize & mask;
        loop {
            match self.slots[slot] {
                0 => return Err(slot),
                taken => {
                    let key = self.keys[taken as usize - 1];
                    if key.hash == (h >> 32) as u32 && self.is(taken - 1, s) {
                        return Ok(taken - 1);
                    }
                }
            }
            slot = (slot + 1) & mask;
        }
    }

    #[inline(never)]
    fn add(&mut self, slot: usize, h: u64, s: &[u8]) -> u32 {
        crate::buffer::push_len(&mut self.arena, s.len());
        let start = self.arena.len();
        self.arena.extend_from_slice(s);
        self.keys.push(Key {
            start,
            len: s.len() as u32,
            hash: (h >> 32) as u32,
        });
        self.slots[slot] = self.keys.len() as u32;
        // At most half full: probes stay short.
        if self.keys.len() * 2 > self.slots.len() {
            self.rehash(self.slots.len() * 2);
        }
        self.keys.len() as u32 - 1
    }

    fn slot_of(&self, id: usize) -> usize {
        let key = self.keys[id];
        let s = &self.arena[key.start..key.start + key.len as usize];
        let mask = self.slots.len() - 1;
        let mut slot = hash(self.seed, s) as usize & mask;
        while self.slots[slot] != 0 && self.slots[slot] != id as u32 + 1 {
            slot = (slot + 1) & mask;
        }
        slot
    }

    fn rehash(&mut self, slots: usize) {
        self.slots.clear();
        self.slots.resize(slots, 0);
        for id in 0..self.keys.len() {
            let slot = self.slot_of(id);
            self.slots[slot] = id as u32 + 1;
        }
    }

    /// Remembers the present keys for `rollback`.
    pub fn mark(&mut self) {
        self.mark = (self.keys.len(), self.arena.len());
    }

    /// Takes back the keys added since `mark`.
    pub fn rollback(&mut self) {
        let (keys, arena) = self.mark;
        for id in (keys..self.keys.len()).rev() {
            let slot = self.slot_of(id);
            self.slots[slot] = 0;
        }
        self.keys.truncate(keys);
        self.arena.truncate(arena);
    }

    /// Forgets every key. A table that has grown far beyond its use shrinks.
    pub fn clear(&mut self) {
        let wanted = (self.keys.len() * 4).next_power_of_two().max(FIRST_SLOTS);
        self.slots.truncate(wanted);
        self.slots.shrink_to_fit();
        self.slots.fill(0);
        crate::buffer::clear_vec(&mut self.keys);
        crate::buffer::clear_vec(&mut self.arena);
        self.mark = (0, 0);
    }

    /// Bytes of the keys held since the beginning, and since `mark`.
    pub fn nbytes(&self) -> (usize, usize) {
        (self.arena.len(), self.arena.len() - self.mark.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(dict: &mut Dict, s: &str) -> u32 {
        dict.id(s.as_bytes(), &mut Repair::default())
    }

    #[test]
    fn keys_are_numbered_by_first_appearance() {
        let mut dict = Dict::default();
        assert_eq!(
            [id(&mut dict, "b"), id(&mut dict, "a"), id(&mut dict, "b")],
            [0, 1, 0]
        );
        assert_eq!(id(&mut dict, ""), 2);
        assert_eq!(dict.arena(), b"\x01b\x01a\x00");
        assert!(dict.is(1, b"a") && !dict.is(1, b"b") && !dict.is(9, b"a"));
    }

    #[test]
    fn rollback_over_a_rehash_restores_the_dictionary() {
        let mut dict = Dict::default();
        for i in 0..20 {
            id(&mut dict, &format!("kept-{i}"));
        }
        let before = dict.arena().to_vec();
        dict.mark();
        for i in 0..5000 {
            id(&mut dict, &format!("{i}-{}", "x".repeat(i % 40)));
        }
        dict.rollback();
        assert_eq!(dict.arena(), before);
        assert_eq!(dict.slots.iter().filter(|&&s| s != 0).count(), 20);
        for i in 0..20 {
            assert_eq!(id(&mut dict, &format!("kept-{i}")), i);
        }
        assert_eq!(id(&mut dict, "new"), 20);
    }

    #[test]
    fn invalid_keys_are_repaired_and_shared() {
        let mut dict = Dict::default();
        let mut repair = Repair::default();
        assert_eq!(dict.id(b"\xff", &mut repair), dict.id(b"\xfe", &mut repair));
        assert_eq!(repair.replaced, 2);
        assert_eq!(dict.arena(), "\u{3}\u{fffd}".as_bytes());
    }
}
