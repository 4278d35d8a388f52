"""`headrace retention set` on a cluster: which statement goes to which replica."""

import argparse
import io
import json
from typing import Any

import pytest

from headrace_schema.columns import tables_of
from headrace_schema.connection import Node, Unreachable
from headrace_schema.retention_cli import add_retention_parser, run_retention
from support.schema_server import MigrateSettings

SHARDS = [[("host", 9001), ("host", 9002)], [("host", 9003), ("host", 9004)]]


class Replica:
    """Answers what `retention` asks, and remembers each ALTER."""

    def __init__(self, settings: str = "ttl_only_drop_parts = 1") -> None:
        self.altered: list[str] = []
        self.down = False
        self.version = "26.9.2.1"
        self.noted: list[tuple[str, int, int]] = []
        self._settings = settings

    def execute(self, sql: str) -> list[tuple[Any, ...]]:
        if self.down:
            message = "connection refused"
            raise Unreachable(message)
        if sql.startswith(("ALTER", "CREATE", "INSERT")):
            self.altered.append(sql)
            return []
        full = f"ReplicatedMergeTree ORDER BY x SETTINGS {self._settings}"
        contents = ("ContentAttributes", "Map(LowCardinality(String), String)", *[""] * 5)
        old = [("20260901", 100), ("21000101", 100)] if self.version.startswith("18") else []
        answers: dict[str, list[tuple[Any, ...]]] = {
            "SELECT version()": [(self.version,)],
            "SELECT name, engine_full": [
                (f"{name}_local", full, "default") for name in tables_of("modern")
            ],
            "DESCRIBE": [contents],
            "FROM system.parts_columns": [(0,)],
            "EXISTS TABLE": [(1,)],
            "SELECT signal, argMax": list(self.noted),
            "table = 'otel_logs_local'": old,
        }
        return next((rows for part, rows in answers.items() if part in sql), [])

    def close(self) -> None:
        """Nothing is held."""


class Replicas(dict[int, Replica]):
    """By port; a Connect."""

    def __init__(self) -> None:
        super().__init__({port: Replica() for ports in SHARDS for _, port in ports})

    def __call__(self, node: Node) -> Replica:
        self[node.port].execute("SELECT version()")
        return self[node.port]


def retention(replicas: Replicas, *argv: str) -> tuple[int, Any]:
    parser = argparse.ArgumentParser()
    add_retention_parser(parser.add_subparsers())
    args = parser.parse_args(["retention", *argv, "--json"])
    out = io.StringIO()
    settings = MigrateSettings(SHARDS, clickhouse_topology="cluster")
    code = run_retention(args, settings, connect=replicas, out=out)
    return code, json.loads(out.getvalue())


def test_settings_go_to_each_replica_and_the_rest_to_one_of_a_shard() -> None:
    replicas = Replicas()
    assert retention(replicas, "set", "--logs", "14d", "--yes")[0] == 0
    table = "ALTER TABLE otel.otel_logs_local"
    setting = f"{table} MODIFY SETTING materialize_ttl_recalculate_only = 1"
    ttl = (
        f"{table} MODIFY TTL toDateTime(Timestamp) + toIntervalDay(14) "
        "SETTINGS materialize_ttl_after_modify = 0"
    )
    first = [setting, ttl, f"{table} MATERIALIZE TTL"]
    assert [replicas[port].altered for port in (9001, 9002, 9003, 9004)] == [
        first, [setting], first, [setting],
    ]  # fmt: skip


