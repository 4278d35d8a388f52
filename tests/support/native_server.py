"""The server side of ClickHouse's native TCP protocol, over whatever answers the queries.

A backend (chDB, a sink that counts and forgets) gives sessions; this module speaks with
clickhouse-driver on their behalf: hello, ping, queries, INSERTs and exceptions. One protocol
revision, 54451, which clients newer and older agree on down from theirs.
"""

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol, Self

from support.native_block import read_plain_block
from support.native_wire import (
    BLOCK_INFO,
    Input,
    ReceivedBlock,
    WireError,
    compress,
    read_compressed_block,
    string,
    varint,
)

REVISION = 54451
HELLO, QUERY, DATA, CANCEL, PING = range(5)
SERVER_DATA, EXCEPTION, PROGRESS, PONG, END_OF_STREAM = range(1, 6)
TABLE_COLUMNS = 11

Columns = Sequence[tuple[str, str]]


class ServerError(Exception):
    """What a client shall get as an exception of the server."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class Query:
    """One query as the client sent it."""

    sql: str
    settings: Mapping[str, str]
    important: frozenset[str] = frozenset()
    """Settings that must not be ignored when unknown."""
    query_id: str = ""
    compression: bool = False


@dataclass(frozen=True, slots=True)
class Result:
    """What a query returns: blocks in the Native format, without BlockInfo."""

    columns: Columns = ()
    """The header sent first; may be empty when there is at least one block, or no rows at all."""
    blocks: Iterable[bytes] = field(default_factory=tuple)


class Insert(Protocol):
    """An INSERT that waits for blocks."""

    columns: Columns
    """The sample block: names and types that the client has to send."""

    def write(self, block: ReceivedBlock) -> None:
        """Take one block."""

    def finish(self) -> int:
        """No more blocks follow; returns the rows written."""

    def abort(self) -> None:
        """Forget it. Called when `write` or `finish` failed or the client left."""


class Session(Protocol):
    """One client's session. Methods raise ServerError for what the client shall be told."""

    def run(self, query: Query) -> Result | Insert: ...

    def close(self) -> None: ...


class Backend(Protocol):
    """What stands behind the server."""

    @property
    def version(self) -> tuple[int, int, int]: ...

    def session(self, database: str, user: str, password: str) -> Session: ...


