"""The tables and their columns, codecs, keys and indexes: the one source they are made from.

The migrations render their column lists from here, `check` compares a server's DESCRIBE with it.
Types are those of the modern dialect; `model` says what the legacy one makes of them.

The tables of telemetry are those of the OpenTelemetry Collector's ClickHouse exporter v0.161, so
that dashboards and queries made for it work. Two things differ: metric times keep their
nanoseconds (the exporter cuts them to DateTime), and each table that the writer fills ends in
IngestId (the number of the insert that brought the row), Environment and Tenant.
"""

from collections.abc import Mapping
from types import MappingProxyType

from headrace_schema import genai_tables, ledger_table
from headrace_schema.genai import CONTENT_COLUMN, CONTENT_SINCE, TENANTS
from headrace_schema.model import (
    ATTRIBUTES,
    DELTA,
    LABEL,
    STRING,
    TIME,
    Column,
    Dialect,
    Index,
    Table,
    described,
)

__all__ = [
    "TABLES",
    "TABLES_BY_SIGNAL",
    "VIEWS",
    "Column",
    "Dialect",
    "Table",
    "insert_layout",
    "tables_of",
    "views_of",
]


def _attribute_indexes(*prefixes: tuple[str, str]) -> tuple[Index, ...]:
    return tuple(
        Index(f"idx_{short}_{part}", f"{function}({column}) TYPE bloom_filter(0.01) GRANULARITY 1")
        for short, column in prefixes
        for part, function in (("key", "mapKeys"), ("value", "mapValues"))
    )


# The migration that changed codecs and indexes to what measured best (decisions 0009, 0010).
TUNED = 8
# Text that comes again: ZSTD from level 3 on finds it, level 1 often does not. A resource's
# attributes are the same over thousands of rows, which level 6 finds at no more CPU.
_REPEATED: tuple[tuple[int, str], ...] = ((TUNED, "ZSTD(3)"),)
_RESOURCE: tuple[tuple[int, str], ...] = ((TUNED, "ZSTD(6)"),)
# Numbers of a narrow range in no order: T64 cuts off the bits that none of them has.
_NARROW: tuple[tuple[int, str], ...] = ((TUNED, "T64, ZSTD(1)"),)
_BUCKETS: tuple[tuple[int, str], ...] = ((TUNED, "T64, ZSTD(3)"),)

INGEST_ID = Column("IngestId", "UInt64")
RESOURCE_ATTRIBUTES = Column("ResourceAttributes", ATTRIBUTES, recoded=_RESOURCE)
# Where the record was made: production, staging. The convention was renamed in 2024. Computed by
# the server as it stores a row; rows from before the column are computed as they are read.
ENVIRONMENT = Column(
    "Environment",
    LABEL,
    materialized="if(ResourceAttributes['deployment.environment.name'] != '', "
    "ResourceAttributes['deployment.environment.name'], "
    "ResourceAttributes['deployment.environment'])",
    since=9,
)
# Filled by the writer's settings tenant_attribute and tenant_header; else empty, and then it takes
# next to nothing.
TENANT = Column("Tenant", LABEL, since=10, modern=True)
_ADDED = (INGEST_ID, ENVIRONMENT, TENANT)
# Prompts, completions and the like, which the writer takes out of the record's other attributes, so
# that they can be kept for a shorter time (`retention_content`).
CONTENT_ATTRIBUTES = Column(CONTENT_COLUMN, ATTRIBUTES, "ZSTD(3)", since=CONTENT_SINCE)

TRACES = Table(
    name="otel_traces",
    columns=(
        Column("Timestamp", TIME, DELTA, recoded=_NARROW),
        Column("TraceId", STRING),
        Column("SpanId", STRING),
        Column("ParentSpanId", STRING),
        Column("TraceState", STRING),
        Column("SpanName", LABEL),
        Column("SpanKind", LABEL),
        Column("ServiceName", LABEL),
        RESOURCE_ATTRIBUTES,
        Column("ScopeName", STRING, recoded=_REPEATED),
        Column("ScopeVersion", STRING, recoded=_REPEATED),
        Column("SpanAttributes", ATTRIBUTES, recoded=_REPEATED),
        Column("Duration", "UInt64", recoded=_NARROW),
        Column("StatusCode", LABEL),
        Column("StatusMessage", STRING),
        Column(
            "Events",
            fields=(("Timestamp", TIME), ("Name", LABEL), ("Attributes", ATTRIBUTES)),
        ),
        Column(
            "Links",
            fields=(
                ("TraceId", STRING),
                ("SpanId", STRING),
                ("TraceState", STRING),
                ("Attributes", ATTRIBUTES),
            ),
        ),
        *_ADDED,
        CONTENT_ATTRIBUTES,
    ),
    kept_as="traces",
    time="Timestamp",
    order_by=("ServiceName", "SpanName", "toDateTime({Timestamp})"),
    indexes=(
        Index("idx_trace_id", "TraceId TYPE bloom_filter(0.001) GRANULARITY 1"),
        *_attribute_indexes(("res_attr", "ResourceAttributes"), ("span_attr", "SpanAttributes")),
        Index("idx_duration", "Duration TYPE minmax GRANULARITY 1"),
    ),
)

