"""Guardrails and tenants on real servers: tokens under other rules, costs, row policies."""

import argparse
import io
import json
import time
from pathlib import Path
from typing import Any

import pytest
from clickhouse_driver.errors import ServerException

from headrace_schema.render import Deployment
from headrace_schema.tenants import grant, lift, limited_tables
from headrace_schema.tenants_cli import add_tenants_parser, run_tenants
from headrace_writer.__main__ import make_parser
from headrace_writer.commands import cardinality
from headrace_writer.config import load
from headrace_writer.core.block import Block, Signal
from headrace_writer.core.guardrails import Rule, Treatment, kernel_key
from headrace_writer.shell.replica import Address, Login, Replica
from support import builders
from support.chdb_front import chdb_front
from support.decoders import KERNEL
from support.schema_server import MigrateSettings, SchemaServer, create_tables, migrate

TENANT = Treatment(tenant_attribute="tenant.id")
NO_STORAGE = (497, 514)
"""Codes of a statement that was understood and not allowed, or has nowhere to be kept."""


def replica(server: SchemaServer) -> Replica:
    address = Address("127.0.0.1", server.port)
    return Replica(address, Login(server.deployment.database, "default", "", 3, 30))


def insert(
    server: SchemaServer,
    treatment: Treatment,
    ingest_id: int,
    *payloads: bytes,
    signal: Signal = "traces",
) -> list[Block]:
    """Payloads as the writer stores them, for the table's own header."""
    inserter = replica(server)
    table = {"traces": "otel_traces", "logs": "otel_logs"}[signal]
    layout = inserter.layout(table)
    builder = KERNEL.builder(signal, {table: layout}, 1, "lz4", treatment)
    assert builder.append_many(payloads) == []
    blocks = builder.finish({target: ingest_id for target, _ in builder.pending()})
    for block in blocks:
        inserter.insert(table, layout, block)
    inserter.close()
    return blocks


def spans(name: str, *days: int, tenant: str = "", **attributes: Any) -> bytes:
    now = time.time_ns()
    made = [
        builders.span(name, start_time_unix_nano=now - day * 86_400 * 10**9, attributes=attributes)
        for day in days
    ]
    resource = {"service.name": "s", **({"tenant.id": tenant} if tenant else {})}
    return builders.traces(*made, resource=resource).SerializeToString()


def test_a_block_built_under_other_rules_is_the_same_insert(modern: SchemaServer) -> None:
    """What decision 0015 rests on: a repeated token is dropped by ClickHouse partition, whatever
    the block holds; so what one owner stored in part another one completes under other rules."""
    today, both = spans("tokens", 0, secret="a"), spans("tokens", 0, 1, secret="b")
    insert(modern, Treatment(), 77, today)
    insert(modern, Treatment((Rule("x", "drop", ("secret",)),)), 77, both)
    insert(modern, Treatment(), 77, both)
    with modern.client() as client:
        rows = client.execute(
            "SELECT SpanAttributes['secret'] FROM otel_traces "
            "WHERE IngestId = 77 ORDER BY Timestamp"
        )
    assert rows == [("",), ("a",)]


def test_the_tenant_column_is_filled_where_there_is_one(server: SchemaServer) -> None:
    """18.16 has no such column, and neither has a server before its migration."""
    insert(server, TENANT, 81, spans("tenants", 0, tenant="acme"), spans("tenants", 0))
    with server.client() as client:
        if server.dialect == "modern":
            sql = "SELECT Tenant, count() FROM otel_traces WHERE IngestId = 81 GROUP BY Tenant"
            assert sorted(client.execute(sql)) == [("", 1), ("acme", 1)]
        rows = client.execute("SELECT count() FROM otel_traces WHERE IngestId = 81")
    assert rows == [(2,)]


def test_a_server_before_the_migration_goes_on_taking_blocks(modern: SchemaServer) -> None:
    settings = MigrateSettings([[("127.0.0.1", modern.port)]], clickhouse_database="before")
    assert migrate(settings, "apply")[0] == 0
    before = SchemaServer(modern.port, Deployment("embedded", "modern", "before"))
    with before.client() as client:
        client.execute("ALTER TABLE before.otel_traces DROP COLUMN Tenant")
        insert(before, TENANT, 82, spans("old", 0, tenant="acme"))
        assert client.execute("SELECT count() FROM before.otel_traces") == [(1,)]
        client.execute("ALTER TABLE before.otel_traces ADD COLUMN Tenant LowCardinality(String)")
        insert(before, TENANT, 83, spans("new", 0, tenant="acme"))
        rows = client.execute("SELECT SpanName, Tenant FROM before.otel_traces ORDER BY SpanName")
    assert rows == [("new", "acme"), ("old", "")]


