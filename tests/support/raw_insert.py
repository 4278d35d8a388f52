"""Sends a finished Native block through clickhouse-driver's connection, and reads rows back.

What the writer does with a decoder's block, in the fewest lines; the writer's own inserter has
tests of its own.
"""

import io
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from clickhouse_driver import Client
from clickhouse_driver.block import BlockInfo, RowOrientedBlock
from clickhouse_driver.bufferedreader import BufferedSocketReader
from clickhouse_driver.columns.service import read_column
from clickhouse_driver.protocol import ClientPacketTypes
from clickhouse_driver.reader import read_binary_str
from clickhouse_driver.result import QueryInfo
from clickhouse_driver.varint import read_varint, write_varint
from clickhouse_driver.writer import write_binary_str

from support.native_server import REVISION

Layout = list[tuple[str, str]]


def server_header(client: Client, table: str) -> Layout:
    """The sample block that the server answers to `INSERT INTO table`, as (name, type)."""
    header = _begin(client, table)
    _end(client)
    return header


def insert_block(
    client: Client, table: str, body: bytes, settings: Mapping[str, Any] | None = None
) -> None:
    """INSERT one finished block: plain bytes for a client without compression, else frames.

    The INSERT names no columns, so the block must follow the table's own header. Raises
    clickhouse_driver's ServerException when the server refuses it.
    """
    client.connection.context.settings = dict(settings or {})
    _begin(client, table)
    out = client.connection.fout
    write_varint(ClientPacketTypes.DATA, out)
    write_binary_str("", out)
    out.write(body)
    _end(client)


def _begin(client: Client, table: str) -> Layout:
    connection = client.connection
    connection.force_connect()
    client.last_query = QueryInfo()  # where the driver keeps the server's progress reports
    connection.send_query(f"INSERT INTO {table} VALUES")
    connection.send_data(RowOrientedBlock())  # no external tables
    header: Layout = client.receive_sample_block().columns_with_types
    return header


def _end(client: Client) -> None:
    client.connection.send_data(RowOrientedBlock())
    client.receive_end_of_insert_query()


class _Served:
    """A socket that serves given bytes."""

    def __init__(self, data: bytes) -> None:
        self._data = io.BytesIO(data)

    def recv_into(self, buffer: bytearray) -> int:
        return self._data.readinto(buffer)


def block_rows(body: bytes) -> list[tuple[Any, ...]]:
    """Rows of a finished, uncompressed block, as clickhouse-driver decodes them.

    Times are integers, nanoseconds: a DateTime64(9) has more digits than Python's datetime.
    """
    context = Client("nowhere").connection.context
    context.server_info = SimpleNamespace(used_revision=REVISION)
    source = BufferedSocketReader(_Served(body), 1 << 20)
    BlockInfo().read(source)
    columns, rows = read_varint(source), read_varint(source)
    data = []
    for _ in range(columns):
        read_binary_str(source)  # name
        kind = read_binary_str(source).replace("DateTime64(9)", "Int64")
        data.append(read_column(context, kind, rows, source))
    return list(zip(*data, strict=True))


def table_rows(client: Client, table: str, ingest_id: int, header: Layout) -> list[tuple[Any, ...]]:
    """The rows of one insert as the server returns them, times as integers."""
    columns = ", ".join(_readable(name, kind) for name, kind in header)
    rows: list[tuple[Any, ...]] = client.execute(
        f"SELECT {columns} FROM {table} WHERE IngestId = {ingest_id}"
    )
    return rows


def _readable(name: str, kind: str) -> str:
    """A column as clickhouse-driver can read it without loss."""
    if kind == "DateTime64(9)":
        return f"toUnixTimestamp64Nano(`{name}`)"
    if kind == "Array(DateTime64(9))":
        return f"arrayMap(t -> toUnixTimestamp64Nano(t), `{name}`)"
    if kind == "Array(LowCardinality(String))":
        # Server 18.16 sends a dictionary even for arrays that are all empty, where newer ones
        # send nothing; the driver expects nothing and loses its place.
        return f"arrayMap(s -> toString(s), `{name}`)"
    return f"`{name}`"
