"""Export requests of realistic shape, made once with the OpenTelemetry protos."""

import random

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope, KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import AGGREGATION_TEMPORALITY_CUMULATIVE
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

START_NS = 1_790_000_000_000_000_000
SCOPE = InstrumentationScope(name="agent.instrumentation", version="1.4.0")

_MODELS = ("gpt-4o-mini", "claude-sonnet-4", "llama-3.3-70b", "mistral-large")
_ROUTES = ("/v1/chat", "/v1/search", "/v1/agents/run", "/v1/summarize")
_TIERS = ("free", "pro", "enterprise")
_OPERATIONS = ("llm.call", "retrieve", "tool.execute", "rerank", "guardrail.check")


def attribute(key: str, value: str | float | bool) -> KeyValue:
    """One attribute of the value's own type."""
    pair = KeyValue(key=key)
    if isinstance(value, bool):
        pair.value.bool_value = value
    elif isinstance(value, int):
        pair.value.int_value = value
    elif isinstance(value, float):
        pair.value.double_value = value
    else:
        pair.value.string_value = value
    return pair


def resource(rng: random.Random) -> Resource:
    """A pod with five attributes."""
    return Resource(
        attributes=[
            attribute("service.name", rng.choice(("checkout-agent", "support-agent"))),
            attribute("service.version", "2.7.1"),
            attribute("deployment.environment.name", "production"),
            attribute("k8s.pod.name", f"agent-7c9f6d5b8-{rng.randrange(36**5):05x}"),
            attribute("host.name", f"ip-10-0-{rng.randrange(256)}-{rng.randrange(256)}"),
        ]
    )


def genai_traces(spans: int, seed: int) -> bytes:
    """A request of `spans` spans of about 390 bytes with ten attributes each."""
    rng = random.Random(seed)
    request = ExportTraceServiceRequest()
    resource_spans = request.resource_spans.add(resource=resource(rng))
    scope_spans = resource_spans.scope_spans.add(scope=SCOPE)
    trace_id = rng.randbytes(16)
    for i in range(spans):
        if i % 5 == 0:
            trace_id = rng.randbytes(16)
        start = START_NS + i * 1_000_000 + rng.randrange(1000)
        scope_spans.spans.add(
            trace_id=trace_id,
            span_id=rng.randbytes(8),
            parent_span_id=rng.randbytes(8) if i % 5 else b"",
            name=_OPERATIONS[i % 5],
            kind=3,
            flags=257,
            start_time_unix_nano=start,
            end_time_unix_nano=start + rng.randrange(10**9),
            attributes=[
                attribute("gen_ai.operation.name", "chat"),
                attribute("gen_ai.request.model", rng.choice(_MODELS)),
                attribute("gen_ai.response.id", f"chatcmpl-{rng.randrange(16**8):08x}"),
                attribute("gen_ai.usage.input_tokens", rng.randrange(100, 4000)),
                attribute("gen_ai.usage.output_tokens", rng.randrange(10, 900)),
                attribute("route", rng.choice(_ROUTES)),
                attribute("customer_tier", rng.choice(_TIERS)),
                attribute("session.id", f"{rng.randrange(16**8):08x}"),
                attribute("gen_ai.request.temperature", rng.choice((0.2, 0.7, 1.0))),
                attribute("cache.hit", rng.random() < 0.3),
            ],
            status={"code": 1},
        )
    return request.SerializeToString()


def agent_metrics(points: int, seed: int, kind: str) -> bytes:
    """A request of `points` points with four attributes each, twenty to a metric."""
    rng = random.Random(seed)
    request = ExportMetricsServiceRequest()
    resource_metrics = request.resource_metrics.add(resource=resource(rng))
    scope_metrics = resource_metrics.scope_metrics.add(scope=SCOPE)
    for first in range(0, points, 20):
        metric = scope_metrics.metrics.add(
            name=f"agent.{kind}_{first // 20 % 10}", description="What agents do", unit="1"
        )
        for i in range(first, min(first + 20, points)):
            shared = {
                "start_time_unix_nano": START_NS,
                "time_unix_nano": START_NS + i * 1_000_000,
                "attributes": [
                    attribute("model", rng.choice(_MODELS)),
                    attribute("route", rng.choice(_ROUTES)),
                    attribute("customer_tier", rng.choice(_TIERS)),
                    attribute("worker", rng.randrange(64)),
                ],
            }
            if kind == "gauge":
                metric.gauge.data_points.add(as_double=rng.random() * 100, **shared)
            elif kind == "sum":
                metric.sum.aggregation_temporality = AGGREGATION_TEMPORALITY_CUMULATIVE
                metric.sum.is_monotonic = True
                metric.sum.data_points.add(as_int=rng.randrange(10**6), **shared)
            else:
                counts = [rng.randrange(50) for _ in range(11)]
                metric.histogram.aggregation_temporality = AGGREGATION_TEMPORALITY_CUMULATIVE
                metric.histogram.data_points.add(
                    count=sum(counts),
                    sum=rng.random() * 10**4,
                    bucket_counts=counts,
                    explicit_bounds=[5, 10, 25, 50, 75, 100, 250, 500, 1000, 2500],
                    min=1.0,
                    max=2400.0,
                    **shared,
                )
    return request.SerializeToString()


def agent_logs(records: int, seed: int) -> bytes:
    """A request of `records` log records with four attributes each."""
    rng = random.Random(seed)
    request = ExportLogsServiceRequest()
    resource_logs = request.resource_logs.add(resource=resource(rng))
    scope_logs = resource_logs.scope_logs.add(scope=SCOPE)
    for i in range(records):
        body = f"model call finished in {rng.randrange(9000)} ms, {rng.randrange(900)} tokens"
        scope_logs.log_records.add(
            time_unix_nano=START_NS + i * 1_000_000,
            observed_time_unix_nano=START_NS + i * 1_000_000 + 10,
            severity_number=9,
            severity_text="INFO",
            body={"string_value": body},
            attributes=[
                attribute("model", rng.choice(_MODELS)),
                attribute("route", rng.choice(_ROUTES)),
                attribute("attempt", rng.randrange(3)),
                attribute("code.function", "agents.runner.call_model"),
            ],
            trace_id=rng.randbytes(16),
            span_id=rng.randbytes(8),
            flags=1,
        )
    return request.SerializeToString()