def test_a_hash_is_what_sql_computes(modern: SchemaServer) -> None:
    key = bytes(range(16))
    hashed = Treatment((Rule("users", "hash", ("user.id",)),), hash_key=key)
    insert(modern, hashed, 85, spans("hashes", 0, **{"user.id": "user-17"}))
    halves = ", ".join(f"toUInt64({half})" for half in kernel_key(key))
    with modern.client() as client:
        rows = client.execute(
            f"SELECT SpanAttributes['user.id'] = "
            f"lower(hex(sipHash128ReferenceKeyed(({halves}), 'user-17'))) "
            "FROM otel_traces WHERE IngestId = 85"
        )
    assert rows == [(1,)]


def look(server: SchemaServer, capsys: pytest.CaptureFixture[str], *argv: str) -> Any:
    shards = f"127.0.0.1:{server.port}"
    settings = load({"clickhouse_shards": shards, "clickhouse_topology": "embedded"}, {})
    args = make_parser().parse_args(["cardinality", *argv, "--json"])
    assert cardinality.run(args, settings) == 0
    return json.loads(capsys.readouterr().out)


def test_cardinality_finds_the_dear_keys(
    server: SchemaServer, capsys: pytest.CaptureFixture[str]
) -> None:
    payloads = [
        spans("dear", 0, request=f"{n:032x}", model="m", prompt="word " * 400) for n in range(1500)
    ]
    insert(server, Treatment(), 91, *payloads)
    found = look(server, capsys, "--table", "otel_traces", "--since", "1h")
    keys = {cost["key"]: cost for cost in found["keys"]}
    assert abs(keys["request"]["distinct"] - 1500) < 30
    assert keys["model"]["distinct"] == 1
    assert keys["prompt"]["value_bytes"] >= 1500 * 2000
    assert keys["prompt"]["disk_bytes"] > 0
    assert 'action = "truncate"' in keys["prompt"]["rule"]
    assert keys["model"]["rule"] == ""


def tenants(server: SchemaServer, *argv: str) -> tuple[int, Any]:
    parser = argparse.ArgumentParser()
    add_tenants_parser(parser.add_subparsers())
    settings = MigrateSettings([[("127.0.0.1", server.port)]])
    out = io.StringIO()
    code = run_tenants(parser.parse_args(["tenants", *argv, "--json"]), settings, out=out)
    return code, json.loads(out.getvalue())


def test_legacy_says_that_it_cannot(legacy: SchemaServer) -> None:
    code, answer = tenants(legacy, "grant", "acme", "--user", "reader")
    assert code == 1
    assert "18.16 has no row policies" in answer["error"]


def test_statements_are_printed_and_not_done_without_yes(modern: SchemaServer) -> None:
    code, answer = tenants(modern, "grant", "acme", "--user", "reader")
    assert code == 1
    assert answer == {
        "done": False,
        "statements": grant(modern.deployment, "reader", ["acme"]),
    }


def test_the_server_understands_every_statement(modern: SchemaServer) -> None:
    """chDB keeps no policies (its users are in a file), so it refuses each, but not its syntax."""
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


LIMITED_USER = """<clickhouse>
<users><default><password></password><networks><ip>::/0</ip></networks>
<profile>default</profile><quota>default</quota>
<databases><otel><otel_traces><filter>{seen}</filter></otel_traces></otel></databases>
</default></users>
<profiles><default/></profiles><quotas><default/></quotas></clickhouse>"""


def test_a_limited_user_sees_its_tenant_only(tmp_path: Path) -> None:
    """The condition of `grant` as the policy of the front's only user."""
    sql = grant(Deployment("embedded", "modern"), "reader", ["acme"])[1]
    seen = sql.partition(" USING ")[2].partition(" TO ")[0]
    users, config = tmp_path / "users.xml", tmp_path / "config.xml"
    users.write_text(LIMITED_USER.format(seen=seen))
    config.write_text(f"<clickhouse><users_config>{users}</users_config></clickhouse>")
    with chdb_front(tmp_path / "front", config) as port:
        server = create_tables(port, "embedded", "modern")
        insert(server, TENANT, 1, *(spans(t, 0, tenant=t) for t in ("acme", "other", "")))
        with server.client() as client:
            rows = client.execute("SELECT SpanName, Tenant FROM otel_traces")
        assert rows == [("acme", "acme")]


def test_every_table_of_the_writer_is_limited() -> None:
    tables = list(limited_tables(Deployment("cluster", "modern")))
    assert len(tables) == 14
    assert "otel.otel_logs_local" in tables
    assert "otel.otel_logs" in tables
