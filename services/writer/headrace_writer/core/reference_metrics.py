"""Export requests of metrics as rows: one dict per data point, in five tables.

Keys and values are as in `reference_rows`.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    Exemplar,
    ExponentialHistogram,
    ExponentialHistogramDataPoint,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    NumberDataPoint,
    Sum,
    Summary,
    SummaryDataPoint,
)

from headrace_writer.core.reference_routing import series_shard
from headrace_writer.core.reference_rows import (
    Fields,
    Row,
    columns,
    resource_fields,
    scope_fields,
)
from headrace_writer.core.reference_values import Attributes


def metric_rows(request: ExportMetricsServiceRequest, shards: int) -> Iterator[Row]:
    """Data points in the order of the message."""
    for resource_metrics in request.resource_metrics:
        resource = resource_fields(resource_metrics.resource, resource_metrics.schema_url)
        for scope_metrics in resource_metrics.scope_metrics:
            scope = scope_fields(scope_metrics.scope, scope_metrics.schema_url)
            for metric in scope_metrics.metrics:
                yield from _rows({**resource, **scope}, metric, shards)


def _rows(shared: Fields, metric: Metric, shards: int) -> Iterator[Row]:
    kind = metric.WhichOneof("data")
    if kind is None:
        return  # no kind, no points
    shape = _SHAPES[kind]
    data = getattr(metric, kind)
    shared = {
        **shared,
        "MetricName": metric.name.encode(),
        "MetricDescription": metric.description.encode(),
        "MetricUnit": metric.unit.encode(),
        **shape.metric_fields(data),
    }
    for point in data.data_points:
        attributes = Attributes(point.attributes)
        shard = series_shard(shared["ServiceName"], shared["MetricName"], attributes.pairs, shards)
        fields = {
            **shared,
            "Attributes": attributes,
            "StartTimeUnix": point.start_time_unix_nano,
            "TimeUnix": point.time_unix_nano,
            "Flags": point.flags,
            **shape.point_fields(point),
        }
        yield Row(shape.table, shard, point.time_unix_nano, fields)


def _nothing(_data: Gauge | Summary) -> Fields:
    return {}


def _sum(data: Sum) -> Fields:
    return {**_temporality(data), "IsMonotonic": data.is_monotonic}


def _temporality(data: Sum | Histogram | ExponentialHistogram) -> Fields:
    return {"AggregationTemporality": data.aggregation_temporality}


def _number(point: NumberDataPoint) -> Fields:
    return {"Value": _value(point), **_exemplars(point.exemplars)}


def _value(of: NumberDataPoint | Exemplar) -> float:
    """Both kinds of number are stored as Float64; none is 0."""
    return float(of.as_int) if of.WhichOneof("value") == "as_int" else of.as_double


def _statistics(point: HistogramDataPoint | ExponentialHistogramDataPoint) -> Fields:
    """Sum, minimum and maximum are 0 where the point has none."""
    return {
        "Count": point.count,
        "Sum": point.sum,
        "Min": point.min,
        "Max": point.max,
        **_exemplars(point.exemplars),
    }


def _histogram(point: HistogramDataPoint) -> Fields:
    return {
        **_statistics(point),
        "BucketCounts": list(point.bucket_counts),
        "ExplicitBounds": list(point.explicit_bounds),
    }


def _exponential(point: ExponentialHistogramDataPoint) -> Fields:
    return {
        **_statistics(point),
        "Scale": point.scale,
        "ZeroCount": point.zero_count,
        "PositiveOffset": point.positive.offset,
        "PositiveBucketCounts": list(point.positive.bucket_counts),
        "NegativeOffset": point.negative.offset,
        "NegativeBucketCounts": list(point.negative.bucket_counts),
    }


def _summary(point: SummaryDataPoint) -> Fields:
    quantiles = ({"Quantile": q.quantile, "Value": q.value} for q in point.quantile_values)
    return {
        "Count": point.count,
        "Sum": point.sum,
        **columns("ValueAtQuantiles", quantiles, ("Quantile", "Value")),
    }


def _exemplars(exemplars: Iterable[Exemplar]) -> Fields:
    return columns(
        "Exemplars",
        (
            {
                "FilteredAttributes": Attributes(exemplar.filtered_attributes),
                "TimeUnix": exemplar.time_unix_nano,
                "Value": _value(exemplar),
                "SpanId": exemplar.span_id,
                "TraceId": exemplar.trace_id,
            }
            for exemplar in exemplars
        ),
        ("FilteredAttributes", "TimeUnix", "Value", "SpanId", "TraceId"),
    )


class _Shape(NamedTuple):
    """What one kind of metric has of its own."""

    table: str
    metric_fields: Callable[[Any], Fields]
    point_fields: Callable[[Any], Fields]


_SHAPES = {
    "gauge": _Shape("otel_metrics_gauge", _nothing, _number),
    "sum": _Shape("otel_metrics_sum", _sum, _number),
    "histogram": _Shape("otel_metrics_histogram", _temporality, _histogram),
    "exponential_histogram": _Shape(
        "otel_metrics_exponential_histogram", _temporality, _exponential
    ),
    "summary": _Shape("otel_metrics_summary", _nothing, _summary),
}