# Filled by a view from otel_traces: first and last second of each trace, per insert.
TRACE_ID_TS = Table(
    name="otel_traces_trace_id_ts",
    columns=(
        Column("TraceId", STRING),
        Column("Start", "DateTime", DELTA, recoded=_NARROW),
        Column("End", "DateTime", DELTA, recoded=_NARROW),
        Column("Tenant", LABEL, since=TENANTS, modern=True),
    ),
    kept_as="traces",
    time="Start",
    order_by=("TraceId", "Start"),
    # The exporter has it; but the primary key leads to the granule already (decision 0010).
    indexes=(
        Index("idx_trace_id", "TraceId TYPE bloom_filter(0.01) GRANULARITY 1", dropped=TUNED),
    ),
)

# Resource attributes that the exporter lifts into columns of their own.
_LIFTED = (
    "k8s.cluster.name",
    "k8s.container.name",
    "k8s.deployment.name",
    "k8s.namespace.name",
    "k8s.node.name",
    "k8s.pod.name",
    "k8s.pod.uid",
    "deployment.environment.name",
)

LOGS = Table(
    name="otel_logs",
    columns=(
        Column("Timestamp", TIME, DELTA),
        Column("TraceId", STRING),
        Column("SpanId", STRING),
        Column("TraceFlags", "UInt8", ""),
        Column("SeverityText", LABEL),
        Column("SeverityNumber", "UInt8", ""),
        Column("ServiceName", LABEL),
        Column("Body", STRING, recoded=_REPEATED),
        Column("ResourceSchemaUrl", LABEL),
        RESOURCE_ATTRIBUTES,
        Column("ScopeSchemaUrl", LABEL),
        Column("ScopeName", STRING, recoded=_REPEATED),
        Column("ScopeVersion", LABEL),
        Column("ScopeAttributes", ATTRIBUTES, recoded=_REPEATED),
        Column("LogAttributes", ATTRIBUTES, recoded=_REPEATED),
        Column("EventName", STRING),
        *(
            Column(
                f"__otel_materialized_{key}",
                LABEL,
                materialized=f"ResourceAttributes['{key}']",
            )
            for key in _LIFTED
        ),
        *_ADDED,
        CONTENT_ATTRIBUTES,
    ),
    kept_as="logs",
    time="Timestamp",
    order_by=("toStartOfFiveMinute({Timestamp})", "ServiceName", "Timestamp"),
    # The exporter takes text indexes from server 26.2 on; these serve every modern server.
    indexes=(
        Index("idx_trace_id", "TraceId TYPE bloom_filter(0.001) GRANULARITY 1"),
        *_attribute_indexes(
            ("res_attr", "ResourceAttributes"),
            ("scope_attr", "ScopeAttributes"),
            ("log_attr", "LogAttributes"),
        ),
        Index("idx_lower_body", "lower(Body) TYPE tokenbf_v1(32768, 3, 0) GRANULARITY 8"),
    ),
)

_METRIC_HEAD = (
    RESOURCE_ATTRIBUTES,
    Column("ResourceSchemaUrl", STRING, recoded=_REPEATED),
    Column("ScopeName", STRING, recoded=_REPEATED),
    Column("ScopeVersion", STRING, recoded=_REPEATED),
    Column("ScopeAttributes", ATTRIBUTES, recoded=_REPEATED),
    Column("ScopeDroppedAttrCount", "UInt32"),
    Column("ScopeSchemaUrl", STRING, recoded=_REPEATED),
    Column("ServiceName", LABEL),
    Column("MetricName", LABEL),
    Column("MetricDescription", STRING, recoded=_REPEATED),
    Column("MetricUnit", STRING, recoded=_REPEATED),
    Column("Attributes", ATTRIBUTES, recoded=_REPEATED),
    Column("StartTimeUnix", TIME, DELTA),
    Column("TimeUnix", TIME, DELTA),
)
_FLAGS = Column("Flags", "UInt32")
_EXEMPLARS = Column(
    "Exemplars",
    fields=(
        ("FilteredAttributes", ATTRIBUTES),
        ("TimeUnix", TIME),
        ("Value", "Float64"),
        ("SpanId", STRING),
        ("TraceId", STRING),
    ),
)
_TEMPORALITY = Column("AggregationTemporality", "Int32")


def _metric_table(kind: str, *columns: Column) -> Table:
    return Table(
        name=f"otel_metrics_{kind}",
        columns=(*_METRIC_HEAD, *columns, *_ADDED),
        kept_as="metrics",
        time="TimeUnix",
        order_by=(
            "ServiceName",
            "MetricName",
            "toStartOfHour({TimeUnix})",
            "cityHash64({Attributes})",
            "TimeUnix",
        ),
        indexes=(
            *_attribute_indexes(
                ("res_attr", "ResourceAttributes"),
                ("scope_attr", "ScopeAttributes"),
                ("attr", "Attributes"),
            ),
            Index("idx_time_minmax", "TimeUnix TYPE minmax GRANULARITY 1"),
        ),
    )


