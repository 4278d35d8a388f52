//! Columns of trace and span ids.

use crate::buffer::Bytes;
use crate::column::Text;
use crate::frame::Body;
use crate::text::{hex16, hex8, push_hex};

/// How ids are stored.
pub enum Form {
    /// Lower-case hex, in any text column of free length.
    Hex(Text),
    /// FixedString of twice the id's length: hex. An id of another length is all zero bytes.
    FixedHex(Bytes),
    /// FixedString of the id's length: its bytes. An id of another length is all zero bytes.
    Raw(Bytes),
    /// UUID of a trace id: two little-endian words, the first half first.
    Uuid(Bytes),
}

/// A column of ids of `size` bytes (16 for traces, 8 for spans).
pub struct Ids {
    pub form: Form,
    size: usize,
}

/// Whether an id says nothing: no bytes, or all zero (W3C trace context, section 3.2.2.3).
#[inline(always)]
pub fn is_empty(raw: &[u8]) -> bool {
    if let Ok(id) = raw.try_into() {
        u128::from_ne_bytes(id) == 0
    } else if let Ok(id) = raw.try_into() {
        u64::from_ne_bytes(id) == 0
    } else {
        raw.is_empty()
    }
}

impl Ids {
    pub fn new(form: Form, size: usize) -> Ids {
        Ids { form, size }
    }

    /// Appends an id as it came on the wire.
    #[inline(always)]
    pub fn push(&mut self, raw: &[u8]) {
        let right = raw.len() == self.size;
        match &mut self.form {
            Form::Hex(text) => push_text(text, raw, self.size),
            Form::FixedHex(bytes) => {
                let at = bytes.data.len();
                bytes.data.resize(at + 2 * self.size, 0);
                if right && !is_empty(raw) {
                    bytes.data.truncate(at);
                    push_hex(raw, &mut bytes.data);
                }
            }
            Form::Raw(bytes) => {
                let at = bytes.data.len();
                bytes.data.resize(at + self.size, 0);
                if right {
                    bytes.data[at..].copy_from_slice(raw);
                }
            }
            Form::Uuid(bytes) => {
                let mut words = [0; 16];
                if right {
                    words.copy_from_slice(raw);
                    words[..8].reverse();
                    words[8..].reverse();
                }
                bytes.put(words);
            }
        }
    }

    pub fn mark(&mut self) {
        match &mut self.form {
            Form::Hex(text) => text.mark(),
            Form::FixedHex(bytes) | Form::Raw(bytes) | Form::Uuid(bytes) => bytes.mark(),
        }
    }

    pub fn rollback(&mut self) {
        match &mut self.form {
            Form::Hex(text) => text.rollback(),
            Form::FixedHex(bytes) | Form::Raw(bytes) | Form::Uuid(bytes) => bytes.rollback(),
        }
    }

    pub fn clear(&mut self) {
        match &mut self.form {
            Form::Hex(text) => text.clear(),
            Form::FixedHex(bytes) | Form::Raw(bytes) | Form::Uuid(bytes) => bytes.clear(),
        }
    }

    pub fn nbytes(&self) -> (usize, usize) {
        match &self.form {
            Form::Hex(text) => text.nbytes(),
            Form::FixedHex(bytes) | Form::Raw(bytes) | Form::Uuid(bytes) => bytes.nbytes(),
        }
    }

    pub fn write_prefix(&self, body: &mut Body<'_>) {
        if let Form::Hex(text) = &self.form {
            text.write_prefix(body);
        }
    }

    pub fn write(&self, body: &mut Body<'_>) {
        match &self.form {
            Form::Hex(text) => text.write(body),
            Form::FixedHex(bytes) | Form::Raw(bytes) | Form::Uuid(bytes) => body.put(&bytes.data),
        }
    }
}

#[inline(always)]
fn push_text(text: &mut Text, raw: &[u8], size: usize) {
    if is_empty(raw) && (raw.is_empty() || raw.len() == size) {
        text.push_valid(b"");
    } else if let Ok(id) = raw.try_into() {
        text.push_valid(&hex16(id));
    } else if let Ok(id) = raw.try_into() {
        text.push_valid(&hex8(id));
    } else {
        let mut hex = Vec::with_capacity(raw.len() * 2);
        push_hex(raw, &mut hex);
        text.push_valid(&hex);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Buffers;

    fn stored(form: Form, size: usize, ids: &[&[u8]]) -> Vec<u8> {
        let mut column = Ids::new(form, size);
        for raw in ids {
            column.push(raw);
        }
        let mut buffers = Buffers::default();
        let mut body = Body::new(&mut buffers, false, 0);
        column.write(&mut body);
        body.finish().0
    }

    #[test]
    fn hex_of_any_length_and_nothing_for_zeros() {
        let ids: [&[u8]; 5] = [&[0xab; 8], &[], &[0; 8], &[1, 2], &[0, 0]];
        let want = b"\x10abababababababab\0\0\x040102\x040000";
        assert_eq!(stored(Form::Hex(Text::plain()), 8, &ids), want);
        // Sixteen zero bytes are no empty span id: the length is wrong.
        assert_eq!(stored(Form::Hex(Text::plain()), 8, &[&[0; 16]])[0], 32);
    }

    #[test]
    fn fixed_forms_are_zero_for_wrong_lengths() {
        let ids: [&[u8]; 3] = [&[0x12; 8], &[1], &[0; 8]];
        let hex = stored(Form::FixedHex(Bytes::default()), 8, &ids);
        assert_eq!(hex, [b"1212121212121212".to_vec(), vec![0; 32]].concat());
        let raw = stored(Form::Raw(Bytes::default()), 8, &ids);
        assert_eq!(raw, [vec![0x12; 8], vec![0; 16]].concat());
    }

    #[test]
    fn uuids_are_two_little_endian_words() {
        let id: Vec<u8> = (1..=16).collect();
        let want = [8, 7, 6, 5, 4, 3, 2, 1, 16, 15, 14, 13, 12, 11, 10, 9];
        assert_eq!(stored(Form::Uuid(Bytes::default()), 16, &[&id]), want);
    }
}
