"""Cases that fuzzing found or would hardly find: both decoders, side by side."""

import math
import random
import struct
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from headrace_writer.core.block import Layout, Signal
from support import builders as make
from support.decoders import KERNEL, REFERENCE, SIGNALS, assert_equal, decode, layouts_of
from support.mutations import BYTES, VARINT, nested_any, put_together, spoil, varint

from .strategies import REQUESTS

TRACES = layouts_of("traces", "modern")
LOGS = layouts_of("logs", "modern")


def log_payload(*records: bytes) -> bytes:
    """An export request around serialized log records."""
    scope = put_together([(2, BYTES, record) for record in records])
    return put_together([(1, BYTES, put_together([(2, BYTES, scope)]))])


def with_type(layout: Layout, column: str, kind: str) -> Layout:
    return [(name, kind if name == column else old) for name, old in layout]


def arrays(depth: int, leaf: bytes) -> bytes:
    """A serialized AnyValue of arrays in arrays; `leaf` is the one at `depth`."""
    for _ in range(depth - 1):
        leaf = put_together([(5, BYTES, put_together([(1, BYTES, leaf)]))])
    return leaf


def test_doubles_print_alike() -> None:
    """Shortest digits, nearest of them, ties to even; any bits, few bits, and decimal ones."""
    rng = random.Random(20260923)
    doubles = [2.50000762939453125, 5e-324, 2.2250738585072014e-308, 9007199254740993.0, 1e23]
    for _ in range(20_000):
        doubles.append(struct.unpack("<d", rng.randbytes(8))[0])
        doubles.append(struct.unpack("<f", rng.randbytes(4))[0])
        doubles.append(rng.randrange(1 << 40) / 1024)
        doubles.append(round(rng.uniform(-1e6, 1e6), rng.randrange(6)))
    finite = [double for double in doubles if math.isfinite(double)]
    record = make.log(finite, attributes={str(i): d for i, d in enumerate(doubles)})
    assert_equal("logs", LOGS, [make.logs(record).SerializeToString()])


@pytest.mark.parametrize("depth", [1, 31, 32, 33, 34, 50, 100, 1000])
@pytest.mark.parametrize("kind", [None, "Array(String)", "Array(Map(String, String))"])
def test_deep_values(depth: int, kind: str | None) -> None:
    layouts = dict(TRACES)
    if kind:
        layouts["otel_traces"] = with_type(TRACES["otel_traces"], "Events.Attributes", kind)
    rng = random.Random(depth)
    deep = put_together([(1, BYTES, b"deep"), (2, BYTES, nested_any(rng, depth))])
    event = put_together([(3, BYTES, deep)])
    span = put_together([(9, BYTES, deep), (11, BYTES, event)])
    scope = put_together([(2, BYTES, span)])
    payload = put_together([(1, BYTES, put_together([(2, BYTES, scope)]))])
    assert_equal("traces", layouts, [payload])


@pytest.mark.parametrize("depth", [1, 30, 31, 32, 33, 34, 35, 200])
def test_what_lies_too_deep_is_not_looked_into(depth: int) -> None:
    """Malformed bytes below the limit do not matter, be they kept or replaced by another member."""
    broken = arrays(depth, b"\x0a\x05x")
    for body in (broken, broken + b"\x0a\x01z", b"\x0a\x01z" + broken):
        payload = log_payload(put_together([(5, BYTES, body)]))
        result = assert_equal("logs", LOGS, [payload])
        assert result.rejections == ([(0, "malformed")] if depth <= 32 else [])


@pytest.mark.parametrize("value", [math.nan, math.inf, [math.nan], {"x": {"y": -math.inf}}])
def test_numbers_that_json_does_not_have(value: Any) -> None:
    attributes: make.Attributes = {"before": 1, "odd": value, "wrapped": [value], "after": 2}
    layouts = {
        "otel_traces": with_type(TRACES["otel_traces"], "Events.Attributes", "Array(String)")
    }
    request = make.traces(
        make.span(attributes=attributes, events=[make.event(attributes=attributes)])
    )
    assert_equal("traces", layouts, [request.SerializeToString()])


