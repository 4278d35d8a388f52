//! The body of a block: bare, or as ClickHouse compressed frames.
//!
//! Frame: CityHash128 of what follows (16 bytes), method 0x82 (LZ4), compressed size with these
//! nine header bytes, uncompressed size, LZ4 block. Source: ClickHouse's
//! `CompressedReadBufferBase`, <https://clickhouse.com/docs/native-protocol/basics>.

use crate::city::city_hash_128;
use std::os::raw::{c_char, c_int};

/// Uncompressed bytes of a full frame; ClickHouse's own writer uses the same size.
pub const FRAME: usize = 1 << 20;
const CHECKSUM: usize = 16;
const HEADER: usize = 9;
const LZ4: u8 = 0x82;

/// Buffers that outlive a block, so that the next one needs no fresh pages.
#[derive(Default)]
pub struct Buffers {
    /// The uncompressed frame that is being filled.
    staged: Vec<u8>,
    /// Copies of a repeated value.
    page: Vec<u8>,
}

/// Collects a body and compresses each full frame at once.
pub struct Body<'a> {
    out: Vec<u8>,
    buffers: &'a mut Buffers,
    compressed: bool,
    raw: usize,
}

impl<'a> Body<'a> {
    /// An empty body; `expected` bytes are reserved for its finished form.
    pub fn new(buffers: &'a mut Buffers, compressed: bool, expected: usize) -> Body<'a> {
        buffers.staged.clear();
        Body {
            out: Vec::with_capacity(expected),
            buffers,
            compressed,
            raw: 0,
        }
    }

    /// Appends bytes.
    pub fn put(&mut self, mut bytes: &[u8]) {
        self.raw += bytes.len();
        if !self.compressed {
            return self.out.extend_from_slice(bytes);
        }
        let staged = &mut self.buffers.staged;
        while !bytes.is_empty() {
            if staged.is_empty() && bytes.len() >= FRAME {
                let (frame, rest) = bytes.split_at(FRAME);
                push_frame(&mut self.out, frame);
                bytes = rest;
                continue;
            }
            let (now, rest) = bytes.split_at(bytes.len().min(FRAME - staged.len()));
            staged.extend_from_slice(now);
            bytes = rest;
            if staged.len() == FRAME {
                push_frame(&mut self.out, staged);
                staged.clear();
            }
        }
    }

    /// Appends an unsigned varint.
    pub fn put_varint(&mut self, value: usize) {
        let mut bytes = Vec::new();
        crate::buffer::push_len(&mut bytes, value);
        self.put(&bytes);
    }

    /// Appends a string with its length.
    pub fn put_string(&mut self, s: &str) {
        self.put_varint(s.len());
        self.put(s.as_bytes());
    }

    /// Appends `N` bytes for each value.
    pub fn put_each<T: Copy, const N: usize>(
        &mut self,
        values: &[T],
        encode: impl Fn(T) -> [u8; N],
    ) {
        let mut chunk = [0u8; 4096];
        for values in values.chunks(chunk.len() / N) {
            for (to, &value) in chunk.chunks_exact_mut(N).zip(values) {
                to.copy_from_slice(&encode(value));
            }
            self.put(&chunk[..values.len() * N]);
        }
    }

    /// Appends the same bytes `count` times.
    pub fn put_repeated(&mut self, bytes: &[u8], count: usize) {
        if bytes.is_empty() || count == 1 {
            return self.put(&bytes[..bytes.len() * count.min(1)]);
        }
        // Whole copies of about a page at once.
        let copies = (4096 / bytes.len()).clamp(1, count.max(1));
        let mut page = core::mem::take(&mut self.buffers.page);
        page.clear();
        page.extend_from_slice(bytes);
        // Doubling: a copy of one byte costs as much as one of many.
        let full = copies * bytes.len();
        while page.len() < full {
            page.extend_from_within(..page.len().min(full - page.len()));
        }
        for _ in 0..count / copies {
            self.put(&page);
        }
        self.put(&page[..count % copies * bytes.len()]);
        self.buffers.page = page;
    }

    /// The finished bytes and the uncompressed size.
    pub fn finish(mut self) -> (Vec<u8>, usize) {
        if !self.buffers.staged.is_empty() {
            push_frame(&mut self.out, &self.buffers.staged);
        }
        (self.out, self.raw)
    }
}

/// Compresses one frame behind `out`.
fn push_frame(out: &mut Vec<u8>, raw: &[u8]) {
    let at = out.len();
    out.resize(at + CHECKSUM + HEADER, 0);
    push_lz4(out, raw);
    let frame = &mut out[at..];
    let size = frame.len() - CHECKSUM;
    frame[CHECKSUM] = LZ4;
    frame[CHECKSUM + 1..CHECKSUM + 5].copy_from_slice(&(size as u32).to_le_bytes());
    frame[CHECKSUM + 5..CHECKSUM + 9].copy_from_slice(&(raw.len() as u32).to_le_bytes());
    let (low, high) = city_hash_128(&frame[CHECKSUM..]);
    frame[..8].copy_from_slice(&low.to_le_bytes());
    frame[8..16].copy_from_slice(&high.to_le_bytes());
}

/// Appends the LZ4 block of at most `FRAME` bytes.
fn push_lz4(out: &mut Vec<u8>, raw: &[u8]) {
    // SAFETY: a pure function of its argument.
    let bound = unsafe { lz4_sys::LZ4_compressBound(raw.len() as c_int) } as usize;
    out.reserve(bound);
    let spare = out.spare_capacity_mut();
    // SAFETY: the destination has at least `bound` bytes of spare capacity, and LZ4 writes at
    // most as many as it is told; the source is a live slice of at most 1 MiB. The bytes that
    // it reports as written are initialized.
    unsafe {
        let written = lz4_sys::LZ4_compress_default(
            raw.as_ptr().cast::<c_char>(),
            spare.as_mut_ptr().cast::<c_char>(),
            raw.len() as c_int,
            bound as c_int,
        );
        assert!(written > 0, "LZ4 refused a buffer of its own bound");
        out.set_len(out.len() + written as usize);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sizes of the frames of a compressed body: (compressed, raw).
    fn frames(mut body: &[u8]) -> Vec<(usize, usize)> {
        let mut sizes = Vec::new();
        while !body.is_empty() {
            let number =
                |at: usize| u32::from_le_bytes(body[at..at + 4].try_into().unwrap()) as usize;
            let (size, raw) = (number(17), number(21));
            let (low, high) = city_hash_128(&body[16..16 + size]);
            assert_eq!(body[..16], [low.to_le_bytes(), high.to_le_bytes()].concat());
            assert_eq!(body[16], LZ4);
            sizes.push((size, raw));
            body = &body[16 + size..];
        }
        sizes
    }

    #[test]
    fn bodies_are_cut_at_a_mebibyte() {
        let mut buffers = Buffers::default();
        let mut body = Body::new(&mut buffers, true, 0);
        for _ in 0..3 {
            body.put(b"some bytes in front ");
            body.put(&vec![7; FRAME]);
        }
        let (out, raw) = body.finish();
        assert_eq!(raw, 3 * (FRAME + 20));
        let sizes: Vec<usize> = frames(&out).iter().map(|&(_, raw)| raw).collect();
        assert_eq!(sizes, [FRAME, FRAME, FRAME, 60]);
    }

    #[test]
    fn repeated_bytes_come_as_often_as_asked() {
        for (size, count) in [(1, 5000), (3, 1), (100, 41), (5000, 3), (4096, 2)] {
            let mut buffers = Buffers::default();
            let mut body = Body::new(&mut buffers, false, 0);
            let bytes: Vec<u8> = (0..size).map(|i| i as u8).collect();
            body.put_repeated(&bytes, count);
            assert_eq!(body.finish().0, bytes.repeat(count));
        }
    }

    #[test]
    fn bare_bodies_are_left_alone() {
        let mut buffers = Buffers::default();
        let mut body = Body::new(&mut buffers, false, 0);
        body.put_varint(300);
        body.put_string("ab");
        body.put_repeated(&1u64.to_le_bytes(), 2);
        body.put_repeated(b"", 5);
        body.put_repeated(b"x", 0);
        body.put_each(&[258u16], u16::to_le_bytes);
        let want = [
            b"\xac\x02\x02ab".to_vec(),
            1u64.to_le_bytes().repeat(2),
            vec![2, 1],
        ]
        .concat();
        assert_eq!(body.finish(), (want, 23));
    }
}
