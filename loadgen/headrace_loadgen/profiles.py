"""What the load looks like: named shapes of spans, metric points and log records.

Each function returns a protobuf request whose identifying fields (ids, times, sequence values) hold
placeholders; `generate` finds their places in the serialized bytes and patches them per request.
"""

import random
import struct
from collections.abc import Callable
from dataclasses import dataclass

from google.protobuf.internal.containers import RepeatedCompositeFieldContainer
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import SeverityNumber
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

MODELS = (
    "gpt-5-mini",
    "gpt-5",
    "claude-sonnet-4-5",
    "claude-haiku-4-5",
    "llama-4-70b",
    "mistral-3",
)
ROUTES = ("/chat", "/summarize", "/extract", "/agent/plan", "/agent/act", "/search", "/embed")
TIERS = ("free", "pro", "team", "enterprise")
REGIONS = ("eu-central-1", "eu-west-1", "us-east-1", "us-west-2")

Marks = Callable[[int], bytes]
"""Bytes that no other part of the request holds, by number; `generate` searches for them."""


@dataclass(frozen=True, slots=True)
class Profile:
    """How many attributes a span has, and how long their values are."""

    name: str
    about: str
    span_attributes: int
    resource_attributes: int
    value_length: int
    """Characters of the attributes that fill up to the counts above."""
    distinct_values: int | None = None
    """So many values of each filling attribute; each its own where None."""


PROFILES = {
    profile.name: profile
    for profile in (
        Profile("genai", "LLM calls: 10 span and 5 resource attributes, about 390 bytes", 10, 5, 8),
        Profile("small", "3 span and 2 resource attributes, about 160 bytes", 3, 2, 6),
        Profile("wide", "40 span and 15 resource attributes, about 1,650 bytes", 40, 15, 24),
    )
}


Attributes = RepeatedCompositeFieldContainer[KeyValue]
Scalar = str | int | float | bool


def put(attributes: Attributes, key: str, value: Scalar) -> None:
    """Append one attribute to a repeated field."""
    entry = attributes.add()
    entry.key = key
    if isinstance(value, bool):
        entry.value.bool_value = value
    elif isinstance(value, int):
        entry.value.int_value = value
    elif isinstance(value, float):
        entry.value.double_value = value
    else:
        entry.value.string_value = value


def _resource(resource: Resource, profile: Profile, service: str, rng: random.Random) -> None:
    values: dict[str, str | int] = {
        "service.name": service,
        "deployment.environment.name": "production",
        "service.version": "4.2.1",
        "cloud.region": rng.choice(REGIONS),
        "host.name": f"node-{rng.randrange(40):02d}",
    }
    for number in range(len(values), profile.resource_attributes):
        values[f"k8s.label.{number:02d}"] = _word(rng, profile.value_length)
    for key in list(values)[: profile.resource_attributes]:
        put(resource.attributes, key, values[key])


def _value(rng: random.Random, profile: Profile) -> str:
    if profile.distinct_values is None:
        return _word(rng, profile.value_length)
    return f"{rng.randrange(profile.distinct_values):0{profile.value_length}d}"


def _word(rng: random.Random, length: int) -> str:
    return "".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=length))


def traces(profile: Profile, service: str, count: int, marks: Marks, seed: int) -> bytes:
    """A trace request of `count` spans in traces of eight. Marks per span: trace id (16 bytes,
    two marks), span id, parent id, start, end."""
    rng = random.Random(seed)
    request = ExportTraceServiceRequest()
    resource_spans = request.resource_spans.add()
    _resource(resource_spans.resource, profile, service, rng)
    scope_spans = resource_spans.scope_spans.add()
    scope_spans.scope.name = "agent.llm"
    scope_spans.scope.version = "1.7.0"
    for number in range(count):
        span = scope_spans.spans.add()
        mark = number * 6
        span.trace_id = marks(mark) + marks(mark + 1)
        span.span_id = marks(mark + 2)
        span.parent_span_id = marks(mark + 3)
        span.start_time_unix_nano = int.from_bytes(marks(mark + 4), "little")
        span.end_time_unix_nano = int.from_bytes(marks(mark + 5), "little")
        span.name = "llm.call"
        span.kind = Span.SPAN_KIND_CLIENT
        failed = rng.random() < 0.02
        span.status.code = Status.STATUS_CODE_ERROR if failed else Status.STATUS_CODE_OK
        _span_attributes(span, profile, rng)
    return request.SerializeToString()


