"""Upgrades on the real cluster, 2 shards × 2 replicas: rows stay, inserts go on, a replica that is
lost in the middle is caught up by the next run."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from importlib import resources

import pytest

from headrace_loadgen.generate import SIGNALS
from headrace_schema.check import differences
from headrace_schema.columns import TABLES_BY_SIGNAL
from headrace_schema.connection import Connection, Node, Unreachable
from headrace_schema.render import Deployment, Migration, migrations, render
from headrace_schema.runner import Fleet, Runner
from headrace_writer.core.block import Signal
from support.cluster import Cluster
from support.kept_database import eventually
from support.schema_server import CONNECT, SchemaServer
from support.schema_writer import Writer

pytestmark = pytest.mark.integration

DATABASE = "upgraded"
OLD = 5
"""The last migration of the first release."""
# tests/contract/test_schema_upgrade.py upgrades a single server from every version. Here each takes
# longer: 15 to 37 s on two cores at a load of 40.
EARLIER = (1, OLD, len(migrations(Deployment("cluster", "modern"))) - 1)
# The next release's, so that there is an ALTER on servers of the legacy dialect.
NEXT = """-- LOCAL
ALTER TABLE {local:otel_traces} ADD COLUMN Next String;
-- DISTRIBUTED
ALTER TABLE {table:otel_traces} ADD COLUMN Next String;
"""


@pytest.fixture
def deployment(cluster: Cluster) -> Deployment:
    return Deployment("cluster", cluster.dialect, DATABASE)


@pytest.fixture
def nodes(cluster: Cluster) -> Iterator[list[Node]]:
    found = [
        Node(shard, replica, "127.0.0.1", int(address.rpartition(":")[2]))
        for shard, replicas in enumerate(cluster.json["clickhouse"]["shards"], 1)
        for replica, address in enumerate(replicas, 1)
    ]
    yield found
    for node in found:
        connection = CONNECT(node)
        connection.execute(f"DROP DATABASE IF EXISTS {DATABASE}")
        connection.close()


def upgrade(
    nodes: list[Node], deployment: Deployment, chosen: Sequence[Migration]
) -> list[tuple[Migration, Node]]:
    with Fleet(nodes, CONNECT) as fleet:
        done = Runner(fleet, deployment, chosen).apply(lambda _: None)
        assert not fleet.unreachable
    return done


def writers(nodes: list[Node], deployment: Deployment) -> list[Writer]:
    """One for each shard, at its first replica."""
    return [Writer(SchemaServer(n.port, deployment)) for n in nodes if n.replica == 1]


def stored(node: Node, table: str) -> int:
    connection = CONNECT(node)
    ((rows,),) = connection.execute(f"SELECT count() FROM {DATABASE}.{table}")
    connection.close()
    return int(rows)


def different(nodes: list[Node], deployment: Deployment) -> set[tuple[str, str]]:
    """(table, subject) of what is not as this release has it, anywhere."""
    found = set()
    for node in nodes:
        connection = CONNECT(node)
        found |= {(one.table, one.subject) for one in differences(connection, deployment)}
        connection.close()
    return found


@pytest.mark.parametrize("version", EARLIER)
def test_rows_stay_and_writers_go_on(
    nodes: list[Node], deployment: Deployment, version: int
) -> None:
    upgrade(nodes, deployment, migrations(deployment)[:version])
    connection = CONNECT(nodes[0])
    there = {name for (name,) in connection.execute(f"SHOW TABLES FROM {DATABASE}")}
    connection.close()
    signals: list[Signal] = [s for s in SIGNALS if set(TABLES_BY_SIGNAL[s]) <= there]
    both = writers(nodes, deployment)
    with ExitStack() as running:
        for writer in both:
            with writer.server.client() as client:
                for signal in signals:
                    writer.store(client, signal)
            running.enter_context(writer.running(signals))
        upgrade(nodes, deployment, migrations(deployment))
    wanted = {table: sum(writer.rows[table] for writer in both) for table in both[0].rows}
    # The replica that is asked may have to fetch the last rows yet.
    eventually(lambda: {table: stored(nodes[-1], table) for table in wanted} == wanted)
    assert different(nodes, deployment) == set()


class _Broken:
    """A replica that is lost at its first statement with `at` in it."""

    def __init__(self, connection: Connection, at: str) -> None:
        self._connection = connection
        self._at = at

    def execute(self, sql: str) -> list[tuple[object, ...]]:
        if self._at in sql:
            message = "connection lost"
            raise Unreachable(message)
        return self._connection.execute(sql)

    def close(self) -> None:
        self._connection.close()


def of_the_next_release(deployment: Deployment) -> tuple[Migration, ...]:
    folder = resources.files("headrace_schema") / "migrations"
    files = {
        entry.name: entry.read_text(encoding="utf-8")
        for entry in folder.iterdir()
        if entry.name.endswith(".sql")
    }
    return render({**files, f"{len(files) + 1:04d}_add_next.sql": NEXT}, deployment)


def test_an_upgrade_with_a_replica_lost_in_the_middle(
    cluster: Cluster, nodes: list[Node], deployment: Deployment
) -> None:
    lost = nodes[-1]
    upgrade(nodes, deployment, migrations(deployment)[:OLD])
    clients = [cluster.clickhouse(shard, database=DATABASE) for shard in (1, 2)]
    said: list[str] = []

    def say(text: str) -> None:
        """Of each step; somebody inserts meanwhile, who names the columns that he knows."""
        said.append(text)
        clients[len(said) % 2].execute(
            f"INSERT INTO otel_traces_local (TraceId) SELECT toString(number + {100 * len(said)}) "
            "FROM system.numbers LIMIT 10"
        )

    def connect(node: Node) -> Connection:
        connection = CONNECT(node)
        return _Broken(connection, "ADD COLUMN Next") if node == lost else connection

    with Fleet(nodes, connect) as fleet:
        Runner(fleet, deployment, of_the_next_release(deployment)).apply(say)
        assert list(fleet.unreachable) == [lost]
    with Fleet(nodes, CONNECT) as fleet:
        done = Runner(fleet, deployment, of_the_next_release(deployment)).apply(say)
        assert not fleet.unreachable
    assert {node for _, node in done} == {lost}, "only what it lacked"
    for client in clients:
        client.disconnect()
    eventually(lambda: stored(lost, "otel_traces") == 10 * len(said))

    connection = CONNECT(nodes[0])
    connection.execute(
        f"INSERT INTO {DATABASE}.otel_traces_local (TraceId, Next) SELECT 'n', 'new'"
    )
    connection.close()
    connection = CONNECT(nodes[2])
    sql = f"SELECT TraceId FROM {DATABASE}.otel_traces WHERE Next = 'new'"
    # The replica that the other shard asks may have to fetch it yet.
    eventually(lambda: connection.execute(sql) == [("n",)])
    connection.close()
    assert different(nodes, deployment) == {
        ("otel_traces_local", "Next"), ("otel_traces", "Next"),
    }, "and no other"  # fmt: skip
