"""A database whose retention tests set, and rows of so many days ago in it."""

import time
from collections.abc import Callable
from typing import Any

from headrace_schema.retention_cli import add_retention_parser, run_retention
from support.schema_command import answer
from support.schema_server import MigrateSettings, SchemaServer

DAY_S = 86_400
NANO = 10**9


class KeptDatabase:
    """A database of its own on the server."""

    def __init__(self, server: SchemaServer, database: str = "") -> None:
        self.server = server
        self.database = database or f"kept_{server.dialect}"
        self.settings = MigrateSettings(
            [[("127.0.0.1", server.port)]], clickhouse_database=self.database
        )

    def retention(self, *argv: str) -> tuple[int, Any]:
        """Exit code and JSON of one run."""
        return answer(add_retention_parser, run_retention, self.settings, "retention", *argv)

    def days_of(self, table: str) -> list[int]:
        """How many days ago the rows of a table are, oldest first."""
        legacy = self.server.dialect == "legacy"
        day = "toDate(intDiv(Timestamp, 1000000000))" if legacy else "toDate(Timestamp)"
        with self.server.client() as client:
            rows = client.execute(
                f"SELECT toRelativeDayNum(today()) - toRelativeDayNum({day}) AS d "
                f"FROM {self.database}.{table} ORDER BY d DESC"
            )
        return [int(row[0]) for row in rows]

    def services_of(self, table: str) -> list[tuple[str, int]]:
        """(service, days ago) of the rows of a table; modern."""
        with self.server.client() as client:
            rows = client.execute(
                "SELECT ServiceName, toRelativeDayNum(today()) - toRelativeDayNum(Timestamp) "
                f"FROM {self.database}.{table} ORDER BY 1, 2"
            )
        return [(str(service), int(days)) for service, days in rows]

    def store_spans(self, days_ago: int, *services: str) -> None:
        """One insert of one span per service; modern."""
        with self.server.client() as client:
            for table in ("otel_traces", "otel_logs"):
                client.execute(
                    f"INSERT INTO {self.database}.{table} (Timestamp, TraceId, ServiceName) "
                    f"SELECT now() - toIntervalDay({days_ago}), 't', arrayJoin({list(services)})"
                )

    def store(self, table: str, *days_ago: int) -> None:
        now = int(time.time())
        with self.server.client() as client:
            for days in days_ago:
                at = (now - days * DAY_S) * NANO
                value = f"toInt64({at})" if self.server.dialect == "legacy" else (
                    f"fromUnixTimestamp64Nano(toInt64({at}))"
                )  # fmt: skip
                client.execute(f"INSERT INTO {self.database}.{table} (Timestamp) SELECT {value}")


def eventually(done: Callable[[], bool], within_s: float = 60.0) -> None:
    deadline = time.monotonic() + within_s
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.1)
