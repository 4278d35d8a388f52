"""The rollup of LLM calls on a current server: a replay does not double it, late spans land in
their minute, and what went wrong all the same is made anew by `headrace rollup`."""

import argparse
import io
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from headrace_schema.rollup_cli import add_rollup_parser, run_rollup
from support import builders
from support.downstream import Reader
from support.genai_world import DAY_S, HOUR_S, RESOURCE, World, mini, replica, store, world
from support.schema_command import answer
from support.schema_server import SchemaServer

DAY = "2026-09-21"


@pytest.fixture
def filled(modern: SchemaServer) -> Iterator[World]:
    with world(modern, f"rollup_{os.urandom(4).hex()}") as made:
        yield made


def rollup(made: World, *argv: str) -> tuple[int, Any]:
    """Exit code and JSON of one run."""
    return answer(add_rollup_parser, run_rollup, made.settings, "rollup", *argv)


def per_minute(made: World) -> dict[int, int]:
    """Minutes since 14:00 → calls of gpt-5-mini on the first day."""
    rows = made.rows(
        "SELECT toUnixTimestamp(Minute), sum(Calls) FROM genai_usage_1m "
        f"WHERE Model = 'gpt-5-mini' AND toDate(Minute) = '{DAY}' GROUP BY Minute"
    )
    return {(minute - HOUR_S) // 60: int(calls) for minute, calls in rows}


WANTED = {minute: 2 if minute % 15 < 5 else 1 for minute in range(30)}


def test_the_view_counts_each_call_in_its_minute(filled: World) -> None:
    assert per_minute(filled) == WANTED
    assert rollup(filled, "check", "--from", DAY, "--to", DAY)[0] == 0


def send(made: World, numbers: range, ingest_id: int) -> None:
    into = replica(made.server.port, made.database)
    payload = builders.traces(*map(mini, numbers), resource=RESOURCE).SerializeToString()
    store(into, "modern", "traces", payload, ingest_id)
    into.close()


def test_a_replayed_block_counts_once(filled: World) -> None:
    """The writer repeats a block under its token when it cannot know what became of it."""
    send(filled, range(5), ingest_id=77)
    once = per_minute(filled)
    for _ in range(2):
        send(filled, range(5), ingest_id=77)
    assert per_minute(filled) == once
    assert sum(once.values()) == sum(WANTED.values()) + 5


def send_of(made: World, tenant: str, numbers: range, ingest_id: int) -> None:
    """Calls of a tenant's own, as the writer stores them."""
    into = replica(made.server.port, made.database)
    resource = {**RESOURCE, "tenant.id": tenant}
    payload = builders.traces(*map(mini, numbers), resource=resource).SerializeToString()
    store(into, "modern", "traces", payload, ingest_id)
    into.close()


def per_tenant(made: World, table: str = "genai_usage_1m") -> dict[str, int]:
    rows = made.rows(
        f"SELECT Tenant, sum(Calls) FROM {table} WHERE Model = 'gpt-5-mini' "
        f"AND toDate(Minute) = '{DAY}' GROUP BY Tenant"
    )
    return {tenant: int(calls) for tenant, calls in rows}


def test_tenants_are_counted_apart_also_when_replayed_and_made_anew(filled: World) -> None:
    for _ in range(2):
        send_of(filled, "acme", range(7), ingest_id=61)
        send_of(filled, "other", range(3), ingest_id=62)
    wanted = {"": sum(WANTED.values()), "acme": 7, "other": 3}
    assert per_tenant(filled) == per_tenant(filled, "genai_costs_1m") == wanted
    filled.rows("OPTIMIZE TABLE genai_usage_1m FINAL")
    assert per_tenant(filled) == wanted, "a merge adds up one tenant's rows only"
    assert rollup(filled, "check", "--from", DAY, "--to", DAY)[0] == 0
    assert rollup(filled, "rebuild", "--from", DAY)[0] == 0
    assert per_tenant(filled) == wanted
    found = filled.rows("SELECT Tenant, uniqExact(SpanId) FROM genai_spans GROUP BY Tenant")
    assert dict(found) == {"": 64, "acme": 7, "other": 3}


def test_days_from_before_tenants_were_counted_are_found_and_mended(filled: World) -> None:
    send_of(filled, "acme", range(7), ingest_id=63)
    for sql in (
        "CREATE TABLE before AS genai_usage_1m ENGINE = Memory",
        "INSERT INTO before SELECT * REPLACE ('' AS Tenant) FROM genai_usage_1m",
        "TRUNCATE TABLE genai_usage_1m",
        "INSERT INTO genai_usage_1m SELECT * FROM before",
    ):
        filled.rows(sql)
    code, found = rollup(filled, "check", "--from", DAY, "--to", DAY)
    assert code == 1
    assert {one["tenant"] for one in found["differences"]} == {"", "acme"}
    assert rollup(filled, "rebuild", "--from", DAY)[0] == 0
    assert per_tenant(filled) == {"": sum(WANTED.values()), "acme": 7}


def test_cost_by_tenant(filled: World) -> None:
    send_of(filled, "acme", range(7), ingest_id=64)
    with filled.client() as client:
        reader = Reader(client, "modern")
        rows = reader("llm_cost_by_tenant", since_s=HOUR_S, until_s=HOUR_S + 3_600)
    # 560 millionths a call; the four of mystery-1 have no price, and no currency.
    assert rows == [
        ("", "USD", 50, 40 * Decimal("0.00056") + Decimal("0.18675"), 0),
        ("acme", "USD", 7, 7 * Decimal("0.00056"), 0),
        ("", "", 4, None, 4),
    ]


def test_a_replay_fills_a_view_that_a_crash_left_empty(filled: World) -> None:
    """A ghost: the spans are there, their minutes are not; the same block again brings them."""
    filled.rows("DETACH TABLE genai_usage_1m_mv")
    send(filled, range(3), ingest_id=88)
    filled.rows("ATTACH TABLE genai_usage_1m_mv")
    assert per_minute(filled) == WANTED
    send(filled, range(3), ingest_id=88)
    after = per_minute(filled)
    assert {minute: after[minute] - WANTED[minute] for minute in range(3)} == {0: 1, 1: 1, 2: 1}
    assert filled.rows("SELECT count() FROM genai_spans WHERE Model = 'gpt-5-mini'") == [(48,)]


def test_late_spans_land_in_their_minute(filled: World) -> None:
    """Days later, in a block with spans of another day."""
    late = mini(20)
    fresh = mini(20)
    for field in ("start_time_unix_nano", "end_time_unix_nano"):
        setattr(fresh, field, getattr(fresh, field) + 3 * DAY_S * builders.SECOND)
    into = replica(filled.server.port, filled.database)
    payload = builders.traces(late, fresh, resource=RESOURCE).SerializeToString()
    store(into, "modern", "traces", payload, ingest_id=99)
    into.close()
    assert per_minute(filled) == {**WANTED, 15: WANTED[15] + 1}
    assert rollup(filled, "check", "--from", DAY, "--to", "2026-09-25")[0] == 0


def test_a_doubled_day_is_found_and_made_anew(filled: World) -> None:
    everything = "SELECT * FROM genai_usage_1m WHERE toDate(Minute) = '2026-09-21'"
    quantiles = (
        "SELECT Model, sum(Calls), sum(OutputTokens), quantilesTDigestMerge(0.5, 0.95, 0.99)"
        "(Latency) FROM genai_usage_1m GROUP BY Model ORDER BY Model"
    )
    right = filled.rows(quantiles)
    filled.rows(f"INSERT INTO genai_usage_1m {everything}")
    code, found = rollup(filled, "check", "--from", DAY, "--to", DAY)
    assert code == 1
    # 30 minutes of A, and 16:00 of the agent's run; B and C fall into minutes of A.
    assert len(found["differences"]) == 31
    assert all(one["calls"] == 2 * one["spans"] for one in found["differences"])

    for _ in range(2):  # as often as you like
        assert rollup(filled, "rebuild", "--from", DAY) == (0, {"days": [DAY], "differences": []})
        assert filled.rows(quantiles) == right
    left_over = filled.rows(f"SHOW TABLES FROM {filled.database} LIKE '%rebuild%'")
    assert left_over == []


def test_other_days_are_left_alone(filled: World) -> None:
    """The next day's rollup, wrong as it is, stays: only what is asked for is replaced."""
    filled.rows("INSERT INTO genai_usage_1m SELECT * FROM genai_usage_1m")
    assert rollup(filled, "rebuild", "--from", DAY)[0] == 0
    assert rollup(filled, "check", "--from", DAY, "--to", DAY)[0] == 0
    assert rollup(filled, "check", "--from", "2026-09-22", "--to", "2026-09-22")[0] == 1


def test_what_cannot_be_counted_again_is_refused(filled: World) -> None:
    today = datetime.now(UTC).date().isoformat()
    code, said = rollup(filled, "rebuild", "--from", today)
    assert (code, "is not over" in said["error"]) == (1, True)
    filled.rows("ALTER TABLE otel_traces DROP PARTITION '2026-09-21'")
    code, said = rollup(filled, "rebuild", "--from", DAY)
    assert (code, "are gone" in said["error"]) == (1, True)
    assert per_minute(filled) == WANTED, "what is left of the day is kept"
    assert rollup(filled, "rebuild", "--from", DAY, "--to", "2026-09-20")[0] == 2


def test_a_day_without_calls_is_made_empty(filled: World) -> None:
    """Servers from 26.6 on replace no partition by nothing."""
    filled.rows("ALTER TABLE otel_traces DROP PARTITION '2026-09-21'")
    filled.rows(f"INSERT INTO otel_traces (Timestamp, TraceId) SELECT toDateTime({HOUR_S}), 't'")
    assert rollup(filled, "rebuild", "--from", DAY) == (0, {"days": [DAY], "differences": []})
    assert per_minute(filled) == {}


def test_limits_of_the_tables_are_minded(filled: World) -> None:
    """A rollup with a TTL is replaced like one without; a day of expiring spans is not."""
    filled.rows("ALTER TABLE genai_usage_1m MODIFY TTL Minute + toIntervalDay(36500)")
    assert rollup(filled, "rebuild", "--from", DAY)[0] == 0
    filled.rows("ALTER TABLE otel_traces MODIFY TTL toDateTime(Timestamp) + toIntervalDay(7)")
    code, said = rollup(filled, "rebuild", "--from", DAY)
    assert (code, "are gone, or some of them" in said["error"]) == (1, True)
    assert per_minute(filled) == WANTED


def test_where_it_is_a_view_there_is_nothing_to_do(legacy: SchemaServer) -> None:
    made = World(legacy, "otel")
    assert rollup(made, "check") == (0, {"differences": []})


def test_silence_has_its_exit_code() -> None:
    parser = argparse.ArgumentParser()
    add_rollup_parser(parser.add_subparsers())
    nobody = World(SchemaServer(9, None), "otel")  # type: ignore[arg-type]
    args = parser.parse_args(["rollup", "check", "--json"])
    assert run_rollup(args, nobody.settings, out=io.StringIO()) == 3
