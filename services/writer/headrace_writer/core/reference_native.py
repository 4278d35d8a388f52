"""Columns in ClickHouse's Native format, blocks, and compressed frames.

Formats: https://clickhouse.com/docs/native-protocol/columns and .../server#data for the block,
src/Compression/ICompressionCodec.h in ClickHouse for the frames. All numbers are little-endian.
"""

import struct
from collections.abc import Iterable, Sequence
from itertools import accumulate, chain
from typing import Any, Protocol

import lz4.block
from clickhouse_cityhash.cityhash import CityHash128

# Frames are cut here. ClickHouse's own client cuts at the same size.
FRAME_BYTES = 1 << 20

# BlockInfo: field 1 (is_overflows) = 0, field 2 (bucket_num) = -1, end of fields.
_BLOCK_INFO = b"\x01\x00\x02\xff\xff\xff\xff\x00"

# LowCardinality: version 1 of the key format; the keys stand with the column (bit 9) and
# replace what the reader had before (bit 10).
_LOW_CARDINALITY_VERSION = struct.pack("<Q", 1)
_LOW_CARDINALITY_FLAGS = 0x600


class Codec(Protocol):
    """Writes the values of one column, given as bytes, numbers, lists or lists of pairs."""

    def prefix(self) -> bytes:
        """What precedes the column's data, whatever the values are."""

    def write(self, values: Sequence[Any]) -> bytes:
        """The column's data."""

    def size(self, value: Any, seen: set[bytes], /) -> int:
        """About the bytes that one more value takes. `seen`: LowCardinality keys so far."""


def varint(value: int) -> bytes:
    """An unsigned base-128 number, low bits first."""
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def string(value: bytes) -> bytes:
    """Length and bytes."""
    return varint(len(value)) + value


class StringCodec:
    """String."""

    def prefix(self) -> bytes:
        return b""

    def write(self, values: Sequence[bytes]) -> bytes:
        return b"".join(map(string, values))

    def size(self, value: bytes, _seen: set[bytes], /) -> int:
        return len(varint(len(value))) + len(value)


class LowCardinalityCodec:
    """LowCardinality(String): a dictionary in order of first appearance, and its indexes."""

    def prefix(self) -> bytes:
        return _LOW_CARDINALITY_VERSION

    def write(self, values: Sequence[bytes]) -> bytes:
        if not values:
            return b""
        numbers: dict[bytes, int] = {}
        indexes = [numbers.setdefault(value, len(numbers)) for value in values]
        width, letter = next(
            (i, letter) for i, letter in enumerate("BHI") if len(numbers) <= 256 ** (1 << i)
        )
        return b"".join(
            (
                struct.pack("<QQ", _LOW_CARDINALITY_FLAGS | width, len(numbers)),
                StringCodec().write(list(numbers)),
                struct.pack("<Q", len(values)),
                struct.pack(f"<{len(indexes)}{letter}", *indexes),
            )
        )

    def size(self, value: bytes, seen: set[bytes], /) -> int:
        if value in seen:
            return 4
        seen.add(value)
        return 4 + StringCodec().size(value, seen)


class FixedCodec:
    """Values of `width` bytes: FixedString, UUID. Shorter ones are padded with zero bytes."""

    def __init__(self, width: int) -> None:
        self.width = width

    def prefix(self) -> bytes:
        return b""

    def write(self, values: Sequence[bytes]) -> bytes:
        return b"".join(value[: self.width].ljust(self.width, b"\0") for value in values)

    def size(self, _value: bytes, _seen: set[bytes], /) -> int:
        return self.width


class NumberCodec:
    """Numbers that `struct` packs with a letter."""

    def __init__(self, letter: str) -> None:
        self.letter = letter
        self.width = struct.calcsize(f"<{letter}")

    def prefix(self) -> bytes:
        return b""

    def write(self, values: Sequence[float]) -> bytes:
        return struct.pack(f"<{len(values)}{self.letter}", *values)

    def size(self, _value: float, _seen: set[bytes], /) -> int:
        return self.width


class ArrayCodec:
    """Array(T): the end of each row's array as UInt64, then all elements."""

    def __init__(self, element: Codec) -> None:
        self.element = element

    def prefix(self) -> bytes:
        return self.element.prefix()

    def write(self, values: Sequence[Sequence[Any]]) -> bytes:
        return _offsets(values) + self.element.write(list(chain.from_iterable(values)))

    def size(self, value: Sequence[Any], seen: set[bytes], /) -> int:
        return 8 + sum(self.element.size(element, seen) for element in value)


class MapCodec:
    """Map(K, V): like Array(Tuple(K, V)), whose keys all precede the values."""

    def __init__(self, key: Codec, value: Codec) -> None:
        self.key, self.value = key, value

    def prefix(self) -> bytes:
        return self.key.prefix() + self.value.prefix()

    def write(self, values: Sequence[Sequence[tuple[bytes, bytes]]]) -> bytes:
        pairs = list(chain.from_iterable(values))
        keys = self.key.write([key for key, _ in pairs])
        return _offsets(values) + keys + self.value.write([value for _, value in pairs])

    def size(self, value: Sequence[tuple[bytes, bytes]], seen: set[bytes], /) -> int:
        return 8 + sum(self.key.size(k, seen) + self.value.size(v, seen) for k, v in value)


def _offsets(values: Sequence[Sequence[Any]]) -> bytes:
    return struct.pack(f"<{len(values)}Q", *accumulate(map(len, values)))


def block(rows: int, columns: Sequence[tuple[str, str, Codec, Sequence[Any]]]) -> bytes:
    """One block's body; columns are (name, type as the server spells it, codec, values)."""
    parts = [_BLOCK_INFO, varint(len(columns)), varint(rows)]
    for name, kind, codec, values in columns:
        parts += [string(name.encode()), string(kind.encode()), codec.prefix(), codec.write(values)]
    return b"".join(parts)


def frames(body: bytes) -> Iterable[bytes]:
    """`body` as compressed frames: checksum, method (0x82, LZ4), sizes, LZ4 block."""
    for start in range(0, len(body), FRAME_BYTES):
        chunk = body[start : start + FRAME_BYTES]
        packed = lz4.block.compress(chunk, store_size=False)
        # The compressed size counts the nine bytes of this header.
        frame = struct.pack("<BII", 0x82, len(packed) + 9, len(chunk)) + packed
        yield _checksum(frame) + frame


def _checksum(frame: bytes) -> bytes:
    """CityHash128 v1.0.2 as its low and then its high half; the library's number has the low
    half on top."""
    number = CityHash128(frame)
    return struct.pack("<QQ", number >> 64, number & 0xFFFF_FFFF_FFFF_FFFF)
