"""Which statements `headrace migrate apply` refuses unasked."""

import pytest

from headrace_schema.danger import danger


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE IF NOT EXISTS otel.a (x UInt8) ENGINE = MergeTree ORDER BY x",
        "CREATE OR REPLACE VIEW otel.v AS SELECT 'DROP TABLE x' AS warning",
        "CREATE MATERIALIZED VIEW otel.a_mv TO otel.b AS SELECT 1",
        "DROP VIEW IF EXISTS otel.otel_metrics",
        "DROP TABLE IF EXISTS otel.genai_spans /* a view */",
        "ALTER TABLE otel.a ADD COLUMN IF NOT EXISTS y String, ADD INDEX i y TYPE minmax",
        "ALTER TABLE otel.a MODIFY COLUMN x CODEC(T64, ZSTD(1)), DROP INDEX IF EXISTS i",
        "ALTER TABLE otel.a MODIFY COLUMN `x.y` CODEC(ZSTD(3))",
        "ALTER TABLE otel.a MODIFY COLUMN x DEFAULT 7",
        "ALTER TABLE otel.a MODIFY TTL t + toIntervalDay(7) DELETE WHERE x = 'UPDATE'",
        "ALTER TABLE otel.a MODIFY SETTING ttl_only_drop_parts = 1",
        "ALTER TABLE otel.a_mv MODIFY QUERY SELECT deleted FROM otel.b WHERE x > 1",
        "CREATE ROW POLICY IF NOT EXISTS p ON otel.a USING Tenant = 'a' TO reader",
    ],
)
def test_metadata_may_change(sql: str) -> None:
    assert danger(sql) is None


@pytest.mark.parametrize(
    ("sql", "why"),
    [
        ("DROP TABLE otel.a", "whole table"),
        ("drop database otel", "whole table"),
        ("DROP TABLE IF EXISTS otel.a /* a view */, otel.b", "whole table"),
        ("DROP VIEW otel.otel_traces_trace_id_ts_mv", "materialized view"),
        ("ALTER TABLE otel.a\n    ADD COLUMN y String,\n    DROP COLUMN x", "a column's values"),
        ("ALTER TABLE otel.a MODIFY COLUMN x String", "column's type"),
        ("ALTER TABLE otel.a MODIFY COLUMN `x.y` Array(String) CODEC(LZ4)", "column's type"),
        ("ALTER TABLE otel.a DROP PARTITION ID '20261124'", "deletes rows"),
        ("ALTER TABLE otel.a DELETE WHERE x = 1", "mutation"),
        ("ALTER TABLE otel.a UPDATE x = 1 WHERE x = 2", "mutation"),
        ("DELETE FROM otel.a WHERE x = 1", "mutation"),
        ("ALTER TABLE otel.a MATERIALIZE INDEX i", "rewrites"),
        ("ALTER TABLE otel.a RENAME COLUMN x TO y", "renames"),
        ("RENAME TABLE otel.a TO otel.b", "renames"),
        ("EXCHANGE TABLES otel.a AND otel.b", "renames"),
        ("TRUNCATE TABLE otel.a", "deletes rows"),
        ("CREATE MATERIALIZED VIEW m ENGINE = Log POPULATE AS SELECT 1", "missed"),
        ("ALTER TABLE otel.a CLEAR COLUMN x", "deletes values"),
        ("ALTER TABLE otel.a REPLACE PARTITION 1 FROM otel.b", "replaces"),
        ("OPTIMIZE TABLE otel.a FINAL", "rewrites"),
        ("DETACH TABLE otel.a", "out of sight"),
    ],
)
def test_what_loses_or_rewrites_rows_is_named(sql: str, why: str) -> None:
    found = danger(sql)
    assert found is not None
    assert why in found
