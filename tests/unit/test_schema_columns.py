"""Columns: both dialects hold the same fields, and the layouts are what servers show."""

import pytest

from headrace_schema.columns import (
    TABLES,
    TABLES_BY_SIGNAL,
    insert_layout,
    tables_of,
    views_of,
)
from headrace_schema.model import Column, Dialect, described, flattened, legacy_type

DIALECTS: tuple[Dialect, ...] = ("modern", "legacy")
WRITTEN = [table for tables in TABLES_BY_SIGNAL.values() for table in tables]


def test_signals_fill_all_tables_but_those_of_views_and_our_own() -> None:
    of_views = {"otel_traces_trace_id_ts", "genai_usage_1m", "genai_content"}
    assert set(TABLES) - set(WRITTEN) == {*of_views, "otel_ingest_ledger", "genai_prices"}
    assert len(WRITTEN) == len(set(WRITTEN))


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("table", WRITTEN)
def test_each_written_table_ends_in_the_ingest_id(table: str, dialect: Dialect) -> None:
    last = [("IngestId", "UInt64"), ("Tenant", "LowCardinality(String)")]
    # Contents came later.
    layout = [line for line in insert_layout(table, dialect) if "Content" not in line[0]]
    assert layout[-2:] == last if dialect == "modern" else layout[-1:] == last[:1]


@pytest.mark.parametrize("table", TABLES)
def test_legacy_has_no_type_that_came_later(table: str) -> None:
    for name, kind in insert_layout(table, "legacy"):
        assert not any(word in kind for word in ("Map(", "DateTime64", "Bool", "Nested")), name


@pytest.mark.parametrize("table", TABLES)
def test_modern_flattens_nested_and_keeps_times_exact(table: str) -> None:
    layout = dict(insert_layout(table, "modern"))
    assert not any("Nested" in kind for kind in layout.values())
    if table in WRITTEN:
        time = TABLES[table].time
        assert layout[time] == "DateTime64(9)"


def test_a_span_in_the_legacy_dialect() -> None:
    assert insert_layout("otel_traces", "legacy") == [
        ("Timestamp", "Int64"),
        ("TraceId", "String"),
        ("SpanId", "String"),
        ("ParentSpanId", "String"),
        ("TraceState", "String"),
        ("SpanName", "LowCardinality(String)"),
        ("SpanKind", "LowCardinality(String)"),
        ("ServiceName", "LowCardinality(String)"),
        ("ResourceAttributes.Key", "Array(LowCardinality(String))"),
        ("ResourceAttributes.Value", "Array(String)"),
        ("ScopeName", "String"),
        ("ScopeVersion", "String"),
        ("SpanAttributes.Key", "Array(LowCardinality(String))"),
        ("SpanAttributes.Value", "Array(String)"),
        ("Duration", "UInt64"),
        ("StatusCode", "LowCardinality(String)"),
        ("StatusMessage", "String"),
        ("Events.Timestamp", "Array(Int64)"),
        ("Events.Name", "Array(LowCardinality(String))"),
        ("Events.AttributesKey", "Array(Array(String))"),
        ("Events.AttributesValue", "Array(Array(String))"),
        ("Links.TraceId", "Array(String)"),
        ("Links.SpanId", "Array(String)"),
        ("Links.TraceState", "Array(String)"),
        ("Links.AttributesKey", "Array(Array(String))"),
        ("Links.AttributesValue", "Array(Array(String))"),
        ("IngestId", "UInt64"),
        ("ContentAttributes.Key", "Array(LowCardinality(String))"),
        ("ContentAttributes.Value", "Array(String)"),
    ]


def test_a_number_point_in_the_modern_dialect() -> None:
    layout = insert_layout("otel_metrics_sum", "modern")
    assert layout[12:] == [
        ("StartTimeUnix", "DateTime64(9)"),
        ("TimeUnix", "DateTime64(9)"),
        ("Value", "Float64"),
        ("Flags", "UInt32"),
        ("Exemplars.FilteredAttributes", "Array(Map(LowCardinality(String), String))"),
        ("Exemplars.TimeUnix", "Array(DateTime64(9))"),
        ("Exemplars.Value", "Array(Float64)"),
        ("Exemplars.SpanId", "Array(String)"),
        ("Exemplars.TraceId", "Array(String)"),
        ("AggregationTemporality", "Int32"),
        ("IsMonotonic", "Bool"),
        ("IngestId", "UInt64"),
        ("Tenant", "LowCardinality(String)"),
    ]


def test_what_the_server_computes_is_in_no_header() -> None:
    lines = described(TABLES["otel_logs"].columns, "modern")
    computed = [name for name, _, default in lines if default == "MATERIALIZED"]
    assert len(computed) == 9
    assert not set(computed) & {name for name, _ in insert_layout("otel_logs", "modern")}
    assert all(not default for _, _, default in described(TABLES["otel_logs"].columns, "legacy"))


@pytest.mark.parametrize("dialect", DIALECTS)
def test_no_column_appears_twice(dialect: Dialect) -> None:
    tables = {name: table.columns for name, table in tables_of(dialect).items()}
    groups = tables | views_of(dialect)
    for columns in groups.values():
        names = [name for name, _, _ in described(columns, dialect)]
        assert len(names) == len(set(names))


def test_types_are_mapped_wherever_they_stand() -> None:
    assert legacy_type("Nullable(Bool)") == "Nullable(UInt8)"
    assert legacy_type("Array(DateTime64(9))") == "Array(Int64)"
    assert legacy_type("DateTime") == "DateTime"


def test_nested_parts_become_arrays() -> None:
    column = Column("N", fields=(("A", "Bool"), ("B", "Map(LowCardinality(String), String)")))
    assert flattened(column, "modern") == [
        ("N.A", "Array(Bool)"),
        ("N.B", "Array(Map(LowCardinality(String), String))"),
    ]
    assert flattened(column, "legacy") == [
        ("N.A", "Array(UInt8)"),
        ("N.BKey", "Array(Array(String))"),
        ("N.BValue", "Array(Array(String))"),
    ]
