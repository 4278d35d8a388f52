"""`headrace prices`: list, show, set, import, check, unknown."""

import argparse
import time
from collections.abc import Sequence
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
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
    run,
)
from headrace_schema.connection import Connect, Connection
from headrace_schema.genai_tables import PRICE_KINDS, PRICES
from headrace_schema.prices import (
    HEADER,
    Price,
    PriceError,
    as_cells,
    choose,
    current,
    lacking,
    make,
    parse,
    shipped,
)
from headrace_schema.render import Deployment

EXAMPLES = """examples:
  headrace prices import                        the list that headrace comes with
  headrace prices import ours.csv               your own; only what changed is written
  headrace prices set gpt-5-mini --input 0.25 --cached 0.025 --output 2 --from 2026-12-01
  headrace prices show gpt-5-mini-2025-08-07 --provider openai
  headrace prices unknown --days 7              models that were called and have no price
  headrace prices check ours.csv                is the file right?
"""
# A statement of 18.16 has at most 256 KiB.
ROWS_PER_INSERT = 200


def add_prices_parser(
    subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]",
    parents: Sequence[argparse.ArgumentParser] = (),
) -> argparse.ArgumentParser:
    """Add `prices` with its actions."""
    actions = Actions(
        subparsers, "prices", parents,
        says="what models cost per million tokens", examples=EXAMPLES,
    )  # fmt: skip
    actions.add("list", says="every offer in force, as a list that import reads")
    show = actions.add("show", says="what a call of a model costs")
    show.add_argument("model")
    show.add_argument("--provider", default="", help="gen_ai.provider.name")
    show.add_argument("--on", type=day, metavar="DAY", help="2026-11-24; today without")
    change = actions.add("set", says="an offer of your own; it only adds")
    change.add_argument("model", help="a name, or a prefix that ends in *")
    change.add_argument("--provider", default="", help="gen_ai.provider.name; any without")
    change.add_argument("--from", dest="since", default="", metavar="DAY", help="today without")
    change.add_argument("--currency", default="USD")
    for name in HEADER[4:]:
        change.add_argument(
            f"--{name.replace('_', '-')}", default="", metavar="PRICE",
            required=name in ("input", "output"), help="per million tokens",
        )  # fmt: skip
    load = actions.add("import", says="a list; only what changed is written")
    load.add_argument("file", nargs="?", type=Path, help="headrace's own without")
    check = actions.add("check", says="whether a list is right; no server")
    check.add_argument("file", nargs="?", type=Path, help="headrace's own without")
    unknown = actions.add("unknown", says="called models without a price; 1 when there are any")
    unknown.add_argument("--days", type=int, default=7, metavar="N", help="so far back (default 7)")
    return actions.parser


def run_prices(
    args: argparse.Namespace,
    settings: MigrateSettings,
    connect: Connect | None = None,
    out: TextIO | None = None,
) -> int:
    """Run the action that `args` names. Returns the exit code: 0 done; 1 a list is wrong, no price
    fits, or models are unknown; 2 usage; 3 no replica answers."""
    answer = Answer("prices", args, out)
    command = _Command(args, Tables(settings, connect), answer)
    return answer.guard(command.run)


