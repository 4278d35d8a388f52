"""The records of a serialized request, counted from 0 in their order, and requests of some of them.

Only bytes are moved: a request of records [first, end) has each of their containers' other fields
as they came, so a decoder gives the rows that it gives for the whole, no more and no less. Shapes
are those of opentelemetry-proto 1.10.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from headrace_writer.core.block import Signal

# Field numbers from the request down to its records. Metric.data is a oneof of five.
_RESOURCES, _SCOPES, _RECORDS = frozenset({1}), frozenset({2}), frozenset({2})
_DATA, _POINTS = frozenset({5, 7, 9, 10, 11}), frozenset({1})
_PATHS: Mapping[Signal, tuple[frozenset[int], ...]] = {
    "traces": (_RESOURCES, _SCOPES, _RECORDS),
    "logs": (_RESOURCES, _SCOPES, _RECORDS),
    "metrics": (_RESOURCES, _SCOPES, _RECORDS, _DATA, _POINTS),
}
_BYTES = 2
_SIZES = {1: 8, 5: 4}


@dataclass(slots=True)
class _Run:
    """Records that stand one behind the other."""

    first: int
    """Number of the first one."""
    places: list[int]
    """Where each begins, with its tag, and where the last one ends."""

    @property
    def end(self) -> int:
        return self.first + len(self.places) - 1


@dataclass(slots=True)
class _Element:
    """A message on the way to records."""

    tag: bytes
    first: int
    end: int = 0
    """Records [first, end) are in it."""
    member: bool = False
    """Of a oneof: even without records it may take the place of another."""
    fields: list["_Element | _Run | tuple[int, int]"] = field(default_factory=list)
    """In their order; others than records and their containers as [start, end) of the payload."""


class RequestRecords:
    """The records of one serialized request that a decoder has taken, as spans, log records or
    data points."""

    def __init__(self, signal: Signal, payload: bytes) -> None:
        self._payload = payload
        self._root = _Element(b"", 0)
        _read(payload, (0, len(payload)), _PATHS[signal], self._root)

    def __len__(self) -> int:
        return self._root.end

    def request(self, first: int, end: int) -> bytes:
        """The serialized request of records [first, end)."""
        return b"".join(_written(self._root, self._payload, first, end))


def _read(
    payload: bytes, place: tuple[int, int], path: tuple[frozenset[int], ...], into: _Element
) -> None:
    """Finds the fields of the message at `place`. `path`: from here down to the records."""
    at, stop = place
    wanted, below = path[0], path[1:]
    number = into.first
    while at < stop:
        begin = at
        tag, at = _varint(payload, at)
        kind = tag & 7
        if kind != _BYTES:
            at = at + _SIZES[kind] if kind in _SIZES else _varint(payload, at)[1]
            into.fields.append((begin, at))
            continue
        behind_tag = at
        size, start = _varint(payload, at)
        at = start + size
        if tag >> 3 not in wanted:
            into.fields.append((begin, at))
        elif below:
            element = _Element(payload[begin:behind_tag], number, member=wanted is _DATA)
            _read(payload, (start, at), below, element)
            number = element.end
            into.fields.append(element)
        else:
            last = into.fields[-1] if into.fields else None
            if isinstance(last, _Run):
                last.places.append(at)
            else:
                into.fields.append(_Run(number, [begin, at]))
            number += 1
    into.end = number


def _written(element: _Element, payload: bytes, first: int, end: int) -> Iterator[bytes]:
    """An element's fields, less the records that are not in [first, end) and what is empty then."""
    for one in element.fields:
        if isinstance(one, tuple):
            yield payload[one[0] : one[1]]
        elif isinstance(one, _Run):
            low, high = max(first, one.first), min(end, one.end)
            if low < high:
                yield payload[one.places[low - one.first] : one.places[high - one.first]]
        elif one.member or max(first, one.first) < min(end, one.end):
            inner = b"".join(_written(one, payload, first, end))
            yield one.tag + _varint_bytes(len(inner)) + inner


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A number, and the place behind it."""
    byte = data[at]
    if byte < 0x80:
        return byte, at + 1
    value, shift = byte & 0x7F, 7
    while True:
        at += 1
        byte = data[at]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at + 1
        shift += 7


def _varint_bytes(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
