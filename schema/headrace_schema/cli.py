"""`headrace migrate`: status, check, apply, dry-run."""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any, TextIO

from headrace_schema.check import Difference, by_table, differences
from headrace_schema.command import (
    FAILED,
    OK,
    UNREACHABLE,
    Actions,
    Answer,
    MigrateSettings,
    Tables,
)
from headrace_schema.connection import Connect, Node
from headrace_schema.danger import danger
from headrace_schema.render import Deployment, Migration, migrations
from headrace_schema.runner import NodeStatus, Runner, preparation

EXAMPLES = """examples:
  headrace migrate status             what is applied on each replica
  headrace migrate check              exit 1 and the mending statements where tables differ
  headrace migrate dry-run            the SQL that apply would run
  headrace migrate apply              run it; again after a replica was down
"""


def add_migrate_parser(
    subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]",
    parents: Sequence[argparse.ArgumentParser] = (),
) -> argparse.ArgumentParser:
    """Add `migrate` with its actions. `parents` bring options that every action shall take."""
    actions = Actions(
        subparsers, "migrate", parents,
        says="create and change the tables in ClickHouse", examples=EXAMPLES,
    )  # fmt: skip
    status = actions.add("status", says="what is applied on each replica")
    status.add_argument("--check", action="store_true", help="the same as the action check")
    actions.add(
        "check",
        says="compare every table and view with this release: columns, codecs, indexes, keys, "
        "settings, queries; say how to mend; exit 1 on any difference or pending migration",
    )
    apply = actions.add("apply", says="bring every replica up to date")
    apply.add_argument(
        "--allow-dangerous",
        action="store_true",
        help="also run statements that lose or rewrite rows; without, they are refused",
    )
    dry_run = actions.add("dry-run", says="print the SQL that apply would run")
    dry_run.add_argument(
        "--all",
        action="store_true",
        help="print all migrations, applied or not; needs no server when the dialect is set",
    )
    return actions.parser


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
    tables = Tables(settings, connect)
    answer = Answer("migrate", args, out, err, lambda: {"unreachable": tables.unreachable()})
    return answer.guard(_Command(args, tables, answer).run)


