"""The migration runner on replicas that fail in every way that matters."""

from collections.abc import Sequence

import pytest

from headrace_schema.connection import Node
from headrace_schema.render import Deployment, Migration, migrations, render
from headrace_schema.runner import (
    SESSION_SETTINGS,
    Fleet,
    MigrationRefused,
    Runner,
    detect_dialect,
)
from support.fake_replicas import FakeCluster

DEPLOYMENT = Deployment("cluster", "modern")
ALL = migrations(DEPLOYMENT)


def silent(_: str) -> None:
    """Nobody listens."""


def apply(
    cluster: FakeCluster, to_apply: Sequence[Migration] = ALL
) -> tuple[list[tuple[int, int]], list[int]]:
    """Run apply; returns (migration, port) pairs done and the ports not reached."""
    with Fleet(cluster.nodes, cluster) as fleet:
        done = Runner(fleet, DEPLOYMENT, to_apply).apply(silent)
        lost = [node.port for node in fleet.unreachable]
    assert all(replica.connections == 0 for replica in cluster.replicas.values())
    return [(migration.number, node.port) for migration, node in done], lost


def test_every_replica_gets_everything_once() -> None:
    cluster = FakeCluster()
    done, lost = apply(cluster)
    assert done == [(m.number, node.port) for m in ALL for node in cluster.nodes]
    assert lost == []
    expected = [sql for migration in ALL for _, sql in migration.statements]
    assert all(replica.ddl == expected for replica in cluster.replicas.values())
    assert apply(cluster) == ([], [])
    assert all(replica.ddl == expected for replica in cluster.replicas.values())


def test_the_session_is_prepared_before_the_first_migration() -> None:
    cluster = FakeCluster(1, 1)
    apply(cluster)
    assert [sql.split(" (")[0] for sql in cluster[1].statements[:3]] == [
        "CREATE DATABASE IF NOT EXISTS otel",
        SESSION_SETTINGS["modern"],
        "CREATE TABLE IF NOT EXISTS otel.headrace_migrations",
    ]


def test_local_tables_are_everywhere_before_a_distributed_one_is_anywhere() -> None:
    order: list[str] = []

    class Listening(FakeCluster):
        def __call__(self, node: Node) -> object:  # type: ignore[override]
            connection = super().__call__(node)
            inner = connection.execute

            def execute(sql: str) -> list[tuple[object, ...]]:
                if "CREATE TABLE" in sql and "otel_logs" in sql:
                    order.append("distributed" if "Distributed" in sql else "local")
                return inner(sql)

            connection.execute = execute  # type: ignore[method-assign]
            return connection

    apply(Listening())
    assert order == ["local"] * 4 + ["distributed"] * 4


def test_a_replica_that_is_down_is_caught_up_later() -> None:
    cluster = FakeCluster()
    cluster[3].down = True
    done, lost = apply(cluster)
    assert lost == [9003]
    assert len(done) == len(ALL) * 3
    cluster[3].down = False
    assert apply(cluster) == ([(m.number, 9003) for m in ALL], [])


@pytest.mark.parametrize(
    "fails_at",
    [
        "CREATE DATABASE",
        "otel_traces_local\n(",
        "Distributed(headrace, otel, otel_logs_local",
        "'create_metrics',",
        "CREATE VIEW",
    ],
)
def test_a_run_that_breaks_on_one_replica_goes_on_with_the_next(fails_at: str) -> None:
    cluster = FakeCluster()
    cluster[2].fails_at = fails_at
    done, lost = apply(cluster)
    assert lost == [9002]
    assert {port for _, port in done} >= {9001, 9003, 9004}
    recorded = {number for number, *_ in cluster[2].ledger}
    cluster[2].fails_at, cluster[2].down = "", False
    again, lost = apply(cluster)
    assert lost == []
    assert again == [(m.number, 9002) for m in ALL if m.number not in recorded]
    assert [number for number, *_ in sorted(cluster[2].ledger)] == [m.number for m in ALL]


def test_a_refused_statement_stops_the_run_and_is_named() -> None:
    cluster = FakeCluster()
    cluster[2].fails_at, cluster[2].refuses = "otel_metrics_sum_local\n(", True
    with pytest.raises(MigrationRefused) as caught:
        apply(cluster)
    text = str(caught.value)
    assert text.startswith("host:9002: code 57: no, in 0003_create_metrics:\n\nCREATE TABLE")
    assert "otel_metrics_sum_local" in text
    assert [number for number, *_ in cluster[1].ledger] == [1, 2]
    cluster[2].fails_at = ""
    done, _ = apply(cluster)
    assert {number for number, _ in done} == {m.number for m in ALL[2:]}


def test_an_edited_migration_is_refused_before_anything_is_done() -> None:
    cluster = FakeCluster()
    cluster[4].down = True
    apply(cluster, ALL[:1])
    cluster[4].down = False
    before = {port: list(replica.statements) for port, replica in cluster.replicas.items()}
    edited = Migration(1, ALL[0].name, (("LOCAL", "CREATE TABLE IF NOT EXISTS otel.other"),))
    with pytest.raises(MigrationRefused, match="host:9001: migration 0001_create_traces was"):
        apply(cluster, [edited, *ALL[1:]])
    assert {port: r.statements for port, r in cluster.replicas.items()} == before


def test_another_topology_on_the_same_database_is_refused() -> None:
    cluster = FakeCluster(1, 1)
    apply(cluster)
    embedded = Deployment("embedded", "modern")
    with Fleet(cluster.nodes, cluster) as fleet:
        runner = Runner(fleet, embedded, migrations(embedded))
        with pytest.raises(MigrationRefused, match="topology, dialect, database or cluster"):
            runner.apply(silent)


