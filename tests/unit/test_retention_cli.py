"""`headrace retention set` on a cluster: which statement goes to which replica."""

import argparse
import io
import json
from typing import Any

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
        self._settings = settings

    def execute(self, sql: str) -> list[tuple[Any, ...]]:
        if self.down:
            message = "connection refused"
            raise Unreachable(message)
        if sql == "SELECT version()":
            return [("26.9.2.1",)]
        if sql.startswith("SELECT name, engine_full"):
            full = f"ReplicatedMergeTree ORDER BY x SETTINGS {self._settings}"
            return [(f"{name}_local", full, "default") for name in tables_of("modern")]
        if sql.startswith("DESCRIBE"):
            return [
                ("ContentAttributes", "Map(LowCardinality(String), String)", "", "", "", "", "")
            ]
        if "parts_columns" in sql:
            return [(0,)]
        if sql.startswith("ALTER"):
            self.altered.append(sql)
        return []

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
