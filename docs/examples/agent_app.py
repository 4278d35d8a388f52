"""An instrumented agent, as an LLM team writes one: traces, metrics, logs by the OpenTelemetry SDK.

No model is called: latencies, tokens and failures come from a seeded generator, so that a checker
can know them (`--expect FILE` writes what was emitted).

    python docs/examples/agent_app.py --endpoint 127.0.0.1:4317 --calls 200

Exit codes: 0 everything was exported and acknowledged; 1 something was not.
"""

import argparse
import json
import logging
import random
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.logging.handler import LoggingHandler
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExplicitBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode

MODELS = {"gpt-5-mini": (300, "openai"), "claude-sonnet-4-5": (700, "anthropic")}
ROUTES = ("/chat", "/summarize", "/extract")
TIERS = ("free", "pro", "enterprise")
FAILURE_SHARE = 0.1
BOUNDARIES = (100.0, 250.0, 500.0, 1_000.0, 2_500.0)
FLUSH_TIMEOUT_MS = 20_000


@dataclass
class Emitted:
    """What left the process, for checkers: one entry per span, series and log record."""

    service: str
    spans: list[dict[str, Any]] = field(default_factory=list)
    logs: list[dict[str, Any]] = field(default_factory=list)
    latency_ms: dict[str, dict[str, float]] = field(default_factory=dict)
    """Series (`model|route|tier`) → count and sum of agent.response_latency_ms."""
    output_tokens: dict[str, int] = field(default_factory=dict)
    successes: dict[str, int] = field(default_factory=dict)
    calls: dict[str, int] = field(default_factory=dict)


