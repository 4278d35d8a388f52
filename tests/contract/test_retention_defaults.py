"""`headrace retention set --defaults` on a real server of each dialect: limits from the first day
on, and never a shorter one than somebody chose."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import pytest

from headrace_schema.retention import DEFAULT_DAYS
from support.kept_database import KeptDatabase, eventually
from support.schema_server import SchemaServer, migrate
from support.schema_writer import Writer

APPLY = ("set", "--defaults", "--yes")


@pytest.fixture
def kept(server: SchemaServer) -> Iterator[KeptDatabase]:
    found = KeptDatabase(server, f"usual_{server.dialect}")
    assert migrate(found.settings, "apply")[0] == 0
    yield found
    with server.client() as client:
        client.execute(f"DROP DATABASE {found.database}")


def limits(kept: KeptDatabase) -> dict[str, int | None]:
    """Signal → days."""
    (tables,) = kept.retention("show")[1].values()
    return {one["signal"]: one["days"] for one in tables}


def test_new_tables_get_the_usual_limits_once(kept: KeptDatabase) -> None:
    assert set(limits(kept).values()) == {None}
    assert kept.retention(*APPLY)[0] == 0
    usual = {signal: DEFAULT_DAYS[signal] for signal in limits(kept)}
    assert limits(kept) == usual
    wanted = ["traces", "metrics", "logs", "content"]
    wanted += ["rollups"] * (kept.server.dialect == "modern")
    assert sorted(usual) == sorted(wanted)
    assert kept.retention("set", "--defaults")[1]["steps"] == []


def test_what_somebody_chose_stays(kept: KeptDatabase) -> None:
    kept.store("otel_traces", 1, 20)
    kept.store("otel_logs", 1, 20)
    assert kept.retention("set", "--traces", "30d", "--yes")[0] == 0
    assert kept.retention("set", "--defaults", "--logs", "14d", "--yes")[0] == 0
    assert limits(kept) | {"traces": 30, "logs": 14, "metrics": 30} == limits(kept)
    eventually(lambda: kept.days_of("otel_logs") == [1])
    assert kept.days_of("otel_traces") == [20, 1]
    # Shorter by choice, too, and again: the latest counts.
    assert kept.retention("set", "--traces", "3d", "--yes")[0] == 0
    assert kept.retention(*APPLY)[0] == 0
    assert limits(kept)["traces"] == 3
    eventually(lambda: kept.days_of("otel_traces") == [1])


def test_rows_that_were_kept_without_a_limit_stay(kept: KeptDatabase) -> None:
    kept.store("otel_logs", 1, 20)
    code, said = kept.retention(*APPLY)
    assert (code, list(said["left"])) == (0, ["logs", "content"])
    assert "give --logs, such as 14d" in said["left"]["logs"]
    assert (limits(kept)["logs"], limits(kept)["traces"]) == (None, 7)
    assert kept.days_of("otel_logs") == [20, 1]
    left = kept.retention("set", "--logs", "default", "--yes")[1]["left"]
    assert left == {"logs": said["left"]["logs"]}
    assert kept.retention("set", "--logs", "14d", "--yes")[0] == 0
    eventually(lambda: kept.days_of("otel_logs") == [1])


def test_a_ttl_written_by_hand_stays(modern: SchemaServer) -> None:
    kept = KeptDatabase(modern, "usual_by_hand")
    assert migrate(kept.settings, "apply")[0] == 0
    by_hand = "toDateTime(Timestamp) + toIntervalMonth(6)"
    with modern.client() as client:
        client.execute(f"ALTER TABLE {kept.database}.otel_logs MODIFY TTL {by_hand}")
        assert kept.retention(*APPLY)[0] == 0
        (tables,) = kept.retention("show")[1].values()
        assert {one["table"]: one["ttl"] for one in tables}["otel_logs"] == by_hand
        client.execute(f"DROP DATABASE {kept.database}")


def test_a_table_that_came_later_follows_its_signal(modern: SchemaServer) -> None:
    kept = KeptDatabase(modern, "usual_later")
    assert migrate(kept.settings, "apply")[0] == 0
    assert kept.retention("set", "--traces", "90d", "--yes")[0] == 0
    with modern.client() as client:
        client.execute(f"ALTER TABLE {kept.database}.otel_traces_trace_id_ts REMOVE TTL")
        assert kept.retention(*APPLY)[0] == 0
        (tables,) = kept.retention("show")[1].values()
        days = {one["table"]: one["days"] for one in tables}
        assert (days["otel_traces_trace_id_ts"], days["otel_logs"]) == (90, 14)
        client.execute(f"DROP DATABASE {kept.database}")


def test_contents_follow_what_was_chosen_for_their_copies(modern: SchemaServer) -> None:
    """Of a release before the column: its tables have limits, and their rows go by the second."""
    kept = KeptDatabase(modern, "usual_contents")
    assert migrate(kept.settings, "apply")[0] == 0
    table = f"ALTER TABLE {kept.database}"
    with modern.client() as client:
        for name, days in (("genai_content", 5), ("otel_traces", 90)):
            limit = f"toDateTime(Timestamp) + toIntervalDay({days})"
            client.execute(f"{table}.{name} MODIFY TTL {limit}")
        assert kept.retention(*APPLY)[0] == 0
        (tables,) = kept.retention("show")[1].values()
        found = {one["table"]: one["days"] for one in tables}
        assert (found["otel_traces"], found["otel_traces.ContentAttributes"]) == (90, 5)
        assert (found["otel_logs"], found["otel_logs.ContentAttributes"]) == (14, 5)
        by_day = {one["table"] for one in tables if "toStartOfDay" in one["ttl"]}
        spans_and_logs = {"otel_traces", "otel_logs"}
        assert by_day == spans_and_logs | {f"{name}.ContentAttributes" for name in spans_and_logs}
        assert kept.retention("set", "--defaults")[1]["steps"] == []
        client.execute(f"DROP DATABASE {kept.database}")


def more_than(writer: Writer, requests: int) -> bool:
    return writer.requests > requests


def test_days_go_while_rows_are_inserted(kept: KeptDatabase) -> None:
    """Without downtime: no insert fails, and none of its rows are lost."""
    kept.store("otel_traces", 1, 20)
    kept.store("otel_logs", 20)
    deployment = replace(kept.server.deployment, database=kept.database)
    writer = Writer(SchemaServer(kept.server.port, deployment))
    with writer.running(["traces", "logs"]):
        for days in ("10d", "9d", "8d"):
            assert kept.retention("set", "--traces", days, "--logs", days, "--yes")[0] == 0
            wanted = writer.requests + 1
            eventually(partial(more_than, writer, wanted))
        eventually(lambda: 20 not in kept.days_of("otel_traces") + kept.days_of("otel_logs"))
    with kept.server.client() as client:
        for table, old in (("otel_traces", 1), ("otel_logs", 0)):
            found = client.execute(f"SELECT count() FROM {kept.database}.{table}")
            assert found == [(writer.rows[table] + old,)]
