"""Serialized protobuf into opentelemetry-proto messages, by rules for hostile bytes.

protobuf's own parser decides some of these cases otherwise (it refuses a whole message for one
invalid UTF-8 string, and for nesting that we only cut), so what it does not take, or does not
give back whole, is read here field by field. Wire format:
https://protobuf.dev/programming-guides/encoding/

The rules, which the kernel follows too:

- cut off values, lengths past the end, varints over ten bytes, tags over 32 bits, field number 0,
  groups (wire types 3 and 4), wire types 6 and 7: the whole message is malformed;
- a known field with another wire type is an unknown field: passed over;
- excess bits of a varint are dropped, also those beyond a 32-bit field;
- of a singular field that comes twice the last one counts, messages are merged;
- an invalid UTF-8 sequence becomes U+FFFD, one per maximal subpart;
- an AnyValue deeper than `MAX_DEPTH` is not looked into.
"""

import struct
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple, TypeVar

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError, Message

from headrace_writer.errors import Poison

# The value of an attribute is at depth 1, an element of its array at depth 2.
MAX_DEPTH: Final = 32

M = TypeVar("M", bound=Message)

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
Field = Any  # a FieldDescriptor, of which every implementation of protobuf has its own class

ANY_VALUE = "opentelemetry.proto.common.v1.AnyValue"

# No table has a column for these, so their repairs are nobody's concern.
_UNSTORED = frozenset(
    {
        "opentelemetry.proto.metrics.v1.Metric.metadata",
        "opentelemetry.proto.resource.v1.Resource.entity_refs",
    }
)


def parse(message: M, payload: bytes) -> int:
    """Fill an empty message from its serialized form; returns how many strings were repaired.

    Raises Poison("malformed") for bytes that are no such message.
    """
    if _parses_plainly(message, payload):
        return 0
    message.Clear()
    filler = Filler()
    filler.fill(message, payload, 0)
    return filler.replaced


def _parses_plainly(message: Message, payload: bytes) -> bool:
    """Whether protobuf reads it and holds all of it.

    A message of the same size without unknown fields has no group, nothing of another wire
    type, nothing that was replaced: the rules above would give the same. This is what every
    honest sender's message looks like, and it is several times faster.
    """
    try:
        message.ParseFromString(payload)
    except DecodeError:
        return False
    whole = message.ByteSize()
    message.DiscardUnknownFields()  # type: ignore[no-untyped-call, unused-ignore]
    return whole == len(payload) == message.ByteSize()


def _malformed(at: int, what: str) -> Poison:
    return Poison("malformed", f"byte {at}: {what}")


class _Piece(NamedTuple):
    """One field as it is on the wire."""

    number: int
    wire_type: int
    at: int
    """Where the value begins in the payload."""
    value: int = 0
    """Of a varint or fixed width, unsigned."""
    raw: bytes = b""
    """Of a length-delimited field."""


