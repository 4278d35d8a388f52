"""Hostile variants of serialized OTLP messages.

`damage` knows nothing of protobuf; `reshape` takes a message apart by its descriptor, changes one
field anywhere in it and puts it together again with right lengths, so that what is wrong lies
deep inside of what is well-formed.
"""

import random
import struct
from collections.abc import Callable, Sequence
from typing import Any

from google.protobuf.descriptor import FieldDescriptor

VARINT, FIXED64, BYTES, GROUP, END_GROUP, FIXED32 = range(6)
Piece = tuple[int, int, Any]
"""Field number, wire type, and an int or bytes."""

BAD_UTF8 = (
    b"\xff",
    b"ab\xc3",
    b"\xed\xa0\x80",
    b"\xf0\x9f\x98 \xf4\x90\x80\x80",
    b"\xc0\xafservice.name",
    b"\xe2\x82\xe2\x82\xac\x80",
)
LENGTHS = (0, 1, 127, 128, 1 << 14, 1 << 31, 1 << 32, (1 << 63) - 1, 1 << 63, (1 << 64) - 1)
NUMBERS = (*LENGTHS, 5, 6, 7, 0xFFFF_FFFF, 1 << 62)


def varint(value: int, width: int = 0) -> bytes:
    """A varint, padded with continuation bytes to `width` bytes."""
    out = bytearray()
    while value >= 0x80 or len(out) + 1 < width:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def damage(rng: random.Random, data: bytes, other: bytes) -> bytes:
    """One blow without regard to structure; `other` is a message to take pieces from."""
    at = rng.randrange(len(data) + 1)
    end = min(len(data), at + rng.randrange(1, 9))
    start = rng.randrange(len(other) + 1)
    before, middle, after = data[:at], data[at:end], data[end:]
    blows: Sequence[Callable[[], bytes]] = (
        lambda: before,
        lambda: data[at:],
        lambda: before + after,
        lambda: before + bytes(byte ^ (1 << rng.randrange(8)) for byte in middle) + after,
        lambda: before + rng.randbytes(len(middle)) + middle + after,
        lambda: before + other[start : start + rng.randrange(1, 40)] + middle + after,
        lambda: before + varint(rng.choice(LENGTHS)) + middle + after,
        lambda: before + middle * rng.randrange(2, 5) + after,
    )
    return rng.choice(blows)()


def take_apart(data: bytes) -> list[Piece]:
    """The fields of a well-formed message without groups."""
    pieces: list[Piece] = []
    at = 0
    while at < len(data):
        tag, at = _read_varint(data, at)
        number, wire_type = tag >> 3, tag & 7
        if wire_type == VARINT:
            value, at = _read_varint(data, at)
            pieces.append((number, wire_type, value))
            continue
        size = {FIXED64: 8, FIXED32: 4}.get(wire_type, 0)
        if wire_type == BYTES:
            size, at = _read_varint(data, at)
        pieces.append((number, wire_type, data[at : at + size]))
        at += size
    return pieces


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        shift, at = shift + 7, at + 1
        if byte < 0x80:
            return value, at


def put_together(pieces: Sequence[Piece]) -> bytes:
    out = []
    for number, wire_type, value in pieces:
        out.append(varint(number << 3 | wire_type))
        if wire_type == VARINT:
            out.append(value if isinstance(value, bytes) else varint(value))
        elif wire_type == BYTES:
            out.append(varint(len(value)) + value)
        else:
            out.append(value)
    return b"".join(out)


def reshape(rng: random.Random, data: bytes, descriptor: Any) -> bytes:
    """One change to one field, here or in a message below."""
    pieces = take_apart(data)
    inner = [i for i, (n, w, _) in enumerate(pieces) if w == BYTES and _message(descriptor, n)]
    if inner and rng.random() < 0.85:
        i = rng.choice(inner)
        number, wire_type, raw = pieces[i]
        pieces[i] = (number, wire_type, reshape(rng, raw, _message(descriptor, number)))
    else:
        rng.choice(_CHANGES)(rng, pieces, descriptor)
    return put_together(pieces)


def spoil(rng: random.Random, data: bytes, descriptor: Any, share: float) -> bytes:
    """Invalid UTF-8 in a share of the string fields that are stored.

    Spans have no column for schema URLs; whether a decoder looks at them is its own affair.
    """
    pieces = take_apart(data)
    for i, (number, wire_type, raw) in enumerate(pieces):
        field = descriptor.fields_by_number[number]
        if field.name == "schema_url" and "trace" in field.full_name:
            continue
        if field.message_type is not None:
            pieces[i] = (number, wire_type, spoil(rng, raw, field.message_type, share))
        elif field.type == FieldDescriptor.TYPE_STRING and rng.random() < share:
            pieces[i] = (number, wire_type, rng.choice(BAD_UTF8) + raw)
    return put_together(pieces)


def _message(descriptor: Any, number: int) -> Any:
    field = descriptor.fields_by_number.get(number)
    return field.message_type if field is not None else None