def _span_attributes(span: Span, profile: Profile, rng: random.Random) -> None:
    values: list[tuple[str, Scalar]] = [
        ("gen_ai.request.model", rng.choice(MODELS)),
        ("route", rng.choice(ROUTES)),
        ("customer_tier", rng.choice(TIERS)),
        ("gen_ai.usage.input_tokens", rng.randrange(40, 8_000)),
        ("gen_ai.usage.output_tokens", rng.randrange(1, 2_000)),
        ("gen_ai.operation.name", "chat"),
        ("gen_ai.provider.name", "openai"),
        ("agent.success", rng.random() > 0.02),
        ("agent.response_latency_ms", round(rng.lognormvariate(6.5, 0.6), 2)),
        ("session.id", f"s-{rng.randrange(20_000):05d}"),
    ]
    for number in range(len(values), profile.span_attributes):
        values.append((f"app.tag.{number:02d}", _value(rng, profile)))
    for key, value in values[: profile.span_attributes]:
        put(span.attributes, key, value)


def metrics(profile: Profile, service: str, count: int, marks: Marks, seed: int) -> bytes:
    """A metrics request of `count` points: of ten, four gauges, four sums, two histograms; each
    hundredth an exponential histogram, each hundred-first a summary. Marks per point: time,
    sequence (a double: Value, or Sum)."""
    rng = random.Random(seed)
    request = ExportMetricsServiceRequest()
    resource_metrics = request.resource_metrics.add()
    _resource(resource_metrics.resource, profile, service, rng)
    scope_metrics = resource_metrics.scope_metrics.add()
    scope_metrics.scope.name = "agent.metrics"
    open_metrics: dict[str, Metric] = {}
    for number in range(count):
        kind = _metric_kind(number)
        metric = open_metrics.get(kind)
        if metric is None:
            metric = open_metrics[kind] = scope_metrics.metrics.add()
            metric.name = f"agent.{kind}"
            metric.unit = "ms"
            metric.description = f"An agent's {kind}."
        _add_point(metric, kind, marks(number * 2), marks(number * 2 + 1), rng)
    return request.SerializeToString()


def _metric_kind(number: int) -> str:
    if number % 101 == 99:
        return "exponential_histogram"
    if number % 101 == 100:
        return "summary"
    tenth = number % 10
    return "gauge" if tenth < 4 else "sum" if tenth < 8 else "histogram"


def _add_point(metric: Metric, kind: str, time: bytes, sequence: bytes, rng: random.Random) -> None:
    data = getattr(metric, kind)
    if kind in ("sum", "histogram", "exponential_histogram"):
        data.aggregation_temporality = 2
    if kind == "sum":
        data.is_monotonic = True
    point = data.data_points.add()
    point.time_unix_nano = int.from_bytes(time, "little")
    value = _as_double(sequence)
    if kind in ("gauge", "sum"):
        point.as_double = value
    else:
        point.sum = value
        point.count = 12
    if kind == "histogram":
        point.explicit_bounds.extend((50, 100, 250, 500, 1000, 2500))
        point.bucket_counts.extend((1, 2, 3, 3, 2, 1, 0))
    elif kind == "exponential_histogram":
        point.scale = 3
        point.positive.offset = 40
        point.positive.bucket_counts.extend((2, 4, 4, 2))
    elif kind == "summary":
        for quantile in (0.5, 0.99):
            at = point.quantile_values.add()
            at.quantile, at.value = quantile, 120.0
    put(point.attributes, "gen_ai.request.model", rng.choice(MODELS))
    put(point.attributes, "route", rng.choice(ROUTES))
    put(point.attributes, "customer_tier", rng.choice(TIERS))


def _as_double(mark: bytes) -> float:
    value: float = struct.unpack("<d", mark)[0]
    return value


def logs(profile: Profile, service: str, count: int, marks: Marks, seed: int) -> bytes:
    """A logs request of `count` records. Marks per record: time, trace id (two), span id."""
    rng = random.Random(seed)
    request = ExportLogsServiceRequest()
    resource_logs = request.resource_logs.add()
    _resource(resource_logs.resource, profile, service, rng)
    scope_logs = resource_logs.scope_logs.add()
    scope_logs.scope.name = "agent.log"
    for number in range(count):
        record = scope_logs.log_records.add()
        mark = number * 4
        record.time_unix_nano = int.from_bytes(marks(mark), "little")
        record.trace_id = marks(mark + 1) + marks(mark + 2)
        record.span_id = marks(mark + 3)
        failed = rng.random() < 0.03
        record.severity_number = SeverityNumber.Value(
            "SEVERITY_NUMBER_ERROR" if failed else "SEVERITY_NUMBER_INFO"
        )
        record.severity_text = "ERROR" if failed else "INFO"
        record.body.string_value = (
            f"call to {rng.choice(MODELS)} {'failed: rate limited' if failed else 'answered'} "
            f"on {rng.choice(ROUTES)}"
        )
        put(record.attributes, "route", rng.choice(ROUTES))
        put(record.attributes, "customer_tier", rng.choice(TIERS))
        put(record.attributes, "attempt", rng.randrange(1, 4))
    return request.SerializeToString()
