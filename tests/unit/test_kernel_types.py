"""The server's types decide the encoding; what a field cannot fill stops the start."""

from datetime import datetime
from typing import Any
from uuid import UUID

import pytest

from headrace_writer.core.block import Layout, Signal
from headrace_writer.core.decode import native_backend
from headrace_writer.errors import LayoutError
from support import builders as make
from support.native_read import read_block

BIG = (1 << 64) - 1


def column(signal: Signal, name: str, type_name: str, payload: bytes) -> list[Any]:
    """One column of a table that has no other."""
    table = {"traces": "otel_traces", "logs": "otel_logs"}[signal]
    builder = native_backend().builder(signal, {table: [(name, type_name)]}, 1, "none")
    assert builder.append_many([payload]) == []
    (block,) = builder.finish({target: 1 for target, _ in builder.pending()})
    return read_block(block.body)[name]


def spans(**fields: Any) -> bytes:
    return make.traces(make.span(**fields)).SerializeToString()


@pytest.mark.parametrize(
    ("type_name", "value"),
    [
        ("String", make.TRACE_ID.hex().encode()),
        ("LowCardinality(String)", make.TRACE_ID.hex().encode()),
        ("FixedString(32)", make.TRACE_ID.hex().encode()),
        ("FixedString(16)", make.TRACE_ID),
        ("UUID", UUID(bytes=make.TRACE_ID)),
    ],
)
def test_trace_ids(type_name: str, value: Any) -> None:
    assert column("traces", "TraceId", type_name, spans()) == [value]


@pytest.mark.parametrize(
    ("raw", "text", "fixed"),
    [
        (b"", b"", bytes(16)),
        (bytes(8), b"", bytes(16)),
        (b"\x01\x02\x03", b"010203", bytes(16)),
        (b"\xff" * 9, b"ff" * 9, bytes(16)),
    ],
)
def test_ids_of_other_lengths(raw: bytes, text: bytes, fixed: bytes) -> None:
    payload = spans(span_id=raw)
    assert column("traces", "SpanId", "String", payload) == [text]
    assert column("traces", "SpanId", "FixedString(16)", payload) == [fixed]


@pytest.mark.parametrize(
    ("type_name", "value"),
    [
        ("DateTime64(9)", datetime(2026, 9, 21, 14, 13, 20)),  # noqa: DTZ001
        ("DateTime64(3, 'UTC')", datetime(2026, 9, 21, 14, 13, 20)),  # noqa: DTZ001
        ("DateTime", datetime(2026, 9, 21, 14, 13, 20)),  # noqa: DTZ001
        ("Int64", make.T0),
        ("UInt64", make.T0),
    ],
)
def test_times(type_name: str, value: Any) -> None:
    (found,) = column("traces", "Timestamp", type_name, spans())
    assert getattr(found, "tzinfo", None) is None or type_name != "DateTime"
    assert (found.replace(tzinfo=None) if isinstance(found, datetime) else found) == value


@pytest.mark.parametrize("time", [0, 1 << 63, BIG])
def test_extreme_times(time: int) -> None:
    payload = spans(start_time_unix_nano=time)
    assert column("traces", "Timestamp", "UInt64", payload) == [time]
    assert column("traces", "Timestamp", "Int64", payload) == [min(time, (1 << 63) - 1)]


@pytest.mark.parametrize(
    ("type_name", "value"),
    [
        ("UInt8", 255),
        ("UInt16", 65_535),
        ("UInt32", (1 << 32) - 1),
        ("UInt64", BIG),
        ("Int8", 127),
        ("Int16", 32_767),
        ("Int32", (1 << 31) - 1),
        ("Int64", (1 << 63) - 1),
        ("Float64", float(BIG)),
    ],
)
def test_integers_saturate(type_name: str, value: float) -> None:
    payload = spans(start_time_unix_nano=0, end_time_unix_nano=BIG)
    assert column("traces", "Duration", type_name, payload) == [value]


def test_an_end_before_the_start_lasts_no_time() -> None:
    payload = spans(start_time_unix_nano=5, end_time_unix_nano=4)
    assert column("traces", "Duration", "UInt64", payload) == [0]


def test_fixed_strings_are_cut_and_padded() -> None:
    payload = make.traces(make.span("abcdef"), make.span("a")).SerializeToString()
    assert column("traces", "SpanName", "FixedString(4)", payload) == [b"abcd", b"a\0\0\0"]


@pytest.mark.parametrize("key", ["String", "LowCardinality(String)"])
@pytest.mark.parametrize("value", ["String", "LowCardinality(String)"])
def test_maps_of_any_text(key: str, value: str) -> None:
    payload = spans(attributes={"a": 1, "b": "x"})
    name = "SpanAttributes"
    assert column("traces", name, f"Map({key}, {value})", payload) == [{b"a": b"1", b"b": b"x"}]
    assert column("traces", f"{name}.Key", f"Array({key})", payload) == [[b"a", b"b"]]
    assert column("traces", f"{name}.Value", f"Array({value})", payload) == [[b"1", b"x"]]


def test_nested_attributes_as_json() -> None:
    events = [make.event(attributes={"b": 1, "a": [True]}), make.event()]
    found = column("traces", "Events.Attributes", "Array(String)", spans(events=events))
    assert found == [[b'{"a":[true],"b":1}', b"{}"]]


def test_more_keys_than_a_byte_numbers() -> None:
    bodies = [f"body {i % 300}" for i in range(700)]
    payload = make.logs(*map(make.log, bodies)).SerializeToString()
    found = column("logs", "Body", "LowCardinality(String)", payload)
    assert found == [body.encode() for body in bodies]


@pytest.mark.parametrize(
    ("signal", "layouts", "words"),
    [
        (
            "traces",
            {"otel_traces": [("Duration", "Nullable(UInt64)")]},
            ["otel_traces", "Duration", "Nullable(UInt64)", "UInt64"],
        ),
        ("traces", {"otel_traces": [("Colour", "String")]}, ["otel_traces", "Colour", "String"]),
        ("traces", {"otel_traces": [("Events.Name", "String")]}, ["Events.Name", "Array(String)"]),
        ("traces", {"otel_logs": []}, ["otel_logs", "otel_traces"]),
        ("metrics", {}, ["otel_metrics_gauge"]),
        ("logs", {"otel_logs": [("IngestId", "Int64")]}, ["IngestId", "Int64", "UInt64"]),
    ],
)
def test_layout_errors_name_everything(
    signal: Signal, layouts: dict[str, Layout], words: list[str]
) -> None:
    with pytest.raises(LayoutError) as caught:
        native_backend().builder(signal, layouts, 1)
    for word in words:
        assert word in str(caught.value)
