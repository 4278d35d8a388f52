"""AnyValue (opentelemetry-proto common/v1) as the text that is stored.

The text is that of pdata's `Value.AsString`, which the Collector's ClickHouse exporter stores:
strings as they are, numbers as in ECMAScript, bytes in base64 (RFC 4648 section 4), arrays and
maps as JSON the way Go's encoding/json writes it without HTML escapes: keys sorted by their
bytes, the last of equal keys wins, no spaces, null for empty bytes. encoding/json refuses NaN
and infinities, and pdata ignores its error, so an array or map that holds one has no text.

What is nested deeper than 32 levels is the JSON string "<nested too deep>".
"""

import base64
import json
import math
from collections.abc import Callable, Iterable
from decimal import Decimal
from functools import cached_property

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from headrace_writer.core.reference_wire import MAX_DEPTH

TOO_DEEP = '"<nested too deep>"'


class _NotFiniteError(Exception):
    """JSON has no such number."""


def text(value: AnyValue) -> str:
    """The stored text of an attribute's value or a log's body."""
    kind = value.WhichOneof("value")
    if kind == "string_value":
        return value.string_value
    if kind == "double_value" and not math.isfinite(value.double_value):
        return {math.inf: "Infinity", -math.inf: "-Infinity"}.get(value.double_value, "NaN")
    if kind == "bytes_value":
        return base64.b64encode(value.bytes_value).decode()
    if kind in (None, "string_value_strindex"):
        return ""  # nothing, or an index into the string table that only profiles have
    try:
        return _json(value, 1)
    except _NotFiniteError:
        return ""


def double_text(value: float) -> str:
    """A finite double: the shortest digits that read back, exponents below 1e-6 and from 1e21.

    ECMA-262, Number::toString, but -0 keeps its sign, as Go has it.
    """
    if value == 0:
        return "-0" if math.copysign(1, value) < 0 else "0"
    if 1e-6 <= abs(value) < 1e21:
        plain = format(Decimal(repr(value)), "f")
        return plain.rstrip("0").rstrip(".") if "." in plain else plain
    digits, exponent = format(Decimal(repr(value)), "e").split("e")
    if "." in digits:
        digits = digits.rstrip("0").rstrip(".")
    return f"{digits}e{int(exponent):+d}"


def _json(value: AnyValue, depth: int) -> str:
    if depth > MAX_DEPTH:
        return TOO_DEEP
    match value.WhichOneof("value"):
        case "array_value":
            items = (_json(item, depth + 1) for item in value.array_value.values)
            return f"[{','.join(items)}]"
        case "kvlist_value":
            return _json_object(
                value.kvlist_value.values, lambda item: _json_member(item, depth + 1)
            )
        case kind:
            return _json_scalar(value, kind)


def _json_scalar(value: AnyValue, kind: str | None) -> str:
    match kind:
        case "string_value":
            return json_string(value.string_value)
        case "bool_value":
            return "true" if value.bool_value else "false"
        case "int_value":
            return str(value.int_value)
        case "double_value" if math.isfinite(value.double_value):
            return double_text(value.double_value)
        case "double_value":
            raise _NotFiniteError
        case "bytes_value" if value.bytes_value:
            return f'"{base64.b64encode(value.bytes_value).decode()}"'
    return "null"  # nothing set; no bytes, too, are nil to Go


def _json_object(items: Iterable[KeyValue], member: Callable[[KeyValue], str]) -> str:
    last = {item.key: item for item in items}
    # Sorting by code points is sorting by UTF-8 bytes.
    members = (f"{json_string(key)}:{member(last[key])}" for key in sorted(last))
    return f"{{{','.join(members)}}}"


def _json_member(item: KeyValue, depth: int) -> str:
    return _json(item.value, depth) if item.HasField("value") else "null"


def _json_attribute(item: KeyValue) -> str:
    """What JSON cannot hold is told as its text; its neighbours do not suffer."""
    try:
        return _json_member(item, 1)
    except _NotFiniteError:
        return json_string(text(item.value))


def json_string(value: str) -> str:
    """A JSON string with Go's escapes: also U+2028 and U+2029, line ends to JavaScript."""
    quoted = json.dumps(value, ensure_ascii=False)
    return quoted.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


class Attributes:
    """The attributes of one resource, scope, record, event, link or exemplar."""

    def __init__(self, items: Iterable[KeyValue]) -> None:
        self._items = items

    @classmethod
    def of(cls, pairs: Iterable[tuple[bytes, bytes]]) -> "Attributes":
        """Of texts, UTF-8."""
        return cls(
            [
                KeyValue(key=key.decode(), value=AnyValue(string_value=value.decode()))
                for key, value in pairs
            ]
        )

    @cached_property
    def pairs(self) -> list[tuple[bytes, bytes]]:
        """Keys and texts, UTF-8, in the order of the wire, equal keys kept."""
        return [(item.key.encode(), text(item.value).encode()) for item in self._items]

    @cached_property
    def json(self) -> bytes:
        """One JSON object, UTF-8, like the text of a map value with these members."""
        return _json_object(self._items, _json_attribute).encode()

    def first(self, key: bytes) -> bytes:
        """The text of the first attribute of that key; empty without one."""
        return next((value for found, value in self.pairs if found == key), b"")
