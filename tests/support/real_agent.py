"""The agent of docs/examples, run for real, and servers that hold what it sent.

The agent lives for seconds. What needs hours of cumulative metrics (restarts, several instances, a
window that begins in the middle) is sent beside it by `fleet_metrics`.
"""

import json
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clickhouse_driver import Client
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.metrics.v1.metrics_pb2 import AGGREGATION_TEMPORALITY_CUMULATIVE

from headrace_writer.core.block import Signal
from headrace_writer.errors import Retryable
from headrace_writer.shell.replica import Address, Login, Replica
from support import builders, otlp
from support.cluster import Cluster
from support.decoders import KERNEL, layouts_of

AGENT = Path(__file__).resolve().parents[2] / "docs" / "examples" / "agent_app.py"
TOPICS: dict[Signal, str] = {
    "traces": "otlp_spans",
    "metrics": "otlp_metrics",
    "logs": "otlp_logs",
}
VISIBLE_WITHIN_S = 30.0
BOUNDARIES = [100.0, 250.0, 500.0, 1_000.0, 2_500.0]
LABELS = ("model", "route", "customer_tier")
SECOND = 1_000_000_000
HOUR_S = 3_600


@dataclass(frozen=True)
class Emitted:
    """What the agent says it sent (its --expect file), and the Kafka messages that came of it."""

    said: dict[str, Any]
    messages: dict[Signal, list[bytes]]
    since_ns: int
    fleet_since_ns: int
    """Where the window over the metrics of `fleet_metrics` begins: a whole minute."""

    @property
    def service(self) -> str:
        return str(self.said["service"])

    @property
    def fleet(self) -> str:
        return f"{self.service}-fleet"

    @property
    def calls(self) -> list[dict[str, Any]]:
        return [one for one in self.said["spans"] if one["name"] == "llm.call"]


# Instance → lives (start of its series, points as (time, tokens)); times in seconds from `since`.
FLEET_TOKENS: dict[str, list[tuple[int, list[tuple[int, int]]]]] = {
    # Ran long before, and is restarted: a new start.
    "restarted": [
        (-HOUR_S, [(-30, 1_000), (30, 1_040), (90, 1_100)]),
        (100, [(150, 25), (210, 60)]),
    ],
    # Falls without a new start. Began in the same nanosecond as the one above.
    "fallen": [(-HOUR_S, [(-20, 5_000), (40, 5_001), (100, 7), (160, 9)])],
    # Its first point in sight says nothing about when it grew.
    "silent": [(-24 * HOUR_S, [(45, 700), (105, 710)])],
    # Began in the window.
    "young": [(5, [(35, 3)])],
}
FLEET_BOUNDS = (100.0, 200.0)
# Instance → start of its series, points as (time, calls per bucket).
FLEET_LATENCY: dict[str, tuple[int, list[tuple[int, tuple[int, int, int]]]]] = {
    "restarted": (-HOUR_S, [(-30, (5, 5, 5)), (30, (5, 7, 5)), (90, (9, 11, 5))]),
    "fallen": (-HOUR_S, [(-60, (2, 3, 4)), (-30, (5, 5, 5)), (30, (5, 7, 5)), (90, (9, 11, 5))]),
    "silent": (-HOUR_S, [(30, (5, 7, 5)), (90, (9, 11, 5))]),
    "young": (5, [(35, (1, 2, 0))]),
}
FLEET_CALLS = [4 + 4 + 4 + 1, 6 + 6 + 4 + 2, 0]


