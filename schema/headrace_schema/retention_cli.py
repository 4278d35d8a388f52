"""`headrace retention`: show, set."""

import argparse
import json
import logging
import re
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, TextIO, cast, get_args

from headrace_schema.cli import FAILED, OK, UNREACHABLE, USAGE, MigrateSettings
from headrace_schema.connection import Connect, Connection, Node, driver_connect
from headrace_schema.model import Dialect
from headrace_schema.render import Deployment, MigrationError, Topology
from headrace_schema.retention import DEFAULT_DAYS, RAW, Kept, Step, kept, steps
from headrace_schema.retention_defaults import Defaults, defaults, survey
from headrace_schema.retention_rules import Change, Rules
from headrace_schema.runner import Fleet, MigrationRefused, detect_dialect, versions

# Ten years. TTLs of DateTime columns end in 2106.
MOST_DAYS = 3_652

# Instead of a number of days: the usual ones, where nobody has said anything else.
USUAL = "default"

EXAMPLES = """examples:
  headrace retention show
  headrace retention set --defaults --yes                  where nobody has said anything yet
  headrace retention set --traces 7d --logs 14d            what it would do
  headrace retention set --traces 7d --logs 14d --yes      do it
  headrace retention set --service checkout=30d --yes      one service's raw data for longer
  headrace retention set --service checkout=default --yes  as all others again
  headrace retention set --move-after traces=2d:cold --storage-policy tiered --yes
"""


def days(text: str) -> int:
    """`7d`, at least one day. Raises argparse's error."""
    match = re.fullmatch(r"(\d+)d", text)
    if match is None or not 1 <= int(match[1]) <= MOST_DAYS:
        msg = f"{text!r} is no number of days: write 7d"
        raise argparse.ArgumentTypeError(msg)
    return int(match[1])


def limit(text: str) -> int | str:
    """`7d` or `default`. Raises argparse's error."""
    return USUAL if text == USUAL else days(text)


def override(text: str) -> tuple[str, int | None]:
    """`checkout=30d`, or `checkout=default` for none. Raises argparse's error."""
    name, _, limit = text.rpartition("=")
    if not name:
        msg = f"{text!r}: write checkout=30d or checkout=default"
        raise argparse.ArgumentTypeError(msg)
    return name, None if limit == "default" else days(limit)


def move(text: str) -> tuple[str, tuple[int, str]]:
    """`traces=2d:cold` → signal, (days, volume). Raises argparse's error."""
    match = re.fullmatch(r"(\w+)=(\d+d):(\w+)", text)
    if match is None or match[1] not in DEFAULT_DAYS:
        msg = f"{text!r}: write traces=2d:cold, with one of {', '.join(DEFAULT_DAYS)}"
        raise argparse.ArgumentTypeError(msg)
    return match[1], (days(match[2]), match[3])