def test_migrations_of_a_newer_release_are_left_alone() -> None:
    cluster = FakeCluster(1, 1)
    apply(cluster)
    assert apply(cluster, ALL[:2]) == ([], [])
    with Fleet(cluster.nodes, cluster) as fleet:
        (status,) = Runner(fleet, DEPLOYMENT, ALL[:2]).status()
    assert [(m.number, m.state) for m in status.migrations] == [
        (m.number, "applied" if m.number <= 2 else "newer") for m in ALL
    ]


def test_status_tells_each_replica_apart() -> None:
    cluster = FakeCluster(1, 3)
    cluster[2].down = True
    apply(cluster, ALL[:1])
    cluster[2].down, cluster[3].down = False, True
    with Fleet(cluster.nodes, cluster) as fleet:
        first, second, third = Runner(fleet, DEPLOYMENT, ALL).status()
    assert [m.state for m in first.migrations] == ["applied", *["pending"] * (len(ALL) - 1)]
    assert first.migrations[0].applied_at is not None
    assert first.version == "26.9.2.1"
    assert [m.state for m in second.migrations] == ["pending"] * len(ALL)
    assert third.unreachable == "connection refused"


def test_empty_sections_are_fine() -> None:
    (migration,) = render({"0001_note_nothing.sql": "-- LOCAL\n"}, DEPLOYMENT)
    cluster = FakeCluster(1, 1)
    assert apply(cluster, [migration]) == ([(1, 9001)], [])


@pytest.mark.parametrize(
    ("version", "dialect"),
    [("24.8.1.1", "modern"), ("26.9.2.1", "modern"), ("25.3", "modern"), ("18.16.1", "legacy")],
)
def test_the_version_tells_the_dialect(version: str, dialect: str) -> None:
    assert detect_dialect({"a:1": version, "b:1": version}) == dialect


@pytest.mark.parametrize("version", ["24.7.9.9", "19.17.2", "21.8.1.1"])
def test_a_server_between_the_dialects_is_named(version: str) -> None:
    with pytest.raises(MigrationRefused, match=f"b:1 runs ClickHouse {version}: .*24.8 or later"):
        detect_dialect({"a:1": "24.8.1.1", "b:1": version})


def test_a_mixture_is_refused() -> None:
    with pytest.raises(MigrationRefused, match="modern on a:1, legacy on b:1"):
        detect_dialect({"a:1": "26.9.2.1", "b:1": "18.16.1"})


def test_a_dangerous_migration_is_refused_before_anything_is_done() -> None:
    cluster = FakeCluster(1, 2)
    apply(cluster, ALL[:1])
    before = {port: list(replica.statements) for port, replica in cluster.replicas.items()}
    drop = Migration(2, "drop_column", (("LOCAL", "ALTER TABLE otel.otel_logs DROP COLUMN Body"),))
    with pytest.raises(MigrationRefused) as caught:
        apply(cluster, [ALL[0], drop])
    text = str(caught.value)
    assert "nothing was done. 0002_drop_column deletes a column's values" in text
    assert "ALTER TABLE otel.otel_logs DROP COLUMN Body" in text
    assert "headrace migrate apply --allow-dangerous" in text
    assert {port: r.statements for port, r in cluster.replicas.items()} == before
    with Fleet(cluster.nodes, cluster) as fleet:
        done = Runner(fleet, DEPLOYMENT, [ALL[0], drop]).apply(silent, allow_dangerous=True)
    assert [migration.number for migration, _ in done] == [2, 2]


@pytest.mark.parametrize("code", [122, 342])
def test_a_replica_that_comes_later_takes_the_table_as_its_shard_has_it(code: int) -> None:
    cluster = FakeCluster()
    cluster[4].down = True
    apply(cluster)
    late = cluster[4]
    late.down, late.refuses, late.refusal = False, True, (code, "ZooKeeper has other columns")
    late.fails_at = "CREATE TABLE IF NOT EXISTS otel.otel_traces_local"
    assert apply(cluster) == ([(m.number, 9004) for m in ALL], [])
    assert late.ddl[0] == "CREATE TABLE otel.otel_traces_local (grown)"
    assert late.ddl[1:] == cluster[3].ddl[1:]


def test_without_another_replica_of_its_shard_the_refusal_stands() -> None:
    cluster = FakeCluster()
    cluster[3].down = cluster[4].down = True
    apply(cluster)
    late = cluster[4]
    late.down, late.refuses, late.refusal = False, True, (122, "ZooKeeper has other columns")
    late.fails_at = "CREATE TABLE IF NOT EXISTS otel.otel_traces_local"
    with pytest.raises(MigrationRefused, match="code 122: ZooKeeper has other columns, in 0001"):
        apply(cluster)


def test_a_column_that_is_there_already_was_added_by_this_migration() -> None:
    cluster = FakeCluster(1, 2)
    add = "ALTER TABLE otel.otel_logs\n    ADD COLUMN Tenant String"
    migration = Migration(1, "add_tenant", (("LOCAL", add),))
    twin = cluster[2]
    twin.fails_at, twin.refuses = "ADD COLUMN", True
    twin.refusal = (44, "Cannot add column Tenant: column with this name already exists")
    assert apply(cluster, [migration])[0] == [(1, 9001), (1, 9002)]
    twin.ledger.clear()
    twin.refusal = (44, "Cannot add column Tenant: no such type")
    with pytest.raises(MigrationRefused, match="no such type"):
        apply(cluster, [migration])
