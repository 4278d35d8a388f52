"""Row policies per tenant: a limited user reads its tenant's rows, in whatever table or view.

chDB keeps no users but the one of its users.xml, and refuses CREATE ROW POLICY. So the conditions
that `headrace tenants grant` prints are put into that file, where 26.9 makes the same policies of
them, and what the user then reads is really filtered. The statements themselves are only parsed.
18.16 can shut a user out of a database, and nothing finer.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import pytest
from clickhouse_driver.errors import ServerException

from headrace_schema.columns import TABLES_BY_SIGNAL
from headrace_schema.expected import expected
from headrace_schema.render import Deployment
from headrace_schema.tenants import grant, lift, limited_tables
from headrace_schema.tenants_cli import NOT_IN_LEGACY, add_tenants_parser, run_tenants
from support.chdb_front import chdb_front
from support.clickhouse_server import clickhouse_server
from support.schema_command import answer
from support.schema_server import MigrateSettings, SchemaServer, create_tables

EMBEDDED = Deployment("embedded", "modern")
LEGACY = Deployment("embedded", "legacy")
NO_STORAGE = (497, 514)
"""Codes of a statement that was understood and not allowed, or has nowhere to be kept."""
TENANTS = ("acme", "other", "")
SHARED = {"genai_prices", "headrace_migrations"}
"""The same for everybody: list prices, and which migrations were applied."""
USERS = """<clickhouse>
<users><default><password></password><networks><ip>::/0</ip></networks>
<profile>default</profile><quota>default</quota><databases>{policies}</databases>
</default></users>
<profiles><default/></profiles><quotas><default/></quotas></clickhouse>"""
_POLICY = re.compile(r"ON (\w+)\.(\w+) AS RESTRICTIVE FOR SELECT USING (.+) TO \w+$")


@dataclass(frozen=True, slots=True)
class Reading:
    """What the front's only user reads."""

    server: SchemaServer

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with self.server.client() as client:
            found: list[tuple[Any, ...]] = client.execute(sql)
        return found

    def counts(self, tables: Sequence[str]) -> dict[str, int]:
        return {name: self.rows(f"SELECT count() FROM `{name}`")[0][0] for name in tables}

    def tenants(self, table: str) -> set[str]:
        return {tenant for (tenant,) in self.rows(f"SELECT DISTINCT Tenant FROM `{table}`")}


def policies(tenants: Sequence[str]) -> str:
    """What `grant` asks for, as users.xml has it."""
    found = [_POLICY.search(sql) for sql in grant(EMBEDDED, "reader", tenants)]
    tables = "".join(
        f"<{one[2]}><filter>{escape(one[3])}</filter></{one[2]}>" for one in found if one
    )
    return f"<otel>{tables}</otel>"


def fill(reading: Reading) -> None:
    """A row of each tenant in every table that the writer fills; each span is a model's call."""
    for number, tenant in enumerate(TENANTS):
        for table in TABLES_BY_SIGNAL["metrics"]:
            reading.rows(f"INSERT INTO {table} (TimeUnix, Tenant) SELECT now(), '{tenant}'")
        reading.rows(
            "INSERT INTO otel_traces (Timestamp, TraceId, SpanAttributes, Tenant) SELECT now(), "
            f"'t{number}', map('gen_ai.request.model', 'model-{number}', 'gen_ai.prompt', 'text'), "
            f"'{tenant}'"
        )
        reading.rows(
            "INSERT INTO otel_logs (Timestamp, EventName, LogAttributes, Tenant) SELECT now(), "
            "'gen_ai.evaluation.result', map('gen_ai.response.id', 'r', 'gen_ai.prompt', 'text'), "
            f"'{tenant}'"
        )
    reading.rows("INSERT INTO genai_prices (Model, Currency) SELECT 'model-*', 'USD'")
    reading.rows("INSERT INTO otel_ingest_ledger (Topic) SELECT 'otlp.traces'")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tenants")


@contextmanager
def limited(folder: Path, tenants: Sequence[str] | None) -> Iterator[Reading]:
    """The server again, its user limited to tenants; None: not at all. One at a time."""
    users, config = folder / "users.xml", folder / "config.xml"
    users.write_text(USERS.format(policies="" if tenants is None else policies(tenants)))
    config.write_text(f"<clickhouse><users_config>{users}</users_config></clickhouse>")
    (folder / "front" / "ready").unlink(missing_ok=True)
    with chdb_front(folder / "front", config) as port:
        yield Reading(SchemaServer(port, EMBEDDED))


@pytest.fixture(scope="module")
def filled(folder: Path) -> dict[str, int]:
    """Rows of each table and view, as a user without limits counts them."""
    with limited(folder, None) as everything:
        create_tables(everything.server.port, "embedded", "modern")
        fill(everything)
        for one in expected(EMBEDDED):
            if any(column.name == "Tenant" for column in one.columns):
                assert everything.tenants(one.name) == set(TENANTS), one.name
        names = [name for (name,) in everything.rows("SHOW TABLES")]
        return everything.counts(names)


@pytest.fixture
def acme(folder: Path, filled: dict[str, int]) -> Iterator[Reading]:
    with limited(folder, ["acme"]) as reading:
        yield reading