def policy(text: str) -> str:
    """A storage policy's name. Raises argparse's error."""
    if not re.fullmatch(r"\w+", text):
        msg = f"{text!r}: use letters, digits and _ only"
        raise argparse.ArgumentTypeError(msg)
    return text


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
        description="Whole days are dropped; nothing is rewritten, writers go on. With --service "
        "or --tenant each day's parts are rewritten once per different limit. On servers without "
        "TTL (18.16) what is too old is dropped now: repeat `set --defaults --yes` daily, which "
        "keeps to what was set last.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for signal, usual in DEFAULT_DAYS.items():
        change.add_argument(
            f"--{signal}",
            type=limit,
            metavar="DAYS",
            help=f"such as {usual}d; `{USUAL}` is {usual}d where nobody has set anything and no "
            "row is older; left as it is without",
        )
    change.add_argument(
        "--defaults", action="store_true", help=f"`{USUAL}` for every signal that is not named"
    )
    for flag in ("service", "tenant"):
        change.add_argument(
            f"--{flag}",
            type=override,
            action="append",
            default=[],
            metavar="NAME=DAYS",
            help=f"traces, metrics and logs of one {flag}, instead of their signal's days; "
            "repeatable; NAME=default takes it back",
        )
    change.add_argument(
        "--move-after",
        type=move,
        action="append",
        default=[],
        metavar="SIGNAL=DAYS:VOLUME",
        help="move parts to a volume of the tables' storage policy; repeatable",
    )
    change.add_argument(
        "--storage-policy",
        type=policy,
        metavar="NAME",
        help="with --move-after: the policy that has the volume, for that signal's tables",
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
        self._defaults = Defaults({}, {})

    def run(self) -> int:
        if self._args.retention_action == "set" and (wrong := self._wrong()):
            return self.fail(USAGE, wrong)
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

    def _wrong(self) -> str:
        """Why `set` cannot be done as asked; empty when it can."""
        args = self._args
        if self._usual() and (args.service or args.tenant or args.move_after):
            return "--service, --tenant and --move-after need days, not defaults: run set twice"
        if not self._usual() and not self._changes():
            flags = ", ".join(f"--{signal}" for signal in DEFAULT_DAYS)
            return f"give at least one of {flags}, --defaults, --service, --tenant, --move-after"
        return ""

    def _usual(self) -> list[str]:
        """The signals that are to be kept as long as is usual."""
        named = {signal: getattr(self._args, signal) for signal in DEFAULT_DAYS}
        otherwise = USUAL if self._args.defaults else None
        return [signal for signal, limit in named.items() if (limit or otherwise) == USUAL]

    def _changes(self) -> dict[str, Change]:
        """What is asked, by signal."""
        asked = {
            signal: None if (limit := getattr(self._args, signal)) == USUAL else limit
            for signal in DEFAULT_DAYS
        }
        moves = dict(self._args.move_after)
        services, tenants = dict(self._args.service), dict(self._args.tenant)
        found = {
            signal: Change(
                asked[signal],
                services if signal in RAW else {},
                tenants if signal in RAW else {},
                moves.get(signal),
            )
            for signal in DEFAULT_DAYS
        }
        return {signal: change for signal, change in found.items() if change != Change()}

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
                {str(node): [_kept_json(one) for one in tables] for node, tables in found.items()}
            )
        else:
            for node, tables in found.items():
                self._line(str(node))
                for one in tables:
                    size = f"{one.bytes / 1e9:,.2f} GB"
                    self._line(
                        f"  {one.table:36} from {_day(one) or '-':10}  {size:>12}  {_limits(one)}"
                    )
        return UNREACHABLE if self._fleet.unreachable else OK

    def _set(self, deployment: Deployment) -> int:
        if usual := self._usual():
            found = survey(self._fleet, deployment)
            if deployment.dialect == "legacy" and self._fleet.unreachable:
                missing = "; ".join(f"{n}: {why}" for n, why in self._fleet.unreachable.items())
                return self.fail(
                    UNREACHABLE, f"another limit may be noted where nobody answers: {missing}"
                )
            self._defaults = defaults(found, usual, datetime.now(UTC).date())
        work: list[tuple[Node, Step]] = []
        for shard in sorted({node.shard for node in self._fleet.nodes}):
            work += self._plan(shard, deployment)
        if self._args.yes:
            for node, step in work:
                if node not in self._fleet.unreachable:
                    self._fleet.attempt(node, _execute(step))
        self._report(work)
        if self._fleet.unreachable and self._args.yes:
            return UNREACHABLE
        return OK if self._args.yes or not work else FAILED

    def _plan(self, shard: int, deployment: Deployment) -> list[tuple[Node, Step]]:
        """What is to be done on a shard: settings on each replica, all else on the first one."""
        planned: list[tuple[Node, Step]] = []
        first: Node | None = None
        for node in self._fleet.reachable([n for n in self._fleet.nodes if n.shard == shard]):
            found: list[Step] = []

            def read(connection: Connection, found: list[Step] = found) -> None:
                asked = {**self._defaults.changes, **self._changes()}
                found += steps(connection, deployment, asked, self._args.storage_policy or "")

            if self._fleet.attempt(node, read):
                first = first or node
                planned += [(node, one) for one in found if one.each_replica or node == first]
        if first is None:
            msg = f"no replica of shard {shard} answers; nothing was changed"
            raise MigrationRefused(msg)
        # Every replica must have the settings before any rewrites parts by the new TTL.
        return sorted(planned, key=lambda one: not one[1].each_replica)

    def _report(self, work: list[tuple[Node, Step]]) -> None:
        if self._args.json:
            listed = [{"node": str(node), **asdict(step)} for node, step in work]
            missing = {str(node): why for node, why in self._fleet.unreachable.items()}
            self._print(
                {
                    "done": self._args.yes,
                    "steps": listed,
                    "left": dict(self._defaults.left),
                    "unreachable": missing,
                }
            )
            return
        for node, step in work:
            self._line(
                f"{node}: {step.sql}" + (f"  -- deletes {step.deletes}" if step.deletes else "")
            )
        if not work:
            self._line("nothing to do")
        elif not self._args.yes:
            self._line("nothing was done: add --yes")
        for signal, why in self._defaults.left.items():
            self._line(f"left as they are: {signal}: {why}")
        for node, why in self._fleet.unreachable.items():
            self._line(f"{node} does not answer ({why}): run it again when it is back")

    def _line(self, text: str) -> None:
        self._out.write(f"{text}\n")

    def _print(self, document: Any) -> None:
        self._line(json.dumps(document, indent=2))


def _day(one: Kept) -> str | None:
    return None if one.oldest is None else one.oldest.isoformat()


def _limits(one: Kept) -> str:
    return f"its own TTL: {one.ttl}" if one.rules is None else str(one.rules)


def _kept_json(one: Kept) -> dict[str, Any]:
    rules = one.rules or Rules()
    return {
        "signal": one.signal,
        "table": one.table,
        "days": rules.days,
        "services": rules.services,
        "tenants": rules.tenants,
        "move": rules.move,
        "ttl": one.ttl,
        "storage_policy": one.policy,
        "oldest": _day(one),
        "bytes": one.bytes,
    }


def _execute(step: Step) -> Any:
    def execute(connection: Connection) -> None:
        connection.execute(step.sql)

    return execute
