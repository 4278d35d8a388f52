"""A ClickHouse 26.9 server for tests: chDB behind the native protocol, in a process of its own.

chDB is ClickHouse as a library, one instance per process; behind this front clickhouse-driver
takes it for a server, so that tests of the modern dialect run the code that production runs.
Queries of all clients run one after another.

    with chdb_front(tmp_path) as port:
        Client("127.0.0.1", port=port)
"""

import argparse
import re
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from support.child import Child
from support.native_server import Columns, Insert, NativeServer, Query, Result, ServerError
from support.native_wire import ReceivedBlock

T = TypeVar("T")

_INSERT = re.compile(
    r"\s*INSERT\s+INTO\s+(?:TABLE\s+)?(?P<table>[\w.`\"]+)\s*(?:\((?P<columns>[^)]*)\))?"
    r"(?P<settings>\s*SETTINGS\s.*?)?\s*(?:VALUES|FORMAT\s+\w+)?\s*;?\s*",
    re.IGNORECASE | re.DOTALL,
)
_SELECT = re.compile(r"[\s(]*(SELECT|WITH)\b", re.IGNORECASE)
_ERROR = re.compile(r"Code: (\d+)\. DB::(?:\w*Exception): (.*)", re.DOTALL)
AUTHENTICATION_FAILED = 516
UNKNOWN_SETTING = 115
NO_SUCH_COLUMN = 16
# chDB reports some failures of its own without ClickHouse's number.
UNKNOWN_EXCEPTION = 1002


class ChdbBackend:
    """chDB on a folder; `location` may carry options, as in `folder?config-file=x.xml`."""

    def __init__(self, location: str, password: str = "") -> None:
        # Loading chDB takes a second and half a gigabyte: only in the process that runs it.
        from chdb.state import sqlitelike  # noqa: PLC0415

        self._location = location
        self._connect: Callable[[str], Any] = sqlitelike.Connection
        self._password = password
        self._lock = threading.Lock()
        # The instance lives as long as any connection; this one holds it.
        self._keeper = self._connect(location)
        text = self._keeper.query("SELECT version()", "TSV").bytes().decode()
        major, minor, patch = (int(part) for part in text.split(".")[:3])
        self.version = (major, minor, patch)

    def session(self, database: str, user: str, password: str) -> "ChdbSession":
        if password != self._password:
            raise ServerError(AUTHENTICATION_FAILED, f"{user}: Authentication failed")
        with self._lock:
            connection = self._connect(self._location)
        session = ChdbSession(connection, self._lock)
        if database:
            session.run(Query(f"USE {_quoted(database)}", {}))
        return session

    def close(self) -> None:
        self._keeper.close()


class ChdbSession:
    """One client's connection to chDB: its own database and settings, like a server session."""

    def __init__(self, connection: Any, lock: threading.Lock) -> None:
        self._connection = connection
        self._lock = lock
        self._settings: dict[str, str] = {}

    def run(self, query: Query) -> Result | Insert:
        with self._lock:
            self._adopt_settings(query)
            match = _INSERT.fullmatch(query.sql)
            if match is not None:
                return self._insert(match)
            sql = query.sql.strip().removesuffix(";")
            if _SELECT.match(sql):
                columns = self._columns(f"DESCRIBE TABLE ({sql})")
                blocks = _translated(lambda: self._stream(sql))
                return Result([(name, kind) for name, kind, _ in columns], blocks)
            # DDL, SHOW, DESCRIBE: nothing, or few rows in one block. chDB streams SELECT only.
            block = _translated(lambda: self._connection.query(sql, "Native")).bytes()
            return Result(blocks=[block] if block else [])

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def _stream(self, sql: str) -> list[bytes]:
        """A result's blocks: chDB formats each block as one chunk."""
        with self._connection.send_query(sql, "Native") as chunks:
            return [data for chunk in chunks if (data := chunk.bytes())]

    def _columns(self, describe: str) -> list[tuple[str, str, str]]:
        answer = _translated(lambda: self._connection.query(describe, "TSVRaw"))
        rows = [line.split("\t") for line in answer.bytes().decode().splitlines()]
        return [(name, kind, default) for name, kind, default, *_ in rows]

    def _insert(self, match: re.Match[str]) -> Insert:
        table = match["table"]
        lines = self._columns(f"DESCRIBE TABLE {table}")
        writable = {
            name: kind
            for name, kind, kind_of_default in lines
            if kind_of_default in ("", "DEFAULT")
        }
        names = _names(match["columns"]) if match["columns"] else list(writable)
        for name in names:
            if name not in writable:
                raise ServerError(NO_SUCH_COLUMN, f"No such column {name} in table {table}")
        listed = ", ".join(_quoted(name) for name in names)
        columns = [(name, writable[name]) for name in names]
        head = f"INSERT INTO {table} ({listed})"
        return _ChdbInsert(self, head, match["settings"] or "", columns)

    def insert_file(self, head: str, settings: str, file: str) -> None:
        """Run an INSERT whose blocks are in a file, in the Native format."""
        # chDB's own streaming insert reports success even when the table refuses the rows.
        sql = f"{head} FROM INFILE '{file}'{settings} FORMAT Native"
        with self._lock:
            _translated(lambda: self._connection.query(sql))

    def _adopt_settings(self, query: Query) -> None:
        """Make the connection's settings those that came with the query."""
        for name in set(self._settings) - set(query.settings):
            self._connection.query(f"SET {name} = DEFAULT")
            del self._settings[name]
        for name, value in query.settings.items():
            if self._settings.get(name) == value:
                continue
            try:
                self._set(name, value)
            except ServerError as error:
                if error.code != UNKNOWN_SETTING or name in query.important:
                    raise
            else:
                self._settings[name] = value

    def _set(self, name: str, value: str) -> None:
        escaped = value.replace("\\", "\\\\").replace("'", "\\'")
        _translated(lambda: self._connection.query(f"SET {name} = '{escaped}'"))


