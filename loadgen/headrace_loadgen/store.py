"""What ClickHouse holds of a run: by request number, so that a loss or a double has a name."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from clickhouse_driver import Client
from clickhouse_driver import errors as driver_errors

from headrace_loadgen.generate import INDEX_BITS, POINT_INDEX_BITS, Signal
from headrace_loadgen.send import Tally

POINT_TABLES = {
    "otel_metrics_gauge": "Value",
    "otel_metrics_sum": "Value",
    "otel_metrics_histogram": "Sum",
    "otel_metrics_exponential_histogram": "Sum",
    "otel_metrics_summary": "Sum",
}
RECORD_TABLES: dict[Signal, dict[str, str]] = {
    "traces": {"otel_traces": "SpanId"},
    "logs": {"otel_logs": "SpanId"},
    "metrics": POINT_TABLES,
}
# Rows of this many requests are counted by one query, which bounds its memory and its time.
REQUESTS_PER_QUERY = 2_000


class StoreUnreachable(Exception):
    """No address answers, or the tables are not there; the text names the flag to change."""


class Store:
    """Reads the Distributed tables of one database. Use on one thread."""

    def __init__(
        self,
        addresses: list[tuple[str, int]],
        database: str,
        user: str = "default",
        password: str = "",
    ) -> None:
        host, port = addresses[0]
        others = ",".join(f"{h}:{p}" for h, p in addresses[1:])
        self._client = Client(
            host,
            port=port,
            alt_hosts=others or None,
            database=database,
            user=user,
            password=password,
            connect_timeout=3,
            send_receive_timeout=120,
        )
        self._where = f"{', '.join(f'{h}:{p}' for h, p in addresses)} (--clickhouse)"

    def query(self, sql: str, parameters: dict[str, Any] | None = None) -> list[tuple[Any, ...]]:
        """Rows. Raises StoreUnreachable."""
        try:
            rows: list[tuple[Any, ...]] = self._client.execute(sql, parameters or {})
        except (driver_errors.Error, OSError, EOFError) as error:
            self._client.disconnect()
            # A server's message begins on the second line, below its code.
            text = " ".join(str(error).split())[:300]
            msg = f"ClickHouse at {self._where}: {text}"
            raise StoreUnreachable(msg) from error
        return rows

    def close(self) -> None:
        self._client.disconnect()

    def count(self, signal: Signal, service: str) -> int:
        """Rows of a run that are visible now."""
        return sum(
            self.query(
                f"SELECT count() FROM {table} WHERE ServiceName = %(service)s",  # noqa: S608 (ours)
                {"service": service},
            )[0][0]
            for table in RECORD_TABLES[signal]
        )

    def by_request(self, signal: Signal, service: str, last: int) -> "dict[int, Found]":
        """What is there of each request number up to `last`."""
        found: dict[int, Found] = {}
        for table, column in RECORD_TABLES[signal].items():
            for number, rows, indexes, squares in self._grouped(table, column, service, last):
                into = found.setdefault(number, Found())
                into.rows += rows
                into.indexes += indexes
                into.squares += squares
        return found

    def _grouped(
        self, table: str, column: str, service: str, last: int
    ) -> Iterator[tuple[int, int, int, int]]:
        if column == "SpanId":
            sequence, bits = "reinterpretAsUInt64(reverse(unhex(SpanId)))", INDEX_BITS
        else:
            sequence, bits = f"toUInt64({column})", POINT_INDEX_BITS
        sql = (
            f"SELECT bitShiftRight(n, {bits}) AS request, count(), sum(i), sum(i * i) FROM ("  # noqa: S608 (our names)
            f"SELECT {sequence} AS n, bitAnd(n, {(1 << bits) - 1}) AS i FROM {table} "
            "WHERE ServiceName = %(service)s) "
            "WHERE request >= %(first)s AND request < %(end)s GROUP BY request"
        )
        for first in range(0, last + 1, REQUESTS_PER_QUERY):
            place = {"service": service, "first": first, "end": first + REQUESTS_PER_QUERY}
            for number, rows, indexes, squares in self.query(sql, place):
                yield int(number), int(rows), int(indexes), int(squares)


@dataclass(slots=True)
class Found:
    """Rows of one request: how many, the sum of their indexes and of their squares."""

    rows: int = 0
    indexes: int = 0
    squares: int = 0

    def is_whole(self, records: int, times: int = 1) -> bool:
        """Each index from 0 to records - 1 is there `times` times.

        Two sums beside the count: a lost record made up for by a doubled one shows in them.
        """
        last = records - 1
        indexes = records * last // 2
        squares = last * records * (2 * last + 1) // 6
        return (self.rows, self.indexes, self.squares) == (
            records * times,
            indexes * times,
            squares * times,
        )


@dataclass
class Verdict:
    """Records of one signal after the run."""

    signal: Signal
    acked: int = 0
    visible: int = 0
    lost: int = 0
    duplicated: int = 0
    resent_doubled: int = 0
    """More than once, but so was the request sent: its first answer was lost, which OTLP allows."""
    unacked_visible: int = 0
    """Never acknowledged, and yet there: the answer was lost and the retries ended."""
    unsettled: int = 0
    """Requests of which something may still be on its way: worth another look."""
    examples: list[str] = field(default_factory=list)

    def note(self, text: str) -> None:
        if len(self.examples) < 5:
            self.examples.append(text)


def judge(tally: Tally, found: dict[int, Found]) -> Verdict:
    """Compare what was acknowledged with what is there."""
    verdict = Verdict(tally.signal, acked=tally.acked_records)
    records = tally.records
    for number, attempts in tally.acked.items():
        here = found.get(number, Found())
        verdict.visible += records
        if here.is_whole(records):
            continue
        times = here.rows // records
        if times > 1 and here.is_whole(records, times) and attempts >= times:
            verdict.resent_doubled += here.rows - records
            continue
        missing, extra = max(0, records - here.rows), max(0, here.rows - records)
        if not missing and not extra:
            # As many as there should be, but not the right ones: at least one of each.
            missing = extra = 1
        verdict.unsettled += here.rows < records * attempts
        verdict.visible -= missing
        verdict.lost += missing
        verdict.duplicated += extra
        verdict.note(
            f"{tally.signal} request {number}: {here.rows} of {records} records, "
            f"acknowledged at attempt {attempts}"
        )
    for number in found.keys() - tally.acked.keys():
        here, attempts = found[number], max(1, tally.refused.get(number, 1))
        verdict.unacked_visible += min(here.rows, records)
        allowed = records * attempts
        verdict.resent_doubled += max(0, min(here.rows, allowed) - records)
        if here.rows > allowed:
            verdict.duplicated += here.rows - allowed
            verdict.note(
                f"{tally.signal} request {number}: {here.rows} of {records} records, "
                f"not acknowledged in {attempts} attempts"
            )
    return verdict