def test_contents_get_a_ttl_and_rows_go_by_whole_days() -> None:
    replicas = Replicas()
    assert retention(replicas, "set", "--traces", "7d", "--content", "3d", "--yes")[0] == 0
    day = "toStartOfDay(toDateTime(Timestamp) + toIntervalDay(1))"
    late = "SETTINGS materialize_ttl_after_modify = 0"
    spans = "ALTER TABLE otel.otel_traces_local"
    first, second = replicas[9001].altered, replicas[9002].altered
    assert [sql for sql in first if sql.startswith(spans)] == [
        f"{spans} MODIFY SETTING ttl_only_drop_parts = 0, materialize_ttl_recalculate_only = 1",
        f"{spans} MODIFY TTL {day} + toIntervalDay(7) {late}",
        f"{spans} MATERIALIZE TTL",
        f"{spans} MODIFY COLUMN ContentAttributes TTL {day} + toIntervalDay(3) {late}",
        f"{spans} MATERIALIZE TTL",
    ]
    # Logs have no limit; their contents have one now.
    assert [sql for sql in first if "otel_logs" in sql and "MODIFY TTL" in sql] == []
    assert [sql for sql in first if "otel_logs" in sql and "MODIFY COLUMN" in sql]
    assert all("MODIFY SETTING" in sql for sql in second)


def test_a_replica_that_is_down_is_told_about() -> None:
    replicas = Replicas()
    replicas[9001].down = True
    code, said = retention(replicas, "set", "--logs", "14d", "--yes")
    assert (code, said["unreachable"]) == (3, {"host:9001": "connection refused"})
    assert [len(replicas[port].altered) for port in (9001, 9002, 9003, 9004)] == [0, 3, 3, 1]


def test_a_shard_that_is_down_stops_it_before_anything_is_done() -> None:
    replicas = Replicas()
    replicas[9003].down = replicas[9004].down = True
    code, said = retention(replicas, "set", "--logs", "14d", "--yes")
    assert code == 1
    assert "no replica of shard 2 answers; nothing was changed" in said["error"]
    assert replicas[9001].altered == []


def legacy(*noted: list[tuple[str, int, int]]) -> Replicas:
    """Four servers of 18.16, and what each of them has noted: (signal, days, when)."""
    replicas = Replicas()
    for replica, one in zip(replicas.values(), noted, strict=True):
        replica.version, replica.noted = "18.16.1", one
    return replicas


DROP = "ALTER TABLE otel.otel_logs_local DROP PARTITION ID '20260901'"


def test_the_latest_note_of_any_replica_counts_and_reaches_the_others() -> None:
    missed, knows = [("logs", 7, 1_000)], [("logs", 3_000, 2_000)]
    replicas = legacy(missed, knows, knows, knows)
    assert retention(replicas, "set", "--logs", "default", "--yes")[0] == 0
    assert DROP not in [sql for replica in replicas.values() for sql in replica.altered]
    noted = [len([sql for sql in r.altered if "toUInt32(3000)" in sql]) for r in replicas.values()]
    assert noted == [1, 0, 0, 0]


def test_each_shard_drops_its_days_once() -> None:
    replicas = legacy(*[[("logs", 7, 1_000)]] * 4)
    assert retention(replicas, "set", "--defaults", "--yes")[0] == 0
    dropped = [replica.altered.count(DROP) for replica in replicas.values()]
    assert dropped == [1, 0, 1, 0]


def test_a_silent_replica_may_know_of_a_longer_limit() -> None:
    replicas = legacy(*[[("logs", 7, 1_000)]] * 4)
    replicas[9002].down = True
    code, said = retention(replicas, "set", "--defaults", "--yes")
    assert (code, "host:9002" in said["error"]) == (3, True)
    assert not any(replica.altered for replica in replicas.values())
    # A limit by name is somebody's will now.
    assert retention(replicas, "set", "--logs", "9d", "--yes")[0] == 3
    assert DROP in replicas[9001].altered


def test_rows_older_than_the_usual_limit_wait_for_a_word() -> None:
    replicas = legacy([], [], [], [])
    code, said = retention(replicas, "set", "--defaults", "--yes")
    assert (code, list(said["left"])) == (0, ["logs", "content"])
    assert "rows since 2026-09-01" in said["left"]["logs"]
    assert DROP not in replicas[9001].altered


@pytest.mark.parametrize("flags", [("--service", "a=3d"), ("--move-after", "logs=2d:cold")])
def test_defaults_do_not_mix_with_overrides(flags: tuple[str, str]) -> None:
    code, said = retention(Replicas(), "set", "--defaults", *flags)
    assert (code, "run set twice" in said["error"]) == (2, True)