def pieces(data: bytes, base: int) -> Iterator[_Piece]:
    """The fields of one message. `base`: where it begins in the payload, for error texts."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at, base, limit=5)
        if tag >> 32:
            raise _malformed(base + at, "a tag is longer than 32 bits")
        number, wire_type = tag >> 3, tag & 7
        if number == 0:
            raise _malformed(base + at, "field number 0")
        start = at
        if wire_type == VARINT:
            value, at = _varint(data, at, base)
            yield _Piece(number, wire_type, base + start, value)
            continue
        if wire_type == BYTES:
            size, start = _varint(data, at, base)
        elif wire_type in (FIXED64, FIXED32):
            size = 8 if wire_type == FIXED64 else 4
        else:
            raise _malformed(base + at, f"wire type {wire_type} is not part of OTLP")
        at = start + size
        if at > len(data):
            raise _malformed(base + start, "a field ends behind its message")
        raw = data[start:at]
        if wire_type == BYTES:
            yield _Piece(number, wire_type, base + start, raw=raw)
        else:
            yield _Piece(number, wire_type, base + start, int.from_bytes(raw, "little"))


def _varint(data: bytes, at: int, base: int, limit: int = 10) -> tuple[int, int]:
    """The number at `at` and the place behind it."""
    value = 0
    for i in range(limit):
        if at + i >= len(data):
            raise _malformed(base + at, "a varint is cut off")
        byte = data[at + i]
        value |= (byte & 0x7F) << (7 * i)
        if byte < 0x80:
            return value & 0xFFFF_FFFF_FFFF_FFFF, at + i + 1
    raise _malformed(base + at, f"a varint is longer than {limit} bytes")


def _signed(value: int, bits: int) -> int:
    low = value & ((1 << bits) - 1)
    return low - (1 << bits) if low >> (bits - 1) else low


def _zigzag32(value: int) -> int:
    low = value & 0xFFFF_FFFF
    return (low >> 1) ^ -(low & 1)


def _double(value: int) -> float:
    double: float = struct.unpack("<d", value.to_bytes(8, "little"))[0]
    return double


# By the field's declared type: the wire type it has, and how its number is read.
_NUMBERS: dict[int, tuple[int, Callable[[int], int | float]]] = {
    FieldDescriptor.TYPE_DOUBLE: (FIXED64, _double),
    FieldDescriptor.TYPE_FIXED64: (FIXED64, int),
    FieldDescriptor.TYPE_SFIXED64: (FIXED64, lambda v: _signed(v, 64)),
    FieldDescriptor.TYPE_FIXED32: (FIXED32, int),
    FieldDescriptor.TYPE_BOOL: (VARINT, bool),
    FieldDescriptor.TYPE_UINT64: (VARINT, int),
    FieldDescriptor.TYPE_INT64: (VARINT, lambda v: _signed(v, 64)),
    FieldDescriptor.TYPE_UINT32: (VARINT, lambda v: v & 0xFFFF_FFFF),
    FieldDescriptor.TYPE_INT32: (VARINT, lambda v: _signed(v, 32)),
    FieldDescriptor.TYPE_ENUM: (VARINT, lambda v: _signed(v, 32)),
    FieldDescriptor.TYPE_SINT32: (VARINT, _zigzag32),
}


class Filler:
    """Sets the fields of messages one by one."""

    def __init__(self) -> None:
        self.replaced = 0
        """Strings whose invalid UTF-8 was replaced."""

    def fill(self, message: Message, data: bytes, base: int, depth: int = 0) -> None:
        """Merge serialized `data` into `message`; `depth` counts the AnyValues around it."""
        depth += message.DESCRIPTOR.full_name == ANY_VALUE
        if depth > MAX_DEPTH:
            return
        fields = message.DESCRIPTOR.fields_by_number
        for piece in pieces(data, base):
            field = fields.get(piece.number)
            if field is None:
                continue
            if field.type in _NUMBERS:
                _set_numbers(message, field, piece)
            elif piece.wire_type != BYTES:
                continue
            elif field.type == FieldDescriptor.TYPE_MESSAGE:
                self._fill_message(message, field, piece, depth)
            elif field.is_repeated:
                getattr(message, field.name).append(self._bytes(field, piece.raw))
            else:
                setattr(message, field.name, self._bytes(field, piece.raw))

    def _fill_message(self, message: Message, field: Field, piece: _Piece, depth: int) -> None:
        inner: Any = getattr(message, field.name)
        if field.is_repeated:
            inner = inner.add()
        else:
            inner.SetInParent()
        replaced = self.replaced
        self.fill(inner, piece.raw, piece.at, depth)
        if field.full_name in _UNSTORED:
            self.replaced = replaced

    def _bytes(self, field: Field, raw: bytes) -> str | bytes:
        if field.type == FieldDescriptor.TYPE_BYTES:
            return raw
        try:
            return raw.decode()
        except UnicodeDecodeError:
            self.replaced += 1
            return raw.decode(errors="replace")


def _set_numbers(message: Message, field: Field, piece: _Piece) -> None:
    """Set a number, or append one or a packed run to a repeated field."""
    wire_type, read = _NUMBERS[field.type]
    if field.is_repeated and piece.wire_type == BYTES:
        getattr(message, field.name).extend(map(read, _run(piece, wire_type)))
    elif piece.wire_type == wire_type and field.is_repeated:
        getattr(message, field.name).append(read(piece.value))
    elif piece.wire_type == wire_type:
        setattr(message, field.name, read(piece.value))


def _run(piece: _Piece, wire_type: int) -> Iterator[int]:
    """The numbers of a packed run."""
    data = piece.raw
    if wire_type == VARINT:
        at = 0
        while at < len(data):
            value, at = _varint(data, at, piece.at)
            yield value
        return
    if len(data) % 8:
        raise _malformed(piece.at, "a packed run of 64-bit values has a broken length")
    for (value,) in struct.iter_unpack("<Q", data):
        yield value