class _Command:
    """One run of `headrace prices`."""

    def __init__(self, args: argparse.Namespace, tables: Tables, answer: Answer) -> None:
        self._args = args
        self._tables = tables
        self._answer = answer

    def run(self) -> int:
        action = self._args.prices_action
        try:
            if action == "check":
                return self._check()
            wanted = self._wanted()
        except PriceError as error:
            return self._answer.fail(USAGE if action == "set" else FAILED, str(error))
        except OSError as error:
            return self._answer.fail(USAGE, f"{self._args.file}: {error.strerror}")
        with self._tables as tables:
            return self._act(tables, tables.deployment(), wanted)

    def _act(self, tables: Tables, deployment: Deployment, wanted: Sequence[Price]) -> int:
        if self._args.prices_action == "unknown":
            return self._unknown(deployment)
        stored = tables.ask(partial(read, deployment=deployment))
        match self._args.prices_action:
            case "list":
                return self._list(current(stored))
            case "show":
                return self._show(stored)
        return self._store(lacking(wanted, stored), deployment)

    def _wanted(self) -> list[Price]:
        args = self._args
        if args.prices_action == "set":
            since = args.since or datetime.now(UTC).date().isoformat()
            amounts = [getattr(args, name) for name in HEADER[4:]]
            return [make(args.provider, args.model, since, args.currency, amounts)]
        return parse(self._text()) if args.prices_action == "import" else []

    def _text(self) -> str:
        file: Path | None = self._args.file
        return shipped() if file is None else file.read_text(encoding="utf-8")

    def _check(self) -> int:
        prices = parse(self._text())
        self._answer.give({"offers": len(prices)}, [f"{len(prices)} offers, all right"])
        return OK

    def _list(self, prices: Sequence[Price]) -> int:
        rows = [as_cells(price)[:-1] for price in prices]
        self._answer.give(
            [dict(zip((*HEADER, "version"), as_cells(price), strict=True)) for price in prices],
            [",".join(HEADER), *(",".join(row) for row in rows)],
        )
        return OK

    def _show(self, stored: Sequence[Price]) -> int:
        args = self._args
        on = args.on or datetime.now(UTC).date()
        found = choose(stored, args.provider, args.model, on)
        if found is None:
            return self._answer.fail(
                FAILED,
                f"no price fits {args.model} of provider {args.provider or '(any)'} on {on}: "
                "headrace prices set",
            )
        cells = dict(zip((*HEADER, "version"), as_cells(found), strict=True))
        self._answer.give(
            cells, [f"{name:11}  {value or '(any)'}" for name, value in cells.items()]
        )
        return OK

    def _store(self, prices: Sequence[Price], deployment: Deployment) -> int:
        for start in range(0, len(prices), ROWS_PER_INSERT):
            sql = insertion(prices[start : start + ROWS_PER_INSERT], deployment, self._source())
            self._tables.ask(run(sql))
        version = prices[0].version if prices else None
        said = f"{len(prices)} offers written as version {version}" if prices else "nothing to do"
        self._answer.give({"written": len(prices), "version": version}, [said])
        return OK

    def _source(self) -> str:
        if self._args.prices_action == "set":
            return "headrace prices set"
        return self._args.file.name if self._args.file else "headrace"

    def _unknown(self, deployment: Deployment) -> int:
        since = max(0, int(time.time()) - self._args.days * 86_400)
        rows = self._tables.ask(
            lambda connection: connection.execute(
                "SELECT Provider, BilledModel, sum(Calls) AS calls, sum(InputTokens), "  # noqa: S608
                f"sum(OutputTokens) FROM {deployment.database}.genai_costs_1m "
                f"WHERE UnpricedCalls > 0 AND Minute >= toDateTime({since}) "
                "GROUP BY Provider, BilledModel ORDER BY calls DESC, BilledModel "
                "SETTINGS enable_optimize_predicate_expression = 1"
            )
        )
        names = ("provider", "model", "calls", "input_tokens", "output_tokens")
        lines = [
            f"{provider or '(no provider)':20}  {model or '(no model)':36}  {calls:>10,} calls"
            f"  {asked:>14,} in  {answered:>14,} out"
            for provider, model, calls, asked, answered in rows
        ]
        self._answer.give(
            [dict(zip(names, row, strict=True)) for row in rows],
            lines or [f"every model called in the last {self._args.days} days has a price"],
        )
        return FAILED if rows else OK


def read(connection: Connection, deployment: Deployment) -> list[Price]:
    """Every row of genai_prices. Raises Unreachable, Refused."""
    names = "Provider, Model, toString(toDate(ValidFrom)), Currency"
    rows = connection.execute(
        f"SELECT {names}, {', '.join(PRICE_KINDS)}, Version "  # noqa: S608
        f"FROM {deployment.database}.{PRICES.name}"
    )
    return [
        Price(provider, model, date.fromisoformat(since), *rest)
        for provider, model, since, *rest in rows
    ]


def insertion(prices: Sequence[Price], deployment: Deployment, source: str) -> str:
    """The statement that stores offers. Their words need no escaping: `make` saw to that."""
    escaped = source.replace("\\", "\\\\").replace("'", "\\'")
    # Not now(): 18.16 refuses a UNION in which it differs, as when a second ends meanwhile.
    now = int(time.time())
    rows = []
    for price in prices:
        provider, model, since, currency, *amounts, version = as_cells(price)
        decimals = ", ".join(f"toDecimal64('{amount}', 6)" for amount in amounts)
        rows.append(
            f"SELECT '{provider}', '{model}', toDateTime('{since} 00:00:00'), "
            f"toUInt32({version}), '{currency}', {decimals}, '{escaped}', toDateTime({now})"
        )
    columns = ", ".join(
        ("Provider", "Model", "ValidFrom", "Version", "Currency", *PRICE_KINDS, "Source", "SetAt")
    )
    table = f"{deployment.database}.{PRICES.name}"
    return f"INSERT INTO {table} ({columns}) {' UNION ALL '.join(rows)}"
