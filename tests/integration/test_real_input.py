"""What a real instrumented agent sent, read back by a downstream tool, on both dialects.

The agent of docs/examples runs with the OpenTelemetry SDK against the gateway. The cluster (18.16)
has its rows by way of the whole pipeline. A current ClickHouse (chDB) gets the same Kafka messages
through the kernel.
"""

from collections import defaultdict
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import pytest

from support.downstream import Reader
from support.real_agent import (
    BOUNDARIES,
    LABELS,
    Emitted,
    in_buckets,
    points,
)

pytestmark = pytest.mark.integration


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
