"""An upgrade on the real cluster, 2 shards × 2 replicas: rows stay, inserts go on, a replica that
is lost in the middle is caught up by the next run."""

from collections.abc import Iterator
from importlib import resources

import pytest
from clickhouse_driver import Client

from headrace_schema.check import differences
from headrace_schema.connection import Connection, Node, Unreachable
from headrace_schema.render import Deployment, Migration, migrations, render
from headrace_schema.runner import Fleet, Runner
from support.cluster import Cluster
from support.schema_server import CONNECT

pytestmark = pytest.mark.integration

DATABASE = "upgraded"
DEPLOYMENT = Deployment("cluster", "legacy", DATABASE)
OLD = 5
"""The last migration of the first release."""
NOON_NS = 1_790_000_000 * 10**9
# The next release's, so that there is an ALTER on servers of the legacy dialect.
NEXT = """-- LOCAL
ALTER TABLE {local:otel_traces} ADD COLUMN Next String;
-- DISTRIBUTED
ALTER TABLE {table:otel_traces} ADD COLUMN Next String;
"""


def of_the_next_release() -> tuple[Migration, ...]:
    folder = resources.files("headrace_schema") / "migrations"
    files = {
        entry.name: entry.read_text(encoding="utf-8")
        for entry in folder.iterdir()
        if entry.name.endswith(".sql")
    }
    return render({**files, f"{len(files) + 1:04d}_add_next.sql": NEXT}, DEPLOYMENT)


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


def insert(client: Client, first: int, rows: int) -> None:
    client.execute(
        f"INSERT INTO {DATABASE}.otel_traces_local (Timestamp, TraceId, IngestId) VALUES",
        [(NOON_NS + n, f"t{n}", first) for n in range(first, first + rows)],
    )


def test_an_upgrade_with_a_replica_lost_in_the_middle(cluster: Cluster, nodes: list[Node]) -> None:
    lost = nodes[-1]
    with Fleet(nodes, CONNECT) as fleet:
        Runner(fleet, DEPLOYMENT, migrations(DEPLOYMENT)[:OLD]).apply(lambda _: None)
        assert not fleet.unreachable
    clients = [cluster.clickhouse(shard) for shard in (1, 2)]
    for place, client in enumerate(clients):
        insert(client, 1_000 * (place + 1), 100)

    def connect(node: Node) -> Connection:
        connection = CONNECT(node)
        return _Broken(connection, "ADD COLUMN") if node == lost else connection

    said: list[str] = []

    def say(text: str) -> None:
        """Of each step; a writer inserts meanwhile."""
        said.append(text)
        insert(clients[len(said) % 2], 10_000 + len(said) * 100, 10)

    with Fleet(nodes, connect) as fleet:
        Runner(fleet, DEPLOYMENT, of_the_next_release()).apply(say)
        assert list(fleet.unreachable) == [lost]
    with Fleet(nodes, CONNECT) as fleet:
        done = Runner(fleet, DEPLOYMENT, of_the_next_release()).apply(say)
        assert not fleet.unreachable
    assert [node for _, node in done] == [lost], "only what it lacked"

    new = clients[0]
    new.execute(f"INSERT INTO {DATABASE}.otel_traces_local (TraceId, Next) VALUES", [("n", "new")])
    rows = new.execute(f"SELECT count(), countIf(Next = 'new') FROM {DATABASE}.otel_traces")
    assert rows == [(200 + 10 * len(said) + 1, 1)]
    for node in nodes:
        connection = CONNECT(node)
        found = [(one.table, one.subject) for one in differences(connection, DEPLOYMENT)]
        connection.close()
        assert found == [("otel_traces_local", "Next"), ("otel_traces", "Next")], "and no other"
    for client in clients:
        client.disconnect()