class NativeServer:
    """Listens on a loopback port (`port`, 0 for any) and serves each client in a thread.

    A context manager: it listens inside, and hangs up on everybody at the end.
    """

    def __init__(self, backend: Backend, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        self._backend = backend
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", port))
        self.port: int = self._listener.getsockname()[1]
        self._clients: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._accept, name="native-accept", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # shutdown wakes the thread in accept(); close alone does not.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
        with self._lock:
            clients = list(self._clients)
        for client in clients:
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._clients.add(client)
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        try:
            with client, contextlib.suppress(EOFError, OSError):
                if self._tls is None:
                    _Conversation(client, self._backend).hold()
                    return
                # The handshake inside `with`: one that fails closes, too.
                with self._tls.wrap_socket(client, True, do_handshake_on_connect=False) as talk:
                    talk.do_handshake()
                    _Conversation(talk, self._backend).hold()
        finally:
            with self._lock:
                self._clients.discard(client)


class _Conversation:
    """One client connection, from hello to hang-up."""

    def __init__(self, client: socket.socket, backend: Backend) -> None:
        self._socket = client
        self._input = Input(client)
        self._backend = backend

    def hold(self) -> None:
        try:
            session = self._hello()
        except (ServerError, WireError) as error:
            self._send_exception(error)
            return
        try:
            while True:
                packet = self._input.varint()
                if packet == PING:
                    self._socket.sendall(varint(PONG))
                elif packet == QUERY:
                    self._answer(session, self._read_query())
                elif packet != CANCEL:
                    msg = f"packet {packet} where a query or ping is expected"
                    raise WireError(msg)
        except WireError as error:
            self._send_exception(error)
        finally:
            session.close()

    def _hello(self) -> Session:
        if self._input.varint() != HELLO:
            msg = "the first packet is not Hello"
            raise WireError(msg)
        client = self._input.string()
        _, _, revision = (self._input.varint() for _ in range(3))
        database, user, password = (self._input.string() for _ in range(3))
        if revision < REVISION:
            msg = f"{client} speaks revision {revision}; this server needs {REVISION}"
            raise WireError(msg)
        session = self._backend.session(database, user, password)
        major, minor, patch = self._backend.version
        self._socket.sendall(
            varint(HELLO)
            + string("ClickHouse")
            + varint(major)
            + varint(minor)
            + varint(REVISION)
            + string("UTC")
            + string("headrace test server")
            + varint(patch)
        )
        return session

    def _read_query(self) -> Query:
        read = self._input
        query_id = read.string()
        self._skip_client_info()
        settings: dict[str, str] = {}
        important: set[str] = set()
        while name := read.string():
            if read.varint() & 1:
                important.add(name)
            settings[name] = read.string()
        read.string()  # the secret between servers of a cluster
        read.varint()  # up to which stage: always complete
        compression = bool(read.varint())
        sql = read.string()
        query = Query(sql, settings, frozenset(important), query_id, compression)
        self._drain(query)  # external tables, of which we take none
        return query

    def _skip_client_info(self) -> None:
        """ClientInfo as of revision 54451 (src/Interpreters/ClientInfo.cpp)."""
        read = self._input
        if read.integer(1) == 0:
            return
        for _ in range(3):
            read.string()  # initial user, query id, address
        read.integer(8)  # initial start time
        read.integer(1)  # interface: TCP
        for _ in range(3):
            read.string()  # user, host, client name
        for _ in range(3):
            read.varint()  # version major, minor, revision
        read.string()  # quota key
        read.varint()  # distributed depth
        read.varint()  # version patch
        if read.integer(1):  # OpenTelemetry context
            read.read(16 + 8)
            read.string()
            read.integer(1)

    def _answer(self, session: Session, query: Query) -> None:
        try:
            answer = session.run(query)
            if isinstance(answer, Result):
                if answer.columns:
                    self._send_data(_header_block(answer.columns), query)
                for block in answer.blocks:
                    self._send_data(block, query)
            else:
                self._take_insert(answer, query)
        except ServerError as error:
            self._send_exception(error)
        else:
            self._socket.sendall(varint(END_OF_STREAM))

    def _take_insert(self, insert: Insert, query: Query) -> None:
        described = "".join(f"`{name}` {kind}\n" for name, kind in insert.columns)
        self._socket.sendall(
            varint(TABLE_COLUMNS)
            + string("")
            + string(f"columns format version: 1\n{len(insert.columns)} columns:\n{described}")
        )
        self._send_data(_header_block(insert.columns), query)
        finished = False
        received = 0
        try:
            while (block := self._read_data(query)).columns:
                received += len(block.native)
                try:
                    insert.write(block)
                except ServerError:
                    self._drain(query)  # as the real server: hear the client out, then tell
                    raise
            rows = insert.finish()
            finished = True
        finally:
            if not finished:
                insert.abort()
        # Nothing read, everything written.
        self._socket.sendall(varint(PROGRESS) + bytes(3) + varint(rows) + varint(received))

    def _drain(self, query: Query) -> None:
        while self._read_data(query).columns:
            pass

    def _read_data(self, query: Query) -> ReceivedBlock:
        packet = self._input.varint()
        if packet != DATA:
            msg = f"packet {packet} where data is expected"
            raise WireError(msg)
        self._input.string()  # table name
        read_block = read_compressed_block if query.compression else read_plain_block
        return read_block(self._input)

    def _send_data(self, native: bytes, query: Query) -> None:
        body = BLOCK_INFO + native
        self._socket.sendall(
            varint(SERVER_DATA) + string("") + (compress(body) if query.compression else body)
        )

    def _send_exception(self, error: ServerError | WireError) -> None:
        # 101: UNEXPECTED_PACKET_FROM_CLIENT
        code = error.code if isinstance(error, ServerError) else 101
        self._socket.sendall(
            varint(EXCEPTION)
            + code.to_bytes(4, "little", signed=True)
            + string("DB::Exception")
            + string(f"DB::Exception: {error}")
            + string("")
            + b"\x00"
        )


def _header_block(columns: Columns) -> bytes:
    """A block of no rows."""
    described = b"".join(string(name) + string(kind) for name, kind in columns)
    return varint(len(columns)) + varint(0) + described
