"""Applies migrations to every replica, one connection each, and keeps a ledger on each.

No ON CLUSTER: it needs a DDL queue that may hang on a replica that is down, and then does not say
where it stands. Here each replica carries its own ledger, every statement may be repeated, and
an interrupted run is finished by running again.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import TracebackType
from typing import Literal, Self

from headrace_schema.connection import Connect, Connection, Node, Refused, Unreachable
from headrace_schema.danger import danger
from headrace_schema.model import Dialect
from headrace_schema.render import SECTIONS, Deployment, Migration

LEDGER = "headrace_migrations"
ILLEGAL_COLUMN = 44
OUTGROWN = (122, 342)
"""Codes for a table that ZooKeeper knows with other columns or another key, index or TTL."""

# Per dialect, for the session. Without flatten_nested and LowCardinality the servers would refuse
# or rewrite our columns. An ALTER is replicated: alter_sync = 2 waits until every active replica
# has it, so that the same statement on the next replica does not meet a change half way there.
SESSION_SETTINGS: Mapping[Dialect, str] = {
    "modern": "SET flatten_nested = 1, alter_sync = 2, "
    "replication_wait_for_inactive_replica_timeout = 0",
    "legacy": "SET allow_experimental_low_cardinality_type = 1",
}

State = Literal["applied", "pending", "changed", "newer"]


class MigrationRefused(Exception):
    """Nothing was done, or it was stopped: a person has to decide; the text says what."""


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One row of a replica's ledger."""

    number: int
    name: str
    checksum: str
    deployment: str
    applied_at: datetime


@dataclass(frozen=True, slots=True)
class MigrationState:
    """One migration on one replica."""

    number: int
    name: str
    state: State
    applied_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """All migrations on one replica, or why it could not be asked."""

    node: Node
    version: str = ""
    migrations: tuple[MigrationState, ...] = ()
    unreachable: str = ""


@dataclass(slots=True)
class Fleet:
    """Connections to all replicas; a replica that fails drops out and is remembered.

    A context manager: it hangs up at the end.
    """

    nodes: Sequence[Node]
    connect: Connect
    unreachable: dict[Node, str] = field(default_factory=dict, init=False)
    """Why each replica that dropped out did."""
    _open: dict[Node, Connection] = field(default_factory=dict, init=False)

    def __enter__(self) -> Self:
        for node in self.nodes:
            try:
                self._open[node] = self.connect(node)
            except Unreachable as error:
                self.unreachable[node] = str(error)
            except Refused as error:
                self.close()
                msg = f"{node} does not let us in: {error}"
                raise MigrationRefused(msg) from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        for connection in self._open.values():
            connection.close()
        self._open.clear()

    def reachable(self, nodes: Sequence[Node] | None = None) -> Iterator[Node]:
        """The reachable replicas (of `nodes`), in order; `attempt` may drop them meanwhile."""
        for node in self.nodes if nodes is None else nodes:
            if node in self._open:
                yield node

    def attempt(self, node: Node, work: Callable[[Connection], None]) -> bool:
        """Do `work` on a replica; False when it became unreachable meanwhile.

        Raises MigrationRefused when the server answers with an error.
        """
        try:
            work(self._open[node])
        except Unreachable as error:
            self.unreachable[node] = str(error)
            self._open.pop(node).close()
            return False
        except Refused as error:
            msg = f"{node}: {error}"
            raise MigrationRefused(msg) from error
        return True


def detect_dialect(versions: Mapping[str, str]) -> Dialect:
    """The dialect of the servers, given their versions by replica.

    Raises MigrationRefused for a version that neither dialect is made for, or for a mixture.
    """
    dialects: dict[Dialect, str] = {}
    for node, version in versions.items():
        major, minor = (int(part) for part in version.split(".")[:2])
        if (major, minor) >= (24, 8):
            dialects["modern"] = node
        elif major == 18:
            dialects["legacy"] = node
        else:
            msg = (
                f"{node} runs ClickHouse {version}: headrace needs 24.8 or later "
                "(18.16 serves tests only)"
            )
            raise MigrationRefused(msg)
    if len(dialects) != 1:
        where = ", ".join(f"{dialect} on {node}" for dialect, node in dialects.items())
        msg = f"the replicas do not run one kind of server: {where or 'none answered'}"
        raise MigrationRefused(msg)
    return next(iter(dialects))


