"""What migrations need of a server: one statement at a time, and two ways to fail."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from clickhouse_driver import Client
from clickhouse_driver import errors as driver_errors

# The writer speaks this revision too (no per-column serialization flag, which comes at 54454).
PROTOCOL_REVISION = 54453

# A DDL statement waits for metadata locks and for ZooKeeper, never for data.
STATEMENT_TIMEOUT_S = 60
CONNECT_TIMEOUT_S = 5


@dataclass(frozen=True, slots=True, order=True)
class Node:
    """One replica. `shard` and `replica` count from 1, as the servers' macros usually do."""

    shard: int
    replica: int
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class Unreachable(Exception):
    """No connection, or it broke: what the statement did is unknown."""


class Refused(Exception):
    """The server answered with an error; `code` is ClickHouse's number for it."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"code {code}: {text}")
        self.code = code
        self.text = text


class Connection(Protocol):
    """An open connection to one replica. Settings made by SET last as long as it does."""

    def execute(self, sql: str) -> list[tuple[Any, ...]]:
        """Run one statement and return its rows. Raises Unreachable or Refused."""

    def close(self) -> None:
        """Hang up."""


Connect = Callable[[Node], Connection]
"""Opens a connection to one replica; raises Unreachable or Refused."""


class DriverConnection:
    """A Connection by clickhouse-driver."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def execute(self, sql: str) -> list[tuple[Any, ...]]:
        try:
            rows = self._client.execute(sql)
        except driver_errors.ServerException as error:
            raise Refused(error.code, _first_sentence(error.message)) from error
        except (driver_errors.Error, EOFError, OSError) as error:
            # The driver's errors print as "Code: 210. reason"; the reason is in `message`.
            reason = getattr(error, "message", None) or str(error)
            raise Unreachable(_first_sentence(reason) or type(error).__name__) from error
        return [tuple(row) for row in rows] if isinstance(rows, list) else []

    def close(self) -> None:
        self._client.disconnect()


def driver_connect(user: str, password: str, **tls: Any) -> Connect:
    """A Connect that logs in as `user`; it asks the server its version, so that it fails early.

    `tls` is what clickhouse-driver's Client takes for TLS.
    """

    def connect(node: Node) -> DriverConnection:
        connection = DriverConnection(
            Client(
                node.host,
                port=node.port,
                user=user,
                password=password,
                client_name="headrace migrate",
                client_revision=PROTOCOL_REVISION,
                connect_timeout=CONNECT_TIMEOUT_S,
                send_receive_timeout=STATEMENT_TIMEOUT_S,
                **tls,
            )
        )
        connection.execute("SELECT version()")
        return connection

    return connect


def _first_sentence(message: str) -> str:
    """A server's message without the stack trace that old servers append."""
    sentence, _, _ = message.partition("Stack trace:")
    return sentence.removeprefix("DB::Exception: ").strip(" \n.")
