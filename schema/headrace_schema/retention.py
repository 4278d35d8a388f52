"""How long each signal is kept, and the statements that make it so.

A modern server gets a TTL. Parts that were written before it know nothing of it, so they are told
(MATERIALIZE TTL, which with materialize_ttl_recalculate_only reads the columns of the TTL and
rewrites nothing); then the server drops what is too old in the background. The legacy dialect has
no TTL: days are dropped by statement, each time it is asked; how long was asked for is noted beside
the tables. The ledger is kept: a row per batch,
without which nothing could be proven about what is left.
"""

import re
from calendar import monthrange
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

from headrace_schema import retention_content as contents
from headrace_schema.columns import TABLES, tables_of
from headrace_schema.connection import Connection
from headrace_schema.model import Dialect, Table
from headrace_schema.render import Deployment, Topology
from headrace_schema.retention_choices import CHOICES, Choice, choices, noting
from headrace_schema.retention_rules import SERVICE, TENANT, Change, Rules, read, ttl
from headrace_schema.runner import MigrationRefused

# Raw data by signal; prompts and completions; what was rolled up, thirteen months.
DEFAULT_DAYS: Mapping[str, int] = {
    "traces": 7,
    "metrics": 30,
    "logs": 14,
    "content": 3,
    "rollups": 396,
}
RAW = ("traces", "metrics", "logs")


def kept_tables(dialect: Dialect) -> list[Table]:
    """The tables that have a limit, by signal."""
    tables = tables_of(dialect).values()
    return [table for signal in DEFAULT_DAYS for table in tables if table.kept_as == signal]


@dataclass(frozen=True, slots=True)
class Kept:
    """One table on one replica."""

    signal: str
    table: str
    rules: Rules | None
    """By its TTL, or as noted; None for a TTL that somebody wrote by hand."""
    ttl: str
    """As the server prints it."""
    oldest: date | None
    """The first day that has rows (of a month: its last); None for an empty table."""
    bytes: int
    settings: Mapping[str, str]
    policy: str
    """Storage policy."""
    at_ms: int = 0
    """When that was noted (ms since 1970); 0 where a TTL says it."""

    @property
    def untouched(self) -> bool:
        """Whether nobody has said how long."""
        return self.rules == Rules()


@dataclass(frozen=True, slots=True)
class Partition:
    """One partition of one table on one replica."""

    id: str
    last_day: date
    bytes: int


@dataclass(frozen=True, slots=True)
class Step:
    """One statement and what it deletes."""

    table: str
    sql: str
    deletes: str = ""
    """In words; empty when it deletes nothing."""
    each_replica: bool = False
    """Settings and notes belong to a replica; all else is replicated within its shard."""


def local(table: str, topology: Topology) -> str:
    """The table that holds rows."""
    return f"{table}_local" if topology == "cluster" else table


def kept(connection: Connection, deployment: Deployment) -> list[Kept]:
    """What every table of the deployment keeps on this replica. Raises Unreachable, Refused, and
    MigrationRefused when a table is missing."""
    modern = deployment.dialect == "modern"
    policy = "storage_policy" if modern else "''"
    live = {
        name: (full, policy)
        for name, full, policy in connection.execute(
            f"SELECT name, engine_full, {policy} FROM system.tables "  # noqa: S608
            f"WHERE database = '{deployment.database}'"
        )
    }
    noted = {} if modern else choices(connection, deployment.database)
    found = []
    for table in kept_tables(deployment.dialect):
        name = local(table.name, deployment.topology)
        if name not in live:
            msg = f"{deployment.database}.{name} is missing: run `headrace migrate apply` first"
            raise MigrationRefused(msg)
        full, policy = live[name]
        text, settings = _clauses(full)
        parts = partitions(connection, deployment.database, name)
        oldest = min((each.last_day for each in parts), default=None)
        size = sum(each.bytes for each in parts)
        one = Kept(table.kept_as, table.name, read(text), text, oldest, size, settings, policy)
        found.append(one)
    found += _contents(connection, deployment, found)
    return [_as_noted(one, noted) for one in found]


def _as_noted(one: Kept, noted: Mapping[str, Choice]) -> Kept:
    choice = noted.get(one.signal)
    return replace(one, rules=Rules(choice.days), at_ms=choice.at_ms) if choice else one