def versions(fleet: Fleet) -> dict[str, str]:
    """Server version by replica, of those that answer."""
    found: dict[str, str] = {}
    for node in fleet.reachable():

        def ask(connection: Connection, node: Node = node) -> None:
            found[str(node)] = str(connection.execute("SELECT version()")[0][0])

        fleet.attempt(node, ask)
    return found


def preparation(deployment: Deployment) -> tuple[str, ...]:
    """Statements that precede the migrations on each replica, in the same session."""
    return (
        f"CREATE DATABASE IF NOT EXISTS {deployment.database}",
        SESSION_SETTINGS[deployment.dialect],
        # The ledger belongs to the replica alone: that one knows what was done on it.
        f"CREATE TABLE IF NOT EXISTS {deployment.database}.{LEDGER} (number UInt32, name String, "
        "checksum String, deployment String, applied_at DateTime) "
        "ENGINE = MergeTree ORDER BY number",
    )


class Runner:
    """Migrations of one deployment on a fleet of replicas."""

    def __init__(
        self, fleet: Fleet, deployment: Deployment, migrations: Sequence[Migration]
    ) -> None:
        self._fleet = fleet
        self._deployment = deployment
        self._migrations = migrations
        self._ledger = f"{deployment.database}.{LEDGER}"

    def status(self) -> list[NodeStatus]:
        """Where each replica stands."""
        known = versions(self._fleet)
        found: dict[Node, NodeStatus] = {}
        for node in self._fleet.reachable():

            def read(connection: Connection, node: Node = node) -> None:
                states = self._states(self._read_ledger(connection))
                found[node] = NodeStatus(node, known[str(node)], states)

            self._fleet.attempt(node, read)
        lost = self._fleet.unreachable
        return [
            found[node] if node in found else NodeStatus(node, unreachable=lost[node])
            for node in self._fleet.nodes
        ]

    def pending(self) -> list[tuple[Migration, list[Node]]]:
        """What `apply` would do: each migration with the reachable replicas that lack it.

        Raises MigrationRefused when an applied migration is not what it was.
        """
        status = [each for each in self.status() if not each.unreachable]
        self._refuse_changes(status)
        lacking = [
            (
                migration,
                [
                    each.node
                    for each in status
                    if any(
                        m.number == migration.number and m.state == "pending"
                        for m in each.migrations
                    )
                ],
            )
            for migration in self._migrations
        ]
        return [(migration, nodes) for migration, nodes in lacking if nodes]

    def apply(
        self, say: Callable[[str], None], *, allow_dangerous: bool = False
    ) -> list[tuple[Migration, Node]]:
        """Bring every reachable replica up to date; `say` hears of each step done.

        Returns what was done. Replicas that could not be reached, or were lost on the way, are
        in the fleet's `unreachable`; run again when they are back. Raises MigrationRefused when
        an applied migration is not what it was, or when a pending one is dangerous and that is
        not allowed (nothing is done then), or when a server refuses a statement (its migration
        is not in the ledger then and starts over next time).
        """
        todo = self.pending()
        if not allow_dangerous:
            _refuse_dangers([migration for migration, _ in todo])
        for node in sorted({node for _, nodes in todo for node in nodes}):
            self._fleet.attempt(node, _executor(preparation(self._deployment)))
        done: list[tuple[Migration, Node]] = []
        for migration, nodes in todo:
            # Section by section: a Distributed table appears when its parts are everywhere.
            for section in SECTIONS:
                statements = [sql for kind, sql in migration.statements if kind == section]
                for node in self._fleet.reachable(nodes):
                    self._fleet.attempt(node, self._migrating(node, statements, str(migration)))
            for node in self._fleet.reachable(nodes):
                if self._fleet.attempt(node, self._recorder(migration)):
                    done.append((migration, node))
                    say(f"{node}: applied {migration}")
        return done

    def _migrating(
        self, node: Node, statements: Sequence[str], what: str
    ) -> Callable[[Connection], None]:
        """Work that runs the statements of a migration.

        A replica that comes to a shard later than others finds their tables in ZooKeeper, changed
        by later migrations and by retention. The server refuses to make them as they once were, so
        they are made as they are on another replica; ALTERs that follow find their changes there.
        """

        def execute(connection: Connection) -> None:
            for sql in statements:
                try:
                    _execute(connection, sql, what)
                except Refused as error:
                    created = re.match(r"CREATE TABLE IF NOT EXISTS (\S+)", sql)
                    if error.code not in OUTGROWN or created is None:
                        raise
                    grown = self._elsewhere(node, created[1])
                    if not grown:
                        raise
                    _execute(connection, grown, what)

        return execute

    def _elsewhere(self, node: Node, table: str) -> str:
        """CREATE TABLE as another replica of the shard has it; empty where none answers."""
        found: list[str] = []

        def ask(connection: Connection) -> None:
            if connection.execute(f"EXISTS TABLE {table}")[0][0]:
                found.append(str(connection.execute(f"SHOW CREATE TABLE {table}")[0][0]))

        siblings = [one for one in self._fleet.nodes if one.shard == node.shard and one != node]
        for sibling in self._fleet.reachable(siblings):
            self._fleet.attempt(sibling, ask)
            if found:
                return found[0]
        return ""

    def _refuse_changes(self, status: Sequence[NodeStatus]) -> None:
        for each in status:
            for migration in each.migrations:
                if migration.state == "changed":
                    msg = (
                        f"{each.node}: migration {migration.number:04d}_{migration.name} was "
                        f"applied in another form than this release has for {self._deployment}. "
                        "Either its file was edited (put the change into a new migration), or "
                        "topology, dialect, database or cluster name differ from then."
                    )
                    raise MigrationRefused(msg)

    def _recorder(self, migration: Migration) -> Callable[[Connection], None]:
        def record(connection: Connection) -> None:
            # Names and checksums are letters, digits and _, so they need no escaping.
            connection.execute(
                f"INSERT INTO {self._ledger} SELECT toUInt32({migration.number}), "
                f"'{migration.name}', '{migration.checksum}', '{self._deployment}', now()"
            )

        return record

    def _read_ledger(self, connection: Connection) -> dict[int, LedgerEntry]:
        if not connection.execute(f"EXISTS TABLE {self._ledger}")[0][0]:
            return {}
        rows = connection.execute(
            # Deployment lets no name through that would need quotes.
            "SELECT number, name, checksum, deployment, toUnixTimestamp(applied_at) "  # noqa: S608
            f"FROM {self._ledger} ORDER BY number, applied_at"
        )
        return {
            number: LedgerEntry(number, name, checksum, made_for, datetime.fromtimestamp(at, UTC))
            for number, name, checksum, made_for, at in rows
        }

    def _states(self, ledger: Mapping[int, LedgerEntry]) -> tuple[MigrationState, ...]:
        states: list[MigrationState] = []
        for migration in self._migrations:
            entry = ledger.get(migration.number)
            if entry is None:
                states.append(MigrationState(migration.number, migration.name, "pending"))
            else:
                same = entry.checksum == migration.checksum
                state: State = "applied" if same else "changed"
                states.append(
                    MigrationState(migration.number, migration.name, state, entry.applied_at)
                )
        newer = sorted(set(ledger) - {migration.number for migration in self._migrations})
        states += [MigrationState(n, ledger[n].name, "newer", ledger[n].applied_at) for n in newer]
        return tuple(states)


