"""`headrace retention`: show, set."""

import argparse
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any, TextIO

from headrace_schema.command import (
    FAILED,
    OK,
    UNREACHABLE,
    USAGE,
    Actions,
    Answer,
    MigrateSettings,
    Tables,
    run,
)
from headrace_schema.connection import Connect, Connection, Node
from headrace_schema.render import Deployment
from headrace_schema.retention import DEFAULT_DAYS, RAW, Kept, Step, kept, steps
from headrace_schema.retention_rules import Change, Rules
from headrace_schema.runner import MigrationRefused

# Ten years. TTLs of DateTime columns end in 2106.
MOST_DAYS = 3_652

EXAMPLES = """examples:
  headrace retention show
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
    actions = Actions(subparsers, "retention", parents, says="how long each signal is kept")
    actions.add("show", says="what each table keeps and holds")
    change = actions.add(
        "set",
        says="keep signals so long, without downtime",
        description="Whole days are dropped; nothing is rewritten, writers go on. With --service "
        "or --tenant each day's parts are rewritten once per different limit. On servers without "
        "TTL (18.16) what is too old is dropped now: repeat it daily.",
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
    return actions.parser


def run_retention(
    args: argparse.Namespace,
    settings: MigrateSettings,
    connect: Connect | None = None,
    out: TextIO | None = None,
) -> int:
    """Run the action that `args` names. Returns the exit code: 0 done, or nothing to do; 1 refused,
    or `set` without --yes has something to do; 2 usage; 3 a replica that is needed is unreachable.
    """
    answer = Answer("retention", args, out)
    return answer.guard(_Command(args, Tables(settings, connect), answer).run)


class _Command:
    """One run of `headrace retention`."""

    def __init__(self, args: argparse.Namespace, tables: Tables, answer: Answer) -> None:
        self._args = args
        self._tables = tables
        self._fleet = tables.fleet
        self._answer = answer

    def run(self) -> int:
        if self._args.retention_action == "set" and not self._changes():
            flags = ", ".join(f"--{signal}" for signal in DEFAULT_DAYS)
            return self._answer.fail(
                USAGE, f"give at least one of {flags}, --service, --tenant, --move-after"
            )
        with self._tables as tables:
            tables.require()
            deployment = tables.deployment()
            if self._args.retention_action == "show":
                return self._show(deployment)
            return self._set(deployment)

    def _changes(self) -> dict[str, Change]:
        """What is asked, by signal."""
        asked = {signal: getattr(self._args, signal) for signal in DEFAULT_DAYS}
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

    def _show(self, deployment: Deployment) -> int:
        found = self._tables.ask_each(partial(kept, deployment=deployment))
        self._answer.give(
            {str(node): [_kept_json(one) for one in listed] for node, listed in found.items()},
            [line for node, listed in found.items() for line in _kept_lines(node, listed)],
        )
        return UNREACHABLE if self._fleet.unreachable else OK

    def _set(self, deployment: Deployment) -> int:
        work: list[tuple[Node, Step]] = []
        for shard in self._tables.shards():
            work += self._plan(shard, deployment)
        if self._args.yes:
            for node, step in work:
                if node not in self._fleet.unreachable:
                    self._fleet.attempt(node, run(step.sql))
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
                found += steps(
                    connection, deployment, self._changes(), self._args.storage_policy or ""
                )

            if self._fleet.attempt(node, read):
                first = first or node
                planned += [(node, one) for one in found if one.each_replica or node == first]
        if first is None:
            msg = f"no replica of shard {shard} answers; nothing was changed"
            raise MigrationRefused(msg)
        # Every replica must have the settings before any rewrites parts by the new TTL.
        return sorted(planned, key=lambda one: not one[1].each_replica)

    def _report(self, work: list[tuple[Node, Step]]) -> None:
        lost = self._tables.unreachable()
        listed = [{"node": str(node), **asdict(step)} for node, step in work]
        lines = [
            f"{node}: {step.sql}" + (f"  -- deletes {step.deletes}" if step.deletes else "")
            for node, step in work
        ]
        if not work:
            lines.append("nothing to do")
        elif not self._args.yes:
            lines.append("nothing was done: add --yes")
        lines += [
            f"{node} does not answer ({why}): run it again when it is back"
            for node, why in lost.items()
        ]
        self._answer.give({"done": self._args.yes, "steps": listed, "unreachable": lost}, lines)


def _kept_lines(node: Node, listed: Sequence[Kept]) -> Iterator[str]:
    yield str(node)
    for one in listed:
        size = f"{one.bytes / 1e9:,.2f} GB"
        yield f"  {one.table:36} from {_day(one) or '-':10}  {size:>12}  {_limits(one)}"


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
