"""Migrations rendered per topology and dialect.

The rendered SQL is kept in tests/data/schema, so that a change of it shows in a review. After a
wanted change run the tests with HEADRACE_UPDATE_SNAPSHOTS=1. A release's migrations must not
change: their checksums are in the ledgers of running clusters.
"""

import os
import re
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest

from headrace_schema import render as render_module
from headrace_schema.columns import TABLES, tables_of, views_of
from headrace_schema.danger import danger
from headrace_schema.model import Column, Dialect, Table
from headrace_schema.render import (
    SECTIONS,
    Deployment,
    Migration,
    MigrationError,
    Topology,
    migrations,
    render,
)

SNAPSHOTS = Path(__file__).parents[1] / "data" / "schema"
TOPOLOGIES: tuple[Topology, ...] = ("embedded", "cluster")
DIALECTS: tuple[Dialect, ...] = ("modern", "legacy")
ALL = [Deployment(topology, dialect) for topology, dialect in product(TOPOLOGIES, DIALECTS)]


def text(rendered: tuple[Migration, ...]) -> str:
    return "".join(
        f"-- {migration} {section}\n{sql};\n\n"
        for migration in rendered
        for section, sql in migration.statements
    )


def in_order_of_migrations(dialect: Dialect) -> list[Table]:
    made = "\n".join(statements(Deployment("embedded", dialect)))
    return sorted(tables_of(dialect).values(), key=lambda t: made.index(f"EXISTS otel.{t.name}\n"))


def statements(deployment: Deployment) -> list[str]:
    return [sql for migration in migrations(deployment) for _, sql in migration.statements]


@pytest.mark.parametrize("deployment", ALL, ids=str)
def test_rendered_sql_is_as_reviewed(deployment: Deployment) -> None:
    snapshot = SNAPSHOTS / f"{deployment.topology}-{deployment.dialect}.sql"
    rendered = text(migrations(deployment))
    if os.environ.get("HEADRACE_UPDATE_SNAPSHOTS"):
        snapshot.write_text(rendered)
    assert rendered == snapshot.read_text(), "see this module's first lines"


@pytest.mark.parametrize("deployment", ALL, ids=str)
def test_every_statement_may_be_repeated_and_destroys_nothing(deployment: Deployment) -> None:
    legacy = deployment.dialect == "legacy"
    create = r"CREATE ((TABLE|VIEW|MATERIALIZED VIEW) IF NOT EXISTS|OR REPLACE VIEW) otel\."
    # 18.16 lacks ADD COLUMN IF NOT EXISTS, which the runner knows, and DROP VIEW.
    column = "COLUMN" if legacy else "COLUMN IF NOT EXISTS"
    change = rf"(ADD {column}|ADD INDEX IF NOT|DROP INDEX IF|MODIFY COLUMN|MODIFY ORDER BY)"
    alter = rf"ALTER TABLE otel\.\w+(\s+{change} [^\n]+)+$"
    query = r"ALTER TABLE otel\.\w+_mv MODIFY QUERY\nSELECT"
    drop = r"DROP TABLE IF EXISTS otel\.\w+ /\* a view \*/$" if legacy else "DROP VIEW IF EXISTS"
    for sql in statements(deployment):
        assert re.match(f"{create}|{alter}|{query}|{drop}", sql), sql
        assert danger(sql) is None, sql
        assert "ON CLUSTER" not in sql


@pytest.mark.parametrize("deployment", ALL, ids=str)
def test_all_tables_and_views_are_made(deployment: Deployment) -> None:
    made = set(re.findall(r"CREATE .*IF NOT EXISTS otel\.(\w+)", "\n".join(statements(deployment))))
    tables = tables_of(deployment.dialect)
    spanned = {name for name, table in tables.items() if not table.everywhere}
    local = {f"{name}_local" for name in spanned} if deployment.topology == "cluster" else set()
    filling = {name for name in made if name.endswith("_mv")}
    assert made - filling == {*tables, *views_of(deployment.dialect), *local}
    legacy = {"otel_traces_trace_id_ts_mv"}
    assert filling == legacy if deployment.dialect == "legacy" else filling > legacy


@pytest.mark.parametrize("dialect", DIALECTS)
def test_embedded_has_nothing_of_a_cluster(dialect: Dialect) -> None:
    sql = "\n".join(statements(Deployment("embedded", dialect)))
    assert not re.search(r"Replicated|Distributed|_local\b|\{", sql)
    engines = re.findall(r"ENGINE = (\w+)\n", sql)
    assert engines == [table.engine for table in in_order_of_migrations(dialect)]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_cluster_replicates_every_table_under_its_own_path(dialect: Dialect) -> None:
    sql = "\n".join(statements(Deployment("cluster", dialect, "telemetry", "west")))
    tables = in_order_of_migrations(dialect)
    engines = re.findall(r"ENGINE = (Replicated\w+)\('([^']+)', '([^']+)'\)", sql)
    # Prices are the same table on all shards, so each replica needs a name of its own in it.
    assert engines == [
        (
            f"Replicated{table.engine}",
            f"/clickhouse/tables/{{cluster}}/{'all' if table.everywhere else '{shard}'}"
            f"/telemetry/{table.name}",
            "{shard}-{replica}" if table.everywhere else "{replica}",
        )
        for table in tables
    ]
    assert sql.count("replicated_deduplication_window = 86400") == len(tables)
    assert sql.count("replicated_deduplication_window_seconds = 86400") == len(tables)
    keys = dict(re.findall(r"Distributed\(west, telemetry, (\w+)_local, (.+)\)", sql))
    assert {name for name, key in keys.items() if key == "cityHash64(TraceId)"} == {
        "otel_traces",
        "otel_traces_trace_id_ts",
        "otel_logs",
        *(["genai_content"] if dialect == "modern" else []),
    }
    assert {name for name, key in keys.items() if key == "rand()"} == {
        name
        for name in tables_of(dialect)
        if name.startswith("otel_metrics_") or name == "genai_usage_1m"
    }


