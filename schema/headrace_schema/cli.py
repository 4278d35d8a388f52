"""`headrace migrate`: status, check, apply, dry-run."""

import argparse
import json
import logging
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Protocol, TextIO, cast, get_args

from headrace_schema.check import Difference, by_table, differences
from headrace_schema.connection import Connect, Connection, Node, driver_connect
from headrace_schema.danger import danger
from headrace_schema.model import Dialect
from headrace_schema.render import Deployment, MigrationError, Topology, migrations
from headrace_schema.runner import (
    Fleet,
    MigrationRefused,
    NodeStatus,
    Runner,
    detect_dialect,
    preparation,
    versions,
)

EXAMPLES = """examples:
  headrace migrate status             what is applied on each replica
  headrace migrate check              exit 1 and the mending statements where tables differ
  headrace migrate dry-run            the SQL that apply would run
  headrace migrate apply              run it; again after a replica was down
"""

# The exit codes of all of headrace's commands.
OK, FAILED, USAGE, UNREACHABLE = range(4)


class MigrateSettings(Protocol):
    """What `migrate` reads of the settings; docs/configuration.md describes each."""

    @property
    def clickhouse_shards(self) -> Sequence[Sequence[tuple[str, int]]]: ...
    @property
    def clickhouse_database(self) -> str: ...
    @property
    def clickhouse_user(self) -> str: ...
    @property
    def clickhouse_password(self) -> str: ...
    @property
    def clickhouse_topology(self) -> str: ...
    @property
    def clickhouse_dialect(self) -> str: ...
    @property
    def clickhouse_cluster(self) -> str: ...
    @property
    def clickhouse_tls(self) -> Mapping[str, Any]: ...


