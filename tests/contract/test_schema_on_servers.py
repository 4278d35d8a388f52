"""The migrations on a real server of each dialect, topology `embedded`."""

import json

import pytest

from headrace_schema.check import describe, differences
from headrace_schema.columns import TABLES_BY_SIGNAL, insert_layout
from headrace_schema.connection import Refused
from headrace_schema.expected import expected
from headrace_schema.model import described
from support.raw_insert import server_header
from support.schema_server import CONNECT, MigrateSettings, SchemaServer, migrate

SECOND_NS = 1_000_000_000
NOON_NS = 1_790_000_000 * SECOND_NS
WRITTEN = [table for tables in TABLES_BY_SIGNAL.values() for table in tables]


def settings(server: SchemaServer) -> MigrateSettings:
    return MigrateSettings([[("127.0.0.1", server.port)]])


def test_describe_is_columns_py(server: SchemaServer) -> None:
    connection = CONNECT(server.node)
    for one in expected(server.deployment):
        if one.columns:
            lines = describe(connection, server.deployment, one.name)
            assert lines == described(one.columns, server.dialect), one.name
    assert differences(connection, server.deployment) == []
    connection.close()


@pytest.mark.parametrize("table", WRITTEN)
def test_the_insert_header_is_the_layout(server: SchemaServer, table: str) -> None:
    with server.client() as client:
        assert server_header(client, table) == insert_layout(table, server.dialect)


def test_apply_again_does_nothing(server: SchemaServer) -> None:
    assert migrate(settings(server), "apply") == (0, "every replica is up to date\n")


def test_status_agrees_and_checks_columns(server: SchemaServer) -> None:
    code, out = migrate(settings(server), "status", "--check", "--json")
    assert code == 0, out
    document = json.loads(out)
    assert document["deployment"] == f"embedded/{server.dialect}"
    (node,) = document["nodes"]
    assert {m["state"] for m in node["migrations"]} == {"applied"}
    assert node["differences"] == []


def test_check_names_what_somebody_changed(server: SchemaServer) -> None:
    database = f"changed_{server.dialect}"
    changed = MigrateSettings([[("127.0.0.1", server.port)]], clickhouse_database=database)
    assert migrate(changed, "apply")[0] == 0
    with server.client() as client:
        client.execute(f"ALTER TABLE {database}.otel_logs DROP COLUMN ScopeName")
        client.execute(f"ALTER TABLE {database}.otel_logs ADD COLUMN Foreign String")
        client.execute(f"ALTER TABLE {database}.otel_logs MODIFY COLUMN TraceFlags UInt16")
        client.execute(f"ALTER TABLE {database}.otel_logs ADD COLUMN Own UInt8 MATERIALIZED 1")
        client.execute(f"DROP TABLE {database}.otel_metrics")
    code, out = migrate(changed, "status", "--check")
    assert code == 1
    for line in (
        "otel_logs.ScopeName: missing, expected String",
        "otel_logs.Foreign: String, which this release does not know",
        "otel_logs.TraceFlags: UInt16, expected UInt8",
        "missing tables: otel_metrics\n",
    ):
        assert line in out
    assert out.count("otel_logs.") == 3


def test_an_edited_ledger_is_refused(server: SchemaServer) -> None:
    database = f"edited_{server.dialect}"
    edited = MigrateSettings([[("127.0.0.1", server.port)]], clickhouse_database=database)
    assert migrate(edited, "apply")[0] == 0
    with server.client() as client:
        client.execute(
            f"INSERT INTO {database}.headrace_migrations SELECT toUInt32(2), 'create_logs', "
            "'0000', 'embedded/modern', now() + 1"
        )
    code, out = migrate(edited, "apply")
    assert code == 1
    assert "migration 0002_create_logs was applied in another form" in out


def test_a_refused_statement_carries_the_servers_reason(server: SchemaServer) -> None:
    connection = CONNECT(server.node)
    with pytest.raises(Refused) as caught:
        connection.execute("CREATE TABLE otel.bad (x NoSuchType) ENGINE = Memory")
    assert caught.value.code == 50
    assert "NoSuchType" in caught.value.text
    assert "Stack trace" not in caught.value.text
    connection.close()


def test_spans_fill_the_lookup_by_trace(server: SchemaServer) -> None:
    with server.client() as client:
        for second in (5, 2, 9):
            client.execute(
                "INSERT INTO otel_traces (Timestamp, TraceId) VALUES",
                [{"Timestamp": NOON_NS + second * SECOND_NS, "TraceId": "lookup"}],
            )
        client.execute("INSERT INTO otel_traces (Timestamp) VALUES", [{"Timestamp": NOON_NS}])
        rows = client.execute(
            "SELECT TraceId, toUnixTimestamp(min(Start)), toUnixTimestamp(max(End)) "
            "FROM otel_traces_trace_id_ts GROUP BY TraceId"
        )
    noon = NOON_NS // SECOND_NS
    assert ("lookup", noon + 2, noon + 9) in rows
    assert "" not in {trace for trace, _, _ in rows}


