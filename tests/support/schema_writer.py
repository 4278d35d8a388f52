"""A writer that does not stop while tables change."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from clickhouse_driver import Client

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


@dataclass
class Writer:
    """Does what the real one does: asks for the header, then sends a block that fits it; on a
    cluster to the shard that `server` belongs to."""

    server: SchemaServer
    rows: dict[str, int] = field(default_factory=dict)
    requests: int = 0

    def store(self, client: Client, signal: Signal) -> None:
        """One request of loadgen."""
        self.requests += 1
        deployment = self.server.deployment
        into = {
            table: f"{deployment.database}.{local(table, deployment.topology)}"
            for table in TABLES_BY_SIGNAL[signal]
        }
        layouts = {table: server_header(client, name) for table, name in into.items()}
        builder = KERNEL.builder(signal, layouts, 1, "none")
        generator = Generator(signal, PROFILES["small"], "upgrade", RECORDS, seed=self.requests)
        assert builder.append_many([generator.next().body]) == []
        ids = {target: self.requests * 100 + i for i, (target, _) in enumerate(builder.pending())}
        for block in builder.finish(ids):
            table = block.target.table
            insert_block(client, into[table], block.body)
            self.rows[table] = self.rows.get(table, 0) + block.rows

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
