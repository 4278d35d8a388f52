"""`headrace migrate check`: whatever somebody changed is named, and what it prints mends it."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from support.schema_server import MigrateSettings, SchemaServer, migrate

# Statement → (table, aspect, subject, part of the text).
MODERN = {
    "ALTER TABLE {db}.otel_logs DROP COLUMN ScopeSchemaUrl":
        ("otel_logs", "column", "ScopeSchemaUrl", "missing, expected LowCardinality(String)"),
    "ALTER TABLE {db}.otel_traces ADD COLUMN Own String":
        ("otel_traces", "column", "Own", "which this release does not know"),
    "ALTER TABLE {db}.otel_logs MODIFY COLUMN TraceFlags UInt16":
        ("otel_logs", "column", "TraceFlags", "UInt16, expected UInt8"),
    "ALTER TABLE {db}.otel_traces MODIFY COLUMN Duration CODEC(Delta, LZ4)":
        ("otel_traces", "codec", "Duration", "expected T64, ZSTD(1)"),
    "ALTER TABLE {db}.otel_traces MODIFY COLUMN Environment MATERIALIZED "
    "ResourceAttributes['env']":
        ("otel_traces", "default", "Environment", "expected if("),
    "ALTER TABLE {db}.otel_traces MODIFY COLUMN SpanId REMOVE CODEC":
        ("otel_traces", "codec", "SpanId", "the server's default, expected ZSTD(1)"),
    "ALTER TABLE {db}.otel_traces DROP INDEX idx_duration":
        ("otel_traces", "index", "idx_duration", "missing"),
    "ALTER TABLE {db}.otel_logs DROP INDEX idx_trace_id, "
    "ADD INDEX idx_trace_id TraceId TYPE bloom_filter(0.1) GRANULARITY 4":
        ("otel_logs", "index", "idx_trace_id", "GRANULARITY 4, expected"),
    "ALTER TABLE {db}.otel_metrics_sum MODIFY SETTING non_replicated_deduplication_window = 5":
        ("otel_metrics_sum", "setting", "non_replicated_deduplication_window", "5, expected 86400"),
    "ALTER TABLE {db}.otel_traces_trace_id_ts_mv MODIFY QUERY SELECT TraceId, "
    "toDateTime(min(Timestamp)) AS Start, toDateTime(max(Timestamp)) AS End "
    "FROM {db}.otel_traces GROUP BY TraceId":
        ("otel_traces_trace_id_ts_mv", "view", "", "expected SELECT"),
    "CREATE OR REPLACE VIEW {db}.otel_metrics AS SELECT 1 AS Kind":
        ("otel_metrics", "column", "Value", "missing"),
    "DROP TABLE {db}.otel_metrics_summary":
        ("otel_metrics_summary", "table", "", "missing"),
}  # fmt: skip
LEGACY = {
    "ALTER TABLE {db}.otel_logs DROP COLUMN ScopeSchemaUrl":
        ("otel_logs", "column", "ScopeSchemaUrl", "missing, expected LowCardinality(String)"),
    "ALTER TABLE {db}.otel_logs MODIFY COLUMN TraceFlags UInt16":
        ("otel_logs", "column", "TraceFlags", "UInt16, expected UInt8"),
    "DROP TABLE {db}.otel_metrics":
        ("otel_metrics", "table", "", "missing"),
}  # fmt: skip
# The operator's business: no difference.
OWN = (
    "ALTER TABLE {db}.otel_traces ADD COLUMN Model String ALIAS SpanAttributes['m']",
    "ALTER TABLE {db}.otel_traces ADD INDEX own SpanName TYPE set(100) GRANULARITY 4",
    "ALTER TABLE {db}.otel_traces MODIFY TTL toDateTime(Timestamp) + toIntervalDay(9)",
    "ALTER TABLE {db}.otel_traces MODIFY SETTING parts_to_delay_insert = 900",
)


@pytest.fixture
def settings(server: SchemaServer) -> Iterator[MigrateSettings]:
    database = f"drift_{server.dialect}"
    found = MigrateSettings([[("127.0.0.1", server.port)]], clickhouse_database=database)
    assert migrate(found, "apply")[0] == 0
    yield found
    with server.client() as client:
        client.execute(f"DROP DATABASE {database}")


def check(settings: MigrateSettings) -> tuple[int, list[dict[str, Any]]]:
    code, out = migrate(settings, "check", "--json")
    (node,) = json.loads(out)["nodes"]
    return code, node["differences"]


def test_each_change_is_named_and_mended(server: SchemaServer, settings: MigrateSettings) -> None:
    changes = MODERN if server.dialect == "modern" else LEGACY
    with server.client() as client:
        for sql in changes:
            client.execute(sql.format(db=settings.clickhouse_database))
        code, found = check(settings)
        assert code == 1
        text = migrate(settings, "check")[1]
        for table, aspect, subject, part in changes.values():
            matching = [
                one for one in found
                if (one["table"], one["aspect"], one["subject"]) == (table, aspect, subject)
            ]  # fmt: skip
            assert len(matching) == 1, (table, aspect, subject)
            if aspect != "table":
                assert part in text
        for mend in dict.fromkeys(one["mend"] for one in found):
            for line in mend.split(";\n"):
                sql = line.partition(";  --")[0].removesuffix(";")
                client.execute(sql.removeprefix("-- if nobody needs it: "))
    assert check(settings) == (0, [])


def test_what_the_operator_added_is_no_difference(
    modern: SchemaServer,
) -> None:
    database = "drift_own"
    settings = MigrateSettings([[("127.0.0.1", modern.port)]], clickhouse_database=database)
    assert migrate(settings, "apply")[0] == 0
    with modern.client() as client:
        for sql in OWN:
            client.execute(sql.format(db=database))
        assert check(settings) == (0, [])
        client.execute(f"DROP DATABASE {database}")


def test_keys_that_cannot_be_altered_say_what_to_do(modern: SchemaServer) -> None:
    database = "drift_keys"
    settings = MigrateSettings([[("127.0.0.1", modern.port)]], clickhouse_database=database)
    assert migrate(settings, "apply")[0] == 0
    with modern.client() as client:
        (created,) = client.execute(f"SHOW CREATE TABLE {database}.otel_logs")[0]
        client.execute(f"DROP TABLE {database}.otel_logs")
        client.execute(
            created.replace("ORDER BY (toStartOfFiveMinute(Timestamp), ", "ORDER BY (")
            .replace("PARTITION BY toDate(Timestamp)", "PARTITION BY toYYYYMM(Timestamp)")
        )  # fmt: skip
        code, found = check(settings)
        client.execute(f"DROP DATABASE {database}")
    assert code == 1
    assert {(one["aspect"], one["mend"][:40]) for one in found} == {
        ("order", "-- cannot be changed in place: create th"),
        ("partition", "-- cannot be changed in place: create th"),
    }
