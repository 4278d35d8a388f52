"""Grafana's alerts on LLM operations, and the annotation of loadgen's runs: their SQL on both
servers, macros expanded, with data whose answers are known (tests/support/genai_world.py)."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from headrace_dashboards.loadgen import RUNS_SQL
from headrace_loadgen.probe import METRIC, canary
from headrace_native.spec import ROOT
from headrace_schema.model import Dialect
from support import builders
from support.genai_world import DAY_S, HOUR_S, RESOURCE, World, mini, replica, store, world
from support.schema_server import SchemaServer

FILE = ROOT / "deploy" / "observability" / "grafana" / "provisioning" / "alerting" / "llm.yaml"
DATASOURCES = FILE.parents[1] / "datasources" / "headrace.yaml"
GROUPS = yaml.safe_load(FILE.read_text())["groups"]
RULES: dict[str, dict[str, Any]] = {rule["title"]: rule for one in GROUPS for rule in one["rules"]}
EVALUATORS = {"gt": 1, "lt": 1, "within_range": 2, "outside_range": 2}


def expanded(sql: str, from_s: int, to_s: int, dialect: Dialect) -> str:
    """SQL as the plugin sends it for a time range. In the legacy dialect times are integers."""
    seconds, milliseconds = r"\1", r"toUnixTimestamp64Milli(\1)"
    if dialect == "legacy":
        seconds, milliseconds = r"toDateTime(intDiv(\1, 1000000000))", r"intDiv(\1, 1000000)"
    sql = re.sub(r"toUnixTimestamp64Milli\((\w+)\)", milliseconds, sql)
    within = f"({seconds} >= toDateTime({from_s}) AND {seconds} <= toDateTime({to_s}))"
    sql = re.sub(r"\$__timeFilter\((\w+)\)", within, sql)
    sql = sql.replace("$__fromTime", f"toDateTime({from_s})")
    return sql.replace("$__toTime", f"toDateTime({to_s})")


def staged(number: int) -> Span:
    """One of twenty calls as slow as production's never are; half of them failed."""
    span = mini(number)
    span.end_time_unix_nano = span.start_time_unix_nano + 30 * builders.SECOND
    span.status.code = Status.STATUS_CODE_ERROR if number % 2 else Status.STATUS_CODE_OK
    return span


@pytest.fixture(scope="module")
def filled(server: SchemaServer) -> Iterator[World]:
    with world(server, f"llm_alerts_{server.dialect}") as made:
        staging = {**RESOURCE, "deployment.environment.name": "staging"}
        more = builders.traces(*map(staged, range(20)), resource=staging)
        into = replica(server.port, made.database)
        store(into, server.dialect, "traces", more.SerializeToString(), 3_000)
        into.close()
        yield made


def answers(filled: World, title: str, at_s: int) -> list[tuple[Any, ...]]:
    """What the alert's query returns when it is evaluated at that second."""
    [query] = [one for one in RULES[title]["data"] if one["datasourceUid"] != "__expr__"]
    sql = expanded(query["model"]["rawSql"], at_s - 900, at_s, filled.server.dialect)
    assert "$__" not in sql
    return filled.rows(sql)


def test_latency_is_the_p95_of_models_with_enough_calls_in_an_environment(filled: World) -> None:
    assert sorted(answers(filled, "HeadraceLlmLatency", HOUR_S + 900)) == [
        ("production", "gpt-5-mini", 2_000),
        ("staging", "gpt-5-mini", 30_000),
    ]
    assert answers(filled, "HeadraceLlmLatency", HOUR_S + 1_800) == [
        ("production", "gpt-5-mini", 500)
    ]


