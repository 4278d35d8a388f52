"""Guardrails on real servers: tokens under other rules, the tenant column, costs."""

import json
import time
from typing import Any

import pytest

from headrace_schema.render import Deployment
from headrace_writer.__main__ import make_parser
from headrace_writer.commands import cardinality
from headrace_writer.config import load
from headrace_writer.core.block import Block, Signal
from headrace_writer.core.guardrails import Rule, Treatment, kernel_key
from headrace_writer.shell.replica import Address, Login, Replica
from support import builders
from support.decoders import KERNEL
from support.schema_server import SchemaServer, upgrade

TENANT = Treatment(tenant_attribute="tenant.id")


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
    before = SchemaServer(modern.port, Deployment("embedded", "modern", "before"))
    upgrade(before, 9)
    with before.client() as client:
        insert(before, TENANT, 82, spans("old", 0, tenant="acme"))
        assert client.execute("SELECT count() FROM before.otel_traces") == [(1,)]
        upgrade(before, 10)
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