@pytest.mark.parametrize(
    "pieces",
    [
        [(5, BYTES, b"\x0a\x01a"), (5, BYTES, b"\x10\x01")],  # a body that comes twice
        [(5, BYTES, arrays(2, b"\x0a\x01a")), (5, BYTES, arrays(2, b"\x10\x01"))],
        [(5, BYTES, arrays(2, b"\x0a\x01a") + b"\x10\x01" + arrays(2, b"\x18\x05"))],
        [(3, BYTES, b"first"), (3, BYTES, b"last")],
        [(3, VARINT, 7)],  # a text as a number: unknown, passed over
        [(2, BYTES, b"\x09")],  # a number as a text
        [(2, VARINT, varint((1 << 64) - 1))],
        [(2, VARINT, b"\xff" * 9 + b"\x7f")],  # excess bits of the tenth byte
        [(2, VARINT, b"\xff" * 10 + b"\x01")],  # eleven bytes
        [(1 << 28, VARINT, 1)],
        [(0, VARINT, 1)],
        [(6, BYTES, put_together([(1, BYTES, b"k"), (1, BYTES, b"last")]))],
        [(6, BYTES, b"")],
        [(6, BYTES, put_together([(2, BYTES, b"\x40\x05")]))],  # an index of a string table
    ],
)
def test_odd_wire(pieces: Sequence[Any]) -> None:
    sound = make.log().SerializeToString()
    assert_equal("logs", LOGS, [log_payload(put_together(pieces), sound), log_payload(sound)])


@pytest.mark.parametrize("wire_type", [3, 4, 6, 7])
@pytest.mark.parametrize("number", [1, 2, 3, 99])
def test_groups_and_unknown_wire_types(wire_type: int, number: int) -> None:
    for payload in (
        varint(number << 3 | wire_type),
        varint(number << 3 | wire_type) + b"\x08\x01" + varint(number << 3 | 4),
        log_payload(varint(number << 3 | wire_type) + varint(number << 3 | 4)),
    ):
        assert assert_equal("logs", LOGS, [payload]).rejections == [(0, "malformed")]


@pytest.mark.parametrize("signal", SIGNALS)
@settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
@given(data=st.data(), seed=st.integers(0, 1 << 32))
def test_invalid_utf8_is_repaired_and_counted(signal: Signal, data: Any, seed: int) -> None:
    request = data.draw(REQUESTS[signal])
    payload = spoil(random.Random(seed), request.SerializeToString(), request.DESCRIPTOR, share=0.3)
    layouts = layouts_of(signal, "modern")
    result = assert_equal(signal, layouts, [payload])
    assert result.rejections == []
    assert decode(KERNEL, signal, layouts, [payload]).replaced_utf8 == result.replaced_utf8


def test_every_short_sequence_is_repaired_alike() -> None:
    """All lead bytes with edge continuations: Rust's and Python's U+FFFD must agree."""
    edges = (0x00, 0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xED, 0xF4, 0xFF)
    strings = [bytes([a, b, c, 0x80]) for a in range(0x80, 0x100) for b in edges for c in edges]
    pieces = [(5, BYTES, put_together([(1, BYTES, raw)])) for raw in strings]
    payload = log_payload(*[put_together([piece]) for piece in pieces])
    result = assert_equal("logs", LOGS, [payload])
    assert decode(KERNEL, "logs", LOGS, [payload]).replaced_utf8 == result.replaced_utf8


def test_a_small_message_that_expands() -> None:
    """A megabyte of resource attributes in each row: 240 rows fit in 256 MiB, 280 do not."""
    for rows, refused in ((240, []), (280, [(0, "too_large")])):
        request = make.traces(
            *[make.span() for _ in range(rows)], resource={"large": "x" * 1_000_000}
        )
        payload = request.SerializeToString()
        for backend in (KERNEL, REFERENCE):
            builder = backend.builder("traces", TRACES, 1)
            assert [(r.index, r.reason) for r in builder.append_many([payload])] == refused
            assert builder.rows == (0 if refused else rows)


def test_too_many_records() -> None:
    """The kernel at the true limit; the reference, with a small one, in its unit tests."""
    for rows, refused in ((500_000, []), (500_001, [(0, "too_many_records")])):
        scope = put_together([(2, BYTES, b"\x12\x00" * rows)])
        builder = KERNEL.builder("traces", TRACES, 2)
        rejections = builder.append_many([put_together([(1, BYTES, scope)])])
        assert [(r.index, r.reason) for r in rejections] == refused
        assert builder.rows == (0 if refused else rows)


def test_duplicate_keys_and_merged_maps() -> None:
    span = make.span()
    for key, value in (("b", 1), ("a", 2), ("b", [{"z": 1, "y": 2}]), ("service.name", "x")):
        span.attributes.append(KeyValue(key=key, value=make.any_value(value)))
    twice = AnyValue()
    for value in (1, 2):
        twice.kvlist_value.values.add(key="same", value=make.any_value(value))
    span.attributes.append(KeyValue(key="map", value=twice))
    request = make.traces(span, resource={})
    for value in ("first", "second"):
        request.resource_spans[0].resource.attributes.add(
            key="service.name", value=make.any_value(value)
        )
    payload = request.SerializeToString()
    # A resource in two parts is one resource.
    payload += ExportTraceServiceRequest().SerializeToString()
    for kind in ("Array(Map(LowCardinality(String), String))", "Array(String)"):
        layouts = {"otel_traces": with_type(TRACES["otel_traces"], "Events.Attributes", kind)}
        assert_equal("traces", layouts, [payload], shards=3)