def test_success_is_a_percentage_by_environment_and_route(filled: World) -> None:
    # Of 24 calls 3 failed, later none of 20. In staging every other one, and the first, which has
    # an error's type of its own.
    assert sorted(answers(filled, "HeadraceLlmFailures", HOUR_S + 900)) == [
        ("production", "/chat", 87.5),
        ("staging", "/chat", pytest.approx(45)),
    ]
    assert answers(filled, "HeadraceLlmFailures", HOUR_S + 1_800) == [("production", "/chat", 100)]


def test_tokens_are_held_against_the_same_hour_of_earlier_days(filled: World) -> None:
    at = HOUR_S + DAY_S + 900
    [(found,)] = answers(filled, "HeadraceLlmTokensUnusual", at)
    tokens = "SELECT sum(InputTokens + OutputTokens) FROM genai_usage_1m WHERE Kind = 'model' AND "
    [(now,)] = filled.rows(
        f"{tokens} Minute >= toDateTime({at - 900}) AND Minute < toDateTime({at})"
    )
    [(before,)] = filled.rows(
        f"{tokens} Minute >= toDateTime({HOUR_S - 900}) AND Minute <= toDateTime({HOUR_S + 2_700})"
    )
    assert now > 0
    assert found == pytest.approx((now / 15) / (before / 60))


def test_without_earlier_days_nothing_is_unusual(filled: World) -> None:
    assert answers(filled, "HeadraceLlmTokensUnusual", HOUR_S + 900) == []


def test_silence_is_unusual(filled: World) -> None:
    [(found,)] = answers(filled, "HeadraceLlmTokensUnusual", HOUR_S + 2 * DAY_S + 900)
    assert found == 0


@pytest.mark.parametrize("rule", RULES.values(), ids=list(RULES))
def test_a_rule_is_one_that_grafana_takes(rule: dict[str, Any]) -> None:
    """The provisioning format: a query, its last value, a threshold on that."""
    query, reduce, threshold = rule["data"]
    known = {one["uid"] for one in yaml.safe_load(DATASOURCES.read_text())["datasources"]}
    assert query["datasourceUid"] in known
    assert [part["refId"] for part in rule["data"]] == ["A", "B", "C"]
    assert [part["model"]["refId"] for part in rule["data"]] == ["A", "B", "C"]
    for part in rule["data"]:
        assert part["relativeTimeRange"]["from"] > part["relativeTimeRange"]["to"] == 0
    assert (reduce["model"]["type"], reduce["model"]["expression"]) == ("reduce", "A")
    assert (threshold["model"]["type"], threshold["model"]["expression"]) == ("threshold", "B")
    [condition] = threshold["model"]["conditions"]
    evaluator = condition["evaluator"]
    assert len(evaluator["params"]) == EVALUATORS[evaluator["type"]]
    assert rule["condition"] == "C"
    assert rule["noDataState"] in ("OK", "NoData", "Alerting")
    assert rule["execErrState"] in ("OK", "Error", "Alerting")
    assert re.fullmatch(r"\d+[smh]", rule["for"])
    assert len(rule["uid"]) <= 40
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert rule["annotations"]["summary"]
    assert rule["annotations"]["description"]


def test_rules_are_grouped_and_told_apart() -> None:
    assert len({rule["uid"] for rule in RULES.values()}) == len(RULES) == 3
    for group in GROUPS:
        assert {"orgId", "name", "folder", "interval", "rules"} == group.keys()


def test_a_run_of_loadgen_is_marked_from_first_to_last_canary(filled: World) -> None:
    begun = HOUR_S + 100
    into = replica(filled.server.port, filled.database)
    for number in range(4):
        payload = canary("loadgen-canary-one", number, (begun + 10 * number) * 10**9)
        store(into, filled.server.dialect, "metrics", payload, 2_000 + number)
    into.close()
    sql = expanded(RUNS_SQL, HOUR_S, HOUR_S + 3_600, filled.server.dialect)
    assert f"'{METRIC}'" in sql
    expected = (begun * 1_000, (begun + 30) * 1_000, "loadgen-canary-one")
    assert filled.rows(sql) == [expected]
