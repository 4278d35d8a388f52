"""How long each signal is kept, and the statements that make it so.

A modern server gets a TTL: a day's parts are dropped when their last row is old enough, and nothing
is rewritten. The legacy dialect has no TTL: days are dropped by statement, each time it is asked.
The ledger is kept: a row per batch, without which nothing could be proven about what is left.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from headrace_schema.columns import TABLES, TABLES_BY_SIGNAL
from headrace_schema.connection import Connection
from headrace_schema.render import Deployment, Topology

DEFAULT_DAYS: Mapping[str, int] = {"traces": 7, "metrics": 30, "logs": 14}
# The view's table holds the times of spans, so it goes with them.
TABLES_KEPT_ALIKE: Mapping[str, tuple[str, ...]] = {
    **TABLES_BY_SIGNAL,
    "traces": (*TABLES_BY_SIGNAL["traces"], "otel_traces_trace_id_ts"),
}
_DAYS = re.compile(r"TTL .*?toIntervalDay\((\d+)\)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Kept:
    """One table on one replica."""

    signal: str
    table: str
    days: int | None
    """By its TTL; None without one."""
    oldest: date | None
    """The first day that has rows; None for an empty table."""
    bytes: int


@dataclass(frozen=True, slots=True)
class Step:
    """One statement for one replica of a shard, and what it deletes."""

    table: str
    sql: str
    deletes: str
    """In words; empty when it deletes nothing now."""


def local(table: str, topology: Topology) -> str:
    """The table that holds rows."""
    return f"{table}_local" if topology == "cluster" else table


def kept(connection: Connection, deployment: Deployment) -> list[Kept]:
    """What every table of the deployment keeps on this replica. Raises Unreachable, Refused."""
    found = []
    for signal, tables in TABLES_KEPT_ALIKE.items():
        for table in tables:
            name = local(table, deployment.topology)
            days = None
            if deployment.dialect == "modern":
                created = connection.execute(f"SHOW CREATE TABLE {deployment.database}.{name}")
                match = _DAYS.search(str(created[0][0]))
                days = int(match[1]) if match else None
            parts = _days_of(connection, deployment.database, name)
            oldest = min(parts, default=None)
            found.append(Kept(signal, table, days, oldest, sum(parts.values())))
    return found


def steps(
    connection: Connection,
    deployment: Deployment,
    days: Mapping[str, int],
    now: datetime | None = None,
) -> Iterator[Step]:
    """What has to be done on one replica of a shard so that each signal is kept so long.

    The other replicas follow by replication. Raises Unreachable, Refused.
    """
    today = (now or datetime.now(UTC)).date()
    for one in kept(connection, deployment):
        if one.signal not in days:
            continue
        limit = days[one.signal]
        name = f"{deployment.database}.{local(one.table, deployment.topology)}"
        # A day is over at midnight; its last row is a full limit old a day later.
        first_kept = today - timedelta(days=limit)
        gone = one.oldest is not None and one.oldest < first_kept
        deletes = f"{one.table}: days before {first_kept}" if gone else ""
        if deployment.dialect == "modern":
            if one.days != limit:
                yield Step(one.table, _modify(name, one.table, limit), deletes)
            continue
        for day in sorted(_days_of(connection, *name.split(".", 1))):
            if day < first_kept:
                yield Step(
                    one.table,
                    f"ALTER TABLE {name} DROP PARTITION ID '{day:%Y%m%d}'",
                    f"{one.table}: {day}",
                )


def _modify(name: str, table: str, days: int) -> str:
    return (
        f"ALTER TABLE {name} MODIFY TTL toDateTime({TABLES[table].time}) + toIntervalDay({days}) "
        "SETTINGS materialize_ttl_after_modify = 0"
    )


def _days_of(connection: Connection, database: str, name: str) -> dict[date, int]:
    """Day → bytes on disk. A part's name begins with the ID of its partition, the day."""
    rows = connection.execute(
        # Deployment lets no name through that would need quotes.
        "SELECT splitByChar('_', name)[1], sum(bytes_on_disk) FROM system.parts "  # noqa: S608
        f"WHERE active AND database = '{database}' AND table = '{name}' "
        "GROUP BY splitByChar('_', name)[1]"
    )
    return {
        datetime.strptime(day, "%Y%m%d").replace(tzinfo=UTC).date(): int(size) for day, size in rows
    }