def _contents(connection: Connection, deployment: Deployment, tables: list[Kept]) -> list[Kept]:
    """The columns of contents of those tables, each like a table of its own."""
    found = []
    for one in tables:
        if contents.COLUMN not in {column.name for column in TABLES[one.table].columns}:
            continue
        name = local(one.table, deployment.topology)
        text = contents.live_ttl(connection, f"{deployment.database}.{name}")
        if text is None:
            msg = f"{name} has no column of contents: run `headrace migrate apply` first"
            raise MigrationRefused(msg)
        size = contents.stored_bytes(connection, deployment.database, name)
        named = contents.column_of(one.table)
        found.append(
            replace(one, signal="content", table=named, rules=read(text), ttl=text, bytes=size)
        )
    return found


def _clauses(engine_full: str) -> tuple[str, dict[str, str]]:
    """TTL clause and settings of system.tables.engine_full."""
    head, _, settings = engine_full.partition(" SETTINGS ")
    _, _, text = head.partition(" TTL ")
    return text, dict(re.findall(r"(\w+) = '?([^,'\s]+)'?", settings))


def steps(
    connection: Connection,
    deployment: Deployment,
    changes: Mapping[str, Change],
    policy: str = "",
    now: datetime | None = None,
) -> Iterator[Step]:
    """What has to be done so that each signal is kept as `changes` (by signal) ask.

    `policy` is the storage policy that the tables of `changes` shall have; empty: as it is.
    Raises Unreachable, Refused, and MigrationRefused for what this deployment cannot do.
    """
    now = now or datetime.now(UTC)
    today = now.date()
    for signal, asked in changes.items():
        _check_columns(signal, asked)
    found = kept(connection, deployment)
    if deployment.dialect == "legacy":
        yield from _note(deployment, found, changes, now)
    # Their rows must go by whole days.
    asked_for = changes.get("content", Change()).days is not None
    with_contents = {contents.owner_of(one.table) for one in found if one.ttl or asked_for}
    for one in found:
        change = changes.get(one.signal)
        if change and change.where_unset and not one.untouched and deployment.dialect == "modern":
            change = None
        owner = contents.owner_of(one.table)
        if owner:
            yield from _keep_contents(connection, deployment, one, owner, change, today)
            continue
        whole_days = one.table in with_contents
        if change is None and (not whole_days or deployment.dialect == "legacy"):
            continue
        change = change or Change()
        if deployment.dialect == "legacy":
            yield from _drop_days(connection, deployment, one, change, today)
            continue
        rules = change.applied(one.rules or Rules())
        if rules.rewrites and rules.days is None:
            msg = f"{one.table} has no limit yet: give --{one.signal} as well"
            raise MigrationRefused(msg)
        tiered = policy if one.signal in changes else ""
        if change.move or tiered:
            _check_volume(connection, one, rules, tiered)
        yield from _set_ttl(deployment, one, rules, tiered, today, whole_days=whole_days)


def _keep_contents(
    connection: Connection,
    deployment: Deployment,
    one: Kept,
    owner: str,
    change: Change | None,
    today: date,
) -> Iterator[Step]:
    if change is None or change.days is None:
        return
    name = f"{deployment.database}.{local(owner, deployment.topology)}"
    first_kept = today - timedelta(days=change.days)
    if deployment.dialect == "legacy":
        for sql, day in contents.clear_statements(connection, name, first_kept):
            yield Step(one.table, sql, f"{one.table}: {day}")
        return
    deletes = f"{one.table}: days before {first_kept}"
    is_old = one.oldest is not None and one.oldest < first_kept
    for sql in contents.ttl_statements(name, Rules(change.days), one.ttl):
        yield Step(one.table, sql, deletes if is_old and "MATERIALIZE" in sql else "")


def _note(
    deployment: Deployment, found: Sequence[Kept], changes: Mapping[str, Change], now: datetime
) -> Iterator[Step]:
    known = {one.signal: one.rules.days for one in found if one.rules is not None}
    for signal, change in changes.items():
        if change.days is not None and known.get(signal, change.days) != change.days:
            choice = Choice(change.days, int(now.timestamp() * 1_000))
            for sql in noting(deployment.database, signal, choice):
                yield Step(CHOICES, sql, each_replica=True)


def _check_columns(signal: str, change: Change) -> None:
    """Without the column the rows of one tenant cannot be told from those of others."""
    for column, asked in ((SERVICE, change.services), (TENANT, change.tenants)):
        named = {
            one.name
            for table in TABLES.values()
            if table.kept_as == signal
            for one in table.columns
        }
        if asked and column not in named:
            msg = f"the tables of {signal} have no column {column}: nothing can be kept by it"
            raise MigrationRefused(msg)


