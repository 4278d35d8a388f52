"""Every query of the dashboard for LLM operations, on both servers: rows of the shape it draws.

tests/support/genai_world.py says what happened; the numbers below are done by hand from it.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from headrace_dashboards.llm import LLM_DASHBOARD
from headrace_dashboards.sql_panels import SqlPanel
from support.genai_world import HOUR_S, TRACE_OF_D, World, world
from support.grafana import Range, expand
from support.schema_server import SchemaServer

# 14:00 to 16:59: all but the next day.
TIMES = Range(HOUR_S, HOUR_S + 3 * 3_600 - 1, 600)
PANELS = {panel.title: panel for _, row in LLM_DASHBOARD.rows for panel in row}

Row = dict[str, Any]


@pytest.fixture(scope="module")
def filled(server: SchemaServer) -> Iterator[World]:
    with world(server, f"board_{server.dialect}") as made:
        yield made


def run(filled: World, sql: str, **chosen: str) -> list[Row]:
    """Rows by column name, as Grafana sees them."""
    server = "18.16" if filled.server.dialect == "legacy" else "24.8 and later"
    variables = {"environment": "", "model": "", "trace": TRACE_OF_D}
    for one in LLM_DASHBOARD.variables:
        if one.choices:
            variables[one.name] = one.choices[server]
    with filled.client() as client:
        rows, columns = client.execute(
            expand(sql, TIMES, variables | chosen), with_column_types=True
        )
    return [dict(zip([name for name, _ in columns], row, strict=True)) for row in rows]


def panel(filled: World, title: str, **chosen: str) -> list[Row]:
    return run(filled, PANELS[title].sql, **chosen)


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


@pytest.mark.parametrize("one", PANELS.values(), ids=PANELS)
def test_each_panel_gets_rows_of_the_shape_that_it_draws(filled: World, one: SqlPanel) -> None:
    rows = run(filled, one.sql)
    assert rows, one.title
    for row in rows:
        if one.kind == "stat":
            assert len(row) == 1
            assert is_number(*row.values())
        elif one.kind == "timeseries":
            time, *rest = row
            assert time == "time"
            assert isinstance(row["time"], datetime)
            texts = [name for name in rest if isinstance(row[name], str)]
            assert len(texts) <= 1, "the plugin names series by one label"
            assert len(rest) == len(texts) + 1
            assert all(is_number(row[name]) for name in rest if name not in texts)
    if one.kind == "stat":
        assert len(rows) == 1
    if one.kind == "timeseries":
        times = [row["time"] for row in rows]
        assert times == sorted(times)
    assert {column.name for column in one.columns} <= set(rows[0])


@pytest.mark.parametrize("one", PANELS.values(), ids=PANELS)
def test_a_time_without_calls_is_no_error(filled: World, one: SqlPanel) -> None:
    before = Range(HOUR_S - 7_200, HOUR_S - 3_600)
    variables = {"environment": "", "model": "", "trace": "", "logs_time": "Timestamp"}
    if filled.server.dialect == "legacy":
        variables["logs_time"] = "toDateTime(intDiv(Timestamp, 1000000000))"
    with filled.client() as client:
        rows = client.execute(expand(one.sql, before, variables))
    assert len(rows) <= 1, "stats may have a row of nothing"


def test_the_boxes_offer_what_was_called(filled: World) -> None:
    offered = {
        one.name: [row[name] for row in run(filled, one.sql) for name in row]
        for one in LLM_DASHBOARD.variables
        if one.sql
    }
    assert offered == {
        "environment": ["production"],
        "model": ["claude-sonnet-4-5", "gpt-5", "gpt-5-mini", "mystery-1"],
    }


def test_the_numbers_of_now(filled: World) -> None:
    def now(title: str, **chosen: str) -> Any:
        ((value,),) = [row.values() for row in panel(filled, title, **chosen)]
        return value

    # A, B, C and two calls of D: three failed.
    assert now("Calls per minute") == pytest.approx(56 / 180, rel=1e-3)
    assert now("Success") == pytest.approx(1 - 3 / 56)
    assert now("Success", model="claude-sonnet-4-5") == 1
    assert now("Calls per minute", environment="staging") == 0
    assert now("Cost") == pytest.approx(0.18675 + 0.0224 + 0.017)
    assert now("Calls without a price") == 4
    assert now("Sessions") == 5


def test_latency_by_model(filled: World) -> None:
    found = {row["Model"]: row["p95"] for row in panel(filled, "Latency p95 by model")}
    assert found["claude-sonnet-4-5"] == 1_500
    assert set(found) == {"claude-sonnet-4-5", "gpt-5", "gpt-5-mini", "mystery-1"}
    streamed = panel(filled, "First chunk p95 by model")
    assert {row["Model"] for row in streamed} == {"gpt-5-mini"}


def test_success_tokens_and_money_by_tier(filled: World) -> None:
    routes = panel(filled, "Success by route")
    worst = min(routes, key=lambda row: float(row["success"]))
    assert worst["Route"] == "/chat"
    tokens = [
        r["tokens"] for r in panel(filled, "Tokens per minute by tier") if r["Tier"] == "free"
    ]
    assert tokens == [40]  # four calls of 100 in ten minutes
    cost = panel(filled, "Cost per minute by tier")
    enterprise = [row["cost"] for row in cost if row["Tier"] == "enterprise"]
    assert enterprise == [pytest.approx(0.018675)]
    models = {row["model"]: row for row in panel(filled, "Cost by model")}
    assert models["mystery-1"]["unpriced"] == 4
    assert models["claude-sonnet-4-5"]["cost"] == pytest.approx(0.18675)


def test_sessions_traces_and_logs(filled: World) -> None:
    dearest = panel(filled, "Dearest sessions")
    assert [row["session"] for row in dearest][:2] == ["s-old", "s-run"]
    found = {name: dearest[1][name] for name in ("turns", "calls", "errors", "seconds")}
    assert found == {"turns": 1, "calls": 2, "errors": 1, "seconds": pytest.approx(8)}
    only = [row["session"] for row in panel(filled, "Dearest sessions", model="mystery-1")]
    assert only == ["s-seed"]
    slowest = panel(filled, "Slowest traces")[0]
    assert (slowest["trace"], slowest["ms"], slowest["errors"]) == (TRACE_OF_D, 8_000, 1)
    spans = panel(filled, "The chosen trace")
    assert [row["name"] for row in spans] == ["planner", "gpt-5", "gpt-5", "search", "calc"]
    assert spans[-1]["error"]
    parts = panel(filled, "What made the chosen trace slow or dear")
    assert [(row["name"], row["provider"], row["own_ms"]) for row in parts] == [
        ("gpt-5", "openai", 4_000),
        ("search", "", 3_000),
        ("gpt-5", "openai", 600),
        ("calc", "", 200),
        ("planner", "", 200),
    ]
    assert sum(row["cost"] or 0 for row in parts) == pytest.approx(0.017)
    logs = panel(filled, "Error logs")
    assert [row["message"] for row in logs] == ["rate limited"] * 2
    assert {row["model"] for row in logs} == {"gpt-5-mini"}
    assert {row["route"] for row in logs} == {"/chat"}