GAUGE = _metric_table("gauge", Column("Value", "Float64"), _FLAGS, _EXEMPLARS)
SUM = _metric_table(
    "sum",
    Column("Value", "Float64"),
    _FLAGS,
    _EXEMPLARS,
    _TEMPORALITY,
    Column("IsMonotonic", "Bool"),
)
HISTOGRAM = _metric_table(
    "histogram",
    Column("Count", "UInt64", DELTA),
    Column("Sum", "Float64"),
    Column("BucketCounts", "Array(UInt64)", recoded=_BUCKETS),
    Column("ExplicitBounds", "Array(Float64)", recoded=_REPEATED),
    _EXEMPLARS,
    _FLAGS,
    Column("Min", "Float64"),
    Column("Max", "Float64"),
    _TEMPORALITY,
)
EXPONENTIAL_HISTOGRAM = _metric_table(
    "exponential_histogram",
    Column("Count", "UInt64", DELTA),
    Column("Sum", "Float64"),
    Column("Scale", "Int32"),
    Column("ZeroCount", "UInt64"),
    Column("PositiveOffset", "Int32"),
    Column("PositiveBucketCounts", "Array(UInt64)", recoded=_BUCKETS),
    Column("NegativeOffset", "Int32"),
    Column("NegativeBucketCounts", "Array(UInt64)", recoded=_BUCKETS),
    _EXEMPLARS,
    _FLAGS,
    Column("Min", "Float64"),
    Column("Max", "Float64"),
    _TEMPORALITY,
)
SUMMARY = _metric_table(
    "summary",
    Column("Count", "UInt64", DELTA),
    Column("Sum", "Float64"),
    Column("ValueAtQuantiles", fields=(("Quantile", "Float64"), ("Value", "Float64"))),
    _FLAGS,
)

TABLES: Mapping[str, Table] = MappingProxyType(
    {
        table.name: table
        for table in (
            TRACES,
            TRACE_ID_TS,
            LOGS,
            GAUGE,
            SUM,
            HISTOGRAM,
            EXPONENTIAL_HISTOGRAM,
            SUMMARY,
            ledger_table.LEDGER,
            genai_tables.USAGE,
            genai_tables.PRICES,
            genai_tables.CONTENT,
        )
    }
)

TABLES_BY_SIGNAL: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "traces": (TRACES.name,),
        "metrics": tuple(
            table.name for table in (GAUGE, SUM, HISTOGRAM, EXPONENTIAL_HISTOGRAM, SUMMARY)
        ),
        "logs": (LOGS.name,),
    }
)
"""The tables that the writer inserts into, by signal. Views fill the others."""

# What views show. That over all metric kinds has NULL where a kind has no such thing.
VIEWS: Mapping[str, tuple[Column, ...]] = MappingProxyType(
    {
        "otel_metrics": (
            Column("Kind", STRING),
            Column("ServiceName", LABEL),
            Column("MetricName", LABEL),
            Column("MetricDescription", STRING),
            Column("MetricUnit", STRING),
            Column("ResourceAttributes", ATTRIBUTES),
            Column("ScopeName", STRING),
            Column("ScopeVersion", STRING),
            Column("Attributes", ATTRIBUTES),
            Column("StartTimeUnix", TIME),
            Column("TimeUnix", TIME),
            Column("Flags", "UInt32"),
            Column("Value", "Nullable(Float64)"),
            Column("Count", "Nullable(UInt64)"),
            Column("Sum", "Nullable(Float64)"),
            Column("Min", "Nullable(Float64)"),
            Column("Max", "Nullable(Float64)"),
            Column("AggregationTemporality", "Nullable(Int32)"),
            Column("IsMonotonic", "Nullable(Bool)"),
            Column("IngestId", "UInt64"),
            Column("Tenant", LABEL, since=TENANTS, modern=True),
        ),
        **genai_tables.VIEWS,
    }
)


def tables_of(dialect: Dialect) -> dict[str, Table]:
    """The tables of a dialect by name."""
    return {name: table for name, table in TABLES.items() if dialect in table.dialects}


def views_of(dialect: Dialect) -> dict[str, tuple[Column, ...]]:
    """The columns of a dialect's views by name."""
    return {**VIEWS, **(genai_tables.LEGACY_VIEWS if dialect == "legacy" else {})}


def insert_layout(table: str, dialect: Dialect) -> list[tuple[str, str]]:
    """(column, type) of the header that a server answers to INSERT INTO `table`, in order.

    `table` is a plain name of `TABLES`; another one raises KeyError.
    """
    lines = described(TABLES[table].columns, dialect)
    return [(name, kind) for name, kind, default in lines if not default]
