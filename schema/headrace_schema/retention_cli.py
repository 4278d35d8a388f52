"""`headrace retention`: show, set."""

import argparse
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
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
from headrace_schema.retention_defaults import Defaults, defaults, survey
from headrace_schema.retention_rules import Change, Rules
from headrace_schema.runner import MigrationRefused

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
    actions = Actions(subparsers, "retention", parents, says="how long each signal is kept")
    actions.add("show", says="what each table keeps and holds")
    change = actions.add(
        "set",
        says="keep signals so long, without downtime",
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
        self._defaults = Defaults({}, {})

    def run(self) -> int:
        if self._args.retention_action == "set" and (wrong := self._wrong()):
            return self._answer.fail(USAGE, wrong)
        with self._tables as tables:
            tables.require()
            deployment = tables.deployment()
            if self._args.retention_action == "show":
                return self._show(deployment)
            return self._set(deployment)

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

    def _show(self, deployment: Deployment) -> int:
        found = self._tables.ask_each(partial(kept, deployment=deployment))
        self._answer.give(
            {str(node): [_kept_json(one) for one in listed] for node, listed in found.items()},
            [line for node, listed in found.items() for line in _kept_lines(node, listed)],
        )
        return UNREACHABLE if self._fleet.unreachable else OK

    def _set(self, deployment: Deployment) -> int:
        if usual := self._usual():
            found = survey(self._fleet, deployment)
            if deployment.dialect == "legacy" and self._fleet.unreachable:
                missing = "; ".join(f"{n}: {why}" for n, why in self._fleet.unreachable.items())
                return self._answer.fail(
                    UNREACHABLE, f"another limit may be noted where nobody answers: {missing}"
                )
            self._defaults = defaults(found, usual, datetime.now(UTC).date())
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
        left = dict(self._defaults.left)
        lines += [f"left as they are: {signal}: {why}" for signal, why in left.items()]
        lines += [
            f"{node} does not answer ({why}): run it again when it is back"
            for node, why in lost.items()
        ]
        document = {"done": self._args.yes, "steps": listed, "left": left, "unreachable": lost}
        self._answer.give(document, lines)


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
