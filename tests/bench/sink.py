"""A ClickHouse that takes everything and keeps nothing: `python -m bench.sink PORT [PORT …]`.

Speaks the native protocol (tests/support/native_server.py), answers an INSERT with the header of
the modern dialect, verifies each frame's checksum, counts rows per table and forgets them. A SELECT
returns no rows. For each line that it reads from standard input it prints the counts as a line of
JSON; `stall N` makes it take nothing for N seconds.
"""

import json
import re
import sys
import threading
import time
from collections import Counter
from contextlib import ExitStack

from headrace_schema.columns import TABLES, insert_layout
from support.native_server import Columns, Insert, NativeServer, Query, Result
from support.native_wire import ReceivedBlock

_INSERT = re.compile(
    r"\s*INSERT\s+INTO\s+(?:[`\"\w]+\.)?[`\"]?(\w+?)(?:_local)?[`\"]?[\s(]", re.IGNORECASE
)
_NAMES = re.compile(r"\(([^)]*)\)\s*(?:VALUES|FORMAT|SETTINGS|$)", re.IGNORECASE)


class Sink:
    """Counts. Also the backend of every server of this process."""

    version = (24, 8, 0)

    def __init__(self) -> None:
        self.rows: Counter[str] = Counter()
        self.blocks: Counter[str] = Counter()
        self.bytes = 0
        self.stalled_until = 0.0
        self.lock = threading.Lock()

    def session(self, database: str, user: str, password: str) -> "Session":
        del database, user, password
        return Session(self)

    def counts(self) -> dict[str, object]:
        with self.lock:
            return {"rows": dict(self.rows), "blocks": dict(self.blocks), "bytes": self.bytes}


class Session:
    """One client."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    def run(self, query: Query) -> Result | Insert:
        found = _INSERT.match(query.sql)
        if found is None:
            return Result()
        table = found[1]
        header = insert_layout(table, "modern") if table in TABLES else []
        names = _NAMES.search(query.sql)
        if names:
            kinds = dict(header)
            wanted = [name.strip(' `"\n\t') for name in names[1].split(",")]
            header = [(name, kinds[name]) for name in wanted]
        return Counted(self._sink, table, header)

    def close(self) -> None:
        """Nothing is held."""


class Counted:
    """One INSERT."""

    def __init__(self, sink: Sink, table: str, columns: Columns) -> None:
        self.columns = columns
        self._sink = sink
        self._table = table
        self._rows = 0
        self._bytes = 0

    def write(self, block: ReceivedBlock) -> None:
        while (wait := self._sink.stalled_until - time.monotonic()) > 0:
            time.sleep(min(wait, 0.1))
        self._rows += block.rows
        self._bytes += block.wire_bytes

    def finish(self) -> int:
        with self._sink.lock:
            self._sink.rows[self._table] += self._rows
            self._sink.blocks[self._table] += 1
            self._sink.bytes += self._bytes
        return self._rows

    def abort(self) -> None:
        """Counts nothing."""


def main() -> None:
    sink = Sink()
    with ExitStack() as servers:
        for port in sys.argv[1:]:
            servers.enter_context(NativeServer(sink, int(port)))
        print("ready", flush=True)
        for line in sys.stdin:
            word, _, seconds = line.strip().partition(" ")
            if word == "stall":
                sink.stalled_until = time.monotonic() + float(seconds)
            print(json.dumps(sink.counts()), flush=True)


if __name__ == "__main__":
    main()
