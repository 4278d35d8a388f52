"""The reference as a block builder: layouts, types, limits, state."""

import struct
from collections.abc import Mapping
from typing import Any

import pytest

from headrace_schema.columns import TABLES_BY_SIGNAL, Dialect, insert_layout
from headrace_writer.core.block import Layout, Signal, Target
from headrace_writer.core.decode_reference import Limits, ReferenceBackend, ReferenceBuilder
from headrace_writer.core.reference_fields import FIELDS, TABLES
from headrace_writer.core.reference_types import Type, parse_type
from headrace_writer.errors import LayoutError
from support import builders as make
from support.builders import SPAN_ID, T0, TRACE_ID
from support.native_frames import decompress
from support.native_read import read_block

TRACE_TARGET = Target("otel_traces", 0)
MAX = 2**64 - 1


def layouts_of(signal: Signal, dialect: Dialect) -> dict[str, Layout]:
    return {table: insert_layout(table, dialect) for table in TABLES_BY_SIGNAL[signal]}


MODERN = layouts_of("traces", "modern")


def stored(signal: Signal, table: str, column: tuple[str, str], payload: bytes) -> list[Any]:
    """What one column shows of a payload, as clickhouse-driver reads it."""
    layouts: dict[str, Layout] = {name: [("IngestId", "UInt64")] for name in TABLES[signal]}
    builder = ReferenceBuilder(signal, {**layouts, table: [column]}, 1, "none")
    assert builder.append_many([payload]) == []
    blocks = builder.finish({target: 1 for target, _ in builder.pending()})
    (block,) = [block for block in blocks if block.target.table == table]
    return read_block(block.body)[column[0]]


def span_column(name: str, kind: str, *spans: Any) -> list[Any]:
    payload = make.traces(*spans).SerializeToString()
    return stored("traces", "otel_traces", (name, kind), payload)


@pytest.mark.parametrize("dialect", ["modern", "legacy"])
def test_every_column_of_the_schema_is_known(dialect: Dialect) -> None:
    for signal, tables in TABLES.items():
        assert set(tables) == set(TABLES_BY_SIGNAL[signal])
        ReferenceBuilder(signal, layouts_of(signal, dialect), 1)
    for table, fields in FIELDS.items():
        modern = [name for name, _ in insert_layout(table, "modern")]
        assert {*fields, "IngestId"} == set(modern)


@pytest.mark.parametrize(
    ("kind", "times", "want"),
    [
        ("Int64", (0, T0, 2**63, MAX), [0, T0, 2**63 - 1, 2**63 - 1]),
        ("UInt64", (0, MAX), [0, MAX]),
    ],
)
def test_times(kind: str, times: tuple[int, ...], want: list[int]) -> None:
    spans = [make.span(start_time_unix_nano=time) for time in times]
    assert span_column("Timestamp", kind, *spans) == want