class _ChdbInsert:
    """One INSERT: `head` names the table and columns, `settings` is its SETTINGS clause."""

    def __init__(self, session: "ChdbSession", head: str, settings: str, columns: Columns) -> None:
        self.columns = columns
        self._session = session
        self._head = head
        self._settings = settings
        self._blocks: list[bytes] = []
        self._rows = 0

    def write(self, block: ReceivedBlock) -> None:
        # Kept back until the end: chDB runs one query at a time, and the client may be slow.
        self._blocks.append(block.native)
        self._rows += block.rows

    def finish(self) -> int:
        if self._blocks:
            with tempfile.NamedTemporaryFile(prefix="insert", suffix=".native") as file:
                file.writelines(self._blocks)
                file.flush()
                self._session.insert_file(self._head, self._settings, file.name)
        return self._rows

    def abort(self) -> None:
        self._blocks.clear()


def _translated(work: Callable[[], T]) -> T:
    """Run `work`, with chDB's errors as ServerError."""
    try:
        return work()
    except RuntimeError as error:
        match = _ERROR.search(str(error))
        if match is None:
            raise ServerError(UNKNOWN_EXCEPTION, str(error)) from error
        raise ServerError(int(match[1]), match[2]) from error


def _names(listed: str) -> list[str]:
    return [name.strip().strip('`"') for name in listed.split(",")]


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "\\`") + "`"


@contextmanager
def chdb_front(folder: Path, config: Path | None = None) -> Iterator[int]:
    """Run a front with its data in `folder`; yields its port on 127.0.0.1.

    `config` is a server configuration in XML, with `<zookeeper>`, `<macros>` and the like.
    """
    folder.mkdir(parents=True, exist_ok=True)
    ready = folder / "ready"
    argv = [sys.executable, "-m", "support.chdb_front", "--path", str(folder / "data")]
    argv += ["--port", "0", "--ready-file", str(ready)]
    if config is not None:
        argv += ["--config-file", str(config)]
    tests = Path(__file__).resolve().parents[1]
    with Child(argv, folder / "front.log", cwd=folder, env={"PYTHONPATH": str(tests)}) as child:
        child.wait_until(ready.exists, timeout_s=60)
        yield int(ready.read_text())


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="support.chdb_front", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 takes any free port")
    parser.add_argument("--path", required=True, help="folder of the data")
    parser.add_argument("--password", default="", help="the only one accepted, for every user")
    parser.add_argument("--ready-file", type=Path, help="gets the port once the server listens")
    parser.add_argument("--config-file", help="a ClickHouse server configuration")
    args = parser.parse_args(argv)
    options = f"?config-file={args.config_file}" if args.config_file else ""
    with NativeServer(ChdbBackend(args.path + options, args.password), args.port) as server:
        sys.stdout.write(f"{server.port}\n")
        sys.stdout.flush()
        if args.ready_file:
            partial = args.ready_file.with_suffix(".partial")
            partial.write_text(str(server.port))
            partial.replace(args.ready_file)
        threading.Event().wait()


if __name__ == "__main__":
    main()
