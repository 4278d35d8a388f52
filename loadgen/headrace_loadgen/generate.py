"""Export requests made by patching: serialized once, then only ids, times and sequence change.

A template's placeholders are random 8-byte marks. Their places in the serialized bytes are found
once; making a request is a copy and a few vectorised 8-byte stores per record.
"""

import random
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from headrace_loadgen import profiles
from headrace_loadgen.profiles import Profile

Signal = Literal["traces", "metrics", "logs"]
SIGNALS: tuple[Signal, ...] = ("traces", "metrics", "logs")

Places = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.uint64]

# A span id is 5 bytes of request number and 3 bytes of index.
INDEX_BITS = 24
# A metric value is an exact double below 2^53: 33 bits of request number, 20 of index.
POINT_INDEX_BITS = 20
TRACE_SPANS = 8
SPAN_NANOSECONDS = 350_000_000
# Templates differ in their attribute values; so many are cycled through.
VARIANTS = 4


@dataclass(frozen=True, slots=True)
class Request:
    """One export request, ready to send."""

    signal: Signal
    number: int
    records: int
    body: bytes


class Template:
    """A serialized request and where its marks are: one row of places per mark of a record."""

    def __init__(self, body: bytes, marks: list[bytes], per_record: int) -> None:
        self._body = np.frombuffer(body, dtype=np.uint8)
        self.records = len(marks) // per_record
        places = np.empty(len(marks), dtype=np.int64)
        by_bytes = {mark: number for number, mark in enumerate(marks)}
        at = 0
        found = 0
        # Marks appear in the order of the wire, which is not that of their numbers.
        while found < len(marks):
            at, number = _next_mark(body, at, by_bytes)
            places[number] = at
            at += 8
            found += 1
        self.places: list[Places] = [places[i::per_record] for i in range(per_record)]

    def patched(self, values: list[tuple[int, Numbers]]) -> bytes:
        """The bytes with each (mark, one number per record) stored little-endian."""
        buffer = self._body.copy()
        # Every byte offset as the start of an 8-byte number; x86 and ARM store unaligned.
        anywhere: npt.NDArray[np.uint64] = np.ndarray(
            (len(buffer) - 7,), dtype="<u8", buffer=buffer.data, strides=(1,)
        )
        for mark, numbers in values:
            anywhere[self.places[mark]] = numbers
        return buffer.tobytes()


def _next_mark(body: bytes, start: int, marks: dict[bytes, int]) -> tuple[int, int]:
    """The next mark at or after `start`. All marks begin with the same rare two bytes."""
    while True:
        at = body.index(MARK_HEAD, start)
        number = marks.get(body[at : at + 8])
        if number is not None:
            return at, number
        start = at + 1


# As the head of a little-endian double this is an ordinary number, not NaN.
MARK_HEAD = b"\xf7\xa9"


def make_marks(count: int, seed: int) -> list[bytes]:
    """Distinct 8-byte marks that are also finite doubles and times."""
    rng = random.Random(seed)
    return [
        MARK_HEAD + struct.pack("<I", number) + rng.randbytes(1) + b"\x41"
        for number in range(count)
    ]


_MAKE: dict[Signal, tuple[Callable[..., bytes], int]] = {
    "traces": (profiles.traces, 6),
    "metrics": (profiles.metrics, 2),
    "logs": (profiles.logs, 4),
}


class Generator:
    """Requests of one signal. Numbers count up from 1; each record knows (request, index)."""

    def __init__(
        self, signal: Signal, profile: Profile, service: str, records: int, seed: int
    ) -> None:
        make, per_record = _MAKE[signal]
        self.signal = signal
        self.records = records
        # By service, which is new in every run: traces of two runs must not run together.
        self._run = np.uint64(int.from_bytes(random.Random(service).randbytes(8), "little"))
        self._number = 0
        self._templates = []
        for variant in range(VARIANTS):
            marks = make_marks(records * per_record, seed + variant)
            body = make(profile, service, records, marks.__getitem__, seed + variant)
            self._templates.append(Template(body, marks, per_record))
        self._index: Numbers = np.arange(records, dtype=np.uint64)
        self._fill: Callable[[int, int], list[tuple[int, Numbers]]] = getattr(self, f"_{signal}")

    @property
    def bytes_per_record(self) -> float:
        """Serialized bytes, the request's shared part included."""
        return len(self._templates[0].patched([])) / self.records

    def next(self, now_ns: int | None = None) -> Request:
        """The next request, its records stamped with `now_ns` (default: now)."""
        self._number += 1
        now = time.time_ns() if now_ns is None else now_ns
        template = self._templates[self._number % VARIANTS]
        body = template.patched(self._fill(self._number, now))
        return Request(self.signal, self._number, self.records, body)

    def _span_ids(self, number: int) -> Numbers:
        ids: Any = (np.uint64(number << INDEX_BITS) + self._index).astype(">u8")
        return _as_stored(ids)

    def _trace_ids(self, number: int) -> Numbers:
        per_request = -(-self.records // TRACE_SPANS)
        first = np.uint64(number * per_request)
        return _as_stored((first + self._index // np.uint64(TRACE_SPANS)).astype(">u8"))

    def _traces(self, number: int, now: int) -> list[tuple[int, Numbers]]:
        span_ids = self._span_ids(number)
        heads = (self._index // np.uint64(TRACE_SPANS)) * np.uint64(TRACE_SPANS)
        parents = _as_stored((np.uint64(number << INDEX_BITS) + heads).astype(">u8"))
        roots = heads == self._index
        starts = np.uint64(now) - np.uint64(SPAN_NANOSECONDS) + self._index
        return [
            (0, np.full(self.records, self._run)),
            (1, self._trace_ids(number)),
            (2, span_ids),
            (3, np.where(roots, span_ids ^ np.uint64(1), parents)),
            (4, starts),
            (5, starts + np.uint64(SPAN_NANOSECONDS // 2)),
        ]

    def _metrics(self, number: int, now: int) -> list[tuple[int, Numbers]]:
        values = (np.uint64(number << POINT_INDEX_BITS) + self._index).astype(np.float64)
        return [
            (0, np.uint64(now) - self._index),
            (1, values.view(np.uint64)),
        ]

    def _logs(self, number: int, now: int) -> list[tuple[int, Numbers]]:
        return [
            (0, np.uint64(now) - self._index),
            (1, np.full(self.records, self._run)),
            (2, self._trace_ids(number)),
            (3, self._span_ids(number)),
        ]


def _as_stored(big_endian: Any) -> Numbers:
    """Numbers whose little-endian bytes are the given numbers' big-endian ones."""
    stored: Numbers = big_endian.view("<u8")
    return stored
