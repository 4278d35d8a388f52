"""`headrace rollup`: check, rebuild."""

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import TextIO

from headrace_schema.command import (
    FAILED,
    OK,
    USAGE,
    Actions,
    Answer,
    MigrateSettings,
    Tables,
    day,
)
from headrace_schema.connection import Connect
from headrace_schema.render import Deployment
from headrace_schema.rollup import Difference, differences, rebuild, refusal

EXAMPLES = """examples:
  headrace rollup check                                 the last seven days
  headrace rollup rebuild --from 2026-11-20             that day
  headrace rollup rebuild --from 2026-11-20 --to 2026-11-22
"""
SHOWN = 10


def add_rollup_parser(
    subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]",
    parents: Sequence[argparse.ArgumentParser] = (),
) -> argparse.ArgumentParser:
    """Add `rollup` with its actions."""
    actions = Actions(
        subparsers, "rollup", parents,
        says="hold the rollup of LLM calls against the spans, make days of it anew",
    )  # fmt: skip
    last = argparse.ArgumentParser(add_help=False)
    last.add_argument("--to", dest="last", type=day, metavar="DAY", help="the last day")
    check = actions.add("check", last, says="minutes that differ from the spans; 1 if any")
    check.add_argument("--from", dest="first", type=day, metavar="DAY", help="a week ago without")
    again = actions.add(
        "rebuild",
        last,
        says="count days again from their spans; as often as you like",
        description="Days that are over and whose spans are all still there. Each is replaced at "
        "once; writers and readers go on.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    again.add_argument("--from", dest="first", type=day, required=True, metavar="DAY")
    return actions.parser


def run_rollup(
    args: argparse.Namespace,
    settings: MigrateSettings,
    connect: Connect | None = None,
    out: TextIO | None = None,
) -> int:
    """Run the action that `args` names. Returns the exit code: 0 all is equal; 1 something differs
    or is refused; 2 usage; 3 a shard has no replica that answers."""
    answer = Answer("rollup", args, out)
    return answer.guard(lambda: _run(args, Tables(settings, connect), answer))


def _run(args: argparse.Namespace, tables: Tables, answer: Answer) -> int:
    with tables:
        deployment = tables.deployment()
        if deployment.dialect == "legacy":
            answer.give({"differences": []}, ["genai_usage_1m is a view here: it can't differ"])
            return OK
        days = _days(args)
        if not days:
            return answer.fail(USAGE, "--to lies before --from")
        if args.rollup_action == "rebuild":
            refused = _refusals(tables, deployment, days)
            if refused:
                return answer.fail(FAILED, f"nothing was done: {refused[0]}")
        work = rebuild if args.rollup_action == "rebuild" else differences
        found = {
            (shard, one): tables.ask(partial(work, deployment=deployment, day=one), shard)
            for shard in tables.shards()
            for one in days
        }
    return _report(args, answer, found)


def _days(args: argparse.Namespace) -> list[date]:
    today = datetime.now(UTC).date()
    if args.rollup_action == "rebuild":
        first, last = args.first, args.last or args.first
    else:
        first, last = args.first or today - timedelta(days=7), args.last or today
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


def _refusals(tables: Tables, deployment: Deployment, days: Sequence[date]) -> list[str]:
    return [
        why
        for shard in tables.shards()
        for one in days
        if (why := tables.ask(partial(refusal, deployment=deployment, day=one), shard))
    ]


def _report(
    args: argparse.Namespace, answer: Answer, found: dict[tuple[int, date], list[Difference]]
) -> int:
    differing = [
        {"shard": shard, **asdict(one)} for (shard, _), listed in found.items() for one in listed
    ]
    days = sorted({one for _, one in found})
    lines = [
        f"shard {one['shard']}  {one['minute']}  {one['spans']} spans, {one['calls']} in the rollup"
        + (f"  of tenant {one['tenant']}" if one["tenant"] else "")
        for one in differing[:SHOWN]
    ]
    if len(differing) > SHOWN:
        lines.append(f"and {len(differing) - SHOWN} more minutes")
    span = f"{days[0]} to {days[-1]}" if len(days) > 1 else f"{days[0]}"
    if not differing:
        lines.append(f"{span}: the rollup says what the spans say")
    elif args.rollup_action == "rebuild":
        lines.append(f"{span}: spans keep arriving for these minutes; run it again")
    else:
        lines.append("headrace rollup rebuild --from DAY makes a day anew; minutes of the last "
                     "seconds may differ for a moment")  # fmt: skip
    answer.give({"days": [str(one) for one in days], "differences": differing}, lines)
    return FAILED if differing else OK
