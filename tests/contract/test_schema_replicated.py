"""Topology `cluster` against a real ZooKeeper: one replica of each dialect.

The modern replica is chDB, whose replicated tables stay read-only: that its DDL reaches ZooKeeper
is what is looked at, up to the first migration that alters tables. The legacy replica is a whole
server, so inserts are, too. Two shards of two replicas each are the native cluster's business
(tests/integration).
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from headrace_schema.check import describe, differences, expected_tables
from headrace_schema.columns import tables_of
from headrace_schema.model import described
from support.chdb_front import chdb_front
from support.child import free_ports
from support.clickhouse_server import clickhouse_server, cluster_xml
from support.schema_server import (
    CONNECT,
    MigrateSettings,
    SchemaServer,
    create_tables,
    migrate,
)
from support.zookeeper import zookeeper

# Adds a column, which a replica that is read-only refuses; contract tests of topology `embedded`
# run it.
FIRST_ALTER = 8


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("replicated")


@pytest.fixture(scope="module")
def zookeeper_port(folder: Path) -> Iterator[int]:
    with zookeeper(folder / "zookeeper") as port:
        yield port


@pytest.fixture(scope="module")
def legacy_replica(folder: Path, zookeeper_port: int) -> Iterator[SchemaServer]:
    """Shard 1 of 1."""
    (port,) = free_ports(1)
    extra = cluster_xml([[port]], zookeeper_port, shard=1, me=port)
    with clickhouse_server(folder / "legacy", port, extra) as server:
        yield create_tables(server.port, "cluster", "legacy")


@pytest.fixture(scope="module")
def modern_replica(folder: Path, zookeeper_port: int) -> Iterator[SchemaServer]:
    """Shard 2 of 2 in a folder of its own; nobody listens where shard 1 should be."""
    config = folder / "modern.xml"
    nobody, me = free_ports(2)
    extra = cluster_xml([[nobody], [me]], zookeeper_port, shard=2, me=me, folder="current")
    config.write_text(f"<clickhouse>{extra}</clickhouse>")
    with chdb_front(folder / "modern", config) as port:
        yield create_tables(port, "cluster", "modern", FIRST_ALTER)


@pytest.fixture(params=["modern_replica", "legacy_replica"])
def replica(request: pytest.FixtureRequest) -> SchemaServer:
    found: SchemaServer = request.getfixturevalue(request.param)
    return found


def test_local_and_distributed_tables_have_the_columns(replica: SchemaServer) -> None:
    connection = CONNECT(replica.node)
    for table, columns in expected_tables(replica.deployment):
        lines = describe(connection, replica.deployment, table)
        there = [column for column in columns if column.since < FIRST_ALTER]
        assert lines == described(there, replica.dialect), table
    missing = {str(one) for one in differences(connection, replica.deployment)}
    assert (
        all("Tenant: missing" in one for one in missing)
        if replica.dialect == "modern"
        else (not missing)
    )
    connection.close()


def test_engines_are_those_of_a_cluster(replica: SchemaServer) -> None:
    with replica.client() as client:
        engines = dict(
            client.execute("SELECT name, engine FROM system.tables WHERE database = 'otel'")
        )
    for name, table in tables_of(replica.dialect).items():
        if table.everywhere:
            assert engines[name] == f"Replicated{table.engine}"
            continue
        assert engines[name] == "Distributed"
        assert engines[f"{name}_local"] == f"Replicated{table.engine}"
    assert engines["otel_traces_trace_id_ts_mv"] == "MaterializedView"
    assert engines["otel_metrics"] == "View"
    assert engines["headrace_migrations"] == "MergeTree"


def test_tables_are_in_zookeeper_under_their_shard(
    legacy_replica: SchemaServer, modern_replica: SchemaServer
) -> None:
    root = "/clickhouse/tables"
    # Only the whole server has system.zookeeper; both are in the same ZooKeeper.
    with legacy_replica.client() as client:
        for place, server in (
            ("headrace/1", legacy_replica),
            ("headrace/all", legacy_replica),
            ("current/2", modern_replica),
            ("current/all", modern_replica),
        ):
            names = client.execute(
                f"SELECT name FROM system.zookeeper WHERE path = '{root}/{place}/otel'"
            )
            assert {name for (name,) in names} == {
                name
                for name, table in tables_of(server.dialect).items()
                if table.everywhere == place.endswith("/all")
            }
        (replicas,) = client.execute(
            f"SELECT count() FROM system.zookeeper "
            f"WHERE path = '{root}/current/2/otel/otel_traces/replicas'"
        )
    assert replicas == (1,)
    assert modern_replica.dialect == "modern"


def test_apply_again_does_nothing(legacy_replica: SchemaServer) -> None:
    settings = MigrateSettings(
        [[("127.0.0.1", legacy_replica.port)]], clickhouse_topology="cluster"
    )
    assert migrate(settings, "apply") == (0, "every replica is up to date\n")
    assert migrate(settings, "status", "--check")[0] == 0


def test_inserts_reach_the_distributed_table_once(legacy_replica: SchemaServer) -> None:
    """A block sent twice is one block; another IngestId makes the same rows another block."""
    columns = "(Timestamp, TraceId, ServiceName, IngestId)"
    with legacy_replica.client() as client:
        for ingest_id in (7, 7, 8):
            client.execute(
                f"INSERT INTO otel_traces_local {columns} VALUES",
                [(1_790_000_000_000_000_000, "t", "s", ingest_id)] * 3,
            )
        rows = client.execute("SELECT IngestId, count() FROM otel_traces GROUP BY IngestId")
        found = client.execute(
            "SELECT DISTINCT TraceId, toUnixTimestamp(Start), toUnixTimestamp(End) "
            "FROM otel_traces_trace_id_ts"
        )
    assert sorted(rows) == [(7, 3), (8, 3)]
    assert found == [("t", 1_790_000_000, 1_790_000_000)]


def test_the_deduplication_window_outlives_a_plan(legacy_replica: SchemaServer) -> None:
    with legacy_replica.client() as client:
        (statement,) = client.execute("SHOW CREATE TABLE otel_metrics_sum_local")[0]
    assert "replicated_deduplication_window = 86400" in statement
    assert "replicated_deduplication_window_seconds = 86400" in statement


def test_a_replica_that_comes_up_late_is_caught_up(
    folder: Path, zookeeper_port: int, legacy_replica: SchemaServer
) -> None:
    early, late = free_ports(2)
    ports = [[early, late]]

    def extra(port: int) -> str:
        return cluster_xml(ports, zookeeper_port, shard=3, me=port)

    settings = MigrateSettings(
        [[("127.0.0.1", port) for port in ports[0]]], clickhouse_topology="cluster"
    )
    with clickhouse_server(folder / "early", early, extra(early)):
        code, out = migrate(settings, "apply")
        assert code == 3
        assert f"127.0.0.1:{early}: applied 0004_create_metrics_view" in out
        assert f"not everywhere yet. 127.0.0.1:{late}: Connection refused" in out
        with clickhouse_server(folder / "late", late, extra(late)) as second:
            code, out = migrate(settings, "apply")
            assert code == 0
            assert str(early) not in out
            assert migrate(settings, "status", "--check")[0] == 0
            with second.client("otel") as client:
                replicas = client.execute(
                    "SELECT total_replicas FROM system.replicas WHERE table = 'otel_logs_local'"
                )
    assert replicas == [(2,)]
