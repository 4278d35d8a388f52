"""What each table's columns mean: the kind of value behind every column name.

Names are those of the OpenTelemetry Collector's ClickHouse exporter v0.161. A test holds them
against the columns that the migrations create.
"""

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType

from headrace_writer.core.block import Signal

INGEST_ID = "IngestId"


class Kind(Enum):
    """A kind of value, with the types that it can fill, as error texts name them."""

    TIME = "DateTime64(0..9), DateTime, Int64, UInt64"
    TRACE_ID = "String, LowCardinality(String), FixedString(32), FixedString(16), UUID"
    SPAN_ID = "String, LowCardinality(String), FixedString(16), FixedString(8)"
    TEXT = "String, LowCardinality(String), FixedString(N)"
    INTEGER = "UInt8..UInt64, Int8..Int64, Float64"
    FLAG = "Bool, UInt8..UInt64, Int8..Int64"
    DOUBLE = "Float64"
    ATTRIBUTES = "Map(K, V) with K and V of String or LowCardinality(String)"
    INTEGERS = "Array(UInt8..UInt64), Array(Int8..Int64), Array(Float64)"
    DOUBLES = "Array(Float64)"


_TRACES = {
    "Timestamp": Kind.TIME,
    "TraceId": Kind.TRACE_ID,
    "SpanId": Kind.SPAN_ID,
    "ParentSpanId": Kind.SPAN_ID,
    "TraceState": Kind.TEXT,
    "SpanName": Kind.TEXT,
    "SpanKind": Kind.TEXT,
    "ServiceName": Kind.TEXT,
    "ResourceAttributes": Kind.ATTRIBUTES,
    "ScopeName": Kind.TEXT,
    "ScopeVersion": Kind.TEXT,
    "SpanAttributes": Kind.ATTRIBUTES,
    "Duration": Kind.INTEGER,
    "StatusCode": Kind.TEXT,
    "StatusMessage": Kind.TEXT,
    "Events.Timestamp": Kind.TIME,
    "Events.Name": Kind.TEXT,
    "Events.Attributes": Kind.ATTRIBUTES,
    "Links.TraceId": Kind.TRACE_ID,
    "Links.SpanId": Kind.SPAN_ID,
    "Links.TraceState": Kind.TEXT,
    "Links.Attributes": Kind.ATTRIBUTES,
    "Tenant": Kind.TEXT,
    "ContentAttributes": Kind.ATTRIBUTES,
}

_LOGS = {
    "Timestamp": Kind.TIME,
    "TraceId": Kind.TRACE_ID,
    "SpanId": Kind.SPAN_ID,
    "TraceFlags": Kind.INTEGER,
    "SeverityText": Kind.TEXT,
    "SeverityNumber": Kind.INTEGER,
    "ServiceName": Kind.TEXT,
    "Body": Kind.TEXT,
    "ResourceSchemaUrl": Kind.TEXT,
    "ResourceAttributes": Kind.ATTRIBUTES,
    "ScopeSchemaUrl": Kind.TEXT,
    "ScopeName": Kind.TEXT,
    "ScopeVersion": Kind.TEXT,
    "ScopeAttributes": Kind.ATTRIBUTES,
    "LogAttributes": Kind.ATTRIBUTES,
    "EventName": Kind.TEXT,
    "Tenant": Kind.TEXT,
    "ContentAttributes": Kind.ATTRIBUTES,
}

_METRICS = {
    "ResourceAttributes": Kind.ATTRIBUTES,
    "ResourceSchemaUrl": Kind.TEXT,
    "ScopeName": Kind.TEXT,
    "ScopeVersion": Kind.TEXT,
    "ScopeAttributes": Kind.ATTRIBUTES,
    "ScopeDroppedAttrCount": Kind.INTEGER,
    "ScopeSchemaUrl": Kind.TEXT,
    "ServiceName": Kind.TEXT,
    "MetricName": Kind.TEXT,
    "MetricDescription": Kind.TEXT,
    "MetricUnit": Kind.TEXT,
    "Attributes": Kind.ATTRIBUTES,
    "StartTimeUnix": Kind.TIME,
    "TimeUnix": Kind.TIME,
    "Flags": Kind.INTEGER,
    "Tenant": Kind.TEXT,
}

_EXEMPLARS = {
    "Exemplars.FilteredAttributes": Kind.ATTRIBUTES,
    "Exemplars.TimeUnix": Kind.TIME,
    "Exemplars.Value": Kind.DOUBLE,
    "Exemplars.SpanId": Kind.SPAN_ID,
    "Exemplars.TraceId": Kind.TRACE_ID,
}

_STATISTICS = {
    "Count": Kind.INTEGER,
    "Sum": Kind.DOUBLE,
    "Min": Kind.DOUBLE,
    "Max": Kind.DOUBLE,
    "AggregationTemporality": Kind.INTEGER,
}

FIELDS: Mapping[str, Mapping[str, Kind]] = MappingProxyType(
    {
        "otel_traces": _TRACES,
        "otel_logs": _LOGS,
        "otel_metrics_gauge": {**_METRICS, **_EXEMPLARS, "Value": Kind.DOUBLE},
        "otel_metrics_sum": {
            **_METRICS,
            **_EXEMPLARS,
            "Value": Kind.DOUBLE,
            "AggregationTemporality": Kind.INTEGER,
            "IsMonotonic": Kind.FLAG,
        },
        "otel_metrics_histogram": {
            **_METRICS,
            **_EXEMPLARS,
            **_STATISTICS,
            "BucketCounts": Kind.INTEGERS,
            "ExplicitBounds": Kind.DOUBLES,
        },
        "otel_metrics_exponential_histogram": {
            **_METRICS,
            **_EXEMPLARS,
            **_STATISTICS,
            "Scale": Kind.INTEGER,
            "ZeroCount": Kind.INTEGER,
            "PositiveOffset": Kind.INTEGER,
            "PositiveBucketCounts": Kind.INTEGERS,
            "NegativeOffset": Kind.INTEGER,
            "NegativeBucketCounts": Kind.INTEGERS,
        },
        "otel_metrics_summary": {
            **_METRICS,
            "Count": Kind.INTEGER,
            "Sum": Kind.DOUBLE,
            "ValueAtQuantiles.Quantile": Kind.DOUBLE,
            "ValueAtQuantiles.Value": Kind.DOUBLE,
        },
    }
)
"""Table → column → kind. A column with a dot belongs to a Nested group and holds arrays."""

TABLES: Mapping[Signal, tuple[str, ...]] = MappingProxyType(
    {
        "traces": ("otel_traces",),
        "logs": ("otel_logs",),
        "metrics": tuple(name for name in FIELDS if name.startswith("otel_metrics_")),
    }
)