def test_legacy_has_nothing_that_came_later() -> None:
    for topology in TOPOLOGIES:
        sql = "\n".join(statements(Deployment(topology, "legacy")))
        later = r"CODEC|INDEX|TTL|ttl_|DateTime64|Map\(|Bool\b|MATERIALIZED \w+\[|mapKeys"
        assert not re.search(later, sql)


def test_modern_keeps_no_data_for_a_limited_time_by_itself() -> None:
    assert " TTL " not in "\n".join(statements(Deployment("cluster", "modern")))


def one(sql: str, name: str = "0001_create_things.sql") -> Migration:
    return render({name: sql}, Deployment("cluster", "modern"))[0]


def test_comments_and_white_space_do_not_change_a_checksum() -> None:
    plain = one("-- LOCAL\nCREATE TABLE a (x UInt8)\nENGINE = Log;\n")
    dressed = one(
        "-- Why.\n\n-- LOCAL\n-- And how.\nCREATE TABLE a\n    (x UInt8) ENGINE = Log;\n\n"
    )
    assert plain.checksum == dressed.checksum
    assert plain.checksum != one("-- LOCAL\nCREATE TABLE a (x UInt16) ENGINE = Log;\n").checksum
    assert plain.checksum != one("-- VIEW\nCREATE TABLE a (x UInt8) ENGINE = Log;\n").checksum


def test_checksums_differ_by_deployment() -> None:
    checksums = {migrations(deployment)[0].checksum for deployment in ALL}
    assert len(checksums) == len(ALL)


def test_semicolons_inside_a_line_and_sections_are_kept() -> None:
    migration = one("-- LOCAL\nSELECT ';' ,\n 1;\nSELECT 2;\n-- DISTRIBUTED\nSELECT 3;\n")
    assert migration.statements == (
        ("LOCAL", "SELECT ';' ,\n 1"),
        ("LOCAL", "SELECT 2"),
        ("DISTRIBUTED", "SELECT 3"),
    )
    assert SECTIONS == ("LOCAL", "DISTRIBUTED", "VIEW")


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELECT 1;\n", "before any of the headings"),
        ("-- LOCAL\nSELECT 1\n", "not ended by ;"),
        ("-- VIEW\nSELECT 1;\n-- LOCAL\nSELECT 2;\n", "LOCAL after VIEW"),
        ("-- LOCAL\nSELECT {columns:nope};\n", "no table nope"),
        ("-- LOCAL\nSELECT {colums:otel_logs};\n", "means nothing here"),
        ("-- LOCAL\nSELECT {settings:otel_logs};\n", "means nothing here"),
        ("-- LOCAL\nSELECT {fill};\n", "means nothing here"),
    ],
)
def test_a_malformed_file_is_refused_by_name(sql: str, message: str) -> None:
    with pytest.raises(MigrationError, match=rf"0001_create_things\.sql: .*{message}"):
        one(sql)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["0002_create_things.sql"], "next number is 0001"),
        (["0001_create_a.sql", "0001_create_b.sql"], "next number is 0002"),
        (["1_create_a.sql"], "NNNN_verb_noun"),
        (["0001_create.sql"], "NNNN_verb_noun"),
    ],
)
def test_file_names_count_without_gaps(names: list[str], message: str) -> None:
    files = dict.fromkeys(names, "-- LOCAL\nSELECT 1;\n")
    with pytest.raises(MigrationError, match=message):
        render(files, Deployment("embedded", "modern"))


def test_names_that_need_quotes_are_refused() -> None:
    with pytest.raises(MigrationError, match="database 'otel; DROP'"):
        Deployment("cluster", "modern", database="otel; DROP")
    with pytest.raises(MigrationError, match="cluster 'a-b'"):
        Deployment("cluster", "modern", cluster="a-b")


def test_a_column_of_a_later_migration_leaves_earlier_ones_as_they_were() -> None:
    table = TABLES["otel_logs"]
    grown = replace(table, columns=(*table.columns, Column("Tenant", "String", since=2)))
    sql = "-- LOCAL\nCREATE TABLE x {columns:otel_logs};\n"
    files = {"0001_create_logs.sql": sql, "0002_create_again.sql": sql}
    deployment = Deployment("embedded", "modern")
    before = render(files, deployment)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(render_module, "TABLES", {"otel_logs": grown})
        after = render(files, deployment)
    assert after[0].checksum == before[0].checksum
    assert "Tenant String CODEC(ZSTD(1))" in after[1].statements[0][1]