def _set_ttl(
    deployment: Deployment, one: Kept, rules: Rules, policy: str, today: date, *, whole_days: bool
) -> Iterator[Step]:
    table = TABLES[one.table]
    name = f"{deployment.database}.{local(one.table, deployment.topology)}"
    # The lookup by trace id has no service, and its tenants only since a later migration than the
    # spans': a row without one must not go before its spans.
    columns = frozenset(column.name for column in table.columns)
    told_apart = columns if SERVICE in columns else frozenset()
    wanted = ttl(rules, table.time, told_apart, whole_days=whole_days)
    rewrites = whole_days or "transform(" in wanted
    settings = {
        # Whole parts go, unless they hold rows of different limits, or contents to be cleared.
        "ttl_only_drop_parts": "0" if rewrites else "1",
        "materialize_ttl_recalculate_only": "1",
        **({"storage_policy": policy} if policy else {}),
    }
    live = {**one.settings, "storage_policy": one.policy}
    changed = {key: value for key, value in settings.items() if live.get(key) != value}
    if changed:
        pairs = ", ".join(
            f"{key} = {value}" if value.isdigit() else f"{key} = '{value}'"
            for key, value in changed.items()
        )
        yield Step(one.table, f"ALTER TABLE {name} MODIFY SETTING {pairs}", each_replica=True)
    if wanted == one.ttl or (one.rules is None and rules == Rules()):
        return
    text = f"ALTER TABLE {name} MODIFY TTL {wanted} SETTINGS materialize_ttl_after_modify = 0"
    yield Step(one.table, text)
    yield Step(one.table, f"ALTER TABLE {name} MATERIALIZE TTL", _deletes(one, rules, today))


def _deletes(one: Kept, rules: Rules, today: date) -> str:
    # A day is over at midnight; its last row is a full limit old a day later.
    limits = [rules.days, *rules.services.values(), *rules.tenants.values()]
    first = {limit: today - timedelta(days=limit) for limit in limits if limit is not None}
    if one.oldest is None or not first or one.oldest >= max(first.values()):
        return ""
    days = f"{one.table}: days before {max(first.values())}"
    return f"{days}, as far as their limits are over" if rules.rewrites else days


def _check_volume(connection: Connection, one: Kept, rules: Rules, policy: str) -> None:
    name = policy or one.policy
    volumes = [
        volume
        for (volume,) in connection.execute(
            # One replica's answer stands for all: they must be configured alike.
            f"SELECT volume_name FROM system.storage_policies WHERE policy_name = '{name}'"  # noqa: S608
        )
    ]
    if not volumes:
        msg = f"no storage policy {name!r}: add it to storage_configuration on every server"
        raise MigrationRefused(msg)
    if rules.move and rules.move[1] not in volumes:
        msg = (
            f"{one.table}: storage policy {name!r} has no volume {rules.move[1]!r} "
            f"(it has {', '.join(volumes)}): name another one by --storage-policy"
        )
        raise MigrationRefused(msg)


def _drop_days(
    connection: Connection, deployment: Deployment, one: Kept, change: Change, today: date
) -> Iterator[Step]:
    if change.services or change.tenants or change.move:
        msg = "18.16 drops whole days only: overrides and tiers need a server with TTL (24.8)"
        raise MigrationRefused(msg)
    if change.days is None:
        return
    name = f"{deployment.database}.{local(one.table, deployment.topology)}"
    first_kept = today - timedelta(days=change.days)
    for each in partitions(connection, *name.split(".", 1)):
        if each.last_day < first_kept:
            yield Step(
                one.table,
                f"ALTER TABLE {name} DROP PARTITION ID '{each.id}'",
                f"{one.table}: {each.last_day}",
            )


def partitions(connection: Connection, database: str, name: str) -> list[Partition]:
    """Those that hold rows, oldest first. A part's name begins with its partition's ID: a day, or
    a month where rows are few."""
    rows = connection.execute(
        # Deployment lets no name through that would need quotes.
        "SELECT splitByChar('_', name)[1], sum(bytes_on_disk) FROM system.parts "  # noqa: S608
        f"WHERE active AND rows > 0 AND database = '{database}' AND table = '{name}' "
        "GROUP BY splitByChar('_', name)[1]"
    )
    return [Partition(one, _last_day(one), int(size)) for one, size in sorted(rows)]


def _last_day(partition: str) -> date:
    year, month, day = int(partition[:4]), int(partition[4:6]), partition[6:8]
    return date(year, month, int(day) if day else monthrange(year, month)[1])
