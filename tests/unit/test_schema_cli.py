"""`headrace migrate`: what it prints and how it exits."""

import argparse
import io
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from headrace_schema.cli import add_migrate_parser, run_migrate
from headrace_schema.render import Deployment, migrations
from support.fake_replicas import FakeCluster

ALL = migrations(Deployment("cluster", "modern"))


@dataclass
class Settings:
    clickhouse_shards: list[list[tuple[str, int]]] = field(default_factory=list)
    clickhouse_database: str = "otel"
    clickhouse_user: str = "default"
    clickhouse_password: str = ""
    clickhouse_topology: str = "cluster"
    clickhouse_dialect: str = "auto"
    clickhouse_cluster: str = "headrace"
    clickhouse_tls: Mapping[str, object] = field(default_factory=dict, init=False)


def migrate(cluster: FakeCluster, *argv: str, **settings: str) -> tuple[int, str]:
    """(exit code, output, then errors) of one run."""
    parser = argparse.ArgumentParser()
    add_migrate_parser(parser.add_subparsers())
    out, err = io.StringIO(), io.StringIO()
    code = run_migrate(
        parser.parse_args(["migrate", *argv]),
        Settings(cluster.shards, **settings),
        connect=cluster,
        out=out,
        err=err,
    )
    return code, out.getvalue() + err.getvalue()


def down(cluster: FakeCluster, *numbers: int) -> None:
    for number in numbers:
        cluster[number].down = True


def test_apply_tells_each_step_and_then_that_nothing_is_left() -> None:
    cluster = FakeCluster(1, 1)
    code, out = migrate(cluster, "apply")
    assert code == 0
    assert out.splitlines() == [f"host:9001: applied {migration}" for migration in ALL]
    assert migrate(cluster, "apply") == (0, "every replica is up to date\n")


def test_apply_with_a_replica_down_does_the_rest_and_says_what_to_do() -> None:
    cluster = FakeCluster()
    down(cluster, 2)
    code, out = migrate(cluster, "apply")
    assert code == 3
    assert "host:9004: applied 0004_create_metrics_view" in out
    assert "host:9002: connection refused. Run apply again when they are back" in out
    code, out = migrate(cluster, "apply", "--json")
    assert code == 3
    assert json.loads(out) == {
        "deployment": "cluster/modern",
        "applied": [],
        "unreachable": {"host:9002": "connection refused"},
    }


def test_apply_in_json_lists_what_was_done() -> None:
    code, out = migrate(FakeCluster(1, 1), "apply", "--json")
    assert code == 0
    assert json.loads(out)["applied"][0] == {
        "node": "host:9001",
        "migration": "0001_create_traces",
    }


@pytest.mark.parametrize("action", ["apply", "status", "dry-run"])
def test_nobody_there_is_exit_code_3(action: str) -> None:
    cluster = FakeCluster()
    down(cluster, 1, 2, 3, 4)
    code, out = migrate(cluster, action)
    assert code == 3
    assert "no replica answers" in out
    assert "host:9004: connection refused" in out


def test_dry_run_needs_no_server_when_the_dialect_is_set() -> None:
    cluster = FakeCluster()
    down(cluster, 1, 2, 3, 4)
    for argv in (("dry-run",), ("dry-run", "--all")):
        code, out = migrate(cluster, *argv, clickhouse_dialect="legacy")
        assert code == 0
        assert "CREATE TABLE IF NOT EXISTS otel.otel_logs_local" in out
        assert "SET allow_experimental_low_cardinality_type = 1;" in out
        assert len(re.findall(r"^-- \d{4}_", out, re.MULTILINE)) == len(ALL)


def test_dry_run_does_nothing_and_shows_what_is_missing_where() -> None:
    cluster = FakeCluster(1, 2)
    down(cluster, 2)
    migrate(cluster, "apply")
    cluster[2].down = False
    code, out = migrate(cluster, "dry-run")
    assert code == 0
    assert "-- 0001_create_traces for cluster/modern on host:9002\n" in out
    assert "host:9001" not in out
    assert cluster[2].statements == []
    migrate(cluster, "apply")
    code, out = migrate(cluster, "dry-run")
    assert (code, out) == (0, "-- nothing to do: every replica that answers is up to date\n")


def test_dry_run_in_json() -> None:
    code, out = migrate(FakeCluster(1, 1), "dry-run", "--json", clickhouse_topology="embedded")
    document = json.loads(out)
    assert code == 0
    assert document["deployment"] == "embedded/modern"
    assert document["preparation"][0] == "CREATE DATABASE IF NOT EXISTS otel"
    first = document["migrations"][0]
    assert (first["migration"], first["nodes"]) == ("0001_create_traces", ["host:9001"])
    assert len(first["checksum"]) == 64
    assert first["statements"][0].startswith("CREATE TABLE IF NOT EXISTS otel.otel_traces\n(")


def test_status_shows_states_and_times() -> None:
    cluster = FakeCluster(1, 2)
    down(cluster, 2)
    migrate(cluster, "apply")
    code, out = migrate(cluster, "status")
    assert code == 3
    assert "host:9001 (shard 1, replica 1): ClickHouse 26.9.2.1\n" in out
    assert "  applied  0001_create_traces  2026-09-21 14:13:20 UTC\n" in out
    assert "host:9002 (shard 1, replica 2): unreachable: connection refused\n" in out


def test_status_with_migrations_pending_fails_only_as_a_check() -> None:
    cluster = FakeCluster(1, 1)
    assert migrate(cluster, "status")[0] == 0
    code, out = migrate(cluster, "status", "--check", "--json")
    assert code == 1
    (node,) = json.loads(out)["nodes"]
    assert {m["state"] for m in node["migrations"]} == {"pending"}
    assert {d["table"] for d in node["differences"]} >= {"otel_traces", "otel_traces_local"}


def test_a_refused_statement_is_exit_code_1() -> None:
    cluster = FakeCluster(1, 1)
    cluster[1].fails_at, cluster[1].refuses = "otel_logs_local", True
    code, out = migrate(cluster, "apply")
    assert code == 1
    assert "headrace migrate: host:9001: code 57: no, in 0002_create_logs" in out


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"clickhouse_topology": "ring"}, "clickhouse_topology is 'ring'; choose one of embedded"),
        ({"clickhouse_dialect": "new"}, "clickhouse_dialect is 'new'; choose one of auto, modern"),
        ({"clickhouse_database": "my-otel"}, "database 'my-otel': use letters"),
    ],
)
def test_a_wrong_setting_is_exit_code_2(settings: dict[str, str], message: str) -> None:
    code, out = migrate(FakeCluster(1, 1), "status", **settings)
    assert code == 2
    assert message in out


def test_a_server_too_old_is_exit_code_1_and_valid_json() -> None:
    cluster = FakeCluster(1, 1)
    cluster[1].version = "23.3.1.1"
    code, out = migrate(cluster, "apply", "--json")
    assert code == 1
    assert "24.8 or later" in json.loads(out)["error"]