class _Command:
    """One run of `headrace migrate`."""

    def __init__(self, args: argparse.Namespace, tables: Tables, answer: Answer) -> None:
        self._args = args
        self._tables = tables
        self._answer = answer

    def run(self) -> int:
        action = self._args.migrate_action
        self._tables.check_settings()
        if action == "dry-run" and self._args.all and self._tables.dialect != "auto":
            return self._print_all()
        with self._tables as tables:
            if action == "dry-run" and len(tables.fleet.unreachable) == len(tables.fleet.nodes):
                return self._dry_run_of_nobody()
            tables.require()
            return {
                "status": self._status,
                "check": self._status,
                "apply": self._apply,
                "dry-run": self._dry_run,
            }[action]()

    @property
    def _checks(self) -> bool:
        return self._args.migrate_action == "check" or getattr(self._args, "check", False)

    def _runner(self, deployment: Deployment) -> Runner:
        return Runner(self._tables.fleet, deployment, migrations(deployment))

    def _dry_run_of_nobody(self) -> int:
        if self._tables.dialect != "auto":
            return self._print_all()
        hint = " (set clickhouse_dialect to print the SQL without a server)"
        return self._answer.fail(UNREACHABLE, f"no replica answers{hint}: {self._tables.missing()}")

    def _apply(self) -> int:
        tables, answer = self._tables, self._answer
        deployment = tables.deployment()
        say = (lambda _: None) if answer.json else answer.line
        done = self._runner(deployment).apply(say, allow_dangerous=self._args.allow_dangerous)
        lost = tables.unreachable()
        if answer.json:
            applied = [{"node": str(n), "migration": str(m)} for m, n in done]
            document = {"deployment": str(deployment), "applied": applied, "unreachable": lost}
            answer.give(document, ())
        elif lost:
            answer.fail(
                UNREACHABLE,
                f"not everywhere yet. {tables.missing()}. "
                "Run apply again when they are back; it goes on from there.",
            )
        elif not done:
            answer.line("every replica is up to date")
        return UNREACHABLE if lost else OK

    def _status(self) -> int:
        tables = self._tables
        deployment = tables.deployment()
        status = self._runner(deployment).status()
        drift: dict[Node, list[Difference]] = {}
        if self._checks:
            drift = tables.ask_each(lambda connection: differences(connection, deployment))
        document = {
            "deployment": str(deployment),
            "nodes": [_node_json(each, drift.get(each.node)) for each in status],
        }
        lines = [line for each in status for line in _node_lines(each, drift.get(each.node))]
        self._answer.give(document, lines)
        if tables.fleet.unreachable:
            return UNREACHABLE
        behind = any(m.state in ("pending", "changed") for each in status for m in each.migrations)
        return FAILED if self._checks and (behind or any(drift.values())) else OK

    def _dry_run(self) -> int:
        if self._args.all:
            self._print_all()
        else:
            deployment = self._tables.deployment()
            todo = self._runner(deployment).pending()
            self._print_sql(deployment, [(m, [str(n) for n in nodes]) for m, nodes in todo])
        return UNREACHABLE if self._tables.fleet.unreachable else OK

    def _print_all(self) -> int:
        deployment = self._tables.deployment()
        nodes = [str(node) for node in self._tables.fleet.nodes]
        self._print_sql(deployment, [(m, nodes) for m in migrations(deployment)])
        return OK

    def _print_sql(
        self, deployment: Deployment, todo: Sequence[tuple[Migration, list[str]]]
    ) -> None:
        lost = self._tables.unreachable()
        document = {
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
            "unreachable": lost,
        }
        lines = [*_sql_lines(deployment, todo)]
        lines += [f"-- {node} does not answer: {why}" for node, why in lost.items()]
        self._answer.give(document, lines)


def _sql_lines(
    deployment: Deployment, todo: Sequence[tuple[Migration, list[str]]]
) -> Iterator[str]:
    if not todo:
        yield "-- nothing to do: every replica that answers is up to date"
        return
    yield "-- before them, in the same session\n"
    for sql in preparation(deployment):
        yield f"{sql};\n"
    for migration, nodes in todo:
        yield f"-- {migration} for {deployment} on {', '.join(nodes)}\n"
        for _, sql in migration.statements:
            if why := danger(sql):
                yield f"-- needs --allow-dangerous: {why}"
            yield f"{sql};\n"


def _node_lines(status: NodeStatus, drift: list[Difference] | None) -> Iterator[str]:
    title = f"{status.node} (shard {status.node.shard}, replica {status.node.replica})"
    if status.unreachable:
        yield f"{title}: unreachable: {status.unreachable}"
        return
    yield f"{title}: ClickHouse {status.version}"
    for each in status.migrations:
        at = f"  {each.applied_at:%Y-%m-%d %H:%M:%S} UTC" if each.applied_at else ""
        yield f"  {each.state:8} {each.number:04d}_{each.name}{at}"
    if drift is not None:
        yield from _drift_lines(drift)


def _drift_lines(drift: list[Difference]) -> Iterator[str]:
    yield "  tables: " + ("as this release has them" if not drift else "different")
    missing = [each.table for each in drift if each.aspect == "table"]
    if missing:
        yield f"    missing tables: {', '.join(missing)}"
    for found in by_table(drift).values():
        for each in found:
            if each.aspect != "table":
                yield f"    {each}"
    if drift:
        yield "  to mend, unless a pending migration does it:"
        for each in drift:
            for line in each.mend.splitlines():
                yield f"    {line}"


def _node_json(status: NodeStatus, drift: list[Difference] | None) -> dict[str, Any]:
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