@pytest.mark.parametrize(
    ("kind", "letter", "want"),
    [
        ("DateTime64(9)", "q", [0, 1_999_999_999, 2**63 - 1]),
        ("DateTime64(3, 'UTC')", "q", [0, 1999, (2**63 - 1) // 10**6]),
        ("DateTime64(0)", "q", [0, 1, (2**63 - 1) // 10**9]),
        ("DateTime", "I", [0, 1, 2**32 - 1]),
        ("DateTime('UTC')", "I", [0, 1, 2**32 - 1]),
    ],
)
def test_times_as_ticks(kind: str, letter: str, want: list[int]) -> None:
    """Raw, because the driver makes datetimes, which end with the year 9999."""
    builder = ReferenceBuilder("traces", {"otel_traces": [("Timestamp", kind)]}, 1, "none")
    spans = [make.span(start_time_unix_nano=time) for time in (0, 1_999_999_999, MAX)]
    builder.append_many([make.traces(*spans).SerializeToString()])
    (block,) = builder.finish({TRACE_TARGET: 0})
    assert block.body.endswith(struct.pack(f"<3{letter}", *want))
    assert (block.min_time_ns, block.max_time_ns) == (0, 2**63 - 1)


@pytest.mark.parametrize(
    ("kind", "want"),
    [
        ("String", [TRACE_ID.hex().encode(), b"", b"", b"ab"]),
        ("LowCardinality(String)", [TRACE_ID.hex().encode(), b"", b"", b"ab"]),
        ("FixedString(32)", [TRACE_ID.hex().encode(), *[bytes(32)] * 3]),
        ("FixedString(16)", [TRACE_ID, *[bytes(16)] * 3]),
    ],
)
def test_trace_ids(kind: str, want: list[bytes]) -> None:
    spans = [make.span(trace_id=raw) for raw in (TRACE_ID, b"", bytes(16), b"\xab")]
    assert span_column("TraceId", kind, *spans) == want


def test_trace_ids_as_uuid() -> None:
    first, none = span_column("TraceId", "UUID", make.span(), make.span(trace_id=b"\xab"))
    assert first.bytes == TRACE_ID
    assert none.int == 0


@pytest.mark.parametrize(
    ("kind", "want"),
    [
        ("FixedString(16)", [SPAN_ID.hex().encode(), bytes(16)]),
        ("FixedString(8)", [SPAN_ID, bytes(8)]),
    ],
)
def test_span_ids(kind: str, want: list[bytes]) -> None:
    assert span_column("SpanId", kind, make.span(), make.span(span_id=b"\xab" * 9)) == want


def test_texts_of_fixed_length() -> None:
    spans = [make.span(name) for name in ("", "abc", "abcdef")]
    assert span_column("SpanName", "FixedString(4)", *spans) == [bytes(4), b"abc\0", b"abcd"]


@pytest.mark.parametrize(
    ("kind", "want"),
    [
        ("UInt8", [0, 255]),
        ("Int8", [0, 127]),
        ("Int16", [0, 2**15 - 1]),
        ("UInt32", [0, 2**32 - 1]),
        ("Int64", [0, 2**63 - 1]),
        ("Float64", [0.0, 2.0**64]),
    ],
)
def test_integers_are_held_at_the_ends(kind: str, want: list[float]) -> None:
    spans = [make.span(start_time_unix_nano=0, end_time_unix_nano=end) for end in (0, MAX)]
    assert span_column("Duration", kind, *spans) == want


@pytest.mark.parametrize(("kind", "want"), [("Int8", -128), ("UInt64", 0), ("Int32", -(2**31))])
def test_negative_integers(kind: str, want: int) -> None:
    point = make.exponential_point(scale=-(2**31))
    payload = make.metrics(make.exponential_histogram(point)).SerializeToString()
    table = "otel_metrics_exponential_histogram"
    assert stored("metrics", table, ("Scale", kind), payload) == [want]


@pytest.mark.parametrize("kind", ["Bool", "UInt8", "Int64"])
def test_flags(kind: str) -> None:
    metrics = make.metrics(make.counter(monotonic=True), make.counter(monotonic=False))
    payload = metrics.SerializeToString()
    assert stored("metrics", "otel_metrics_sum", ("IsMonotonic", kind), payload) == [1, 0]


@pytest.mark.parametrize(
    ("column", "want"),
    [
        (("SpanAttributes", "Map(String, LowCardinality(String))"), [{b"a": b"1", b"b": b"x"}, {}]),
        (("SpanAttributes.Key", "Array(LowCardinality(String))"), [[b"a", b"b"], []]),
        (("SpanAttributes.Value", "Array(String)"), [[b"1", b"x"], []]),
        (("Events.Attributes", "Array(Map(String, String))"), [[{b"n": b"2"}, {}], []]),
        (("Events.AttributesKey", "Array(Array(String))"), [[[b"n"], []], []]),
        (("Events.AttributesValue", "Array(Array(LowCardinality(String)))"), [[[b"2"], []], []]),
        (("Events.Attributes", "Array(String)"), [[b'{"n":2}', b"{}"], []]),
    ],
)
def test_attributes(column: tuple[str, str], want: list[Any]) -> None:
    spans = [
        make.span(
            attributes={"a": 1, "b": "x"}, events=[make.event(attributes={"n": 2}), make.event()]
        ),
        make.span(),
    ]
    assert span_column(*column, *spans) == want


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ([("Colour", "String")], ["otel_traces", "Colour", "SpanName"]),
        ([("SpanName", "Nullable(String)")], ["SpanName", "Nullable(String)", "FixedString(N)"]),
        ([("Timestamp", "Date")], ["Timestamp", "Date", "DateTime64(0..9)"]),
        ([("SpanId", "UUID")], ["SpanId", "FixedString(8)"]),
        ([("Events.Name", "String")], ["Events.Name", "Array of String"]),
        ([("SpanAttributes", "JSON")], ["SpanAttributes", "JSON", "Map(K, V)"]),
        ([("IngestId", "String")], ["IngestId", "UInt64"]),
        ([("SpanName", "String")] * 2, ["SpanName", "twice"]),
    ],
)
def test_layout_errors_name_all_sides(columns: Layout, words: list[str]) -> None:
    with pytest.raises(LayoutError) as caught:
        ReferenceBackend().builder("traces", {"otel_traces": columns}, 1)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("layouts", [{}, {**MODERN, "otel_logs": []}])
def test_a_signal_has_all_its_tables_and_no_other(layouts: Mapping[str, Layout]) -> None:
    with pytest.raises(LayoutError, match=r"table otel_"):
        ReferenceBuilder("traces", layouts, 1)


def test_type_names() -> None:
    assert parse_type(" Map( LowCardinality(String),UInt8 ) ") == Type(
        "Map", (Type("LowCardinality", (Type("String"),)), Type("UInt8"))
    )
    assert str(parse_type("DateTime64(9, 'Etc/GMT+1')")) == "DateTime64(9, 'Etc/GMT+1')"
    assert parse_type("Array(String") == Type("Array(String")


def test_a_bad_payload_disturbs_nothing() -> None:
    good = make.traces(make.span("good")).SerializeToString()
    half = make.traces(make.span("bad", attributes={"k": "v"})).SerializeToString() + b"\x0a\x05"
    builder = ReferenceBuilder("traces", MODERN, 1, "none")
    rejections = builder.append_many([good, half, good])
    assert [(r.index, r.reason) for r in rejections] == [(1, "malformed")]
    alone = ReferenceBuilder("traces", MODERN, 1, "none")
    alone.append_many([good, good])
    assert builder.nbytes == alone.nbytes > 0
    assert builder.finish({TRACE_TARGET: 3}) == alone.finish({TRACE_TARGET: 3})


def test_limits() -> None:
    payload = make.traces(make.span(), make.span(), make.span()).SerializeToString()
    small = make.traces(make.span()).SerializeToString()
    assert Limits() == (500_000, 256 * 1024 * 1024)
    for limits, reason in ((Limits(rows=2), "too_many_records"), (Limits(bytes=400), "too_large")):
        builder = ReferenceBuilder("traces", MODERN, 1, limits=limits)
        rejections = builder.append_many([payload, small])
        assert [(r.index, r.reason) for r in rejections] == [(0, reason)]
        assert builder.rows == 1
    assert ReferenceBuilder("traces", MODERN, 1, limits=Limits(rows=3)).append_many([payload]) == []


def test_rejected_repairs_do_not_count() -> None:
    bad = make.traces(make.span("\ufffd")).SerializeToString().replace(b"\xef\xbf\xbd", b"abc")
    bad = bad.replace(b"abc", b"a\xffc")
    builder = ReferenceBuilder("traces", MODERN, 1)
    builder.append_many([bad, bad + b"\x0a"])
    assert builder.replaced_utf8 == 1
    builder.finish({TRACE_TARGET: 1})
    assert builder.replaced_utf8 == 1


def test_finish_needs_every_id_and_keeps_rows_without() -> None:
    builder = ReferenceBuilder("metrics", layouts_of("metrics", "modern"), 2)
    builder.append_many([make.metrics(*make.every_metric()).SerializeToString()])
    targets = [target for target, _ in builder.pending()]
    assert targets == sorted(targets)
    with pytest.raises(KeyError):
        builder.finish({targets[0]: 1})
    assert builder.rows == 5
    blocks = builder.finish({target: i for i, target in enumerate(targets)})
    assert [block.target for block in blocks] == targets
    assert [block.ingest_id for block in blocks] == list(range(5))
    assert (builder.rows, builder.nbytes, builder.pending(), builder.finish({})) == (0, 0, [], [])


def test_blocks_are_compressed_by_default() -> None:
    plain, packed = (
        ReferenceBackend().builder("traces", MODERN, 1, *mode) for mode in (("none",), ())
    )
    for builder in (plain, packed):
        builder.append_many([make.traces(make.span()).SerializeToString()])
    (bare,), (framed,) = (b.finish({TRACE_TARGET: MAX}) for b in (plain, packed))
    assert decompress(framed.body) == bare.body
    assert framed.raw_bytes == bare.raw_bytes == len(bare.body)
    assert read_block(bare.body)["IngestId"] == [MAX]
