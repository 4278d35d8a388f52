"""What a real instrumented agent sent, read back by a downstream tool, on both dialects.

The agent of docs/examples runs with the OpenTelemetry SDK against the gateway. The cluster (18.16)
has its rows by way of the whole pipeline. A current ClickHouse (chDB) gets the same Kafka messages
through the kernel. Every query of docs/queries.md must give, on both, what the agent emitted.
"""

import json
import subprocess
import sys
import time
import uuid
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clickhouse_driver import Client

from headrace_schema.model import Dialect
from headrace_writer.core.block import Signal
from headrace_writer.errors import Retryable
from headrace_writer.shell.replica import Address, Login, Replica
from support import otlp
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
BOUNDARIES = [100.0, 250.0, 500.0, 1_000.0, 2_500.0, float("inf")]


@dataclass(frozen=True)
class Emitted:
    """What the agent says it sent (its --expect file), and the Kafka messages that came of it."""

    said: dict[str, Any]
    messages: dict[Signal, list[bytes]]
    since_ns: int

    @property
    def service(self) -> str:
        return str(self.said["service"])

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
    messages = {
        signal: [
            stored.value
            for stored in otlp.messages_since(cluster.bootstrap, topic, before[signal])
            if service.encode() in stored.value
        ]
        for signal, topic in TOPICS.items()
    }
    return Emitted(json.loads(expectation.read_text()), messages, since_ns)


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
    """Until all spans, all logs, and the last point of each counter are visible."""
    said = emitted.said
    wanted = [len(said["spans"]), len(said["logs"]), sum(said["output_tokens"].values())]
    sql = [
        "SELECT count() FROM otel_traces WHERE ServiceName = %(service)s",
        "SELECT count() FROM otel_logs WHERE ServiceName = %(service)s",
        "SELECT sum(last) FROM (SELECT argMax(Value, TimeUnix) AS last FROM otel_metrics_sum "
        "WHERE ServiceName = %(service)s AND MetricName = 'agent.output_tokens' "
        "GROUP BY toString(Attributes.Value))",
    ]
    deadline = time.monotonic() + VISIBLE_WITHIN_S
    while True:
        seen = [client.execute(one, {"service": emitted.service})[0][0] for one in sql]
        if seen == wanted:
            return
        assert time.monotonic() < deadline, f"{seen} of {wanted}"
        time.sleep(0.5)


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


def test_response_latency_by_model(reader: Reader, emitted: Emitted) -> None:
    rows = reader("response_latency_by_model", service=emitted.service, since_ns=emitted.since_ns)
    by_model: dict[str, list[float]] = defaultdict(list)
    for one in emitted.calls:
        by_model[one["attributes"]["model"]].append(one["attributes"]["agent.response_latency_ms"])
    assert [row[0] for row in rows] == sorted(by_model)
    for model, calls, mean, up_to, limits, p50, p95 in rows:
        times = by_model[model]
        assert calls == len(times)
        assert mean == pytest.approx(np.mean(times))
        assert limits == BOUNDARIES
        assert up_to == [sum(t <= limit for t in times) for limit in BOUNDARIES]
        for bound, q in ((p50, 0.5), (p95, 0.95)):
            assert bound == next(b for b, n in zip(limits, up_to, strict=True) if n >= q * calls)


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


def test_every_query_of_the_page_was_run(reader: Reader) -> None:
    """Comes last in this module: each test above ran one."""
    assert reader.ran == set(queries("modern"))


ATTRIBUTES = {"legacy": "arrayMap(k -> toString(k), {0}.Key), {0}.Value", "modern": "{0}"}


def attributes(row: tuple[Any, ...], dialect: str) -> dict[str, str]:
    """The last columns of a row as a mapping."""
    return dict(zip(*row[-2:], strict=True)) if dialect == "legacy" else row[-1]


