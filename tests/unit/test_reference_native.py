"""Columns and blocks, byte by byte and through clickhouse-driver's own reader."""

import struct
from typing import Any

import lz4.block
import pytest
from clickhouse_driver.errors import UnknownTypeError

from headrace_writer.core.reference_native import (
    FRAME_BYTES,
    ArrayCodec,
    Codec,
    FixedCodec,
    LowCardinalityCodec,
    MapCodec,
    NumberCodec,
    StringCodec,
    block,
    frames,
    varint,
)
from support.native_frames import decompress
from support.native_read import read_block

TEXT, LOW = StringCodec(), LowCardinalityCodec()


def u64(*values: int) -> bytes:
    return struct.pack(f"<{len(values)}Q", *values)


@pytest.mark.parametrize(
    ("value", "want"), [(0, b"\0"), (127, b"\x7f"), (128, b"\x80\x01"), (300, b"\xac\x02")]
)
def test_varint(value: int, want: bytes) -> None:
    assert varint(value) == want


def test_low_cardinality() -> None:
    assert LOW.prefix() == u64(1)
    assert LOW.write([]) == b""
    want = u64(0x600, 2) + b"\x01b\x00" + u64(3) + b"\x00\x01\x00"
    assert LOW.write([b"b", b"", b"b"]) == want


@pytest.mark.parametrize(
    ("keys", "width"), [(1, 0), (255, 0), (256, 0), (257, 1), (65_536, 1), (65_537, 2)]
)
def test_low_cardinality_takes_the_smallest_index(keys: int, width: int) -> None:
    data = LOW.write([str(i).encode() for i in range(keys)])
    assert data.startswith(u64(0x600 | width, keys))
    last = (keys - 1).to_bytes(1 << width, "little")
    assert data.endswith(u64(keys) + data[-keys << width :])
    assert data.endswith(last)


def test_arrays_and_maps() -> None:
    nested = ArrayCodec(ArrayCodec(TEXT))
    assert nested.write([[[b"a"], []], []]) == u64(2, 2) + u64(1, 1) + b"\x01a"
    pairs = MapCodec(LOW, TEXT)
    assert pairs.prefix() == u64(1)
    assert ArrayCodec(MapCodec(LOW, LOW)).prefix() == u64(1, 1)
    want = u64(0, 1) + u64(0x600, 1) + b"\x01k" + u64(1) + b"\0" + b"\x01v"
    assert pairs.write([[], [(b"k", b"v")]]) == want
    assert pairs.write([[], []]) == u64(0, 0)


def test_fixed_strings_are_cut_and_padded() -> None:
    assert FixedCodec(3).write([b"", b"ab", b"abcd"]) == b"\0\0\0ab\0abc"


def test_a_block() -> None:
    columns: list[tuple[str, str, Codec, list[Any]]] = [
        ("n", "UInt64", NumberCodec("Q"), [1, 2**64 - 1]),
        ("s", "String", TEXT, [b"x" * 200, b""]),
    ]
    want = b"\x01\x00\x02\xff\xff\xff\xff\x00" + b"\x02\x02"
    want += b"\x01n\x06UInt64" + u64(1, 2**64 - 1)
    want += b"\x01s\x06String" + b"\xc8\x01" + b"x" * 200 + b"\0"
    assert block(2, columns) == want


def test_the_driver_reads_it() -> None:
    columns: list[tuple[str, str, Codec, list[Any]]] = [
        ("low", "LowCardinality(String)", LOW, [b"a", b"b", b"a"]),
        ("map", "Map(LowCardinality(String), String)", MapCodec(LOW, TEXT), [
            [], [(b"k", b"1"), (b"l", b"2")], [(b"k", b"")]
        ]),
        ("maps", "Array(Map(LowCardinality(String), LowCardinality(String)))",
         ArrayCodec(MapCodec(LOW, LOW)), [[[(b"k", b"1")], []], [], [[]]]),
        ("none", "Array(LowCardinality(String))", ArrayCodec(LOW), [[], [], []]),
        ("deep", "Array(Array(String))", ArrayCodec(ArrayCodec(TEXT)), [[[b"x"]], [], [[]]]),
        ("fixed", "FixedString(2)", FixedCodec(2), [b"ab", b"c", b""]),
        ("double", "Float64", NumberCodec("d"), [0.5, -1.0, 1e300]),
    ]  # fmt: skip
    assert read_block(block(3, columns)) == {
        "low": [b"a", b"b", b"a"],
        "map": [{}, {b"k": b"1", b"l": b"2"}, {b"k": b""}],
        "maps": [[{b"k": b"1"}, {}], [], [{}]],
        "none": [[], [], []],
        "deep": [[[b"x"]], [], [[]]],
        "fixed": [b"ab", b"c\0", b"\0\0"],
        "double": [0.5, -1.0, 1e300],
    }


def test_the_reader_finds_what_is_wrong() -> None:
    body = block(1, [("n", "UInt64", NumberCodec("Q"), [1])])
    with pytest.raises(AssertionError, match="goes on"):
        read_block(body + b"\0")
    with pytest.raises((EOFError, AssertionError)):
        read_block(body[:-1])
    with pytest.raises(UnknownTypeError):
        read_block(block(1, [("n", "Nonsense", NumberCodec("Q"), [1])]))


@pytest.mark.parametrize("size", [1, FRAME_BYTES - 1, FRAME_BYTES, FRAME_BYTES + 1, 5 << 19])
def test_frames(size: int) -> None:
    body = bytes(range(256)) * (size // 256 + 1)
    packed = list(frames(body[:size]))
    assert len(packed) == -(-size // FRAME_BYTES)
    assert decompress(b"".join(packed)) == body[:size]


def test_a_frame_is_laid_out_as_clickhouse_has_it() -> None:
    (frame,) = frames(b"hello hello hello hello")
    method, size, raw = struct.unpack("<BII", frame[16:25])
    assert (method, size, raw) == (0x82, len(frame) - 16, 23)
    assert lz4.block.decompress(frame[25:], uncompressed_size=23) == b"hello hello hello hello"


def test_damaged_frames_are_noticed() -> None:
    (frame,) = frames(b"hello hello hello hello")
    for at in (0, 15, 16, 17, 30):
        broken = frame[:at] + bytes([frame[at] ^ 1]) + frame[at + 1 :]
        with pytest.raises(AssertionError):
            decompress(broken)


def test_sizes_count_keys_once() -> None:
    seen: set[bytes] = set()
    assert LOW.size(b"abc", seen) == 4 + 4
    assert LOW.size(b"abc", seen) == 4
    assert MapCodec(LOW, TEXT).size([(b"abc", b"x"), (b"d", b"")], seen) == 8 + 4 + 2 + 6 + 1
    assert ArrayCodec(NumberCodec("d")).size([1.0, 2.0], seen) == 24
    assert FixedCodec(16).size(b"", seen) == 16
