"""Topology `cluster` against a real ZooKeeper: one replica of each dialect.

The modern replica is chDB, whose replicated tables stay read-only: that what creates them reaches
ZooKeeper is what is looked at; later changes of them are refused there, and passed over. The legacy
replica is a whole server, so inserts are, too. Two shards of two replicas each are the native
cluster's business (tests/integration).
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from clickhouse_driver import Client
from clickhouse_driver.errors import ServerException

from headrace_schema.check import describe, differences
from headrace_schema.columns import tables_of
from headrace_schema.connection import PROTOCOL_REVISION, DriverConnection, Node, Refused
from headrace_schema.expected import expected
from headrace_schema.model import described
from support import builders
from support.chdb_front import chdb_front
from support.child import free_ports
from support.clickhouse_server import clickhouse_server, cluster_xml
from support.decoders import KERNEL, layouts_of
from support.schema_server import (
    CONNECT,
    MigrateSettings,
    SchemaServer,
    create_tables,
    migrate,
)
from support.zookeeper import zookeeper

TABLE_IS_READ_ONLY = 242
UNKNOWN_IDENTIFIER = 47


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


class _ReadOnly(DriverConnection):
    """Takes a replicated table's refusal of an ALTER for its consent, and that of a view whose
    query names a column that came to nothing so."""

    def execute(self, sql: str) -> list[tuple[Any, ...]]:
        try:
            return super().execute(sql)
        except Refused as error:
            follows = error.code == UNKNOWN_IDENTIFIER and " MODIFY QUERY" in sql
            if not follows and not (error.code == TABLE_IS_READ_ONLY and sql.startswith("ALTER")):
                raise
            return []


def _open_read_only(node: Node) -> _ReadOnly:
    return _ReadOnly(Client(node.host, port=node.port, client_revision=PROTOCOL_REVISION))


@pytest.fixture(scope="module")
def modern_replica(folder: Path, zookeeper_port: int) -> Iterator[SchemaServer]:
    """Shard 2 of 2 in a folder of its own; nobody listens where shard 1 should be."""
    config = folder / "modern.xml"
    nobody, me = free_ports(2)
    extra = cluster_xml([[nobody], [me]], zookeeper_port, shard=2, me=me, folder="current")
    config.write_text(f"<clickhouse>{extra}</clickhouse>")
    with chdb_front(folder / "modern", config) as port:
        yield create_tables(port, "cluster", "modern", _open_read_only)


@pytest.fixture(params=["modern_replica", "legacy_replica"])
def replica(request: pytest.FixtureRequest) -> SchemaServer:
    found: SchemaServer = request.getfixturevalue(request.param)
    return found


def test_local_and_distributed_tables_have_the_columns(replica: SchemaServer) -> None:
    connection = CONNECT(replica.node)
    for one in expected(replica.deployment):
        lines = describe(connection, replica.deployment, one.name)
        wanted = described([c for c in one.columns if c.since == 1], replica.dialect)
        assert set(lines) >= set(wanted), one.name
    if replica.dialect == "legacy":
        assert differences(connection, replica.deployment) == []
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


def test_apply_again_does_nothing(replica: SchemaServer) -> None:
    settings = MigrateSettings([[("127.0.0.1", replica.port)]], clickhouse_topology="cluster")
    assert migrate(settings, "apply") == (0, "every replica is up to date\n")
    assert replica.dialect == "modern" or migrate(settings, "check")[0] == 0


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
    with clickhouse_server(folder / "early", early, extra(early)) as first:
        code, out = migrate(settings, "apply")
        assert code == 3
        assert f"127.0.0.1:{early}: applied 0004_create_metrics_view" in out
        assert f"not everywhere yet. 127.0.0.1:{late}: Connection refused" in out
        with clickhouse_server(folder / "late", late, extra(late)) as second:
            code, out = migrate(settings, "apply")
            assert code == 0, out
            assert str(early) not in out
            assert migrate(settings, "status", "--check")[0] == 0
            described = "DESCRIBE TABLE otel_traces_local"
            with first.client("otel") as of_first, second.client("otel") as client:
                # With the columns of later migrations, which 18.16 lets nobody begin without.
                assert client.execute(described) == of_first.execute(described)
                replicas = client.execute(
                    "SELECT total_replicas FROM system.replicas WHERE table = 'otel_logs_local'"
                )
    assert replicas == [(2,)]


def span(trace_id: bytes) -> bytes:
    """A request of one span."""
    return builders.traces(builders.span(trace_id=trace_id)).SerializeToString()


def shard_of(trace_id: bytes) -> int:
    """Where the writer puts a span, of two shards."""
    builder = KERNEL.builder("traces", layouts_of("traces", "modern"), 2, "none")
    assert builder.append_many([span(trace_id)]) == []
    ((target, _),) = builder.pending()
    return target.shard


@pytest.mark.parametrize("table", ["otel_traces", "otel_logs", "otel_traces_trace_id_ts"])
def test_a_trace_is_asked_of_its_shard_alone(modern_replica: SchemaServer, table: str) -> None:
    """Nobody listens on either shard, so who is missed tells who was asked."""
    asked: set[int] = set()
    with modern_replica.client() as client:
        ports = dict(
            client.execute("SELECT port, shard_num FROM system.clusters WHERE cluster = 'headrace'")
        )
        assert sorted(ports.values()) == [1, 2]
        for number in range(1, 7):
            trace_id = number.to_bytes(16, "big")
            with pytest.raises(ServerException) as caught:
                client.execute(
                    f"SELECT count() FROM {table} WHERE TraceId = '{trace_id.hex()}'",
                    settings={"optimize_skip_unused_shards": 1, "prefer_localhost_replica": 0},
                )
            missed = {ports[int(p)] for p in re.findall(r"127\.0\.0\.1:(\d+)", str(caught.value))}
            assert missed == {shard_of(trace_id) + 1}, trace_id
            asked |= missed
    assert asked == {1, 2}
