"""One connection to one ClickHouse replica: finished blocks in, counts out.

clickhouse-driver owns hello, authentication, settings, packets and exceptions; only the block
itself is ours, written as it is behind the Data packet's head.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from clickhouse_driver import Client
from clickhouse_driver.block import RowOrientedBlock
from clickhouse_driver.protocol import ClientPacketTypes
from clickhouse_driver.varint import write_varint
from clickhouse_driver.writer import write_binary_str

from headrace_writer.core.block import Block, Layout
from headrace_writer.errors import Fatal, LayoutError, Poison
from headrace_writer.shell.server_errors import classify

# The newest protocol revision without a custom-serialization flag per column (54454): every
# server since 18.16 speaks it, so one block serves all replicas (docs/decisions/0003).
PROTOCOL_REVISION = 54453

# Servers from here on know insert_deduplication_token (ClickHouse pull request 32304).
TOKEN_SINCE = (22, 2)


class Address(NamedTuple):
    """Native protocol endpoint of a replica."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class Login(NamedTuple):
    """What every connection needs besides an address. Timeouts in seconds."""

    database: str
    user: str
    password: str
    connect_timeout_s: float
    answer_timeout_s: float
    quorum: int = 0
    """Replicas that an insert waits for; 0 for the one that takes it."""
    tls: Mapping[str, Any] = MappingProxyType({})
    """clickhouse-driver's settings for TLS; empty for none."""


class Replica:
    """Not thread-safe: one thread uses it at a time."""

    def __init__(self, address: Address, login: Login) -> None:
        self.address = address
        self.sent = False
        """Whether anything of the last block was sent: then it may be stored, whatever came."""
        self._database = login.database
        self._quorum = login.quorum
        self._client = Client(
            address.host,
            port=address.port,
            database=login.database,
            user=login.user,
            password=login.password,
            connect_timeout=login.connect_timeout_s,
            send_receive_timeout=login.answer_timeout_s,
            client_name="headrace-writer",
            client_revision=PROTOCOL_REVISION,
            compression="lz4",
            # KILL and a time limit are the two ways to a hash without rows ("ghost").
            settings={"max_execution_time": 0},
            **login.tls,
        )

    @property
    def version(self) -> tuple[int, int]:
        """Server version (major, minor); connects if needed."""
        # Not force_connect: that also marks a query as begun.
        if not self._client.connection.connected:
            self._client.connection.connect()
        major, minor = self._client.connection.server_info.version_tuple()[:2]
        return major, minor

    def knows_tokens(self) -> bool:
        """Whether the server drops a repeated insert by its token, whatever it holds."""
        try:
            return self.version >= TOKEN_SINCE
        except Exception as error:
            self.close()
            raise classify(error, str(self.address)) from error

    def layout(self, table: str) -> Layout:
        """The server's INSERT header. Raises Retryable or Fatal."""
        try:
            header = self._begin_insert(table, {})
            self._client.connection.send_data(RowOrientedBlock())
            self._client.receive_end_of_insert_query()
        except Exception as error:
            self.close()
            raise classify(error, f"{table} on {self.address}") from error
        return header

    def insert(self, table: str, layout: Layout, block: Block) -> None:
        """Send one block as one INSERT and wait for the acknowledgement.

        Raises Retryable (also when the outcome is unknown), Poison when the server refuses the
        data, Fatal, and LayoutError when the table is not the one that the block was built for.
        """
        self.sent = False
        try:
            settings: dict[str, Any] = {}
            if self.version >= TOKEN_SINCE:
                settings["insert_deduplicate"] = 1
                settings["insert_deduplication_token"] = str(block.ingest_id)
                # A repeated block is offered to the views again, which drop what they have: a view
                # that a crash left without it is mended so, and none doubles it.
                settings["deduplicate_blocks_in_dependent_materialized_views"] = 1
                # A sender with old spans makes as many partitions as they are days old; refusing
                # the block would stop its neighbours.
                settings["max_partitions_per_insert_block"] = 0
            if self._quorum:
                settings["insert_quorum"] = self._quorum
            header = self._begin_insert(table, settings)
            if list(header) != list(layout):
                msg = f"{table} on {self.address} has changed since this writer started: restart it"
                raise LayoutError(msg)
            self.sent = True
            self._send(block)
            self._client.receive_end_of_insert_query()
        except (Fatal, Poison):
            self.close()
            raise
        except Exception as error:
            self.close()
            raise classify(error, f"{table} on {self.address}") from error

    def query(self, sql: str, parameters: dict[str, Any] | None = None) -> list[tuple[Any, ...]]:
        """Rows of a SELECT, or of a small INSERT's nothing. Raises Retryable, Fatal, Poison."""
        try:
            rows: list[tuple[Any, ...]] = self._client.execute(sql, parameters)
        except Exception as error:
            self.close()
            raise classify(error, f"query on {self.address}") from error
        return rows

    def insert_rows(self, sql: str, rows: list[tuple[Any, ...]], token: int) -> None:
        """Insert few rows of Python values. Raises Retryable, Fatal, Poison."""
        try:
            known = self.version >= TOKEN_SINCE
            settings = {"insert_deduplication_token": str(token)} if known else {}
            self._client.execute(sql, rows, settings=settings)
        except Exception as error:
            self.close()
            raise classify(error, f"insert on {self.address}") from error

    def close(self) -> None:
        """Hang up; the next use connects again."""
        self._client.disconnect()

    def _begin_insert(self, table: str, settings: dict[str, Any]) -> list[tuple[str, str]]:
        client = self._client
        client.establish_connection(settings)
        connection = client.connection
        connection.send_query(f"INSERT INTO `{self._database}`.`{table}` VALUES")
        connection.send_external_tables(None)
        header = client.receive_sample_block()
        return [(name, kind) for name, kind in header.columns_with_types]

    def _send(self, block: Block) -> None:
        connection = self._client.connection
        write_varint(ClientPacketTypes.DATA, connection.fout)
        write_binary_str("", connection.fout)
        connection.fout.flush()
        # Past the driver's buffer: the body is finished and needs no copy.
        connection.socket.sendall(block.body)
        connection.send_data(RowOrientedBlock())
