"""Lookups skip what they need not read: EXPLAIN indexes = 1 on ClickHouse 26.9.

Every skip index of columns.py is used by a query here; one that none can use has no place there.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from headrace_schema.columns import TABLES
from headrace_schema.render import Deployment, migrations
from support.downstream import queries
from support.schema_server import MigrateSettings, SchemaServer, migrate

DATABASE = "explained"
LAST = migrations(Deployment("embedded", "modern"))[-1].number
ROWS = 200_000
"""25 granules of 8,192 rows."""
METRICS = TABLES["otel_metrics_gauge"]
"""Stands for all five, whose keys and indexes are declared once."""

# A thousandth of the rows is rare: another key, value, word, and a long duration, all of which lie
# together, as those of one deployment or one incident do.
_RARE = "intDiv(number, 200) = 7"
_TIME = "toDateTime64('2026-11-20 00:00:00', 9) + toIntervalMillisecond(number * 400)"


def _attributes(name: str) -> str:
    return f"if({_RARE}, map('rare.key', '', 'k', 'rare'), map('k', 'usual')) AS {name}"


FILL: Mapping[str, str] = {
    "otel_traces":
        f"SELECT {_TIME} AS Timestamp, lower(hex(sipHash128(intDiv(number, 8)))) AS TraceId, "
        "'s' AS ServiceName, 'n' AS SpanName, "
        f"if({_RARE}, 60000000000, number % 1000000000) AS Duration, "
        f"{_attributes('ResourceAttributes')}, "
        f"if({_RARE}, map('rare.key', '', 'k', 'rare', 'session.id', 'rare'), map('k', 'usual')) "
        "AS SpanAttributes",
    "otel_logs":
        f"SELECT {_TIME} AS Timestamp, lower(hex(sipHash128(intDiv(number, 8)))) AS TraceId, "
        f"'s' AS ServiceName, if({_RARE}, 'Connection RESET by peer', 'all is well') AS Body, "
        f"{_attributes('ResourceAttributes')}, {_attributes('ScopeAttributes')}, "
        f"{_attributes('LogAttributes')}",
    "otel_metrics_gauge":
        f"SELECT {_TIME} AS TimeUnix, 'm' AS MetricName, 's' AS ServiceName, 1.0 AS Value, "
        f"{_attributes('ResourceAttributes')}, {_attributes('ScopeAttributes')}, "
        f"if({_RARE}, map('rare.key', '', 'k', 'rare'), map('k', toString(number % 40))) "
        "AS Attributes",
}  # fmt: skip
TRACE_ID = "lower(hex(sipHash128(toUInt64(7))))"
WHERE: Mapping[str, str] = {
    "idx_trace_id": f"TraceId = {TRACE_ID}",
    "idx_res_attr_key": "mapContains(ResourceAttributes, 'rare.key')",
    "idx_res_attr_value": "ResourceAttributes['k'] = 'rare'",
    "idx_span_attr_key": "mapContains(SpanAttributes, 'rare.key')",
    "idx_span_attr_value": "SpanAttributes['k'] = 'rare'",
    "idx_scope_attr_key": "mapContains(ScopeAttributes, 'rare.key')",
    "idx_scope_attr_value": "ScopeAttributes['k'] = 'rare'",
    "idx_log_attr_key": "mapContains(LogAttributes, 'rare.key')",
    "idx_log_attr_value": "LogAttributes['k'] = 'rare'",
    "idx_attr_key": "mapContains(Attributes, 'rare.key')",
    "idx_attr_value": "Attributes['k'] = 'rare'",
    "idx_duration": "Duration > 30000000000",
    "idx_lower_body": "hasToken(lower(Body), 'reset')",
    "idx_time_minmax": "TimeUnix > '2026-11-20 10:30:00' AND TimeUnix < '2026-11-20 10:31:00'",
}
"""Skip index → the condition of a lookup that it serves (docs/schema.md)."""

CASES = [
    (table.name, index.name)
    for table in TABLES.values()
    for index in table.indexes
    if index.at(LAST) and (not table.name.startswith("otel_metrics_") or table is METRICS)
]


@pytest.fixture(scope="module")
def explained(modern: SchemaServer) -> Iterator[SchemaServer]:
    settings = MigrateSettings([[("127.0.0.1", modern.port)]], clickhouse_database=DATABASE)
    assert migrate(settings, "apply")[0] == 0
    with modern.client() as client:
        for table, select in FILL.items():
            names = ", ".join(
                column.name for column in TABLES[table].columns if f"AS {column.name}" in select
            )
            client.execute(
                f"INSERT INTO {DATABASE}.{table} ({names}) SELECT {names} "
                f"FROM ({select} FROM numbers({ROWS}))"
            )
            client.execute(f"OPTIMIZE TABLE {DATABASE}.{table} FINAL")
    yield modern
    with modern.client() as client:
        client.execute(f"DROP DATABASE {DATABASE}")


def granules(server: SchemaServer, table: str, where: str) -> dict[str, tuple[int, int]]:
    """Index, or part of the primary key → granules before and after it."""
    sql = f"SELECT * FROM {DATABASE}.{table} WHERE {where}"
    with server.client() as client:
        rows = client.execute(f"EXPLAIN indexes = 1, json = 1 {sql}")
    return {
        index.get("Name") or index["Type"]: (index["Initial Granules"], index["Selected Granules"])
        for node in nodes(rows)
        for index in node.get("Indexes", ())
    }


def nodes(explanation: list[tuple[Any, ...]]) -> Iterator[dict[str, Any]]:
    """Every JSON object in what EXPLAIN says."""
    waiting = [json.loads("\n".join(row[0] for row in explanation))]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            yield one
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one


@pytest.mark.parametrize(("table", "index"), CASES)
def test_each_skip_index_prunes(explained: SchemaServer, table: str, index: str) -> None:
    before, after = granules(explained, table, WHERE[index])[index]
    assert after <= before // 2, f"{index} leaves {after} of {before} granules"


NAMED = {"trace_id": None, "session_id": "rare", "since_ns": 0}
"""Parameters that name a trace or a session (TRACE_ID stands for None), and no time."""
LOOKUPS = {
    name: sql
    for name, sql in queries("modern").items()
    if "%(trace_id)s" in sql or "%(session_id)s" in sql
}


@pytest.mark.parametrize("name", LOOKUPS)
def test_what_names_a_trace_or_a_session_reads_few_granules(
    explained: SchemaServer, name: str
) -> None:
    """The queries of docs/queries.md, wherever in them spans or logs are read."""
    with explained.client() as client:
        ((trace_id,),) = client.execute(f"SELECT {TRACE_ID}")
        client.execute(f"USE {DATABASE}")
        rows = client.execute(
            f"EXPLAIN indexes = 1, json = 1 {LOOKUPS[name]}", {**NAMED, "trace_id": trace_id}
        )
    read = [
        [(one["Initial Granules"], one["Selected Granules"]) for one in node.get("Indexes", [])]
        for node in nodes(rows)
        if node.get("Description", "").endswith((".otel_traces", ".otel_logs"))
    ]
    assert read, "spans or logs are read somewhere"
    for indexes in read:
        assert indexes[-1][1] <= indexes[0][0] // 4, indexes


def test_lookups_by_trace_and_by_session_are_among_the_queries() -> None:
    assert {"one_trace", "logs_of_a_trace", "llm_trace_breakdown", "spans_of_a_session"} <= set(
        LOOKUPS
    )


def test_all_kinds_of_metrics_have_the_same_indexes() -> None:
    for name, table in TABLES.items():
        if name.startswith("otel_metrics_"):
            assert table.indexes == METRICS.indexes


def test_a_span_by_service_name_and_time_needs_the_key_alone(explained: SchemaServer) -> None:
    found = granules(
        explained,
        "otel_traces",
        "ServiceName = 's' AND SpanName = 'n' AND Timestamp BETWEEN '2026-11-20 10:30:00' "
        "AND '2026-11-20 10:31:00'",
    )
    before, after = found["PrimaryKey"]
    assert after <= before // 4


def test_another_day_is_not_looked_at(explained: SchemaServer) -> None:
    found = granules(explained, "otel_traces", "Timestamp > '2026-11-22 00:00:00'")
    assert min(after for _, after in found.values()) == 0


def test_the_lookup_of_traces_is_by_its_key(explained: SchemaServer) -> None:
    found = granules(explained, "otel_traces_trace_id_ts", f"TraceId = {TRACE_ID}")
    before, after = found["PrimaryKey"]
    assert (before > 1, after) == (True, 1)
