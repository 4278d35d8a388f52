"""The five answers of `make demo`, and what calls cost, on 2 shards × 2 replicas.

An agent's spans (docs/examples) and those of a small world whose sums are known by hand went
through Kafka and a writer into a database where nothing else is.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from headrace_native import answers
from headrace_schema.connection import DriverConnection
from headrace_schema.prices import Price, choose
from headrace_schema.prices_cli import read
from headrace_schema.render import Deployment
from support.genai_world import HOUR_S, prices_sql, spans
from support.own_database import OwnDatabase, everywhere
from support.real_agent import SECOND, Emitted

pytestmark = pytest.mark.integration

MINUTE_NS = 60 * SECOND
QUARTER_NS = 15 * MINUTE_NS
QUESTIONS = {question.query: question for question in answers.QUESTIONS}


@pytest.fixture(scope="module")
def filled(
    own: OwnDatabase, emitted: Emitted, tmp_path_factory: pytest.TempPathFactory
) -> OwnDatabase:
    """Both, and the world's prices."""
    known = spans()
    rows = sum(
        len(scope.spans) for resource in known.resource_spans for scope in resource.scope_spans
    )
    own.write(
        [*emitted.messages["traces"], known.SerializeToString()],
        len(emitted.said["spans"]) + rows,
        tmp_path_factory.mktemp("own") / "writer.log",
    )
    with own.client() as client:
        for sql in prices_sql():
            client.execute(sql)
    return own


@pytest.fixture(scope="module")
def priced(filled: OwnDatabase) -> OwnDatabase:
    """With the prices that headrace ships, too."""
    filled.headrace("prices", "import")
    return filled


def asked(own: OwnDatabase, query: str, since_s: int, until_s: int) -> list[tuple[Any, ...]]:
    """The columns that the demonstration shows; every server must answer alike."""
    found = []
    for shard, replica in own.replicas:
        with own.client(shard, replica) as client:
            rows = answers.ask(client, QUESTIONS[query], since_s, until_s)
        found.append([tuple(map(plain, row)) for row in rows])
    assert all(each == found[0] for each in found)
    return found[0]


def about_agent(own: OwnDatabase, emitted: Emitted, query: str) -> list[tuple[Any, ...]]:
    """The same over the agent's own minutes."""
    began = [one["start_ns"] for one in emitted.calls]
    since_s, until_s = min(began) // MINUTE_NS * 60, max(began) // MINUTE_NS * 60 + 60
    return asked(own, query, since_s, until_s)


def plain(value: Any) -> Any:
    """18.16 names a time zone where newer servers do not."""
    return value.replace(tzinfo=None) if isinstance(value, datetime) else value