def test_every_table_and_view_has_rows_of_all(filled: dict[str, int]) -> None:
    """Else what follows would prove nothing."""
    assert {one.name for one in expected(EMBEDDED)} <= set(filled)
    assert all(filled.values()), filled


def test_a_limited_user_reads_its_tenant_and_no_other(
    acme: Reading, filled: dict[str, int]
) -> None:
    counts = acme.counts(sorted(filled))
    for one in expected(EMBEDDED):
        if any(column.name == "Tenant" for column in one.columns):
            assert acme.tenants(one.name) == {"acme"}, one.name
            assert 3 * counts[one.name] == filled[one.name], one.name
        elif one.kind != "view" and one.name not in SHARED:
            assert counts[one.name] == 0, one.name
    for name in SHARED:
        assert counts[name] == filled[name]


def test_views_show_what_comes_of_its_rows(acme: Reading) -> None:
    assert acme.rows("SELECT DISTINCT BilledModel FROM genai_model_prices") == [("model-0",)]
    assert acme.rows("SELECT Model, Calls FROM genai_costs_1m") == [("model-0", 1)]
    assert acme.rows("SELECT count() FROM otel_metrics") == [(5,)]
    around = "SELECT DISTINCT Tenant FROM merge(otel, '^(otel_traces|genai_usage_1m)$')"
    assert acme.rows(around) == [("acme",)]


def test_a_user_who_is_left_nothing_reads_nothing(folder: Path, filled: dict[str, int]) -> None:
    with limited(folder, []) as nobody:
        counts = nobody.counts(sorted(filled))
    assert {name for name, rows in counts.items() if rows} == SHARED


def test_names_with_quotes_are_conditions_too(folder: Path, filled: dict[str, int]) -> None:
    with limited(folder, ["it's", "a<b>&\\", "other"]) as reading:
        assert reading.tenants("genai_usage_1m") == {"other"}


@pytest.mark.parametrize("topology", ["embedded", "cluster"])
def test_policies_cover_every_table(topology: Any) -> None:
    """Whatever a migration makes: only views, which read as who asks, have none."""
    deployment = Deployment(topology, "modern")
    made = {one.name for one in expected(deployment) if one.kind != "view"}
    limited_names = {name for name, _ in limited_tables(deployment)}
    assert made - limited_names == {"genai_prices"}
    of_tenants = {name for name, has_tenant in limited_tables(deployment) if has_tenant}
    for name in ("otel_traces", "otel_logs", "otel_metrics_sum", "genai_usage_1m", "genai_content"):
        assert name in of_tenants
        assert topology == "embedded" or f"{name}_local" in of_tenants


def test_the_server_understands_every_statement(modern: SchemaServer) -> None:
    statements = [
        *grant(modern.deployment, "reader", ["a", "it's"]),
        *grant(modern.deployment, "reader", []),
        *lift(modern.deployment, "reader"),
    ]
    with modern.client() as client:
        for sql in statements:
            with pytest.raises(ServerException) as caught:
                client.execute(sql)
            assert caught.value.code in NO_STORAGE, sql


LEGACY_USERS = """<reader><password/><networks><ip>127.0.0.1</ip></networks>
<profile>default</profile><quota>default</quota>
<databases><otel><otel_traces><filter>0</filter></otel_traces></otel></databases></reader>
<boxed><password/><networks><ip>127.0.0.1</ip></networks>
<profile>default</profile><quota>default</quota>
<allow_databases><database>acme</database></allow_databases></boxed>"""


def test_18_16_enforces_databases_and_no_filters(tmp_path: Path) -> None:
    """What its refusal rests on: a filter that newer servers take for a row policy is nothing."""
    with clickhouse_server(tmp_path, users=LEGACY_USERS) as server:
        for database in ("otel", "acme"):
            create_tables(server.port, "embedded", "legacy", database=database)
            with server.client(database) as client:
                client.execute("INSERT INTO otel_traces (SpanName) VALUES", [("any",)])
        count = "SELECT count() FROM {}.otel_traces"
        with server.client("otel", user="reader") as reader:
            assert reader.execute(count.format("otel")) == [(1,)]
        with server.client("acme", user="boxed") as boxed:
            assert boxed.execute(count.format("acme")) == [(1,)]
            assert boxed.execute("SELECT count() FROM genai_spans") == [(0,)]
            with pytest.raises(ServerException, match="Access denied to database otel"):
                boxed.execute(count.format("otel"))
        told = tenants(SchemaServer(server.port, LEGACY), "grant", "acme", "--user", "reader")
    assert told == (1, {"error": NOT_IN_LEGACY})


def tenants(server: SchemaServer, *argv: str) -> tuple[int, Any]:
    settings = MigrateSettings([[("127.0.0.1", server.port)]])
    return answer(add_tenants_parser, run_tenants, settings, "tenants", *argv)


def test_statements_are_printed_and_not_done_without_yes(modern: SchemaServer) -> None:
    assert tenants(modern, "grant", "acme", "--user", "reader") == (
        1, {"done": False, "statements": grant(modern.deployment, "reader", ["acme"])},
    )  # fmt: skip
