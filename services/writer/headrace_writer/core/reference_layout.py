"""From a server's INSERT header to columns: what each shows of a row, encoded how.

The server decides the types; a field knows several. So one writer serves tables of any age.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from headrace_writer.core.block import Layout
from headrace_writer.core.reference_fields import FIELDS, INGEST_ID, Kind
from headrace_writer.core.reference_native import (
    ArrayCodec,
    Codec,
    FixedCodec,
    LowCardinalityCodec,
    MapCodec,
    NumberCodec,
    StringCodec,
)
from headrace_writer.core.reference_rows import hex_id
from headrace_writer.core.reference_types import Type, parse_type
from headrace_writer.core.reference_values import Attributes
from headrace_writer.errors import LayoutError

# 11 April 2262: the last nanosecond that 63 bits hold.
MAX_TIME_NS = (1 << 63) - 1

_INTEGERS = {
    "UInt8": "B",
    "UInt16": "H",
    "UInt32": "I",
    "UInt64": "Q",
    "Int8": "b",
    "Int16": "h",
    "Int32": "i",
    "Int64": "q",
}

Convert = Callable[[Any], Any]
Encoder = tuple[Codec, Convert]
"""How values are written, and how a row's value becomes one that the codec takes."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the header."""

    name: str
    type_name: str
    """Exactly as the server spells it: the block says it back."""
    codec: Codec
    source: str
    """The key of the row's field; IngestId for the constant column."""
    convert: Convert


def plan(table: str, layout: Layout) -> list[Column]:
    """The columns of a table, in the header's order. Raises LayoutError."""
    columns = [_column(table, name, type_name) for name, type_name in layout]
    # `X.Key` and `X.Value` are parts of X; with X itself a part would be stored twice.
    parts = [(column.source, column.name) for column in columns]
    for i, (source, name) in enumerate(parts):
        for other_source, other in parts[:i]:
            if name == other:
                raise LayoutError(f"table {table}: the header names column {name} twice")
            if source == other_source and source in (name, other):
                raise LayoutError(f"table {table}: columns {other} and {name} hold the same")
    return columns


def _column(table: str, name: str, type_name: str) -> Column:
    kind_of_type = parse_type(type_name)
    if name == INGEST_ID:
        if kind_of_type != Type("UInt64"):
            raise _misfit(table, name, type_name, "UInt64")
        return Column(name, type_name, NumberCodec("Q"), name, int)
    source, part = _source(table, name, type_name)
    kind = FIELDS[table][source]
    nested = "." in source
    if nested and (kind_of_type.name != "Array" or len(kind_of_type.arguments) != 1):
        raise _misfit(table, name, type_name, _accepted(kind, part, nested=True))
    inner = kind_of_type.arguments[0] if nested else kind_of_type
    encoder = _part(part, inner) if part else _whole(kind, inner, nested=nested)
    if encoder is None:
        raise _misfit(table, name, type_name, _accepted(kind, part, nested=nested))
    codec, convert = encoder
    if nested:
        return Column(name, type_name, ArrayCodec(codec), source, partial(_each, convert))
    return Column(name, type_name, codec, source, convert)


def _each(convert: Convert, values: list[Any]) -> list[Any]:
    return [convert(value) for value in values]


def _source(table: str, name: str, type_name: str) -> tuple[str, str]:
    """The field that a column shows, and which part of it: "", "Key" or "Value".

    A map without a Map type is a pair of arrays: `SpanAttributes.Key` at the top, and
    `Events.AttributesKey` in a Nested group, because groups do not nest.
    """
    known = {field: (field, "") for field in FIELDS[table]}
    for field, kind in FIELDS[table].items():
        if kind is Kind.ATTRIBUTES:
            dot = "" if "." in field else "."
            known |= {f"{field}{dot}{part}": (field, part) for part in ("Key", "Value")}
    if name in known:
        return known[name]
    msg = (
        f"table {table}: no field fills column {name} of type {type_name}; "
        f"it may have {', '.join([*FIELDS[table], INGEST_ID])}"
    )
    raise LayoutError(msg)


def _misfit(table: str, name: str, type_name: str, accepted: str) -> LayoutError:
    return LayoutError(
        f"table {table}: column {name} has type {type_name} on the server, "
        f"but its field fills only {accepted}"
    )


def _accepted(kind: Kind, part: str, *, nested: bool) -> str:
    types = "Array(String), Array(LowCardinality(String))" if part else kind.value
    if nested and kind is Kind.ATTRIBUTES and not part:
        types += ", String, LowCardinality(String)"
    return f"Array of {types}" if nested else types


