"""A writer that does not stop while tables change."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from clickhouse_driver import Client
from clickhouse_driver.errors import ServerException

from headrace_loadgen.generate import Generator
from headrace_loadgen.profiles import PROFILES
from headrace_schema.columns import TABLES_BY_SIGNAL
from headrace_schema.retention import local
from headrace_writer.core.block import Signal
from support.decoders import KERNEL
from support.raw_insert import insert_block, server_header
from support.schema_server import SchemaServer

RECORDS = 101
"""Per request: the fewest that make points of every kind."""
TABLE_CHANGED = 244
"""18.16: the columns in ZooKeeper changed while a block was being committed."""


@dataclass
class Writer:
    """Does what the real one does: asks for the header, then sends a block that fits it; on a
    cluster to the shard that `server` belongs to."""

    server: SchemaServer
    rows: dict[str, int] = field(default_factory=dict)
    requests: int = 0

    def store(self, client: Client, signal: Signal) -> None:
        """One request of loadgen. A block that meets an ALTER is made anew, as the writer does
        under the new header; nothing of it was stored."""
        self.requests += 1
        generator = Generator(signal, PROFILES["small"], "upgrade", RECORDS, seed=self.requests)
        body, done = generator.next().body, set[str]()
        while not self._store(client, signal, body, done):
            client.disconnect()

    def _store(self, client: Client, signal: Signal, body: bytes, done: set[str]) -> bool:
        """Whether all that is not in `done` was stored."""
        deployment = self.server.deployment
        into = {
            table: f"{deployment.database}.{local(table, deployment.topology)}"
            for table in TABLES_BY_SIGNAL[signal]
        }
        layouts = {table: server_header(client, name) for table, name in into.items()}
        builder = KERNEL.builder(signal, layouts, 1, "none")
        assert builder.append_many([body]) == []
        ids = {target: self.requests * 100 + i for i, (target, _) in enumerate(builder.pending())}
        for block in builder.finish(ids):
            table = block.target.table
            if table in done:
                continue
            try:
                insert_block(client, into[table], block.body)
            except ServerException as error:
                if error.code != TABLE_CHANGED:
                    raise
                return False
            done.add(table)
            self.rows[table] = self.rows.get(table, 0) + block.rows
        return True

    @contextmanager
    def running(self, signals: list[Signal]) -> Iterator[None]:
        """Stores requests in a thread, one after another."""
        stop, wrong = threading.Event(), []

        def work() -> None:
            try:
                with self.server.client() as client:
                    # Between two requests statements of the migration find their turn.
                    while not stop.wait(0.1):
                        for signal in signals:
                            self.store(client, signal)
            except Exception as error:
                wrong.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
        assert wrong == [], wrong
