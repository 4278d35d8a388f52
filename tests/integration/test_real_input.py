"""What a real instrumented agent sent, read back by a downstream tool, on both dialects.

The agent of docs/examples runs with the OpenTelemetry SDK against the gateway. The cluster (18.16)
has its rows by way of the whole pipeline. A current ClickHouse (chDB) gets the same Kafka messages
through the kernel. Every query of docs/queries.md must give, on both, what the agent emitted.

The agent lives for seconds. What needs hours of cumulative metrics (restarts, several instances, a
window that begins in the middle) is sent beside it by `fleet_metrics`.
"""

import json
import subprocess
import sys
import time
import uuid
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clickhouse_driver import Client
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.metrics.v1.metrics_pb2 import AGGREGATION_TEMPORALITY_CUMULATIVE

from headrace_schema.model import Dialect
from headrace_writer.core.block import Signal
from headrace_writer.errors import Retryable
from headrace_writer.shell.replica import Address, Login, Replica
from support import builders, otlp
from support.cluster import Cluster
from support.decoders import KERNEL, layouts_of
from support.downstream import Reader, queries, sql_blocks
from support.schema_server import modern_server

pytestmark = pytest.mark.integration

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


@pytest.fixture(scope="module")
def emitted(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Emitted:
    """One run of the agent."""
    before = {
        signal: otlp.end_offsets(cluster.bootstrap, topic) for signal, topic in TOPICS.items()
    }
    since_ns = time.time_ns() - 1_000_000_000
    expectation = tmp_path_factory.mktemp("agent") / "expect.json"
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


@pytest.fixture(scope="module", params=["legacy", "modern"])
def reader(
    request: pytest.FixtureRequest,
    cluster: Cluster,
    emitted: Emitted,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Reader]:
    """The downstream tool on a server that holds everything the agent sent."""
    if request.param == "legacy":
        client = cluster.clickhouse()
        wait_until_stored(client, emitted)
        yield Reader(client, "legacy")
        client.disconnect()
        return
    with modern_server(tmp_path_factory.mktemp("modern")) as server:
        for signal, payloads in emitted.messages.items():
            insert(server.port, signal, payloads)
        with server.client() as client:
            yield Reader(client, "modern")


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


def test_the_page_has_each_query_in_both_dialects() -> None:
    names: dict[Dialect, set[str]] = {
        "modern": set(queries("modern")),
        "legacy": set(queries("legacy")),
    }
    assert names["modern"] == names["legacy"]
    assert sql_blocks() == 2 * len(names["modern"]), "a block without a name is never run"


def test_spans_by_service(reader: Reader, emitted: Emitted) -> None:
    rows = {row[0]: row[1:] for row in reader("spans_by_service", since_ns=emitted.since_ns)}
    spans = emitted.said["spans"]
    assert rows[emitted.service] == (len(spans), sum(one["error"] for one in spans))


def test_latency_by_model(reader: Reader, emitted: Emitted) -> None:
    rows = reader("latency_by_model", service=emitted.service, since_ns=emitted.since_ns)
    by_model: dict[str, list[float]] = defaultdict(list)
    for one in emitted.calls:
        model = one["attributes"]["gen_ai.request.model"]
        by_model[model].append((one["end_ns"] - one["start_ns"]) / 1e6)
    assert len(rows) == len(by_model) == 2
    for model, calls, p50, p95 in rows:
        times = by_model[model]
        assert calls == len(times)
        assert p50 == pytest.approx(np.quantile(times, 0.5), rel=1e-6)
        assert p95 == pytest.approx(np.quantile(times, 0.95), rel=1e-6)


def test_success_by_route(reader: Reader, emitted: Emitted) -> None:
    rows = reader("success_by_route", service=emitted.service, since_ns=emitted.since_ns)
    by_route: dict[str, list[bool]] = defaultdict(list)
    for one in emitted.calls:
        by_route[one["attributes"]["route"]].append(not one["error"])
    assert [row[0] for row in rows] == sorted(by_route)
    for route, calls, rate in rows:
        assert (calls, rate) == (len(by_route[route]), pytest.approx(np.mean(by_route[route])))
    assert any(row[2] < 1 for row in rows), "the agent's failures are among them"


def quantile_in_buckets(q: float, counts: Sequence[int], bounds: Sequence[float]) -> float:
    """As histogram_quantile of Prometheus: linear within the bucket, the last bound at most."""
    rank, below = q * sum(counts), 0
    for count, low, high in zip(counts, [0.0, *bounds], [*bounds, bounds[-1]], strict=True):
        if below + count >= rank:
            return low + (high - low) * (rank - below) / count
        below += count
    raise AssertionError(counts)


def in_buckets(times: Sequence[float]) -> list[int]:
    """A bucket's upper bound belongs to it, says OTLP."""
    return [
        sum(low < t <= high for t in times)
        for low, high in zip([-1.0, *BOUNDARIES], [*BOUNDARIES, float("inf")], strict=True)
    ]


def test_response_latency_by_model(reader: Reader, emitted: Emitted) -> None:
    rows = reader("response_latency_by_model", service=emitted.service, since_ns=emitted.since_ns)
    by_model: dict[str, list[float]] = defaultdict(list)
    for one in emitted.calls:
        by_model[one["attributes"]["model"]].append(one["attributes"]["agent.response_latency_ms"])
    assert [row[0] for row in rows] == sorted(by_model)
    for model, calls, p50, p95 in rows:
        counts = in_buckets(by_model[model])
        assert calls == sum(counts) == len(by_model[model])
        assert p50 == pytest.approx(quantile_in_buckets(0.5, counts, BOUNDARIES))
        assert p95 == pytest.approx(quantile_in_buckets(0.95, counts, BOUNDARIES))


def test_response_latency_is_that_of_the_window(reader: Reader, emitted: Emitted) -> None:
    """What was counted before the window is taken off, instance by instance."""
    (row,) = reader(
        "response_latency_by_model", service=emitted.fleet, since_ns=emitted.fleet_since_ns
    )
    assert row == (
        "m",
        sum(FLEET_CALLS),
        pytest.approx(quantile_in_buckets(0.5, FLEET_CALLS, FLEET_BOUNDS)),
        pytest.approx(quantile_in_buckets(0.95, FLEET_CALLS, FLEET_BOUNDS)),
    )


def test_tokens_per_minute_by_tier(reader: Reader, emitted: Emitted) -> None:
    rows = reader("tokens_per_minute_by_tier", service=emitted.service, since_ns=emitted.since_ns)
    by_tier: dict[str, float] = defaultdict(float)
    for tier, _minute, tokens in rows:
        by_tier[tier] += tokens
    wanted: dict[str, float] = defaultdict(float)
    for series, tokens in emitted.said["output_tokens"].items():
        wanted[series.split("|")[2]] += tokens
    assert dict(by_tier) == dict(wanted)
    assert all(abs(minute.timestamp() - emitted.since_ns / 1e9) < 120 for _, minute, _ in rows)


def test_tokens_per_minute_survive_restarts(reader: Reader, emitted: Emitted) -> None:
    """Instances apart, resets whole, and nothing from before the window."""
    rows = reader(
        "tokens_per_minute_by_tier", service=emitted.fleet, since_ns=emitted.fleet_since_ns
    )
    assert [(tier, (minute - rows[0][1]).total_seconds(), n) for tier, minute, n in rows] == [
        ("pro", 0, 40 + 1 + 0 + 3),  # restarted, fallen, silent, young
        ("pro", 60, 60 + 7 + 10),
        ("pro", 120, 25 + 2),
        ("pro", 180, 35),
    ]


def test_error_logs_are_correlated_to_their_spans(reader: Reader, emitted: Emitted) -> None:
    rows = reader("error_logs", service=emitted.service, since_ns=emitted.since_ns)
    wanted = sorted(one["body"] for one in emitted.said["logs"] if one["severity"] >= 17)
    assert wanted, "the agent failed at least once"
    assert sorted(row[2] for row in rows) == wanted
    failed = {(one["trace_id"], one["span_id"]): one for one in emitted.calls if one["error"]}
    for at, severity, body, trace_id, span_id in rows:
        span = failed[trace_id, span_id]
        assert severity == 17
        assert span["attributes"]["model"] in body
        assert span["start_ns"] <= at <= span["end_ns"]


def test_error_logs_come_with_their_spans(reader: Reader, emitted: Emitted) -> None:
    rows = reader("error_logs_with_spans", service=emitted.service, since_ns=emitted.since_ns)
    failed = {one["span_id"]: one for one in emitted.calls if one["error"]}
    assert {row[3] for row in rows} == set(failed)
    assert len(rows) == len(failed)
    for _at, body, trace_id, span_id, name, message, ms in rows:
        span = failed[span_id]
        assert (trace_id, name, message) == (span["trace_id"], "llm.call", span["message"])
        assert span["attributes"]["model"] in body
        assert ms == pytest.approx((span["end_ns"] - span["start_ns"]) / 1e6)


def test_slowest_traces(reader: Reader, emitted: Emitted) -> None:
    rows = reader("slowest_traces", service=emitted.service, since_ns=emitted.since_ns)
    roots = [one for one in emitted.said["spans"] if not one["parent_span_id"]]
    roots.sort(key=lambda one: one["start_ns"] - one["end_ns"])
    assert [row[0] for row in rows] == [one["trace_id"] for one in roots[:10]]
    assert rows[0][2] == pytest.approx((roots[0]["end_ns"] - roots[0]["start_ns"]) / 1e6)


def test_every_trace_is_found_whole_by_its_id(reader: Reader, emitted: Emitted) -> None:
    traces: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for one in emitted.said["spans"]:
        traces[one["trace_id"]].append(one)
    assert len(traces) == 30
    for trace_id, spans in traces.items():
        rows = reader("one_trace", trace_id=trace_id)
        spans.sort(key=lambda one: (one["start_ns"], one["span_id"]))
        assert [row[:3] for row in rows] == [
            (one["span_id"], one["parent_span_id"], one["name"]) for one in spans
        ]
        assert [row[3] == "Error" for row in rows] == [one["error"] for one in spans]


def test_the_logs_of_a_trace_are_those_of_its_calls(reader: Reader, emitted: Emitted) -> None:
    calls: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for one in emitted.calls:
        calls[one["trace_id"]].append(one)
    for trace_id, spans in calls.items():
        rows = reader("logs_of_a_trace", trace_id=trace_id, since_ns=emitted.since_ns)
        assert {row[3] for row in rows} == {one["span_id"] for one in spans}
        assert len(rows) == len(spans)
        assert [row[1] for row in rows].count("ERROR") == sum(one["error"] for one in spans)


def text(value: object) -> str:
    """An attribute as the exporter's tables hold it."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.15g}" if isinstance(value, float) else str(value)


def test_every_span_is_there_with_all_it_has(reader: Reader, emitted: Emitted) -> None:
    rows = reader.table("otel_traces", emitted.service)
    found = {row["SpanId"]: row for row in rows}
    assert len(rows) == len(found) == len(emitted.said["spans"])
    for one in emitted.said["spans"]:
        row = found[one["span_id"]]
        wanted = {
            "Timestamp": one["start_ns"],
            "TraceId": one["trace_id"],
            "ParentSpanId": one["parent_span_id"],
            "SpanName": one["name"],
            "SpanKind": "Client" if one["name"] == "llm.call" else "Internal",
            "ScopeName": "agent",
            "ScopeVersion": "1.0.0",
            "SpanAttributes": {key: text(value) for key, value in one["attributes"].items()},
            "Duration": one["end_ns"] - one["start_ns"],
            "StatusCode": "Error" if one["error"] else "Unset",
            "StatusMessage": one["message"],
            "Events.Name": one["events"],
            "Links.TraceId": [],
        }
        assert {name: row[name] for name in wanted} == wanted
        assert row["ResourceAttributes"]["deployment.environment.name"] == "example"
        assert all(one["start_ns"] <= at <= one["end_ns"] for at in row["Events.Timestamp"])
        assert [list(each) for each in row["Events.Attributes"]] == [["count"]] * len(one["events"])


def test_every_log_record_lies_within_its_span(reader: Reader, emitted: Emitted) -> None:
    """The agent logs once per call, in the order of the calls."""
    rows = reader.table("otel_logs", emitted.service)
    rows.sort(key=lambda row: row["Timestamp"])
    for row, said, call in zip(rows, emitted.said["logs"], emitted.calls, strict=True):
        failed = said["severity"] == 17
        wanted = {
            "TraceId": call["trace_id"],
            "SpanId": call["span_id"],
            "SeverityText": "ERROR" if failed else "INFO",
            "SeverityNumber": said["severity"],
            "Body": said["body"],
            "LogAttributes": {"model": said["model"]},
            "ScopeName": "agent",
        }
        assert {name: row[name] for name in wanted} == wanted
        assert call["start_ns"] <= row["Timestamp"] <= call["end_ns"]
        assert row["TraceFlags"] & 1, "sampled"
        assert failed == call["error"]
        assert row["ResourceAttributes"]["service.name"] == emitted.service


@dataclass(frozen=True)
class Series:
    """The calls of one series in order, and its points in ClickHouse by time."""

    name: str
    calls: list[dict[str, Any]]
    rows: list[dict[str, Any]]


def series_of(reader: Reader, emitted: Emitted, table: str, metric: str) -> list[Series]:
    """All series of a metric that have points, once what all points share was checked."""
    calls: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for one in emitted.calls:
        calls["|".join(one["attributes"][label] for label in LABELS)].append(one["attributes"])
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in reader.table(table, emitted.service):
        if row["MetricName"] == metric:
            assert set(row["Attributes"]) == set(LABELS)
            assert (row["AggregationTemporality"], row["Flags"], row["ScopeName"]) == (
                2,
                0,
                "agent",
            )
            assert row["ResourceAttributes"]["service.name"] == emitted.service
            found["|".join(row["Attributes"][label] for label in LABELS)].append(row)
    for rows in found.values():
        rows.sort(key=lambda row: row["TimeUnix"])
        assert len({row["StartTimeUnix"] for row in rows}) == 1
        assert emitted.since_ns < rows[0]["StartTimeUnix"] < rows[0]["TimeUnix"]
        assert len({row["TimeUnix"] for row in rows}) == len(rows), "a point is there twice"
    return [Series(name, calls[name], rows) for name, rows in found.items()]


def test_no_point_is_missing_or_twice(reader: Reader, emitted: Emitted) -> None:
    rows = [
        row
        for table in ("otel_metrics_sum", "otel_metrics_histogram")
        for service in (emitted.service, emitted.fleet)
        for row in reader.table(table, service)
    ]
    identities = {
        (
            row["MetricName"],
            repr(row["ResourceAttributes"]),
            repr(row["Attributes"]),
            row["StartTimeUnix"],
            row["TimeUnix"],
        )
        for row in rows
    }
    assert len(rows) == len(identities) == points(emitted)


@pytest.mark.parametrize(
    ("metric", "unit", "key", "attribute"),
    [
        ("agent.output_tokens", "{token}", "output_tokens", "gen_ai.usage.output_tokens"),
        ("agent.success", "{call}", "successes", "agent.success"),
    ],
)
def test_every_point_of_a_counter_is_a_state_it_was_in(
    reader: Reader, emitted: Emitted, metric: str, unit: str, key: str, attribute: str
) -> None:
    series = series_of(reader, emitted, "otel_metrics_sum", metric)
    assert {one.name: one.rows[-1]["Value"] for one in series} == emitted.said[key]
    for one in series:
        states = list(accumulate((int(call[attribute]) for call in one.calls), initial=0))
        values = [row["Value"] for row in one.rows]
        assert set(values) <= set(states)
        assert values == sorted(values)
        assert {(row["IsMonotonic"], row["MetricUnit"]) for row in one.rows} == {(1, unit)}


def test_every_point_of_the_histogram_is_a_state_it_was_in(
    reader: Reader, emitted: Emitted
) -> None:
    series = series_of(reader, emitted, "otel_metrics_histogram", "agent.response_latency_ms")
    assert {
        one.name: {"count": one.rows[-1]["Count"], "sum": pytest.approx(one.rows[-1]["Sum"])}
        for one in series
    } == emitted.said["latency_ms"]
    for one in series:
        for row in one.rows:
            times = [call["agent.response_latency_ms"] for call in one.calls[: row["Count"]]]
            assert row["Sum"] == pytest.approx(sum(times))
            assert (row["Min"], row["Max"]) == (min(times), max(times))
            assert row["BucketCounts"] == in_buckets(times)
            assert row["ExplicitBounds"] == BOUNDARIES
            assert row["MetricUnit"] == "ms"


def test_exemplars_lead_to_the_session_of_their_call(reader: Reader, emitted: Emitted) -> None:
    sessions = {
        (one["trace_id"], one["span_id"])
        for one in emitted.said["spans"]
        if one["name"] == "agent.session"
    }
    latencies = defaultdict(set)
    for one in emitted.calls:
        latencies[one["trace_id"]].add(one["attributes"]["agent.response_latency_ms"])
    seen = 0
    for row in reader.table("otel_metrics_histogram", emitted.service):
        for trace_id, span_id, value in zip(
            row["Exemplars.TraceId"], row["Exemplars.SpanId"], row["Exemplars.Value"], strict=True
        ):
            assert (trace_id, span_id) in sessions
            assert value in latencies[trace_id]
            seen += 1
    assert seen


def test_every_query_of_the_page_was_run(reader: Reader) -> None:
    """Comes last in this module: each test above ran one."""
    assert reader.ran == set(queries("modern"))