def _part(part: str, array: Type) -> Encoder | None:
    """Keys or values of attributes as an array."""
    if array.name != "Array" or len(array.arguments) != 1:
        return None
    element = _free_text(array.arguments[0])
    if element is None:
        return None
    place = 0 if part == "Key" else 1

    def take(attributes: Attributes) -> list[bytes]:
        return [pair[place] for pair in attributes.pairs]

    return ArrayCodec(element), take


def _whole(kind: Kind, to: Type, *, nested: bool) -> Encoder | None:
    if kind is Kind.ATTRIBUTES:
        return _attributes(to, nested=nested)
    if kind in (Kind.INTEGERS, Kind.DOUBLES):
        if to.name != "Array" or len(to.arguments) != 1:
            return None
        one = _LEAVES[Kind.INTEGER if kind is Kind.INTEGERS else Kind.DOUBLE](to.arguments[0])
        return one and (ArrayCodec(one[0]), partial(_each, one[1]))
    return _LEAVES[kind](to)


def _attributes(to: Type, *, nested: bool) -> Encoder | None:
    if to.name == "Map" and len(to.arguments) == 2:
        key, value = map(_free_text, to.arguments)
        return (MapCodec(key, value), lambda a: a.pairs) if key and value else None
    codec = _free_text(to) if nested else None
    return (codec, lambda a: a.json) if codec else None


def _free_text(to: Type) -> Codec | None:
    """Text of any length."""
    if to == Type("String"):
        return StringCodec()
    if to == Type("LowCardinality", (Type("String"),)):
        return LowCardinalityCodec()
    return None


def _fixed_width(to: Type) -> int:
    """N of FixedString(N), 0 for another type."""
    if to.name == "FixedString" and len(to.arguments) == 1 and to.arguments[0].name.isdecimal():
        return int(to.arguments[0].name)
    return 0


def _text(to: Type) -> Encoder | None:
    width = _fixed_width(to)
    codec = FixedCodec(width) if width else _free_text(to)
    return (codec, bytes) if codec else None


def _trace_id(to: Type) -> Encoder | None:
    if to == Type("UUID"):
        return FixedCodec(16), _uuid
    return _id(to, 16)


def _id(to: Type, size: int) -> Encoder | None:
    """An id of another length than `size` has a text, but no fixed form: zero bytes."""
    codec = _free_text(to)
    if codec:
        return codec, lambda raw: hex_id(raw, size)
    if _fixed_width(to) == 2 * size:
        return FixedCodec(2 * size), lambda raw: hex_id(raw, size) if len(raw) == size else b""
    if _fixed_width(to) == size:
        return FixedCodec(size), lambda raw: raw if len(raw) == size else b""
    return None


def _uuid(raw: bytes) -> bytes:
    """Two little-endian words, the first half of the id first."""
    return raw[7::-1] + raw[:7:-1] if len(raw) == 16 else b""


def _time(to: Type) -> Encoder | None:
    """Whole units since 1970 out of nanoseconds, cut, and held at what the type can store."""
    if to.name == "DateTime" and len(to.arguments) <= 1:
        return NumberCodec("I"), lambda ns: min(ns // 1_000_000_000, 0xFFFF_FFFF)
    if to == Type("Int64"):
        return NumberCodec("q"), lambda ns: min(ns, MAX_TIME_NS)
    if to == Type("UInt64"):
        return NumberCodec("Q"), int
    if to.name == "DateTime64" and len(to.arguments) in (1, 2):
        places = to.arguments[0].name
        if len(places) == 1 and places.isdecimal():
            tick = 10 ** (9 - int(places))
            return NumberCodec("q"), lambda ns: min(ns, MAX_TIME_NS) // tick
    return None


def _integer(to: Type) -> Encoder | None:
    """A number that the type cannot hold becomes the nearest that it can."""
    if to == Type("Float64"):
        return NumberCodec("d"), float
    if to.name not in _INTEGERS or to.arguments:
        return None
    codec = NumberCodec(_INTEGERS[to.name])
    signed = to.name.startswith("I")
    bits = 8 * codec.width - signed
    low, high = -(1 << bits) if signed else 0, (1 << bits) - 1
    return codec, lambda value: max(low, min(int(value), high))


def _flag(to: Type) -> Encoder | None:
    if to == Type("Bool"):
        return NumberCodec("B"), int
    return None if to == Type("Float64") else _integer(to)


def _double(to: Type) -> Encoder | None:
    return (NumberCodec("d"), float) if to == Type("Float64") else None


_LEAVES: Mapping[Kind, Callable[[Type], Encoder | None]] = {
    Kind.TIME: _time,
    Kind.TRACE_ID: _trace_id,
    Kind.SPAN_ID: partial(_id, size=8),
    Kind.TEXT: _text,
    Kind.INTEGER: _integer,
    Kind.FLAG: _flag,
    Kind.DOUBLE: _double,
}