class Agent:
    """Answers sessions of a few calls each, telling OpenTelemetry what it does."""

    def __init__(self, endpoint: str, service: str, seed: int) -> None:
        resource = Resource.create(
            {"service.name": service, "deployment.environment.name": "example"}
        )
        self._traces = TracerProvider(resource=resource)
        exporter = OTLPSpanExporter(endpoint=endpoint, insecure=True)
        self._traces.add_span_processor(BatchSpanProcessor(exporter))
        reader = PeriodicExportingMetricReader(
            OTLPMetricExporter(endpoint=endpoint, insecure=True), export_interval_millis=1_000
        )
        buckets = View(
            instrument_name="agent.response_latency_ms",
            aggregation=ExplicitBucketHistogramAggregation(BOUNDARIES),
        )
        self._metrics = MeterProvider([reader], resource=resource, views=[buckets])
        self._logs = LoggerProvider(resource=resource)
        self._logs.add_log_record_processor(
            BatchLogRecordProcessor(OTLPLogExporter(endpoint=endpoint, insecure=True))
        )
        self._tracer = self._traces.get_tracer("agent", "1.0.0")
        meter = self._metrics.get_meter("agent", "1.0.0")
        self._latency = meter.create_histogram("agent.response_latency_ms", unit="ms")
        self._tokens = meter.create_counter("agent.output_tokens", unit="{token}")
        self._success = meter.create_counter("agent.success", unit="{call}")
        self._logger = logging.getLogger("agent")
        self._logger.setLevel(logging.INFO)
        self._logger.propagate = False
        self._handler = LoggingHandler(logger_provider=self._logs)
        self._logger.addHandler(self._handler)
        self._rng = random.Random(seed)
        self.emitted = Emitted(service)

    def session(self, number: int, calls: int) -> None:
        """One agent run: a span over its calls and one tool."""
        with self._tracer.start_as_current_span(
            "agent.session",
            attributes={"session.id": f"session-{number}", "gen_ai.operation.name": "invoke_agent"},
        ) as span:
            for _ in range(calls):
                self._call(number)
            with self._tracer.start_as_current_span(
                "tool.search", attributes={"gen_ai.tool.name": "search"}
            ) as tool:
                tool.add_event("results", {"count": self._rng.randrange(20)})
        self._note(tool)
        self._note(span)

    def _call(self, session: int) -> None:
        model = self._rng.choice(list(MODELS))
        typical_ms, provider = MODELS[model]
        route, tier = self._rng.choice(ROUTES), self._rng.choice(TIERS)
        labels = {"model": model, "route": route, "customer_tier": tier}
        latency_ms = round(typical_ms * self._rng.lognormvariate(0, 0.5), 1)
        tokens = self._rng.randrange(10, 900)
        failed = self._rng.random() < FAILURE_SHARE
        with self._tracer.start_as_current_span("llm.call", kind=SpanKind.CLIENT) as span:
            span.set_attributes(labels)
            span.set_attributes(
                {
                    "gen_ai.operation.name": "chat",
                    "gen_ai.provider.name": provider,
                    "gen_ai.request.model": model,
                    "gen_ai.usage.output_tokens": tokens,
                    "gen_ai.conversation.id": f"session-{session}",
                    "agent.response_latency_ms": latency_ms,
                    "agent.success": not failed,
                }
            )
            if failed:
                span.set_status(Status(StatusCode.ERROR, "rate limited"))
                self._log(logging.ERROR, "call to %s failed: rate limited", model)
            else:
                self._log(logging.INFO, "call to %s answered", model)
        self._note(span)
        self._latency.record(latency_ms, labels)
        self._tokens.add(tokens, labels)
        self._success.add(0 if failed else 1, labels)
        self._count("|".join(labels.values()), latency_ms, tokens, failed=failed)

    def _log(self, level: int, text: str, model: str) -> None:
        self._logger.log(level, text, model, extra={"model": model})
        self.emitted.logs.append(
            {"body": text % model, "severity": 17 if level == logging.ERROR else 9, "model": model}
        )

    def _note(self, span: Any) -> None:
        assert isinstance(span, ReadableSpan)
        context, parent = span.get_span_context(), span.parent
        assert context is not None
        self.emitted.spans.append(
            {
                "trace_id": f"{context.trace_id:032x}",
                "span_id": f"{context.span_id:016x}",
                "parent_span_id": f"{parent.span_id:016x}" if parent else "",
                "name": span.name,
                "start_ns": span.start_time,
                "end_ns": span.end_time,
                "error": span.status.status_code is StatusCode.ERROR,
                "message": span.status.description or "",
                "attributes": dict(span.attributes or {}),
                "events": [event.name for event in span.events],
            }
        )

    def _count(self, series: str, latency_ms: float, tokens: int, *, failed: bool) -> None:
        made = self.emitted
        latency = made.latency_ms.setdefault(series, {"count": 0, "sum": 0.0})
        latency["count"] += 1
        latency["sum"] += latency_ms
        made.output_tokens[series] = made.output_tokens.get(series, 0) + tokens
        made.successes[series] = made.successes.get(series, 0) + (0 if failed else 1)
        made.calls[series] = made.calls.get(series, 0) + 1

    def close(self) -> bool:
        """Export what is left. Whether the endpoint acknowledged in time."""
        done = [
            provider.force_flush(FLUSH_TIMEOUT_MS)
            for provider in (self._traces, self._metrics, self._logs)
        ]
        self._logger.removeHandler(self._handler)
        for provider in (self._traces, self._metrics, self._logs):
            provider.shutdown()
        return all(done)


class _Failures(logging.Handler):
    """The SDK reports failed exports only as log records of its exporters."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--endpoint", default="127.0.0.1:4317", help="OTLP gRPC host:port")
    parser.add_argument("--calls", type=int, default=200, help="model calls to make")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--service-name", default="support-agent")
    parser.add_argument("--expect", type=Path, metavar="FILE", help="write what was emitted")
    parser.add_argument("--quiet", action="store_true")
    args = parser.parse_args()
    failures = _Failures()
    telemetry = logging.getLogger("opentelemetry")
    telemetry.addHandler(failures)
    telemetry.propagate = False
    agent = Agent(args.endpoint, args.service_name, args.seed)
    for number in range(-(-args.calls // 4)):
        agent.session(number, min(4, args.calls - number * 4))
    flushed = agent.close()
    if args.expect:
        args.expect.write_text(json.dumps(asdict(agent.emitted), indent=1))
    if not flushed or failures.texts:
        why = "; ".join(dict.fromkeys(failures.texts)) or "no acknowledgement in time"
        print(f"agent_app: {args.endpoint} did not take everything: {why}", file=sys.stderr)
        return 1
    if not args.quiet:
        emitted = agent.emitted
        print(
            f"{len(emitted.spans)} spans, {len(emitted.logs)} logs and three instruments of "
            f"service {emitted.service} acknowledged by {args.endpoint}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
