"""A ClickHouse over loopback that is told what to do instead of storing."""

import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from headrace_writer.core.block import Block, Layout, Target
from headrace_writer.shell.replica import Address, Login
from support.native_server import (
    Columns,
    Insert,
    NativeServer,
    Query,
    Result,
    ServerError,
    Session,
)
from support.native_wire import BLOCK_INFO, ReceivedBlock, compress, string, varint

TABLE = "probes"
LAYOUT: Layout = [("Id", "UInt8"), ("Text", "String")]
NATIVE = (
    varint(2) + varint(1)
    + string("Id") + string("UInt8") + bytes([7])
    + string("Text") + string("String") + string("seven")
)  # fmt: skip
BLOCK = Block(Target(TABLE, 0), 1, (1 << 64) - 3, compress(BLOCK_INFO + NATIVE), 0, 0, 0)
ONE_ROW = varint(1) + varint(1) + string("n") + string("UInt64") + (41).to_bytes(8, "little")


@dataclass
class ScriptedServer:
    """A backend that remembers what came in; `trouble` is what happens to it."""

    version: tuple[int, int, int] = (26, 9, 2)
    columns: Columns = tuple(LAYOUT)
    password: str = ""
    on_query: Callable[[], None] = lambda: None
    """Runs before a query or INSERT is answered."""
    on_finish: Callable[[], None] = lambda: None
    """Runs when all of an INSERT is there, before it is acknowledged."""
    stored: list[bytes] = field(default_factory=list)
    queries: list[Query] = field(default_factory=list)
    sessions: int = 0

    def session(self, database: str, user: str, password: str) -> Session:
        if password != self.password:
            raise ServerError(516, f"{user}: Authentication failed")
        self.sessions += 1
        return ScriptedSession(self)


@dataclass
class ScriptedSession:
    server: ScriptedServer

    def run(self, query: Query) -> Result | Insert:
        self.server.queries.append(query)
        self.server.on_query()
        if query.sql.startswith("INSERT"):
            return ScriptedInsert(self.server, self.server.columns)
        return Result([("n", "UInt64")], [ONE_ROW])

    def close(self) -> None:
        pass


@dataclass
class ScriptedInsert:
    server: ScriptedServer
    columns: Columns
    blocks: list[bytes] = field(default_factory=list)

    def write(self, block: ReceivedBlock) -> None:
        self.blocks.append(block.native)

    def finish(self) -> int:
        self.server.on_finish()
        self.server.stored += self.blocks
        return len(self.blocks)

    def abort(self) -> None:
        self.blocks.clear()


def refusing(code: int) -> Callable[[], None]:
    def refuse() -> None:
        raise ServerError(code, "Constraint `c` is violated at row 1")

    return refuse


def hang_up() -> None:
    """The connection breaks."""
    raise EOFError


def first_time(action: Callable[[], None]) -> Callable[[], None]:
    left = [action]
    return lambda: left.pop()() if left else None


def login(password: str = "", answer_timeout_s: float = 10.0) -> Login:
    return Login("otel", "default", password, 5.0, answer_timeout_s)


@contextmanager
def listening(
    *servers: ScriptedServer, tls: ssl.SSLContext | None = None
) -> Iterator[list[Address]]:
    with ExitStack() as stack:
        yield [
            Address("127.0.0.1", stack.enter_context(NativeServer(server, tls=tls)).port)
            for server in servers
        ]
