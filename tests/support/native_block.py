"""Where a plain (uncompressed) Native block ends: its columns walked by their types.

Follows ClickHouse's src/DataTypes/Serializations for revisions below 54454 (no custom
serialization flag). A column is its prefixes (LowCardinality versions, outermost first), then its
data.
"""

import re
from dataclasses import dataclass

from support.native_wire import Input, ReceivedBlock, Recording, WireError, read_block_info

_FIXED = {
    **dict.fromkeys(("UInt8", "Int8", "Bool", "Enum8", "Nothing"), 1),
    **dict.fromkeys(("UInt16", "Int16", "Date", "Enum16"), 2),
    **dict.fromkeys(("UInt32", "Int32", "Float32", "DateTime", "Date32", "IPv4"), 4),
    **dict.fromkeys(("UInt64", "Int64", "Float64", "DateTime64"), 8),
    **dict.fromkeys(("UInt128", "Int128", "UUID", "IPv6"), 16),
    **dict.fromkeys(("UInt256", "Int256"), 32),
}
_HAS_ADDITIONAL_KEYS = 1 << 9


@dataclass(frozen=True, slots=True)
class Kind:
    """A parsed type: `Array(String)` is Kind("Array", (Kind("String"),))."""

    name: str
    arguments: tuple["Kind", ...] = ()
    width: int = 0
    """Bytes per value; 0 for types without a fixed width."""


def read_plain_block(source: Input) -> ReceivedBlock:
    """One uncompressed block, BlockInfo included on the wire but not in the result."""
    read_block_info(source)
    recording = Recording(source)
    columns, rows = recording.varint(), recording.varint()
    for _ in range(columns):
        recording.string()
        kind = parse(recording.string())
        if rows:
            _skip_prefix(recording, kind)
            _skip_values(recording, kind, rows)
    return ReceivedBlock(columns, rows, bytes(recording.bytes), len(recording.bytes))


def parse(text: str) -> Kind:
    """Parse a type name. Raises WireError for a type that is not handled here."""
    match = re.fullmatch(r"(\w+)(?:\((.*)\))?", text.strip(), re.DOTALL)
    if match is None:
        msg = f"type {text!r}"
        raise WireError(msg)
    name, inside = match[1], match[2] or ""
    if name in _FIXED:
        return Kind(name, width=_FIXED[name])
    if name == "FixedString":
        return Kind(name, width=int(inside))
    if name in ("Array", "Map", "Tuple", "Nullable", "LowCardinality"):
        return Kind(name, tuple(parse(_without_name(part)) for part in _split(inside)))
    if name == "String":
        return Kind(name)
    msg = f"type {text!r} in a plain block: extend native_block, or send it compressed"
    raise WireError(msg)


def _split(inside: str) -> list[str]:
    """Split at the commas that are in no parentheses."""
    parts, depth, start = [], 0, 0
    for at, character in enumerate(inside):
        depth += (character == "(") - (character == ")")
        if character == "," and depth == 0:
            parts.append(inside[start:at])
            start = at + 1
    return [*parts, inside[start:]]


def _without_name(part: str) -> str:
    """A tuple's element may have a name before its type."""
    match = re.fullmatch(r"\s*[\w`.]+\s+(\w+(?:\(.*\))?)\s*", part, re.DOTALL)
    return match[1] if match else part


def _skip_prefix(source: Input, kind: Kind) -> None:
    if kind.name == "LowCardinality":
        source.read(8)
    else:
        for argument in kind.arguments:
            _skip_prefix(source, argument)


def _skip_values(source: Input, kind: Kind, rows: int) -> None:
    if rows == 0:
        return
    if kind.width:
        source.read(kind.width * rows)
    elif kind.name == "String":
        for _ in range(rows):
            source.raw_string()
    elif kind.name in ("Array", "Map"):
        total = int.from_bytes(source.read(8 * rows)[-8:], "little")
        for argument in kind.arguments:
            _skip_values(source, argument, total)
    elif kind.name == "Nullable":
        source.read(rows)
        _skip_values(source, kind.arguments[0], rows)
    elif kind.name == "Tuple":
        for argument in kind.arguments:
            _skip_values(source, argument, rows)
    else:
        _skip_low_cardinality(source, kind)


def _skip_low_cardinality(source: Input, kind: Kind) -> None:
    flags = source.integer(8)
    if flags & _HAS_ADDITIONAL_KEYS:
        keys = kind.arguments[0]
        # A dictionary of nullable values holds the values; key 0 stands for NULL.
        keys = keys.arguments[0] if keys.name == "Nullable" else keys
        _skip_values(source, keys, source.integer(8))
    index_bytes = 1 << (flags & 0xFF)
    source.read(source.integer(8) * index_bytes)