def _repeat(rng: random.Random, pieces: list[Piece], _descriptor: Any) -> None:
    if pieces:
        pieces.insert(rng.randrange(len(pieces) + 1), rng.choice(pieces))


def _shuffle(rng: random.Random, pieces: list[Piece], _descriptor: Any) -> None:
    rng.shuffle(pieces)


def _drop(rng: random.Random, pieces: list[Piece], _descriptor: Any) -> None:
    if pieces:
        del pieces[rng.randrange(len(pieces))]


def _renumber(rng: random.Random, pieces: list[Piece], _descriptor: Any) -> None:
    if pieces:
        i = rng.randrange(len(pieces))
        pieces[i] = (rng.choice([0, 1, 2, 3, 7, 15, 100, (1 << 29) - 1, 1 << 29]), *pieces[i][1:])


def _retype(rng: random.Random, pieces: list[Piece], _descriptor: Any) -> None:
    """Another wire type with a value of that type: a known field becomes an unknown one."""
    if pieces:
        i = rng.randrange(len(pieces))
        wire_type = rng.choice([VARINT, FIXED64, BYTES, GROUP, END_GROUP, FIXED32, 6, 7])
        pieces[i] = (pieces[i][0], wire_type, _value(rng, wire_type))


def _add(rng: random.Random, pieces: list[Piece], descriptor: Any) -> None:
    """A field of the message, or an unknown one, with some value of some wire type."""
    number = rng.choice([*descriptor.fields_by_number, 99, 5000])
    wire_type = rng.choice([VARINT, FIXED64, BYTES, BYTES, FIXED32])
    pieces.insert(rng.randrange(len(pieces) + 1), (number, wire_type, _value(rng, wire_type)))


def _set(rng: random.Random, pieces: list[Piece], descriptor: Any) -> None:
    """A field of the message with an extreme value of its own wire type."""
    field = rng.choice(list(descriptor.fields_by_number.values()))
    wire_type = _WIRE_TYPES.get(field.type, VARINT)
    value = _value(rng, wire_type)
    if field.message_type is not None:
        value = b""
    pieces.insert(rng.randrange(len(pieces) + 1), (field.number, wire_type, value))


def _nest(rng: random.Random, pieces: list[Piece], descriptor: Any) -> None:
    """Deep AnyValues where the message takes some."""
    for number, field in descriptor.fields_by_number.items():
        kind = field.message_type
        if kind is not None and kind.name in ("AnyValue", "KeyValue"):
            value = nested_any(rng, rng.choice([2, 30, 31, 32, 33, 34, 60, 1000]))
            if kind.name == "KeyValue":
                value = put_together([(1, BYTES, b"deep"), (2, BYTES, value)])
            pieces.append((number, BYTES, value))


def nested_any(rng: random.Random, depth: int) -> bytes:
    """A serialized AnyValue with `depth` levels of arrays and maps, sometimes broken at the end."""
    value = rng.choice([b"", b"\x0a\x01x", b"\x0a\x02\xffy", b"\x0a\x05x", b"\x10\x01"])
    for _ in range(depth - 1):
        if rng.random() < 0.5:
            value = put_together([(5, BYTES, put_together([(1, BYTES, value)]))])
        else:
            pair = put_together([(1, BYTES, b"k"), (2, BYTES, value)])
            value = put_together([(6, BYTES, put_together([(1, BYTES, pair)]))])
    return value


def _value(rng: random.Random, wire_type: int) -> int | bytes:
    match wire_type:
        case 0:
            # Overlong ones, and ones with excess bits in the tenth byte.
            overlong = varint(rng.choice(NUMBERS), rng.choice([0, 5, 9, 10, 10, 11]))
            tenth = b"\xff" * 9 + bytes([rng.choice([1, 2, 0x7F])])
            return rng.choice([overlong, overlong, tenth])
        case 1:
            return struct.pack("<Q", rng.choice(NUMBERS))
        case 2:
            return rng.choice([b"", b"text", rng.randbytes(16), bytes(8), *BAD_UTF8])
        case 5:
            return rng.randbytes(4)
        case _:
            return rng.choice([b"", b"\x08\x01"])


_WIRE_TYPES = {
    FieldDescriptor.TYPE_MESSAGE: BYTES,
    FieldDescriptor.TYPE_STRING: BYTES,
    FieldDescriptor.TYPE_BYTES: BYTES,
    FieldDescriptor.TYPE_DOUBLE: FIXED64,
    FieldDescriptor.TYPE_FIXED64: FIXED64,
    FieldDescriptor.TYPE_SFIXED64: FIXED64,
    FieldDescriptor.TYPE_FIXED32: FIXED32,
}
_CHANGES: Sequence[Callable[[random.Random, list[Piece], Any], None]] = (
    _repeat,
    _shuffle,
    _drop,
    _renumber,
    _retype,
    _add,
    _set,
    _nest,
)