def _refuse_dangers(migrations: Sequence[Migration]) -> None:
    found = [
        f"{migration} {why}:\n\n{sql}\n"
        for migration in migrations
        for _, sql in migration.statements
        if (why := danger(sql))
    ]
    if found:
        msg = (
            "nothing was done. "
            + "\n".join(found)
            + "\nRead it, choose a quiet hour, make a backup; then: "
            "headrace migrate apply --allow-dangerous"
        )
        raise MigrationRefused(msg)


def _executor(statements: Sequence[str], what: str = "preparation") -> Callable[[Connection], None]:
    """Work that runs the statements; an error names the one that failed."""

    def execute(connection: Connection) -> None:
        for sql in statements:
            _execute(connection, sql, what)

    return execute


def _execute(connection: Connection, sql: str, what: str) -> None:
    try:
        connection.execute(sql)
    except Refused as error:
        if not _is_done(error, sql):
            raise Refused(error.code, f"{error.text}, in {what}:\n\n{sql}") from error


def _is_done(error: Refused, sql: str) -> bool:
    """Whether the refusal says that a column is there already.

    18.16 has no ADD COLUMN IF NOT EXISTS. An ALTER takes effect as a whole, and the other replicas
    get it by replication, so what is there was added by this statement.
    """
    return (
        error.code == ILLEGAL_COLUMN
        and "already exists" in error.text
        and re.match(r"ALTER TABLE \S+\s+ADD COLUMN", sql) is not None
    )
