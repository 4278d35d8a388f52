//! Seeded mutations of protobuf messages: blind ones, and ones that keep the lengths right, so
//! that what is wrong lies deep inside.

/// SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
pub struct Rng(pub u64);

impl Rng {
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// A number below `n`, which is not 0.
    pub fn below(&mut self, n: usize) -> usize {
        (self.draw() % n as u64) as usize
    }
}

/// Varints that hurt: lengths beyond the end, 64 bits, ten and eleven bytes, groups.
const HOSTILE: [&[u8]; 9] = [
    &[0xff, 0xff, 0xff, 0xff, 0x0f],
    &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
    &[0x80; 10],
    &[0xff; 11],
    &[0x80, 0x00],
    &[0x00],
    &[0x0b],
    &[0x0c],
    &[0xed, 0xa0, 0x80],
];

/// Changes a message in one to four places.
pub fn mutate(rng: &mut Rng, message: &[u8]) -> Vec<u8> {
    let mut out = message.to_vec();
    for _ in 0..=rng.below(4) {
        out = if rng.below(4) == 0 {
            blind(rng, out)
        } else {
            reshape(rng, &out, 0)
        };
    }
    out
}

fn blind(rng: &mut Rng, mut bytes: Vec<u8>) -> Vec<u8> {
    let at = rng.below(bytes.len() + 1);
    let end = (at + rng.below(16)).min(bytes.len());
    match rng.below(6) {
        0 => bytes.truncate(at),
        1 => drop(bytes.drain(at..end)),
        2 => {
            let copy = bytes[at..end].to_vec();
            bytes.splice(at..at, copy);
        }
        3 => drop(bytes.splice(at..end, HOSTILE[rng.below(HOSTILE.len())].iter().copied())),
        4 if at < bytes.len() => bytes[at] ^= 1 << rng.below(8),
        _ => {
            let noise: Vec<u8> = (0..rng.below(8)).map(|_| rng.draw() as u8).collect();
            bytes.splice(at..at, noise);
        }
    }
    bytes
}

/// One field of a message: its tag with value, and where the content of a nested one lies.
struct Field {
    start: usize,
    content: Option<(usize, usize)>,
    end: usize,
}

fn varint(bytes: &[u8], at: usize) -> Option<(u64, usize)> {
    let mut value = 0u64;
    for i in 0..10 {
        let byte = *bytes.get(at + i)?;
        value |= u64::from(byte & 0x7f) << (7 * i);
        if byte < 0x80 {
            return Some((value, at + i + 1));
        }
    }
    None
}

/// The fields, if the bytes are a message.
fn fields(bytes: &[u8]) -> Option<Vec<Field>> {
    let (mut at, mut found) = (0, Vec::new());
    while at < bytes.len() {
        let start = at;
        let (tag, next) = varint(bytes, at)?;
        let (mut content, end) = match tag & 7 {
            0 => (None, varint(bytes, next)?.1),
            1 => (None, next + 8),
            5 => (None, next + 4),
            2 => {
                let (len, from) = varint(bytes, next)?;
                let end = from.checked_add(usize::try_from(len).ok()?)?;
                (Some((from, end)), end)
            }
            _ => return None,
        };
        if end > bytes.len() || tag < 8 {
            return None;
        }
        content = content.filter(|(from, to)| to > from);
        found.push(Field {
            start,
            content,
            end,
        });
        at = end;
    }
    Some(found)
}

/// Changes one field somewhere in the tree of messages, and puts right lengths around it.
fn reshape(rng: &mut Rng, bytes: &[u8], depth: usize) -> Vec<u8> {
    let Some(fields) = fields(bytes).filter(|fields| !fields.is_empty()) else {
        return blind(rng, bytes.to_vec());
    };
    let field = &fields[rng.below(fields.len())];
    let whole = &bytes[field.start..field.end];
    let mut changed = Vec::new();
    match (field.content, rng.below(8)) {
        (Some((from, to)), 0..=5) if depth < 12 => {
            changed.extend(&bytes[field.start..from]);
            // The length stands between tag and content; write the tag alone.
            if let Some((_, tag_end)) = varint(bytes, field.start) {
                changed.truncate(tag_end - field.start);
            }
            let inner = match rng.below(12) {
                0 => HOSTILE[rng.below(HOSTILE.len())].to_vec(),
                1 => bytes[from..to].repeat(2),
                2 => Vec::new(),
                _ => reshape(rng, &bytes[from..to], depth + 1),
            };
            crate::buffer::push_len(&mut changed, inner.len());
            changed.extend(inner);
        }
        (_, 6) => {} // the field is gone
        (_, 7) => changed.extend(whole.repeat(2)),
        _ => {
            changed.extend(whole);
            // Another field number or wire type.
            changed[0] ^= 1 << rng.below(7);
        }
    }
    let other = &fields[rng.below(fields.len())];
    let mut out = [&bytes[..field.start], &changed, &bytes[field.end..]].concat();
    if rng.below(6) == 0 {
        // A field out of order, or twice.
        out.extend(&bytes[other.start..other.end]);
    }
    out
}