def test_the_view_shows_every_kind(server: SchemaServer) -> None:
    points = {
        "gauge": {"Value": 1.5},
        "sum": {"Value": 2.5, "IsMonotonic": 1, "AggregationTemporality": 2},
        "histogram": {"Count": 3, "Sum": 3.5, "Min": 0.5, "Max": 2.0},
        "exponential_histogram": {"Count": 4, "Sum": 4.5, "Min": 0.25, "Max": 3.0},
        "summary": {"Count": 5, "Sum": 5.5},
    }
    with server.client() as client:
        for kind, values in points.items():
            row = {"ServiceName": "view", "MetricName": kind, "TimeUnix": NOON_NS, **values}
            client.execute(f"INSERT INTO otel_metrics_{kind} ({', '.join(row)}) VALUES", [row])
        rows = client.execute(
            "SELECT Kind, MetricName, Value, Count, Sum, Min, Max, AggregationTemporality, "
            "IsMonotonic FROM otel_metrics WHERE ServiceName = 'view' ORDER BY Value, Sum"
        )
        time = "TimeUnix" if server.dialect == "modern" else "intDiv(TimeUnix, 1000000000)"
        times = client.execute(
            f"SELECT DISTINCT toDateTime({time}) FROM otel_metrics WHERE ServiceName = 'view'"
        )
    assert sorted(rows) == sorted(
        [
            ("gauge", "gauge", 1.5, None, None, None, None, None, None),
            ("sum", "sum", 2.5, None, None, None, None, 2, 1),
            ("histogram", "histogram", None, 3, 3.5, 0.5, 2.0, 0, None),
            ("exponential_histogram",) * 2 + (None, 4, 4.5, 0.25, 3.0, 0, None),
            ("summary", "summary", None, 5, 5.5, None, None, None, None),
        ]
    )
    assert len(times) == 1


def test_data_is_cut_by_day(server: SchemaServer) -> None:
    day = 86_400 * SECOND_NS
    with server.client() as client:
        client.execute(
            "INSERT INTO otel_logs (Timestamp, Body) VALUES",
            [{"Timestamp": 1_700_000_000 * SECOND_NS + n * day, "Body": "day"} for n in range(3)],
        )
        days = client.execute(
            "SELECT DISTINCT partition FROM system.parts WHERE database = 'otel' "
            "AND table = 'otel_logs' AND active ORDER BY partition"
        )
    assert {day.strip("'") for (day,) in days} >= {"2023-11-14", "2023-11-15", "2023-11-16"}


def test_resource_attributes_are_lifted(modern: SchemaServer) -> None:
    with modern.client() as client:
        client.execute(
            "INSERT INTO otel_logs (Timestamp, ResourceAttributes) VALUES",
            [{"Timestamp": NOON_NS, "ResourceAttributes": {"k8s.pod.name": "lifted-1"}}],
        )
        rows = client.execute(
            "SELECT count() FROM otel_logs WHERE `__otel_materialized_k8s.pod.name` = 'lifted-1'"
        )
    assert rows == [(1,)]


def test_a_token_repeated_inserts_once(modern: SchemaServer) -> None:
    """Embedded deployments have no replication, yet a repeated block must stay single."""
    with modern.client() as client:
        for _ in range(2):
            client.execute(
                "INSERT INTO otel_logs (Timestamp, Body) VALUES",
                [{"Timestamp": NOON_NS, "Body": "once"}],
                settings={"insert_deduplication_token": "token-1"},
            )
        assert client.execute("SELECT count() FROM otel_logs WHERE Body = 'once'") == [(1,)]


def test_nested_attributes_hold_any_shape_in_legacy(legacy: SchemaServer) -> None:
    row = {
        "Timestamp": NOON_NS,
        "TraceId": "nested",
        "ResourceAttributes.Key": ["a", "b", "a"],
        "ResourceAttributes.Value": ["1", "", "3"],
        "Events.Timestamp": [NOON_NS, NOON_NS + 1],
        "Events.Name": ["one", "two"],
        "Events.AttributesKey": [["k", "l"], []],
        "Events.AttributesValue": [["v", "w"], []],
        "IngestId": 2**64 - 1,
    }
    names = ", ".join(row)
    with legacy.client() as client:
        client.execute(f"INSERT INTO otel_traces ({names}) VALUES", [row])
        client.execute("OPTIMIZE TABLE otel_traces FINAL")
        rows = client.execute(f"SELECT {names} FROM otel_traces WHERE TraceId = 'nested'")
    assert rows == [tuple(row.values())]
