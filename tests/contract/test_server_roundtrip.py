"""What a decoder builds is what a server returns: blocks inserted through clickhouse-driver and
read back row by row, on a real server of each dialect.

The parity suite (tests/property) holds the two decoders to each other; this one holds both to
ClickHouse. The reference's blocks go uncompressed, the kernel's in its own LZ4 frames.
"""

from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any

import pytest
from clickhouse_driver import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headrace_schema.columns import insert_layout
from headrace_writer.core.block import Block, Compression, DecoderBackend, Layout, Signal
from property.strategies import payloads
from support import builders
from support.decoders import KERNEL, REFERENCE, SIGNALS, layouts_of
from support.raw_insert import block_rows, insert_block, server_header, table_rows
from support.schema_server import SchemaServer

BACKENDS: dict[DecoderBackend, Compression] = {REFERENCE: "none", KERNEL: "lz4"}
INGEST_IDS = count(1 << 60)

# Each example is an insert per table and decoder; 2 × 3 × 20 of them take some ten seconds.
ON_A_SERVER = settings(
    deadline=None,
    max_examples=20,
    print_blob=True,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
        HealthCheck.function_scoped_fixture,
    ],
)


@pytest.fixture(scope="module")
def clients(server: SchemaServer) -> Iterator[dict[Compression, Client]]:
    """One connection that sends plain blocks, one that sends frames."""
    with server.client() as plain, server.client("lz4") as framed:
        yield {"none": plain, "lz4": framed}


def built(
    backend: DecoderBackend,
    signal: Signal,
    layouts: dict[str, Layout],
    batch: Sequence[bytes],
    compression: Compression,
) -> list[Block]:
    builder = backend.builder(signal, layouts, 1, compression)
    assert builder.append_many(batch) == []
    return builder.finish({target: next(INGEST_IDS) for target, _ in builder.pending()})


def in_any_order(rows: Sequence[tuple[Any, ...]]) -> list[str]:
    # repr also tells -0.0 from 0.0, and NaN is like NaN.
    return sorted(map(repr, rows))


def assert_returned(
    clients: dict[Compression, Client],
    server: SchemaServer,
    signal: Signal,
    batch: Sequence[bytes],
) -> None:
    """Insert a batch by each decoder; the server returns the rows of its blocks."""
    layouts = layouts_of(signal, server.dialect)
    for backend, compression in BACKENDS.items():
        blocks = built(backend, signal, layouts, batch, compression)
        plain = built(backend, signal, layouts, batch, "none")
        for block, readable in zip(blocks, plain, strict=True):
            table = block.target.table
            insert_block(clients[compression], table, block.body)
            returned = table_rows(clients["none"], table, block.ingest_id, list(layouts[table]))
            at = [name for name, _ in layouts[table]].index("IngestId")
            rows = block_rows(readable.body)
            expected = [(*row[:at], block.ingest_id, *row[at + 1 :]) for row in rows]
            assert block.rows == len(returned)
            assert in_any_order(returned) == in_any_order(expected)


@pytest.mark.parametrize("signal", SIGNALS)
@ON_A_SERVER
@given(data=st.data())
def test_random_requests_come_back(
    clients: dict[Compression, Client], server: SchemaServer, signal: Signal, data: Any
) -> None:
    assert_returned(clients, server, signal, data.draw(payloads(signal)))


def test_every_kind_of_metric_comes_back(
    clients: dict[Compression, Client], server: SchemaServer
) -> None:
    request = builders.metrics(*builders.every_metric())
    batch = [request.SerializeToString()] * 3
    blocks = built(REFERENCE, "metrics", layouts_of("metrics", server.dialect), batch, "none")
    assert len(blocks) == 5
    assert_returned(clients, server, "metrics", batch)


@pytest.mark.parametrize("rows", [300, 70_000])
def test_dictionaries_with_wide_indexes_come_back(
    clients: dict[Compression, Client], server: SchemaServer, rows: int
) -> None:
    """More labels than one byte, then than two bytes can number; many frames."""
    spans = [builders.span(name=f"operation {number}") for number in range(rows)]
    batch = [builders.traces(*spans).SerializeToString()]
    (block,) = built(KERNEL, "traces", layouts_of("traces", server.dialect), batch, "lz4")
    insert_block(clients["lz4"], "otel_traces", block.body)
    (found,) = clients["none"].execute(
        "SELECT count(), uniqExact(SpanName), min(SpanName), max(SpanName) FROM otel_traces "
        f"WHERE IngestId = {block.ingest_id}"
    )
    names = [span.name for span in spans]
    assert found == (rows, rows, min(names), max(names))


def test_a_query_sees_the_values_of_the_request(
    clients: dict[Compression, Client], server: SchemaServer
) -> None:
    span = builders.span(
        name="GET /orders",
        attributes={"http.status": 200, "ok": True, "tags": ["a", 1]},
        events=[builders.event(name="retry", attributes={"attempt": 2})],
    )
    layouts = layouts_of("traces", server.dialect)
    batch = [builders.traces(span).SerializeToString()]
    (block,) = built(KERNEL, "traces", layouts, batch, "lz4")
    insert_block(clients["lz4"], "otel_traces", block.body)
    if server.dialect == "modern":
        attributes = "SpanAttributes['http.status'], SpanAttributes['ok'], SpanAttributes['tags']"
        nanoseconds, event = "toUnixTimestamp64Nano(Timestamp)", "Events.Attributes[1]['attempt']"
    else:
        value = "SpanAttributes.Value[indexOf(SpanAttributes.Key, '{}')]"
        attributes = ", ".join(value.format(key) for key in ("http.status", "ok", "tags"))
        nanoseconds, event = "Timestamp", "Events.AttributesValue[1][1]"
    (row,) = clients["none"].execute(
        f"SELECT TraceId, SpanId, SpanName, ServiceName, {nanoseconds}, {attributes}, "
        f"Events.Name[1], {event} FROM otel_traces WHERE IngestId = {block.ingest_id}"
    )
    assert row == (
        span.trace_id.hex(),
        span.span_id.hex(),
        "GET /orders",
        "checkout",
        span.start_time_unix_nano,
        "200",
        "true",
        '["a",1]',
        "retry",
        "2",
    )


@pytest.mark.parametrize("signal", SIGNALS)
def test_decoders_accept_the_headers_that_servers_send(
    clients: dict[Compression, Client], server: SchemaServer, signal: Signal
) -> None:
    headers: dict[str, Layout] = {
        table: server_header(clients["none"], table) for table in layouts_of(signal, server.dialect)
    }
    assert headers == {table: insert_layout(table, server.dialect) for table in headers}
    for backend in BACKENDS:
        assert backend.builder(signal, headers, 2).rows == 0
