"""Every query of docs/queries.md about LLM operations, on both servers: the answers are known.

tests/support/genai_world.py says what happened; the numbers below are done by hand from it.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from support.downstream import Reader
from support.genai_world import DAY_S, HOUR_S, LONG_PROMPT, TRACE_OF_D, World, world
from support.schema_server import SchemaServer

FIRST_DAY, NEXT_DAY = date(2026, 9, 21), date(2026, 9, 22)
WHOLE = {"since_s": HOUR_S, "until_s": HOUR_S + 2 * DAY_S}
FIRST_HOUR = {"since_s": HOUR_S, "until_s": HOUR_S + 3_600}


@pytest.fixture(scope="module")
def filled(server: SchemaServer) -> Iterator[World]:
    with world(server, f"llm_{server.dialect}") as made:
        yield made


@pytest.fixture(scope="module")
def reader(filled: World) -> Iterator[Reader]:
    with filled.client() as client:
        yield Reader(client, filled.server.dialect)


def minute(number: int) -> datetime:
    return datetime.fromtimestamp(HOUR_S + number * 60, UTC).replace(tzinfo=None)


def plain(value: Any) -> Any:
    """18.16 names a time zone where newer servers do not."""
    return value.replace(tzinfo=None) if isinstance(value, datetime) else value


def near(value: float) -> Any:
    return pytest.approx(value, abs=1e-6)


def answer(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return [tuple(map(plain, row)) for row in rows]


def test_latency_by_model_per_quarter(reader: Reader) -> None:
    rows = answer(reader("llm_latency_by_model", **FIRST_HOUR))
    assert [(quarter, model, calls, p50, p95) for quarter, model, calls, _, p50, p95 in rows] == [
        (minute(0), "claude-sonnet-4-5", 10, 1_500, 1_500),
        (minute(0), "gpt-5-mini", 20, 300, 2_000),
        (minute(0), "mystery-1", 4, 800.5, 800.5),
        (minute(15), "gpt-5-mini", 20, 500, 500),
    ]


def test_first_chunk_and_cache(reader: Reader) -> None:
    rows = {model: row for model, *row in reader("llm_first_chunk_and_cache", **FIRST_HOUR)}
    assert rows["gpt-5-mini"] == [40, pytest.approx(120), 0.4, 0.25]
    assert rows["claude-sonnet-4-5"] == [10, pytest.approx(float("nan"), nan_ok=True), 0.5, 0]


def test_success_by_route(reader: Reader) -> None:
    assert reader("llm_success_by_route", **FIRST_HOUR) == [
        ("/chat", 44, pytest.approx(41 / 44)),
        ("/agent/plan", 10, 1),
    ]


def test_error_budget(reader: Reader) -> None:
    assert reader("llm_error_budget", **FIRST_HOUR) == [
        ("mystery-1", 4, 1, pytest.approx(25)),
        ("gpt-5-mini", 40, 2, pytest.approx(5)),
        ("claude-sonnet-4-5", 10, 0, 0),
    ]


def test_tokens_per_minute_by_tier(reader: Reader) -> None:
    rows = answer(reader("llm_tokens_per_minute_by_tier", **FIRST_HOUR))
    assert [row[1:] for row in rows if row[0] == "enterprise"] == [
        (minute(n), 2_000, 1_000) for n in range(10)
    ]
    assert [row[1:] for row in rows if row[0] == "free"] == [(minute(n), 0, 100) for n in range(4)]
    # Twenty calls of a quarter begin in fifteen minutes: the first five have two.
    assert [row[1:] for row in rows if row[0] == "pro"] == [
        (minute(n), calls * 1_000, calls * 200)
        for n in range(30)
        for calls in [2 if n % 15 < 5 else 1]
    ]


def test_cost_by_tier_and_day(reader: Reader) -> None:
    # A: 600 × 0.25 + 400 × 0.025 + 150 × 2 + 50 × 2 = 560 millionths a call. D: 15,000 and 2,000.
    # B: 500 × 3 + 1,000 × 0.3 + 500 × 3.75 + 1,000 × 15 = 18,675 a call. E: 1,000 × 0.5.
    assert reader("llm_cost_by_tier_and_day", **WHOLE) == [
        (FIRST_DAY, "enterprise", "USD", 10, Decimal("0.18675"), 0),
        (FIRST_DAY, "free", "", 4, None, 4),
        (FIRST_DAY, "pro", "USD", 42, 40 * Decimal("0.00056") + Decimal("0.017"), 0),
        (NEXT_DAY, "pro", "USD", 5, 5 * Decimal("0.0005"), 0),
    ]


def test_models_without_a_price_are_seen(reader: Reader) -> None:
    assert answer(reader("llm_unknown_models", **WHOLE)) == [
        ("acme", "mystery-1", 4, 0, 400, minute(3))
    ]


def test_dearest_sessions(reader: Reader) -> None:
    # Turns, calls, tokens, errors, seconds. The agent of s-run made two calls in one turn, and one
    # of its tools failed.
    assert reader("llm_dearest_sessions", **WHOLE) == [
        ("s-old", "enterprise", 10, 10, 30_000, 0, near(9 * 60 + 1.5), Decimal("0.18675"), 0),
        ("s-run", "pro", 1, 2, 5_900, 1, near(8), Decimal("0.017"), 0),
        ("s-0", "pro", 20, 20, 24_000, 2, near(14 * 60 + 0.3), Decimal("0.0112"), 0),
        ("s-1", "pro", 20, 20, 24_000, 0, near(14 * 60 + 0.5), Decimal("0.0112"), 0),
        ("s-next", "pro", 5, 5, 5_000, 0, near(4.1), Decimal("0.0025"), 0),
        ("s-seed", "free", 4, 4, 400, 1, near(3 * 60 + 1), None, 4),
    ]


def test_dearest_conversations(reader: Reader) -> None:
    cost = Decimal("0.0112")
    assert reader("llm_dearest_conversations", **WHOLE) == [
        ("conversation-0", 1, "pro", 20, 20, 24_000, 2, near(14 * 60 + 0.3), cost, 0),
        ("conversation-1", 1, "pro", 20, 20, 24_000, 0, near(14 * 60 + 0.5), cost, 0),
    ]


def test_a_trace_by_agent_tool_and_model(reader: Reader) -> None:
    # The agent waited for all of its eight seconds but 0.2: 4 + 3 + 0.6 + 0.2 are its children's.
    assert reader("llm_trace_breakdown", trace_id=TRACE_OF_D) == [
        ("model", "gpt-5", "openai", "v1", 1, 4_000, 4_000, 0, Decimal("0.015")),
        ("tool", "search", "", "", 1, 3_000, 3_000, 0, None),
        ("model", "gpt-5", "openai", "v2", 1, 600, 600, 0, Decimal("0.002")),
        ("tool", "calc", "", "", 1, 200, 200, 1, None),
        ("agent", "planner", "", "", 1, 8_000, 200, 0, None),
    ]


def test_spans_of_a_session(reader: Reader) -> None:
    rows = reader("spans_of_a_session", session_id="s-run", since_ns=HOUR_S * 10**9)
    begun = [(at - HOUR_S * 10**9) / 10**9 - 2 * 3_600 for at, *_ in rows]
    assert begun == [0, 1, 2, 5, 6]
    assert {row[1] for row in rows} == {TRACE_OF_D}
    assert [row[2] for row in rows] == ["d0" * 8, *(f"d1{place:02x}" * 4 for place in range(4))]
    assert [row[4:] for row in rows] == [
        ("Ok", 8_000), ("Ok", 4_000), ("Ok", 600), ("Ok", 3_000), ("Error", 200),
    ]  # fmt: skip
    later = HOUR_S + 2 * 3_600 + 2
    assert len(reader("spans_of_a_session", session_id="s-run", since_ns=later * 10**9)) == 3
    assert reader("spans_of_a_session", session_id="nobody", since_ns=0) == []


def test_histograms_of_the_conventions_in_their_own_units(reader: Reader) -> None:
    common = {
        "service": "support-agent",
        "since_ns": HOUR_S * 10**9,
        "by": "gen_ai.request.model",
        "token_type": "",
    }
    # The ten calls before 14:00 are taken off. Half of forty end at 0.32 s; the 38th is the 18th of
    # the twenty between 0.32 and 0.64 s.
    assert reader(
        "response_latency_by_model", **{**common, "metric": "gen_ai.client.operation.duration"}
    ) == [("gpt-5-mini", 40, near(0.32), near(0.32 + 0.32 * 18 / 20))]
    usage = {**common, "metric": "gen_ai.client.token.usage"}
    assert reader("response_latency_by_model", **{**usage, "token_type": "input"}) == [
        ("gpt-5-mini", 40, near(256 + 768 * 0.5), near(256 + 768 * 0.95))
    ]
    assert reader("response_latency_by_model", **{**usage, "token_type": "output"}) == [
        ("gpt-5-mini", 40, near(64 + 192 * 0.5), near(64 + 192 * 0.95))
    ]
    assert reader("response_latency_by_model", **usage) == [], "never both in one sum"


def test_prompt_versions(reader: Reader) -> None:
    assert reader("llm_prompt_versions", **WHOLE) == [
        ("plan", "v1", "openai", "gpt-5", 1, 4_000, 0, Decimal("0.015"), 0),
        ("plan", "v2", "openai", "gpt-5", 1, 600, 0, Decimal("0.002"), 0),
        ("", "v0", "openai", "gpt-5-mini", 20, 555, 0.1, Decimal("0.00056"), 0),
        ("", "v1", "openai", "gpt-5-mini", 20, 500, 0, Decimal("0.00056"), 0),
    ]


def test_slowest_tools(reader: Reader) -> None:
    assert reader("llm_slowest_tools", **WHOLE) == [("search", 1, 3_000, 0), ("calc", 1, 200, 1)]


def test_errors_by_type(reader: Reader) -> None:
    assert answer(reader("llm_errors_by_type", **WHOLE)) == [
        ("429", "gpt-5-mini", 2, minute(1)),
        ("unknown", "mystery-1", 1, minute(0)),
    ]


def test_error_logs_come_with_their_calls(reader: Reader) -> None:
    rows = reader("llm_error_logs", **FIRST_HOUR)
    assert [row[0] for row in rows] == ["rate limited"] * 2
    assert [row[2] for row in rows] == ["000000000000a000", "000000000000a001"]
    assert {row[3:] for row in rows} == {("gpt-5-mini", "/chat", "pro", "s-0", "429")}


def test_scores_over_time(reader: Reader) -> None:
    assert answer(reader("llm_scores", **FIRST_HOUR)) == [
        (minute(0), "relevance", "claude-sonnet-4-5", "", 1, 0),
        (minute(0), "relevance", "gpt-5-mini", "v0", 2, 0.75),
        (minute(0), "relevance", "gpt-5-mini", "v1", 2, 0.25),
    ]


def test_spans_by_service_count_all_of_them(reader: Reader) -> None:
    # 40 + 10 + 4 + 5 of D + 5, and one that is no LLM span; failed: two of A, one tool of D. The
    # seed's agents say in an attribute that they failed, not in the status.
    rows = reader("spans_by_service", since_ns=HOUR_S * 10**9)
    assert rows == [("support-agent", 65, 3)]


def test_short_windows_leave_out_what_is_not_theirs(reader: Reader) -> None:
    until = timedelta(minutes=15).seconds + HOUR_S
    rows = reader("llm_success_by_route", since_s=HOUR_S, until_s=until)
    assert rows == [("/chat", 24, pytest.approx(21 / 24)), ("/agent/plan", 10, 1)]


# What the views show besides.


def test_only_llm_spans_are_shown_each_under_its_kind(filled: World) -> None:
    rows = filled.rows("SELECT Kind, count() FROM genai_spans GROUP BY Kind ORDER BY Kind")
    assert rows == [("agent", 1), ("model", 61), ("tool", 2)]


def test_the_new_name_counts_before_the_old(filled: World) -> None:
    rows = filled.rows("SELECT DISTINCT Provider FROM genai_spans WHERE Kind = 'model'")
    assert sorted(rows) == [("acme",), ("anthropic",), ("openai",)]


def test_previews_are_short_and_texts_are_whole(filled: World) -> None:
    short = filled.rows(
        "SELECT PromptPreview, CompletionPreview FROM genai_spans WHERE ResponseId = 'resp-0'"
    )
    assert short == [(LONG_PROMPT[:200], "an answer")]
    rows = filled.rows(
        "SELECT EventName, Input, Output, SystemInstructions FROM genai_content "
        "WHERE Input NOT IN ('short', '')"
    )
    assert sorted(rows) == [
        ("", LONG_PROMPT, "an answer", ""),
        ("gen_ai.client.inference.operation.details", "asked in an event", "", ""),
        ("gen_ai.user.message", "asked in a body", "", ""),
        ("gen_ai.user.message", "asked in the old way", "", ""),
    ]
    answered = filled.rows("SELECT Output FROM genai_content WHERE EventName = 'gen_ai.choice'")
    assert answered == [("answered in the old way",)]
    assert filled.rows("SELECT count() FROM genai_content WHERE Input = 'short'") == [(10,)]


def test_texts_are_nowhere_but_in_their_column(filled: World) -> None:
    """So that they are gone when it is cleared."""
    legacy = filled.server.dialect == "legacy"

    def holds(table: str, column: str, text: str) -> int:
        values = f"{column}.Value" if legacy else f"mapValues({column})"
        ((found,),) = filled.rows(
            f"SELECT sum(arrayExists(value -> value = '{text}', {values})) FROM {table}"
        )
        return int(found)

    for table, column, text in (
        ("otel_traces", "SpanAttributes", LONG_PROMPT),
        ("otel_traces", "SpanAttributes", "short"),
        ("otel_logs", "LogAttributes", "asked in an event"),
        ("otel_logs", "LogAttributes", "asked in a body"),
    ):
        assert holds(table, column, text) == 0, text
        assert holds(table, "ContentAttributes", text) > 0, text
    assert filled.rows("SELECT count() FROM otel_logs WHERE Body = 'asked in a body'") == [(0,)]


def test_evaluations_have_their_score_and_label(filled: World) -> None:
    rows = filled.rows(
        "SELECT ResponseId, Score, Label, Explanation, Environment FROM genai_evaluations "
        "WHERE ResponseId IN ('resp-1', 'old-0') ORDER BY ResponseId"
    )
    assert rows == [
        ("old-0", 0, "bad", "because", "production"),
        ("resp-1", 1, "good", "because", "production"),
    ]
