"""Every query of docs/queries.md, in both dialects, on what a real agent sent: right answers."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headrace_schema.model import Dialect
from support.downstream import Reader, asked, queries, unnamed_blocks
from support.real_agent import (
    BOUNDARIES,
    FLEET_BOUNDS,
    FLEET_CALLS,
    Emitted,
    in_buckets,
)

pytestmark = pytest.mark.integration

OF_THE_AGENT = {"metric": "agent.response_latency_ms", "by": "model", "token_type": ""}


ONLY_MODERN = {"llm_cost_by_tenant"}
"""Of columns that rollups do not have on 18.16."""


def test_the_page_has_each_query_in_both_dialects() -> None:
    names: dict[Dialect, set[str]] = {
        "modern": set(queries("modern")),
        "legacy": set(queries("legacy")),
    }
    assert names["modern"] - names["legacy"] == ONLY_MODERN
    assert names["legacy"] <= names["modern"]
    assert unnamed_blocks() == 0, "a block without a name is never run"


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


def test_response_latency_by_model(reader: Reader, emitted: Emitted) -> None:
    rows = reader(
        "response_latency_by_model",
        service=emitted.service, since_ns=emitted.since_ns, **OF_THE_AGENT,
    )  # fmt: skip
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
        "response_latency_by_model",
        service=emitted.fleet, since_ns=emitted.fleet_since_ns, **OF_THE_AGENT,
    )  # fmt: skip
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


def test_every_query_of_the_page_has_a_test() -> None:
    contract = Path(__file__).parents[1] / "contract"
    about_models = (contract / "test_genai_queries.py", contract / "test_rollup.py")
    assert asked(Path(__file__), *about_models) == set(queries("modern"))
