"""Upgrades from every earlier version, with rows in place and a writer that does not stop."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import pytest
from clickhouse_driver import Client

from headrace_loadgen.generate import SIGNALS, Generator
from headrace_loadgen.profiles import PROFILES
from headrace_schema.check import differences
from headrace_schema.columns import TABLES_BY_SIGNAL
from headrace_schema.render import Deployment, migrations
from headrace_schema.runner import Fleet, Runner
from headrace_writer.core.block import Signal
from support.decoders import KERNEL
from support.raw_insert import insert_block, server_header
from support.schema_server import CONNECT, SchemaServer

EARLIER = range(1, len(migrations(Deployment("embedded", "modern"))))
RECORDS = 101
"""Per request: the fewest that make points of every kind."""


@dataclass
class Writer:
    """Does what the real one does: asks for the header, then sends a block that fits it."""

    server: SchemaServer
    rows: dict[str, int] = field(default_factory=dict)
    requests: int = 0

    def store(self, client: Client, signal: Signal) -> None:
        """One request of loadgen."""
        self.requests += 1
        database = self.server.deployment.database
        tables = TABLES_BY_SIGNAL[signal]
        layouts = {table: server_header(client, f"{database}.{table}") for table in tables}
        builder = KERNEL.builder(signal, layouts, 1, "none")
        generator = Generator(signal, PROFILES["small"], "upgrade", RECORDS, seed=self.requests)
        assert builder.append_many([generator.next().body]) == []
        ids = {target: self.requests * 100 + i for i, (target, _) in enumerate(builder.pending())}
        for block in builder.finish(ids):
            insert_block(client, f"{database}.{block.target.table}", block.body)
            table = block.target.table
            self.rows[table] = self.rows.get(table, 0) + block.rows

    @contextmanager
    def running(self, signals: list[Signal]) -> Iterator[None]:
        """Stores requests in a thread, one after another."""
        stop, wrong = threading.Event(), []

        def work() -> None:
            try:
                with self.server.client() as client:
                    # Between two requests statements of the migration find their turn.
                    while not stop.wait(0.1):
                        for signal in signals:
                            self.store(client, signal)
            except Exception as error:
                wrong.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        yield
        stop.set()
        thread.join()
        assert wrong == []


def upgrade(server: SchemaServer, last: int | None) -> None:
    """Apply migrations up to `last`, or all that are left."""
    chosen = migrations(server.deployment)[:last]
    with Fleet([server.node], CONNECT) as fleet:
        Runner(fleet, server.deployment, chosen).apply(lambda _: None)
        assert not fleet.unreachable


@pytest.mark.parametrize("version", EARLIER)
def test_rows_stay_and_writers_go_on(server: SchemaServer, version: int) -> None:
    database = f"upgrade_{version}_{server.dialect}"
    old = SchemaServer(server.port, replace(server.deployment, database=database))
    upgrade(old, version)
    with server.client() as client:
        there = {name for (name,) in client.execute(f"SHOW TABLES FROM {database}")}
        signals = [s for s in SIGNALS if set(TABLES_BY_SIGNAL[s]) <= there]
        writer = Writer(old)
        for signal in signals:
            writer.store(client, signal)
        with writer.running(signals):
            upgrade(old, None)
        for signal in SIGNALS:
            writer.store(client, signal)
        for table, rows in writer.rows.items():
            assert client.execute(f"SELECT count() FROM {database}.{table}") == [(rows,)]
            if server.dialect == "modern":
                # Rows from before the column have it as well.
                found = client.execute(f"SELECT DISTINCT Environment FROM {database}.{table}")
                assert found == [("production",)], table
        connection = CONNECT(server.node)
        assert differences(connection, old.deployment) == []
        connection.close()