def second(ns: int) -> datetime:
    return datetime.fromtimestamp(ns // SECOND, UTC).replace(tzinfo=None)


def grouped(emitted: Emitted, *keys: str) -> dict[tuple[Any, ...], list[dict[str, Any]]]:
    """The agent's calls by attributes; `minute` and `quarter` are times."""
    found: dict[tuple[Any, ...], list[dict[str, Any]]] = defaultdict(list)
    for one in emitted.calls:
        times = {
            "minute": second(one["start_ns"] // MINUTE_NS * MINUTE_NS),
            "quarter": second(one["start_ns"] // QUARTER_NS * QUARTER_NS),
        }
        attributes = {**one["attributes"], **times}
        found[tuple(attributes[key] for key in keys)].append(one)
    return found


def of(calls: Sequence[dict[str, Any]], name: str) -> list[Any]:
    return [one["attributes"][name] for one in calls]


def test_both_shards_have_some_of_it(filled: OwnDatabase) -> None:
    for shard in (1, 2):
        with filled.client(shard) as client:
            ((rows,),) = client.execute("SELECT count() FROM otel_traces_local")
        assert rows > 20


def test_latencies_are_those_the_agent_measured(filled: OwnDatabase, emitted: Emitted) -> None:
    rows = about_agent(filled, emitted, "llm_latency_by_model")
    wanted = grouped(emitted, "quarter", "model")
    assert [row[:2] for row in rows] == sorted(wanted)
    for quarter, model, calls, p50, p95 in rows:
        times = sorted(of(wanted[quarter, model], "agent.response_latency_ms"))
        assert calls == len(times)
        for q, found in ((0.5, p50), (0.95, p95)):
            # A t-digest is right to a place in the order, and keeps single precision.
            at = q * (len(times) - 1)
            low, high = times[max(0, int(at) - 1)], times[min(len(times) - 1, int(at) + 2)]
            assert low * 0.999 <= found <= high * 1.001, (model, q)


def test_routes_fail_as_often_as_the_agent_did(filled: OwnDatabase, emitted: Emitted) -> None:
    rows = about_agent(filled, emitted, "llm_success_by_route")
    wanted = [
        (len(calls) - sum(one["error"] for one in calls), len(calls), route)
        for (route,), calls in grouped(emitted, "route").items()
    ]
    assert rows == [
        (route, calls, pytest.approx(good / calls))
        for good, calls, route in sorted(wanted, key=lambda one: (one[0] / one[1], one[2]))
    ]
    assert rows[0][2] < 1


def test_tokens_per_minute_are_those_the_agent_got(filled: OwnDatabase, emitted: Emitted) -> None:
    rows = about_agent(filled, emitted, "llm_tokens_per_minute_by_tier")
    wanted = grouped(emitted, "customer_tier", "minute")
    assert rows == [
        (*key, 0, sum(of(wanted[key], "gen_ai.usage.output_tokens"))) for key in sorted(wanted)
    ]


def test_errors_are_those_the_agent_met(filled: OwnDatabase, emitted: Emitted) -> None:
    rows = about_agent(filled, emitted, "llm_errors_by_type")
    failed: dict[str, list[int]] = defaultdict(list)
    for one in emitted.calls:
        if one["error"]:
            failed[one["attributes"]["model"]].append(one["start_ns"])
    assert sorted(rows) == sorted(
        ("rate limited", model, len(times), second(max(times))) for model, times in failed.items()
    )


def test_the_worlds_answers_are_known(filled: OwnDatabase) -> None:
    """Spans of one trace lie on one shard, their sessions and prices on both."""

    def answer(query: str) -> list[tuple[Any, ...]]:
        return asked(filled, query, HOUR_S, HOUR_S + 3_600)

    assert [row[1:3] for row in answer("llm_latency_by_model")] == [
        ("claude-sonnet-4-5", 10), ("gpt-5-mini", 20), ("mystery-1", 4), ("gpt-5-mini", 20),
    ]  # fmt: skip
    assert answer("llm_success_by_route") == [
        ("/chat", 44, pytest.approx(41 / 44)),
        ("/agent/plan", 10, 1),
    ]
    tokens = answer("llm_tokens_per_minute_by_tier")
    assert {tier: sum(row[2] for row in tokens if row[0] == tier) for tier, *_ in tokens} == {
        "enterprise": 20_000, "free": 0, "pro": 40_000,
    }  # fmt: skip
    assert answer("llm_dearest_sessions") == [
        ("s-old", 10, 10, 30_000, 0, Decimal("0.18675"), 0),
        ("s-0", 20, 20, 24_000, 2, Decimal("0.0112"), 0),
        ("s-1", 20, 20, 24_000, 0, Decimal("0.0112"), 0),
        ("s-seed", 4, 4, 400, 1, None, 4),
    ]
    assert [row[:3] for row in answer("llm_errors_by_type")] == [
        ("429", "gpt-5-mini", 2),
        ("unknown", "mystery-1", 1),
    ]


def test_imported_prices_reach_every_replica(priced: OwnDatabase) -> None:
    """Written once; a call is priced on whichever server it is asked."""
    sql = "SELECT count(), max(Version), sum(cityHash64(Model, Provider, toString(InputPrice))) "
    ((rows, version, _),) = everywhere(priced, f"{sql} FROM genai_prices")
    assert (rows > 500, version) == (True, 3)
    unknown = "SELECT DISTINCT BilledModel FROM genai_costs_1m WHERE UnpricedCalls > 0"
    assert everywhere(priced, unknown) == [("mystery-1",)]


def stored_prices(own: OwnDatabase) -> list[Price]:
    with own.client() as client:
        deployment = Deployment("cluster", own.cluster.dialect, own.name)
        return read(DriverConnection(client), deployment)


def test_sessions_cost_what_their_tokens_do(priced: OwnDatabase, emitted: Emitted) -> None:
    offers = stored_prices(priced)
    sessions = {}
    for (session,), calls in grouped(emitted, "gen_ai.conversation.id").items():
        cost = Decimal(0)
        for one in calls:
            about = one["attributes"]
            day = second(one["start_ns"]).date()
            offer = choose(
                offers, about["gen_ai.provider.name"], about["gen_ai.request.model"], day
            )
            assert offer is not None
            cost += about["gen_ai.usage.output_tokens"] * offer.output / 1_000_000
        tokens = sum(of(calls, "gen_ai.usage.output_tokens"))
        turns = len({one["trace_id"] for one in calls})
        errors = sum(one["error"] for one in calls)
        sessions[session] = (turns, len(calls), tokens, errors, cost, 0)
    dearest = sorted(sessions, key=lambda name: (-sessions[name][4], name))[:10]
    rows = about_agent(priced, emitted, "llm_dearest_sessions")
    assert rows == [(name, *sessions[name]) for name in dearest]
    assert rows[0][5] > 0