def fleet_metrics(service: str, since_ns: int) -> Iterator[ExportMetricsServiceRequest]:
    """Cumulative metrics of four instances with equal attributes."""

    def about(start: int, at: int) -> dict[str, Any]:
        return {
            "attributes": {"model": "m", "route": "/chat", "customer_tier": "pro"},
            "start_time_unix_nano": since_ns + start * SECOND,
            "time_unix_nano": since_ns + at * SECOND,
        }

    for instance, lives in FLEET_TOKENS.items():
        tokens = builders.counter(
            *(
                builders.number_point(value, **about(start, at))
                for start, points in lives
                for at, value in points
            ),
            name="agent.output_tokens",
        )
        start, counted = FLEET_LATENCY[instance]
        latency = builders.histogram(
            *(
                builders.histogram_point(counts, FLEET_BOUNDS, **about(start, at))
                for at, counts in counted
            ),
            name="agent.response_latency_ms",
        )
        latency.histogram.aggregation_temporality = AGGREGATION_TEMPORALITY_CUMULATIVE
        yield builders.metrics(
            tokens, latency, resource={"service.name": service, "service.instance.id": instance}
        )


def run_agent(cluster: Cluster, expectation: Path) -> Emitted:
    """One run of the agent, which writes what it emitted to `expectation`."""
    before = {
        signal: otlp.end_offsets(cluster.bootstrap, topic) for signal, topic in TOPICS.items()
    }
    since_ns = time.time_ns() - 1_000_000_000
    service = f"agent-{uuid.uuid4().hex[:8]}"
    done = subprocess.run(
        [sys.executable, AGENT, "--endpoint", cluster.otlp_grpc, "--calls", "120", "--seed", "5",
         "--service-name", service, "--expect", expectation],
        capture_output=True, text=True, check=False, timeout=90,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    minute_ns = 60 * SECOND
    fleet_since_ns = (since_ns // minute_ns - 10) * minute_ns
    for request in fleet_metrics(f"{service}-fleet", fleet_since_ns):
        otlp.export(cluster.otlp_grpc, request)
    messages = {
        signal: [
            stored.value
            for stored in otlp.messages_since(cluster.bootstrap, topic, before[signal])
            if service.encode() in stored.value
        ]
        for signal, topic in TOPICS.items()
    }
    return Emitted(json.loads(expectation.read_text()), messages, since_ns, fleet_since_ns)


def wait_until_stored(client: Client, emitted: Emitted) -> None:
    """Until all spans, all logs and all points are visible."""
    said = emitted.said
    wanted = {"traces": len(said["spans"]), "logs": len(said["logs"]), "metrics": points(emitted)}
    services = {"services": (emitted.service, emitted.fleet)}
    deadline = time.monotonic() + VISIBLE_WITHIN_S
    while True:
        seen = {
            table: client.execute(
                f"SELECT count() FROM otel_{table} WHERE ServiceName IN %(services)s", services
            )[0][0]
            for table in wanted
        }
        if seen == wanted:
            return
        assert time.monotonic() < deadline, f"{seen} of {wanted}"
        time.sleep(0.5)


def points(emitted: Emitted) -> int:
    """How many data points left, as the messages hold them."""
    return sum(
        len(metric.sum.data_points) + len(metric.histogram.data_points)
        for message in emitted.messages["metrics"]
        for resource in ExportMetricsServiceRequest.FromString(message).resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    )


def insert(port: int, signal: Signal, payloads: list[bytes]) -> None:
    """What the writer does with messages, on one server of the modern dialect."""
    layouts = layouts_of(signal, "modern")
    builder = KERNEL.builder(signal, layouts, 1)
    assert builder.append_many(payloads) == []
    replica = Replica(Address("127.0.0.1", port), Login("otel", "default", "", 5, 30))
    ids = {target: 1_000 + i for i, (target, _) in enumerate(builder.pending())}
    for block in builder.finish(ids):
        try:
            replica.insert(block.target.table, layouts[block.target.table], block)
        except Retryable as error:
            raise AssertionError(error) from error
    replica.close()


def in_buckets(times: Sequence[float]) -> list[int]:
    """A bucket's upper bound belongs to it, says OTLP."""
    return [
        sum(low < t <= high for t in times)
        for low, high in zip([-1.0, *BOUNDARIES], [*BOUNDARIES, float("inf")], strict=True)
    ]
