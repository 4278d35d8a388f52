"""Whether the rollup by minute says what the spans say, and how a day of it is made anew.

A view fills `genai_usage_1m` per insert. Servers from 24.7 to 26.1 pushed a repeated insert into
views again unless asked not to, a crash between an insert and its view may leave a gap, and
somebody may delete spans. So a day can be counted again: into a table beside, which then replaces
the day's partition at once. Readers see the old day or the new one.

Only days that are over: while a day runs, what arrives between counting and replacing would be
lost, and a busy day has no pause. Late spans of a finished day are rare; a comparison afterwards
finds them, and the day is counted once more.
"""

import re
import uuid
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from headrace_schema.connection import Connection
from headrace_schema.genai import is_llm_span
from headrace_schema.genai_tables import USAGE, usage_select
from headrace_schema.render import LATEST, Deployment, fill
from headrace_schema.retention import local

ATTEMPTS = 3
_TTL = re.compile(r"\bTTL (.*?)(?:\bSETTINGS\b|$)", re.DOTALL)
# What a TTL says besides how many days rows live: names, where parts move to, the end of a day.
_NO_LIMIT = re.compile(
    r"'(?:[^'\\]|\\.)*'|toDateTime\(\w+\) \+ toIntervalDay\(\d+\) TO VOLUME"
    r"|toStartOfDay\(.*? \+ toIntervalDay\(1\)\)"
)


@dataclass(frozen=True, slots=True)
class Difference:
    """A tenant's minute that the rollup counts otherwise than the spans are."""

    minute: datetime
    tenant: str
    spans: int
    calls: int


def differences(connection: Connection, deployment: Deployment, day: date) -> list[Difference]:
    """Every minute of a day that differs, on one replica. Raises Unreachable, Refused."""
    spans = _per_minute(
        connection,
        f"SELECT toStartOfMinute(toDateTime(Timestamp)) AS Minute, Tenant, count() "  # noqa: S608
        f"FROM {_table(deployment, 'otel_traces')} "
        f"WHERE {is_llm_span('modern')} AND {_on(day)} GROUP BY Minute, Tenant",
    )
    calls = _per_minute(
        connection,
        f"SELECT Minute, Tenant, sum(Calls) FROM {_table(deployment, USAGE.name)} "  # noqa: S608
        f"WHERE toDate(Minute) = '{day}' GROUP BY Minute, Tenant",
    )
    return [
        Difference(*key, spans.get(key, 0), calls.get(key, 0))
        for key in sorted({*spans, *calls})
        if spans.get(key, 0) != calls.get(key, 0)
    ]


def refusal(connection: Connection, deployment: Deployment, day: date) -> str:
    """Why a day can't be made anew; empty when it can."""
    today, rows = connection.execute(
        f"SELECT today(), count() FROM {_table(deployment, 'otel_traces')} WHERE {_on(day)}"  # noqa: S608
    )[0]
    if day >= today:
        return f"{day} is not over: rebuild it when it is"
    created = connection.execute(f"SHOW CREATE TABLE {_table(deployment, 'otel_traces')}")[0][0]
    kept = kept_days(str(created))
    if not rows or (kept is not None and day + timedelta(days=kept) <= today):
        return f"the spans of {day} are gone, or some of them: the rollup is what is left of them"
    return ""


def kept_days(created: str) -> int | None:
    """After how many days the first rows of a table go, by what SHOW CREATE says; None for never.

    Where limits differ by service or tenant it is the shortest of them.
    """
    # What stands before the engine are limits of single columns.
    match = _TTL.search(created[max(created.find("ENGINE = "), 0) :])
    limits = [int(n) for n in re.findall(r"\d+", _NO_LIMIT.sub("", match[1]))] if match else []
    return min((days for days in limits if days), default=None)


def rebuild(connection: Connection, deployment: Deployment, day: date) -> list[Difference]:
    """Make a day anew on one replica of a shard; the others follow by replication.

    Returns what differs afterwards: spans that arrived meanwhile, after ATTEMPTS of it. Raises
    Unreachable, Refused.
    """
    left: list[Difference] = []
    for _ in range(ATTEMPTS):
        _replace(connection, deployment, day)
        left = differences(connection, deployment, day)
        if not left:
            break
    return left


def _replace(connection: Connection, deployment: Deployment, day: date) -> None:
    beside = f"{deployment.database}.{USAGE.name}_rebuild_{uuid.uuid4().hex[:12]}"
    target = _table(deployment, USAGE.name)
    # REPLACE PARTITION wants the same structure, both keys and storage policy.
    database, _, name = target.partition(".")
    policy = connection.execute(
        "SELECT storage_policy FROM system.tables "  # noqa: S608
        f"WHERE database = '{database}' AND name = '{name}'"
    )[0][0]
    connection.execute(
        fill(
            f"CREATE TABLE {beside} {{columns:{USAGE.name}}} ENGINE = {USAGE.engine} "
            f"PARTITION BY {{day:{USAGE.name}}} PRIMARY KEY {{primary:{USAGE.name}}} "
            f"ORDER BY {{order:{USAGE.name}}} "
            f"SETTINGS index_granularity = 8192, storage_policy = '{policy}'",
            deployment,
        )
    )
    try:
        source = _table(deployment, "otel_traces")
        counted = usage_select(source, "modern", _on(day), at=LATEST)
        connection.execute(f"INSERT INTO {beside} {counted}")
        if connection.execute(f"SELECT count() FROM {beside}")[0][0]:  # noqa: S608
            connection.execute(f"ALTER TABLE {target} REPLACE PARTITION '{day}' FROM {beside}")
        else:
            # Servers from 26.6 on replace no partition by nothing.
            connection.execute(f"ALTER TABLE {target} DROP PARTITION '{day}'")
    finally:
        connection.execute(f"DROP TABLE {beside}")


def _table(deployment: Deployment, name: str) -> str:
    return f"{deployment.database}.{local(name, deployment.topology)}"


def _on(day: date) -> str:
    return f"toDate(Timestamp) = '{day}'"


def _per_minute(connection: Connection, sql: str) -> dict[tuple[datetime, str], int]:
    return {(minute, tenant): int(count) for minute, tenant, count in connection.execute(sql)}
