"""Random export requests of all signals."""

import math
from typing import Any, TypeVar

from google.protobuf.message import Message
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1 import common_pb2 as common
from opentelemetry.proto.logs.v1 import logs_pb2
from opentelemetry.proto.metrics.v1 import metrics_pb2
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1 import trace_pb2

from headrace_writer.core.block import Signal

T = TypeVar("T")
M = TypeVar("M", bound=Message)

_WORDS = [
    "",
    "service.name",
    "a",
    "b",
    "http.route",
    "Ünïcode",
    "日本語",
    "😀",
    '\x00\x1f\x7f"\\/<&>',
]
_LINES = ["\u2028\u2029", "\ufffd", "x" * 127, "y" * 128, "long " * 60, "\b\f\n\r\t"]

texts = st.one_of(st.sampled_from(_WORDS + _LINES), st.text(max_size=12))
keys = st.one_of(st.sampled_from(_WORDS), st.text(max_size=4))
raw_bytes = st.binary(max_size=20)
doubles = st.one_of(
    st.sampled_from([0.0, -0.0, 1.0, 1e-6, 9.9e-7, 1e21, 9.9e20, 1e15, 5e-324, 1.7e308, 0.1]),
    st.sampled_from([math.nan, math.inf, -math.inf]),
    st.floats(),
)
int64s = st.one_of(
    st.sampled_from([0, 1, -1, 2**63 - 1, -(2**63), 2**53 + 1]),
    st.integers(-(2**63), 2**63 - 1),
)
uint64s = st.one_of(st.sampled_from([0, 1, 2**63, 2**64 - 1]), st.integers(0, 2**64 - 1))
uint32s = st.one_of(st.sampled_from([0, 1, 255, 256, 2**32 - 1]), st.integers(0, 2**32 - 1))
int32s = st.one_of(
    st.sampled_from([0, 1, 2, 3, 4, 5, 6, -1, 2**31 - 1, -(2**31)]),
    st.integers(-(2**31), 2**31 - 1),
)
times = st.one_of(
    st.sampled_from([0, 1, 10**9 - 1, 10**9, 2**63 - 1, 2**63, 2**64 - 1, (2**32) * 10**9]),
    st.integers(1_790_000_000_000_000_000, 1_790_000_001_000_000_000),
    uint64s,
)
trace_ids = st.one_of(
    st.binary(min_size=16, max_size=16), st.sampled_from([b"", bytes(16), bytes(8), b"short"])
)
span_ids = st.one_of(
    st.binary(min_size=8, max_size=8), st.sampled_from([b"", bytes(8), bytes(16), b"\xff" * 17])
)


def few(elements: st.SearchStrategy[T], most: int = 3) -> st.SearchStrategy[list[T]]:
    return st.lists(elements, max_size=most)


def some(elements: st.SearchStrategy[T], most: int = 3) -> st.SearchStrategy[list[T]]:
    """Seldom empty: what lies below must be reached often."""
    full = st.lists(elements, min_size=1, max_size=most)
    return st.one_of(full, full, full, st.just([]))