def text(value: object) -> str:
    """An attribute as the exporter's tables hold it."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def test_every_span_is_there_with_its_times_attributes_and_status(
    cluster: Cluster, emitted: Emitted
) -> None:
    client = cluster.clickhouse()
    wait_until_stored(client, emitted)
    rows = client.execute(
        "SELECT SpanId, TraceId, ParentSpanId, SpanName, Timestamp, Duration, StatusCode, "
        "StatusMessage, arrayMap(n -> toString(n), Events.Name), "
        + ATTRIBUTES["legacy"].format("SpanAttributes")
        + " FROM otel_traces WHERE ServiceName = %(service)s",
        {"service": emitted.service},
    )
    client.disconnect()
    found = {row[0]: row for row in rows}
    assert len(rows) == len(found) == len(emitted.said["spans"])
    for one in emitted.said["spans"]:
        row = found[one["span_id"]]
        duration = one["end_ns"] - one["start_ns"]
        assert row[1:6] == (
            one["trace_id"], one["parent_span_id"], one["name"], one["start_ns"], duration
        )  # fmt: skip
        assert row[6] == ("Error" if one["error"] else "Unset")
        assert row[7] == one["message"]
        assert row[8] == one["events"]
        wanted = {key: text(value) for key, value in one["attributes"].items()}
        assert attributes(row, "legacy") == wanted


def test_every_log_record_is_there(cluster: Cluster, emitted: Emitted) -> None:
    client = cluster.clickhouse()
    wait_until_stored(client, emitted)
    rows = client.execute(
        "SELECT Body, SeverityNumber, " + ATTRIBUTES["legacy"].format("LogAttributes")
        + " FROM otel_logs WHERE ServiceName = %(service)s",
        {"service": emitted.service},
    )  # fmt: skip
    client.disconnect()
    found = sorted((row[0], row[1], attributes(row, "legacy")["model"]) for row in rows)
    assert found == sorted((o["body"], o["severity"], o["model"]) for o in emitted.said["logs"])


@pytest.mark.parametrize(
    ("metric", "key"), [("agent.output_tokens", "output_tokens"), ("agent.success", "successes")]
)
def test_every_series_of_a_counter_ends_at_its_total(
    cluster: Cluster, emitted: Emitted, metric: str, key: str
) -> None:
    client = cluster.clickhouse()
    wait_until_stored(client, emitted)
    rows = client.execute(
        "SELECT argMax(Value, TimeUnix), min(IsMonotonic), min(AggregationTemporality), "
        "any(arrayMap(k -> toString(k), Attributes.Key)) AS keys, any(Attributes.Value) "
        "FROM otel_metrics_sum WHERE ServiceName = %(service)s AND MetricName = %(metric)s "
        "GROUP BY toString(Attributes.Value)",
        {"service": emitted.service, "metric": metric},
    )
    client.disconnect()
    found = {}
    for value, monotonic, temporality, *labels in rows:
        series = dict(zip(*labels, strict=True))
        found["|".join(series[name] for name in ("model", "route", "customer_tier"))] = value
        assert (monotonic, temporality) == (1, 2)
    assert found == emitted.said[key]


def test_every_series_of_the_histogram_has_its_count_and_sum(
    cluster: Cluster, emitted: Emitted
) -> None:
    client = cluster.clickhouse()
    wait_until_stored(client, emitted)
    rows = client.execute(
        "SELECT argMax(Count, TimeUnix), argMax(Sum, TimeUnix), "
        "any(arrayMap(k -> toString(k), Attributes.Key)), any(Attributes.Value) "
        "FROM otel_metrics_histogram WHERE ServiceName = %(service)s "
        "AND MetricName = 'agent.response_latency_ms' GROUP BY toString(Attributes.Value)",
        {"service": emitted.service},
    )
    client.disconnect()
    found = {}
    for count, total, *labels in rows:
        series = dict(zip(*labels, strict=True))
        name = "|".join(series[label] for label in ("model", "route", "customer_tier"))
        found[name] = {"count": count, "sum": pytest.approx(total)}
    assert emitted.said["latency_ms"] == found
