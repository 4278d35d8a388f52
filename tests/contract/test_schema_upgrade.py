"""Upgrades from every earlier version, with rows in place and a writer that does not stop."""

from dataclasses import replace

import pytest

from headrace_loadgen.generate import SIGNALS
from headrace_schema.check import differences
from headrace_schema.columns import TABLES_BY_SIGNAL
from headrace_schema.render import Deployment, migrations
from headrace_schema.runner import Fleet, Runner
from support.schema_server import CONNECT, SchemaServer
from support.schema_writer import Writer

EARLIER = range(1, len(migrations(Deployment("embedded", "modern"))))


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