def whole(kind: type[M], /, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[M]:
    """Messages with all fields set."""
    return st.fixed_dictionaries(fields).map(lambda chosen: kind(**chosen))


def messages(kind: type[M], /, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[M]:
    """Messages of which each field may also be left out."""
    return st.fixed_dictionaries({}, optional=fields).map(lambda chosen: kind(**chosen))


def _array(items: list[common.AnyValue]) -> common.AnyValue:
    return common.AnyValue(array_value=common.ArrayValue(values=items))


def _map(items: list[tuple[str, common.AnyValue | None]]) -> common.AnyValue:
    pairs = [common.KeyValue(key=key, value=value) for key, value in items]
    return common.AnyValue(kvlist_value=common.KeyValueList(values=pairs))


_scalars = st.one_of(
    st.just(common.AnyValue()),
    texts.map(lambda v: common.AnyValue(string_value=v)),
    texts.map(lambda v: common.AnyValue(string_value=v)),
    st.booleans().map(lambda v: common.AnyValue(bool_value=v)),
    int64s.map(lambda v: common.AnyValue(int_value=v)),
    doubles.map(lambda v: common.AnyValue(double_value=v)),
    raw_bytes.map(lambda v: common.AnyValue(bytes_value=v)),
    int32s.map(lambda v: common.AnyValue(string_value_strindex=v)),
)

any_values = st.recursive(
    _scalars,
    lambda inner: st.one_of(
        few(inner).map(_array), few(st.tuples(keys, st.none() | inner)).map(_map)
    ),
    max_leaves=6,
)

attributes = few(messages(common.KeyValue, key=keys, value=any_values), 4)

resources = messages(Resource, attributes=attributes, dropped_attributes_count=uint32s)
scopes = messages(
    common.InstrumentationScope,
    name=texts,
    version=texts,
    attributes=attributes,
    dropped_attributes_count=uint32s,
)

_events = messages(trace_pb2.Span.Event, time_unix_nano=times, name=texts, attributes=attributes)
_links = messages(
    trace_pb2.Span.Link,
    trace_id=trace_ids,
    span_id=span_ids,
    trace_state=texts,
    attributes=attributes,
)
spans = messages(
    trace_pb2.Span,
    trace_id=trace_ids,
    span_id=span_ids,
    parent_span_id=span_ids,
    trace_state=texts,
    flags=uint32s,
    name=texts,
    kind=int32s,
    start_time_unix_nano=times,
    end_time_unix_nano=times,
    attributes=attributes,
    events=few(_events),
    links=few(_links),
    status=messages(trace_pb2.Status, message=texts, code=int32s),
)

records = messages(
    logs_pb2.LogRecord,
    time_unix_nano=times,
    observed_time_unix_nano=times,
    severity_number=int32s,
    severity_text=texts,
    body=any_values,
    attributes=attributes,
    flags=uint32s,
    trace_id=trace_ids,
    span_id=span_ids,
    event_name=texts,
)


def _with_number(kind: type[M], /, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[M]:
    """Messages with a oneof of as_int and as_double."""
    return st.one_of(
        messages(kind, **fields),
        messages(kind, **fields, as_int=int64s),
        messages(kind, **fields, as_double=doubles),
    )


_exemplars = few(
    _with_number(
        metrics_pb2.Exemplar,
        filtered_attributes=attributes,
        time_unix_nano=times,
        span_id=span_ids,
        trace_id=trace_ids,
    ),
    2,
)
_point: dict[str, st.SearchStrategy[Any]] = {
    "attributes": attributes,
    "start_time_unix_nano": times,
    "time_unix_nano": times,
    "flags": uint32s,
}
_statistics: dict[str, st.SearchStrategy[Any]] = {
    **_point,
    "count": uint64s,
    "sum": doubles,
    "exemplars": _exemplars,
}
_number_points = some(_with_number(metrics_pb2.NumberDataPoint, **_point, exemplars=_exemplars))
_buckets = messages(
    metrics_pb2.ExponentialHistogramDataPoint.Buckets,
    offset=int32s,
    bucket_counts=few(uint64s, 4),
)
_data: dict[str, st.SearchStrategy[Message]] = {
    "gauge": whole(metrics_pb2.Gauge, data_points=_number_points),
    "sum": whole(
        metrics_pb2.Sum,
        data_points=_number_points,
        aggregation_temporality=int32s,
        is_monotonic=st.booleans(),
    ),
    "histogram": whole(
        metrics_pb2.Histogram,
        data_points=some(
            messages(
                metrics_pb2.HistogramDataPoint,
                **_statistics,
                min=doubles,
                max=doubles,
                bucket_counts=few(uint64s, 4),
                explicit_bounds=few(doubles, 4),
            )
        ),
        aggregation_temporality=int32s,
    ),
    "exponential_histogram": whole(
        metrics_pb2.ExponentialHistogram,
        data_points=some(
            messages(
                metrics_pb2.ExponentialHistogramDataPoint,
                **_statistics,
                min=doubles,
                max=doubles,
                scale=int32s,
                zero_count=uint64s,
                zero_threshold=doubles,
                positive=_buckets,
                negative=_buckets,
            )
        ),
        aggregation_temporality=int32s,
    ),
    "summary": whole(
        metrics_pb2.Summary,
        data_points=some(
            messages(
                metrics_pb2.SummaryDataPoint,
                **_point,
                count=uint64s,
                sum=doubles,
                quantile_values=few(
                    messages(
                        metrics_pb2.SummaryDataPoint.ValueAtQuantile,
                        quantile=doubles,
                        value=doubles,
                    )
                ),
            )
        ),
    ),
}
_about: dict[str, st.SearchStrategy[Any]] = {
    "name": texts,
    "description": texts,
    "unit": texts,
    "metadata": attributes,
}
metrics = st.one_of(
    messages(metrics_pb2.Metric, **_about),
    *(whole(metrics_pb2.Metric, **_about, **{kind: data}) for kind, data in _data.items()),
)

trace_requests = whole(
    ExportTraceServiceRequest,
    resource_spans=some(
        whole(
            trace_pb2.ResourceSpans,
            resource=resources,
            schema_url=texts,
            scope_spans=some(
                whole(trace_pb2.ScopeSpans, scope=scopes, schema_url=texts, spans=some(spans))
            ),
        )
    ),
)
log_requests = whole(
    ExportLogsServiceRequest,
    resource_logs=some(
        whole(
            logs_pb2.ResourceLogs,
            resource=resources,
            schema_url=texts,
            scope_logs=some(
                whole(logs_pb2.ScopeLogs, scope=scopes, schema_url=texts, log_records=some(records))
            ),
        )
    ),
)
metric_requests = whole(
    ExportMetricsServiceRequest,
    resource_metrics=some(
        whole(
            metrics_pb2.ResourceMetrics,
            resource=resources,
            schema_url=texts,
            scope_metrics=some(
                whole(
                    metrics_pb2.ScopeMetrics, scope=scopes, schema_url=texts, metrics=some(metrics)
                )
            ),
        )
    ),
)

REQUESTS: dict[Signal, st.SearchStrategy[Message]] = {
    "traces": trace_requests,
    "logs": log_requests,
    "metrics": metric_requests,
}


def payloads(signal: Signal) -> st.SearchStrategy[list[bytes]]:
    """A few serialized export requests."""
    return some(REQUESTS[signal].map(lambda request: request.SerializeToString()))