def add_migrate_parser(
    subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]",
    parents: Sequence[argparse.ArgumentParser] = (),
) -> argparse.ArgumentParser:
    """Add `migrate` with its actions. `parents` bring options that every action shall take."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "migrate",
        help="create and change the tables in ClickHouse",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--json", action="store_true", help="print JSON instead of text")
    actions = parser.add_subparsers(dest="migrate_action", required=True, metavar="ACTION")
    both = [*parents, shared]
    status = actions.add_parser("status", parents=both, help="what is applied on each replica")
    status.add_argument(
        "--check",
        action="store_true",
        help="the same as the action check",
    )
    actions.add_parser(
        "check",
        parents=both,
        help="compare every table and view with this release: columns, codecs, indexes, keys, "
        "settings, queries; say how to mend; exit 1 on any difference or pending migration",
    )
    apply = actions.add_parser("apply", parents=both, help="bring every replica up to date")
    apply.add_argument(
        "--allow-dangerous",
        action="store_true",
        help="also run statements that lose or rewrite rows; without, they are refused",
    )
    dry_run = actions.add_parser("dry-run", parents=both, help="print the SQL that apply would run")
    dry_run.add_argument(
        "--all",
        action="store_true",
        help="print all migrations, applied or not; needs no server when the dialect is set",
    )
    return parser


def run_migrate(
    args: argparse.Namespace,
    settings: MigrateSettings,
    connect: Connect | None = None,
    out: TextIO | None = None,
    err: TextIO | None = None,
) -> int:
    """Run the action that `args` names. Returns the exit code: 0 done, 1 refused or different,
    2 a setting is wrong, 3 a replica is unreachable (what could be done is done).

    `connect`, `out` and `err` are clickhouse-driver and the standard streams unless given. With
    --json everything, errors too, is one document on `out`.
    """
    # The driver logs each failed connection with a stack trace; ours is the message below.
    logging.getLogger("clickhouse_driver").setLevel(logging.CRITICAL)
    nodes = [
        Node(shard, replica, host, port)
        for shard, replicas in enumerate(settings.clickhouse_shards, start=1)
        for replica, (host, port) in enumerate(replicas, start=1)
    ]
    open_one = connect or driver_connect(
        settings.clickhouse_user, settings.clickhouse_password, **settings.clickhouse_tls
    )
    streams = (out or sys.stdout, err or sys.stderr)
    command = _Command(args, settings, Fleet(nodes, open_one), streams)
    try:
        return command.run()
    except MigrationError as error:
        return command.fail(USAGE, str(error))
    except MigrationRefused as error:
        return command.fail(FAILED, str(error))


class _Command:
    """One run of `headrace migrate`."""

    def __init__(
        self,
        args: argparse.Namespace,
        settings: MigrateSettings,
        fleet: Fleet,
        streams: tuple[TextIO, TextIO],
    ) -> None:
        self._args = args
        self._settings = settings
        self._fleet = fleet
        self._out, self._err = streams

    def run(self) -> int:
        for name, value, allowed in (
            ("topology", self._settings.clickhouse_topology, get_args(Topology)),
            ("dialect", self._settings.clickhouse_dialect, ("auto", *get_args(Dialect))),
        ):
            if value not in allowed:
                msg = f"clickhouse_{name} is {value!r}; choose one of {', '.join(allowed)}"
                return self.fail(USAGE, msg)
        action = self._args.migrate_action
        if action == "dry-run" and self._args.all and self._settings.clickhouse_dialect != "auto":
            return self._print_all()
        with self._fleet:
            if len(self._fleet.unreachable) == len(self._fleet.nodes):
                return self._nobody(action)
            return {
                "status": self._status,
                "check": self._status,
                "apply": self._apply,
                "dry-run": self._dry_run,
            }[action]()

    @property
    def _checks(self) -> bool:
        return self._args.migrate_action == "check" or getattr(self._args, "check", False)

    def fail(self, code: int, message: str) -> int:
        if self._args.json:
            self._print({"error": message, "unreachable": self._unreachable()})
        else:
            self._err.write(f"headrace migrate: {message}\n")
        return code

    def _deployment(self) -> Deployment:
        dialect = self._settings.clickhouse_dialect
        if dialect == "auto":
            dialect = detect_dialect(versions(self._fleet))
        return Deployment(
            cast("Topology", self._settings.clickhouse_topology),
            cast("Dialect", dialect),
            self._settings.clickhouse_database,
            self._settings.clickhouse_cluster,
        )

    def _runner(self, deployment: Deployment) -> Runner:
        return Runner(self._fleet, deployment, migrations(deployment))

    def _nobody(self, action: str) -> int:
        if action == "dry-run" and self._settings.clickhouse_dialect != "auto":
            return self._print_all()
        hint = (
            " (set clickhouse_dialect to print the SQL without a server)"
            if action == "dry-run"
            else ""
        )
        return self.fail(UNREACHABLE, f"no replica answers{hint}: {self._who_is_missing()}")

    def _apply(self) -> int:
        deployment = self._deployment()
        say = (lambda _: None) if self._args.json else self._line
        done = self._runner(deployment).apply(say, allow_dangerous=self._args.allow_dangerous)
        if self._args.json:
            self._print(
                {
                    "deployment": str(deployment),
                    "applied": [{"node": str(n), "migration": str(m)} for m, n in done],
                    "unreachable": self._unreachable(),
                }
            )
        elif self._fleet.unreachable:
            self.fail(
                UNREACHABLE,
                f"not everywhere yet. {self._who_is_missing()}. "
                "Run apply again when they are back; it goes on from there.",
            )
        elif not done:
            self._line("every replica is up to date")
        return UNREACHABLE if self._fleet.unreachable else OK

    def _status(self) -> int:
        deployment = self._deployment()
        status = self._runner(deployment).status()
        drift: dict[Node, list[Difference]] = {}
        if self._checks:
            for node in self._fleet.reachable():

                def compare(connection: Connection, node: Node = node) -> None:
                    drift[node] = differences(connection, deployment)

                self._fleet.attempt(node, compare)
        if self._args.json:
            self._print(
                {
                    "deployment": str(deployment),
                    "nodes": [_node_json(each, drift.get(each.node)) for each in status],
                }
            )
        else:
            for each in status:
                self._print_node(each, drift.get(each.node))
        if self._fleet.unreachable:
            return UNREACHABLE
        behind = any(m.state in ("pending", "changed") for each in status for m in each.migrations)
        return FAILED if self._checks and (behind or any(drift.values())) else OK

    def _dry_run(self) -> int:
        deployment = self._deployment()
        if self._args.all:
            todo = [(migration, self._fleet.nodes) for migration in migrations(deployment)]
        else:
            todo = list(self._runner(deployment).pending())
        self._print_sql(deployment, [(m, [str(n) for n in nodes]) for m, nodes in todo])
        return UNREACHABLE if self._fleet.unreachable else OK

    def _print_all(self) -> int:
        deployment = self._deployment()
        nodes = [str(node) for node in self._fleet.nodes]
        self._print_sql(deployment, [(m, nodes) for m in migrations(deployment)])
        return OK

    def _print_sql(self, deployment: Deployment, todo: Sequence[tuple[Any, list[str]]]) -> None:
        if self._args.json:
            self._print(
                {
                    "deployment": str(deployment),
                    "preparation": preparation(deployment),
                    "migrations": [
                        {
                            "migration": str(migration),
                            "checksum": migration.checksum,
                            "nodes": nodes,
                            "statements": [sql for _, sql in migration.statements],
                        }
                        for migration, nodes in todo
                    ],
                    "unreachable": self._unreachable(),
                }
            )
            return
        if todo:
            self._line("-- before them, in the same session\n")
            for sql in preparation(deployment):
                self._line(f"{sql};\n")
        for migration, nodes in todo:
            self._line(f"-- {migration} for {deployment} on {', '.join(nodes)}\n")
            for _, sql in migration.statements:
                if why := danger(sql):
                    self._line(f"-- needs --allow-dangerous: {why}")
                self._line(f"{sql};\n")
        if not todo:
            self._line("-- nothing to do: every replica that answers is up to date")
        for node, why in self._fleet.unreachable.items():
            self._line(f"-- {node} does not answer: {why}")

    def _print_node(self, status: NodeStatus, drift: list[Difference] | None) -> None:
        title = f"{status.node} (shard {status.node.shard}, replica {status.node.replica})"
        if status.unreachable:
            self._line(f"{title}: unreachable: {status.unreachable}")
            return
        self._line(f"{title}: ClickHouse {status.version}")
        for each in status.migrations:
            at = f"  {each.applied_at:%Y-%m-%d %H:%M:%S} UTC" if each.applied_at else ""
            self._line(f"  {each.state:8} {each.number:04d}_{each.name}{at}")
        if drift is not None:
            self._print_drift(drift)

    def _print_drift(self, drift: list[Difference]) -> None:
        self._line("  tables: " + ("as this release has them" if not drift else "different"))
        missing = [each.table for each in drift if each.aspect == "table"]
        if missing:
            self._line(f"    missing tables: {', '.join(missing)}")
        for found in by_table(drift).values():
            for each in found:
                if each.aspect != "table":
                    self._line(f"    {each}")
        if drift:
            self._line("  to mend, unless a pending migration does it:")
            for each in drift:
                for line in each.mend.splitlines():
                    self._line(f"    {line}")

    def _who_is_missing(self) -> str:
        return "; ".join(f"{node}: {why}" for node, why in self._fleet.unreachable.items())

    def _unreachable(self) -> dict[str, str]:
        return {str(node): why for node, why in self._fleet.unreachable.items()}

    def _line(self, text: str) -> None:
        self._out.write(f"{text}\n")

    def _print(self, document: object) -> None:
        self._line(json.dumps(document, indent=2))


def _node_json(status: NodeStatus, drift: list[Difference] | None) -> dict[str, object]:
    return {
        "node": str(status.node),
        "shard": status.node.shard,
        "replica": status.node.replica,
        "version": status.version,
        "unreachable": status.unreachable,
        "migrations": [
            {
                "migration": f"{each.number:04d}_{each.name}",
                "state": each.state,
                "applied_at": each.applied_at.isoformat() if each.applied_at else None,
            }
            for each in status.migrations
        ],
        "differences": None if drift is None else [asdict(each) for each in drift],
    }
