"""INSERT headers of the nine-column families as servers of both dialects would send them.

Written out here rather than imported from the schema, so that decoder tests do not follow a
mistake made there.
"""

from typing import Literal

Dialect = Literal["modern", "legacy"]
Header = list[tuple[str, str]]

_MAP = "Map(LowCardinality(String), String)"
_LOW = "LowCardinality(String)"
_TIME = "DateTime64(9)"

_TRACES: Header = [
    ("Timestamp", _TIME),
    ("TraceId", "String"),
    ("SpanId", "String"),
    ("ParentSpanId", "String"),
    ("TraceState", "String"),
    ("SpanName", _LOW),
    ("SpanKind", _LOW),
    ("ServiceName", _LOW),
    ("ResourceAttributes", _MAP),
    ("ScopeName", "String"),
    ("ScopeVersion", "String"),
    ("SpanAttributes", _MAP),
    ("Duration", "UInt64"),
    ("StatusCode", _LOW),
    ("StatusMessage", "String"),
    ("Events.Timestamp", f"Array({_TIME})"),
    ("Events.Name", f"Array({_LOW})"),
    ("Events.Attributes", f"Array({_MAP})"),
    ("Links.TraceId", "Array(String)"),
    ("Links.SpanId", "Array(String)"),
    ("Links.TraceState", "Array(String)"),
    ("Links.Attributes", f"Array({_MAP})"),
]

_LOGS: Header = [
    ("Timestamp", _TIME),
    ("TraceId", "String"),
    ("SpanId", "String"),
    ("TraceFlags", "UInt8"),
    ("SeverityText", _LOW),
    ("SeverityNumber", "UInt8"),
    ("ServiceName", _LOW),
    ("Body", "String"),
    ("ResourceSchemaUrl", _LOW),
    ("ResourceAttributes", _MAP),
    ("ScopeSchemaUrl", _LOW),
    ("ScopeName", "String"),
    ("ScopeVersion", _LOW),
    ("ScopeAttributes", _MAP),
    ("LogAttributes", _MAP),
    ("EventName", "String"),
]

_POINT: Header = [
    ("ResourceAttributes", _MAP),
    ("ResourceSchemaUrl", "String"),
    ("ScopeName", "String"),
    ("ScopeVersion", "String"),
    ("ScopeAttributes", _MAP),
    ("ScopeDroppedAttrCount", "UInt32"),
    ("ScopeSchemaUrl", "String"),
    ("ServiceName", _LOW),
    ("MetricName", _LOW),
    ("MetricDescription", "String"),
    ("MetricUnit", "String"),
    ("Attributes", _MAP),
    ("StartTimeUnix", _TIME),
    ("TimeUnix", _TIME),
]

_EXEMPLARS: Header = [
    ("Flags", "UInt32"),
    ("Exemplars.FilteredAttributes", f"Array({_MAP})"),
    ("Exemplars.TimeUnix", f"Array({_TIME})"),
    ("Exemplars.Value", "Array(Float64)"),
    ("Exemplars.SpanId", "Array(String)"),
    ("Exemplars.TraceId", "Array(String)"),
]

_RANGE: Header = [("Min", "Float64"), ("Max", "Float64"), ("AggregationTemporality", "Int32")]

_METRICS: dict[str, Header] = {
    "otel_metrics_gauge": [*_POINT, ("Value", "Float64"), *_EXEMPLARS],
    "otel_metrics_sum": [
        *_POINT,
        ("Value", "Float64"),
        *_EXEMPLARS,
        ("AggregationTemporality", "Int32"),
        ("IsMonotonic", "Bool"),
    ],
    "otel_metrics_histogram": [
        *_POINT,
        ("Count", "UInt64"),
        ("Sum", "Float64"),
        ("BucketCounts", "Array(UInt64)"),
        ("ExplicitBounds", "Array(Float64)"),
        *_EXEMPLARS,
        *_RANGE,
    ],
    "otel_metrics_exponential_histogram": [
        *_POINT,
        ("Count", "UInt64"),
        ("Sum", "Float64"),
        ("Scale", "Int32"),
        ("ZeroCount", "UInt64"),
        ("PositiveOffset", "Int32"),
        ("PositiveBucketCounts", "Array(UInt64)"),
        ("NegativeOffset", "Int32"),
        ("NegativeBucketCounts", "Array(UInt64)"),
        *_EXEMPLARS,
        *_RANGE,
    ],
    "otel_metrics_summary": [
        *_POINT,
        ("Count", "UInt64"),
        ("Sum", "Float64"),
        ("ValueAtQuantiles.Quantile", "Array(Float64)"),
        ("ValueAtQuantiles.Value", "Array(Float64)"),
        ("Flags", "UInt32"),
    ],
}

_TABLES: dict[str, dict[str, Header]] = {
    "traces": {"otel_traces": _TRACES},
    "logs": {"otel_logs": _LOGS},
    "metrics": _METRICS,
}


def _legacy(name: str, type_name: str) -> Header:
    if type_name == _MAP:
        return [(f"{name}.Key", f"Array({_LOW})"), (f"{name}.Value", "Array(String)")]
    if type_name == f"Array({_MAP})":
        return [(f"{name}{part}", "Array(Array(String))") for part in ("Key", "Value")]
    return [(name, type_name.replace(_TIME, "Int64").replace("Bool", "UInt8"))]


def layouts(signal: str, dialect: Dialect) -> dict[str, Header]:
    """Headers of a signal's tables by plain name, `IngestId` last."""
    tables = {}
    for table, header in _TABLES[signal].items():
        columns = header
        if dialect == "legacy":
            columns = [column for pair in header for column in _legacy(*pair)]
        tables[table] = [*columns, ("IngestId", "UInt64")]
    return tables
