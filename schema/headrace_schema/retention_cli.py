"""`headrace retention`: show, set."""

import argparse
import json
import logging
import re
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, TextIO, cast, get_args

from headrace_schema.cli import FAILED, OK, UNREACHABLE, USAGE, MigrateSettings
from headrace_schema.connection import Connect, Connection, Node, driver_connect
from headrace_schema.model import Dialect
from headrace_schema.render import Deployment, MigrationError, Topology
from headrace_schema.retention import DEFAULT_DAYS, Kept, Step, kept, steps
from headrace_schema.runner import Fleet, MigrationRefused, detect_dialect, versions

EXAMPLES = """examples:
  headrace retention show
  headrace retention set --traces 7d --logs 14d            what it would do
  headrace retention set --traces 7d --logs 14d --yes      do it
"""


def days(text: str) -> int:
    """`7d`, at least one day. Raises argparse's error."""
    match = re.fullmatch(r"(\d+)d", text)
    if match is None or int(match[1]) < 1:
        msg = f"{text!r} is no number of days: write 7d"
        raise argparse.ArgumentTypeError(msg)
    return int(match[1])


def add_retention_parser(
    subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]",
    parents: Sequence[argparse.ArgumentParser] = (),
) -> argparse.ArgumentParser:
    """Add `retention` with its actions."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "retention", help="how long each signal is kept"
    )
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--json", action="store_true", help="print JSON instead of text")
    actions = parser.add_subparsers(dest="retention_action", required=True, metavar="ACTION")
    actions.add_parser("show", parents=[*parents, shared], help="what each table keeps and holds")
    change = actions.add_parser(
        "set",
        parents=[*parents, shared],
        help="keep signals so long, without downtime",
        description="Whole days are dropped; nothing is rewritten, writers go on. On servers "
        "without TTL (18.16) what is too old is dropped now: repeat it daily.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for signal, usual in DEFAULT_DAYS.items():
        change.add_argument(
            f"--{signal}",
            type=days,
            metavar="DAYS",
            help=f"such as {usual}d; left as it is without",
        )
    change.add_argument("--yes", action="store_true", help="do it; without, only say what it does")
    return parser


def run_retention(
    args: argparse.Namespace,
    settings: MigrateSettings,
    connect: Connect | None = None,
    out: TextIO | None = None,
) -> int:
    """Run the action that `args` names. Returns the exit code: 0 done, or nothing to do; 1 refused,
    or `set` without --yes has something to do; 2 usage; 3 a replica that is needed is unreachable.
    """
    logging.getLogger("clickhouse_driver").setLevel(logging.CRITICAL)
    nodes = [
        Node(shard, replica, host, port)
        for shard, replicas in enumerate(settings.clickhouse_shards, start=1)
        for replica, (host, port) in enumerate(replicas, start=1)
    ]
    open_one = connect or driver_connect(
        settings.clickhouse_user, settings.clickhouse_password, **settings.clickhouse_tls
    )
    command = _Command(args, settings, Fleet(nodes, open_one), out or sys.stdout)
    try:
        return command.run()
    except MigrationError as error:
        return command.fail(USAGE, str(error))
    except MigrationRefused as error:
        return command.fail(FAILED, str(error))


class _Command:
    """One run of `headrace retention`."""

    def __init__(
        self, args: argparse.Namespace, settings: MigrateSettings, fleet: Fleet, out: TextIO
    ) -> None:
        self._args = args
        self._settings = settings
        self._fleet = fleet
        self._out = out

    def run(self) -> int:
        if self._args.retention_action == "set" and not self._wanted():
            return self.fail(USAGE, "give at least one of --traces, --metrics, --logs")
        with self._fleet:
            if len(self._fleet.unreachable) == len(self._fleet.nodes):
                missing = "; ".join(f"{n}: {why}" for n, why in self._fleet.unreachable.items())
                return self.fail(UNREACHABLE, f"no replica answers: {missing}")
            deployment = self._deployment()
            if self._args.retention_action == "show":
                return self._show(deployment)
            return self._set(deployment)

    def fail(self, code: int, message: str) -> int:
        if self._args.json:
            self._print({"error": message})
        else:
            sys.stderr.write(f"headrace retention: {message}\n")
        return code

    def _wanted(self) -> dict[str, int]:
        asked = {signal: getattr(self._args, signal) for signal in DEFAULT_DAYS}
        return {signal: count for signal, count in asked.items() if count is not None}

    def _deployment(self) -> Deployment:
        dialect = self._settings.clickhouse_dialect
        if dialect == "auto":
            dialect = detect_dialect(versions(self._fleet))
        if self._settings.clickhouse_topology not in get_args(Topology):
            msg = f"clickhouse_topology is {self._settings.clickhouse_topology!r}"
            raise MigrationError(msg)
        return Deployment(
            cast("Topology", self._settings.clickhouse_topology),
            cast("Dialect", dialect),
            self._settings.clickhouse_database,
            self._settings.clickhouse_cluster,
        )

    def _show(self, deployment: Deployment) -> int:
        found: dict[Node, list[Kept]] = {}
        for node in self._fleet.reachable():

            def read(connection: Connection, node: Node = node) -> None:
                found[node] = kept(connection, deployment)

            self._fleet.attempt(node, read)
        if self._args.json:
            self._print(
                {
                    str(node): [{**asdict(one), "oldest": _day(one)} for one in tables]
                    for node, tables in found.items()
                }
            )
        else:
            for node, tables in found.items():
                self._line(str(node))
                for one in tables:
                    limit = f"{one.days} d" if one.days else "no limit"
                    size = f"{one.bytes / 1e9:,.2f} GB"
                    self._line(
                        f"  {one.table:36} {limit:>9}  from {_day(one) or '-':10}  {size:>12}"
                    )
        return UNREACHABLE if self._fleet.unreachable else OK

    def _set(self, deployment: Deployment) -> int:
        todo: list[tuple[Node, list[Step]]] = []
        for shard in sorted({node.shard for node in self._fleet.nodes}):
            todo.append(self._plan(shard, deployment))
        work = [(node, step) for node, found in todo for step in found]
        if self._args.yes:
            for node, step in work:
                self._fleet.attempt(node, _execute(step))
                if node in self._fleet.unreachable:
                    return self.fail(UNREACHABLE, f"{node} is gone; run it again when it is back")
        self._report(work)
        return OK if self._args.yes or not work else FAILED

    def _plan(self, shard: int, deployment: Deployment) -> tuple[Node, list[Step]]:
        """What is to be done on the first replica of a shard that answers."""
        for node in self._fleet.reachable([n for n in self._fleet.nodes if n.shard == shard]):
            found: list[Step] = []

            def read(connection: Connection, found: list[Step] = found) -> None:
                found += steps(connection, deployment, self._wanted())

            if self._fleet.attempt(node, read):
                return node, found
        msg = f"no replica of shard {shard} answers; nothing was changed"
        raise MigrationRefused(msg)

    def _report(self, work: list[tuple[Node, Step]]) -> None:
        if self._args.json:
            listed = [{"node": str(node), **asdict(step)} for node, step in work]
            self._print({"done": self._args.yes, "steps": listed})
            return
        for node, step in work:
            self._line(
                f"{node}: {step.sql}" + (f"  -- deletes {step.deletes}" if step.deletes else "")
            )
        if not work:
            self._line("nothing to do")
        elif not self._args.yes:
            self._line("nothing was done: add --yes")

    def _line(self, text: str) -> None:
        self._out.write(f"{text}\n")

    def _print(self, document: Any) -> None:
        self._line(json.dumps(document, indent=2))


def _day(one: Kept) -> str | None:
    return None if one.oldest is None else one.oldest.isoformat()


def _execute(step: Step) -> Any:
    def execute(connection: Connection) -> None:
        connection.execute(step.sql)

    return execute
