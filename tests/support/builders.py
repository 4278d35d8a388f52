"""Small OTLP export requests for tests: say what matters, the rest has quiet defaults.

request = traces(span(name="GET /", attributes={"http.status": 200}), resource={"a": 1})
payload = request.SerializeToString()
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    AGGREGATION_TEMPORALITY_CUMULATIVE,
    AGGREGATION_TEMPORALITY_DELTA,
    Exemplar,
    ExponentialHistogramDataPoint,
    HistogramDataPoint,
    Metric,
    NumberDataPoint,
    SummaryDataPoint,
)
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

# 21 September 2026, 14:13:20 UTC.
T0 = 1_790_000_000_000_000_000
SECOND = 1_000_000_000
TRACE_ID = bytes.fromhex("0af7651916cd43dd8448eb211c80319c")
SPAN_ID = bytes.fromhex("b7ad6b7169203331")

# Whatever JSON has, and bytes; None is an AnyValue in which nothing is set.
Value = str | bool | int | float | bytes | Sequence[Any] | Mapping[str, Any] | None
Attributes = Mapping[str, Value]

SERVICE: Attributes = {"service.name": "checkout"}
SCOPE = InstrumentationScope(name="tests", version="1.0")


def any_value(value: Value) -> AnyValue:
    """A Python value as an AnyValue of its own type."""
    out = AnyValue()
    match value:
        case None:
            pass
        case bool():
            out.bool_value = value
        case int():
            out.int_value = value
        case float():
            out.double_value = value
        case str():
            out.string_value = value
        case bytes():
            out.bytes_value = value
        case Mapping():
            out.kvlist_value.SetInParent()
            out.kvlist_value.values.extend(key_values(value))
        case _:
            out.array_value.SetInParent()
            out.array_value.values.extend(map(any_value, value))
    return out


def key_values(attributes: Attributes) -> list[KeyValue]:
    return [KeyValue(key=key, value=any_value(value)) for key, value in attributes.items()]


def nested(depth: int, leaf: Value = "leaf") -> AnyValue:
    """Arrays inside arrays; the leaf is at `depth`, counted from 1."""
    value = any_value(leaf)
    for _ in range(depth - 1):
        outer = AnyValue()
        outer.array_value.values.append(value)
        value = outer
    return value


def span(name: str = "work", *, attributes: Attributes | None = None, **fields: Any) -> Span:
    """A span of one second; `fields` are those of the proto."""
    defaults: dict[str, Any] = {
        "trace_id": TRACE_ID,
        "span_id": SPAN_ID,
        "kind": Span.SPAN_KIND_SERVER,
        "start_time_unix_nano": T0,
        "end_time_unix_nano": T0 + SECOND,
        "status": Status(code=Status.STATUS_CODE_OK),
    }
    return Span(name=name, attributes=key_values(attributes or {}), **{**defaults, **fields})


def event(
    name: str = "retry", *, attributes: Attributes | None = None, **fields: Any
) -> Span.Event:
    defaults: dict[str, Any] = {"time_unix_nano": T0 + 1}
    return Span.Event(name=name, attributes=key_values(attributes or {}), **{**defaults, **fields})


def link(*, attributes: Attributes | None = None, **fields: Any) -> Span.Link:
    defaults: dict[str, Any] = {"trace_id": TRACE_ID, "span_id": SPAN_ID}
    return Span.Link(attributes=key_values(attributes or {}), **{**defaults, **fields})


def log(body: Value = "hello", *, attributes: Attributes | None = None, **fields: Any) -> LogRecord:
    defaults: dict[str, Any] = {
        "time_unix_nano": T0,
        "severity_number": 9,
        "severity_text": "INFO",
        "trace_id": TRACE_ID,
        "span_id": SPAN_ID,
    }
    return LogRecord(
        body=any_value(body), attributes=key_values(attributes or {}), **{**defaults, **fields}
    )


def _point_fields(attributes: Attributes | None, fields: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "attributes": key_values(attributes or {}),
        "start_time_unix_nano": T0,
        "time_unix_nano": T0 + SECOND,
        **fields,
    }


def number_point(
    value: float = 1.5, *, attributes: Attributes | None = None, **fields: Any
) -> NumberDataPoint:
    """A point whose value is an int or a double, as `value` is."""
    kind = "as_int" if isinstance(value, int) else "as_double"
    return NumberDataPoint(**_point_fields(attributes, {kind: value, **fields}))


def exemplar(
    value: float = 1.5, *, attributes: Attributes | None = None, **fields: Any
) -> Exemplar:
    kind = "as_int" if isinstance(value, int) else "as_double"
    defaults: dict[str, Any] = {
        "time_unix_nano": T0 + 5,
        "trace_id": TRACE_ID,
        "span_id": SPAN_ID,
        kind: value,
    }
    return Exemplar(filtered_attributes=key_values(attributes or {}), **{**defaults, **fields})


def gauge(*points: NumberDataPoint, name: str = "queue.depth", **fields: Any) -> Metric:
    metric = Metric(name=name, **fields)
    metric.gauge.data_points.extend(points or [number_point()])
    return metric


def counter(
    *points: NumberDataPoint, name: str = "requests", monotonic: bool = True, **fields: Any
) -> Metric:
    metric = Metric(name=name, **fields)
    metric.sum.aggregation_temporality = AGGREGATION_TEMPORALITY_CUMULATIVE
    metric.sum.is_monotonic = monotonic
    metric.sum.data_points.extend(points or [number_point(1)])
    return metric


def histogram_point(
    counts: Sequence[int] = (1, 2, 0),
    bounds: Sequence[float] = (0.5, 1.0),
    *,
    attributes: Attributes | None = None,
    **fields: Any,
) -> HistogramDataPoint:
    defaults: dict[str, Any] = {"count": sum(counts), "sum": 2.25, "min": 0.25, "max": 1.0}
    return HistogramDataPoint(
        bucket_counts=counts,
        explicit_bounds=bounds,
        **_point_fields(attributes, {**defaults, **fields}),
    )


def histogram(*points: HistogramDataPoint, name: str = "latency", **fields: Any) -> Metric:
    metric = Metric(name=name, unit="ms", **fields)
    metric.histogram.aggregation_temporality = AGGREGATION_TEMPORALITY_DELTA
    metric.histogram.data_points.extend(points or [histogram_point()])
    return metric


def exponential_point(
    *, attributes: Attributes | None = None, **fields: Any
) -> ExponentialHistogramDataPoint:
    buckets = ExponentialHistogramDataPoint.Buckets
    defaults: dict[str, Any] = {
        "count": 7,
        "sum": 20.5,
        "scale": -1,
        "zero_count": 1,
        "positive": buckets(offset=-2, bucket_counts=[1, 2]),
        "negative": buckets(offset=3, bucket_counts=[3]),
        "min": -8.0,
        "max": 9.5,
    }
    return ExponentialHistogramDataPoint(**_point_fields(attributes, {**defaults, **fields}))


def exponential_histogram(
    *points: ExponentialHistogramDataPoint, name: str = "size", **fields: Any
) -> Metric:
    metric = Metric(name=name, **fields)
    metric.exponential_histogram.aggregation_temporality = AGGREGATION_TEMPORALITY_CUMULATIVE
    metric.exponential_histogram.data_points.extend(points or [exponential_point()])
    return metric


def summary_point(
    quantiles: Mapping[float, float] | None = None,
    *,
    attributes: Attributes | None = None,
    **fields: Any,
) -> SummaryDataPoint:
    values = {0.5: 1.0, 0.99: 4.0} if quantiles is None else quantiles
    defaults: dict[str, Any] = {"count": 4, "sum": 7.0}
    return SummaryDataPoint(
        quantile_values=[
            SummaryDataPoint.ValueAtQuantile(quantile=q, value=v) for q, v in values.items()
        ],
        **_point_fields(attributes, {**defaults, **fields}),
    )


def summary(*points: SummaryDataPoint, name: str = "rpc", **fields: Any) -> Metric:
    metric = Metric(name=name, **fields)
    metric.summary.data_points.extend(points or [summary_point()])
    return metric


def traces(
    *spans: Span, resource: Attributes = SERVICE, scope: InstrumentationScope = SCOPE
) -> ExportTraceServiceRequest:
    """All spans in one scope of one resource."""
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add(resource=_resource(resource))
    group.scope_spans.add(scope=scope, spans=spans)
    return request


def logs(
    *records: LogRecord, resource: Attributes = SERVICE, scope: InstrumentationScope = SCOPE
) -> ExportLogsServiceRequest:
    """All records in one scope of one resource."""
    request = ExportLogsServiceRequest()
    group = request.resource_logs.add(resource=_resource(resource))
    group.scope_logs.add(scope=scope, log_records=records)
    return request


def metrics(
    *metrics: Metric, resource: Attributes = SERVICE, scope: InstrumentationScope = SCOPE
) -> ExportMetricsServiceRequest:
    """All metrics in one scope of one resource."""
    request = ExportMetricsServiceRequest()
    group = request.resource_metrics.add(resource=_resource(resource))
    group.scope_metrics.add(scope=scope, metrics=metrics)
    return request


def every_metric() -> Iterable[Metric]:
    """One small metric of each kind, each with an exemplar where the kind has them."""
    example = exemplar(3, attributes={"user": "ada"})
    return (
        gauge(number_point(0.5, exemplars=[example])),
        counter(number_point(7, exemplars=[example])),
        histogram(histogram_point(exemplars=[example])),
        exponential_histogram(exponential_point(exemplars=[example])),
        summary(),
    )


def _resource(attributes: Attributes) -> Resource:
    return Resource(attributes=key_values(attributes))
