"""Upgrades from every earlier version, with rows in place and a writer that does not stop."""

from dataclasses import replace

import pytest

from headrace_loadgen.generate import SIGNALS
from headrace_schema.check import differences
from headrace_schema.columns import TABLES_BY_SIGNAL
from headrace_schema.render import Deployment, migrations
from headrace_schema.rollup_cli import add_rollup_parser, run_rollup
from support.schema_command import answer
from support.schema_server import CONNECT, MigrateSettings, SchemaServer, upgrade
from support.schema_writer import Writer

EARLIER = range(1, len(migrations(Deployment("embedded", "modern"))))


def test_views_get_the_tenants_of_rows_that_are_there(modern: SchemaServer) -> None:
    """What a table has of before has none, and is counted anew where that is asked for."""
    database = "upgrade_tenants"
    old = SchemaServer(modern.port, replace(modern.deployment, database=database))
    settings = MigrateSettings([[("127.0.0.1", modern.port)]], clickhouse_database=database)
    upgrade(old, 10)
    day = "toStartOfDay(now()) - toIntervalDay(2)"
    call = f"INSERT INTO {database}.otel_traces (Timestamp, TraceId, SpanAttributes, Tenant) "
    model = "map('gen_ai.request.model', 'm')"
    usage = f"SELECT Tenant, sum(Calls) FROM {database}.genai_usage_1m GROUP BY Tenant"
    lookup = f"SELECT TraceId, Tenant FROM {database}.otel_traces_trace_id_ts ORDER BY 1, 2"
    with modern.client() as client:
        client.execute(f"{call} SELECT {day}, 'before', {model}, arrayJoin(['a', 'b'])")
        upgrade(old)
        client.execute(f"{call} SELECT {day}, 'after', {model}, arrayJoin(['a', 'b', 'b'])")
        assert sorted(client.execute(usage)) == [("", 2), ("a", 1), ("b", 2)]
        assert client.execute(lookup) == [("after", "a"), ("after", "b"), ("before", "")]
        (of_day,) = client.execute(f"SELECT toString(toDate({day}))")[0]
        argv = ("rollup", "rebuild", "--from", of_day)
        assert answer(add_rollup_parser, run_rollup, settings, *argv)[0] == 0
        assert sorted(client.execute(usage)) == [("a", 2), ("b", 3)]
        client.execute(f"DROP DATABASE {database}")


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
            upgrade(old)
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
