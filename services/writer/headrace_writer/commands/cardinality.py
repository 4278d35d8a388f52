"""`headrace cardinality`: the attribute keys with most values and most bytes, and a rule for each.

Reads a bounded sample. Exit codes: 0 printed; 2 usage; 3 ClickHouse does not answer.
"""

import argparse
import json
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

from rich.console import Console
from rich.table import Table

from headrace_schema.columns import TABLES_BY_SIGNAL
from headrace_writer import wiring
from headrace_writer.commands.options import moment
from headrace_writer.config import Settings
from headrace_writer.core.cardinality import (
    Extent,
    KeyCost,
    Sample,
    Source,
    Window,
    costs,
    disk_query,
    extent_query,
    keys_query,
    sampled_query,
    sources,
    table_disk_query,
)
from headrace_writer.errors import ConfigError, Retryable
from headrace_writer.shell.clock import SystemClock
from headrace_writer.shell.shards import Shard

EXAMPLES = """examples:
  headrace cardinality
  headrace cardinality --since 6h --table otel_traces --top 10
  headrace cardinality --rules >> guardrails.toml      the rules alone, to be looked through
"""
WRITTEN = [table for tables in TABLES_BY_SIGNAL.values() for table in tables]


def add_parser(commands: Any, parents: list[argparse.ArgumentParser]) -> None:
    """Adds `cardinality` to the subcommands."""
    parser = commands.add_parser(
        "cardinality",
        parents=parents,
        help="which attributes have most values and bytes, and the guardrail for each",
        description="Asks ClickHouse about a sample of what is stored; changes nothing.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--since", type=moment, metavar="TIME", help="default 1h; or ISO 8601")
    parser.add_argument("--table", action="append", choices=WRITTEN, help="may be repeated")
    parser.add_argument("--top", type=int, default=15, help="keys per table (default 15)")
    parser.add_argument(
        "--sample", type=int, default=200_000, help="rows to read per table (default 200000)"
    )
    parser.add_argument("--rules", action="store_true", help="print only the rules, as TOML")
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Look once. Returns the exit code."""
    if args.top < 1 or args.sample < 1:
        msg = "--top and --sample are at least 1"
        raise ConfigError(msg)
    since = args.since or datetime.now(UTC) - timedelta(hours=1)
    shards = wiring.make_shards(settings, SystemClock())
    try:
        found = look(args, settings, int(since.timestamp()), shards[0])
    finally:
        shards.close()
    if args.json:
        listed = [{**asdict(cost), "rule": cost.rule} for cost in found]
        print(json.dumps({"since": since.isoformat(), "keys": listed}, indent=2))
    elif args.rules:
        print("\n".join(cost.rule for cost in found if cost.rule), end="")
    else:
        _show(found, since)
    return 0


def look(args: argparse.Namespace, settings: Settings, since_s: int, shard: Shard) -> list[KeyCost]:
    """The dearest keys of each table, by bytes and by distinct values."""
    modern = shard.knows_tokens()
    window = Window("modern" if modern else "legacy", since_s, args.sample)
    local = wiring.local_namer(settings)
    found: list[KeyCost] = []
    extents: dict[str, Extent] = {}
    for source in sources(args.table or ()):
        if source.table not in extents:
            extents[source.table] = Extent(*_ask(shard, extent_query(source.table, window))[0])
        extent = extents[source.table]
        if extent.rows:
            found += costs(_read(shard, source, window, extent, local(source.table)))
    chosen = []
    for table in dict.fromkeys(cost.source.table for cost in found):
        of_table = [cost for cost in found if cost.source.table == table]
        by_bytes = sorted(of_table, key=lambda cost: -cost.disk_bytes)[: args.top]
        by_values = sorted(of_table, key=lambda cost: -cost.distinct)[: args.top]
        chosen += list(dict.fromkeys([*by_bytes, *by_values]))
    return chosen


def _read(shard: Shard, source: Source, window: Window, extent: Extent, local: str) -> Sample:
    every = extent.every(window.sample_rows)
    keys = _ask(shard, keys_query(source, window, every))
    ((sampled,),) = _ask(shard, sampled_query(source.table, window, every))
    names = (source.column, f"{source.column}.Key", f"{source.column}.Value")
    columns = [row for row in _ask(shard, disk_query(local)) if row[0] in names]
    packed, plain = sum(row[1] for row in columns), sum(row[2] for row in columns)
    if not packed:
        # Compact parts keep no sizes by column: the table's own ratio is the nearest there is.
        ((packed, plain),) = _ask(shard, table_disk_query(local))
    ratio = packed / plain if plain else 1.0
    return Sample(source, extent.rows, sampled, ratio, [tuple(row) for row in keys])


def _ask(shard: Shard, sql: str) -> list[tuple[Any, ...]]:
    """Rows of one replica, whichever answers. Raises Retryable."""
    for rows in shard.ask_everyone(sql):
        if rows is not None:
            return rows
    msg = f"shard 0: none of {', '.join(map(str, shard.addresses))} answers (clickhouse_shards)"
    raise Retryable(msg)


def _show(found: list[KeyCost], since: datetime) -> None:
    console = Console(highlight=False, markup=False)
    if not found:
        console.print(f"no attributes since {since.isoformat(timespec='seconds')}")
        return
    table = Table("table", "on", "key", "values", "uses", "bytes on disk", "share", "rule")
    for cost in found:
        rule = cost.rule.partition('action = "')[2].partition('"')[0]
        table.add_row(
            cost.source.table,
            cost.source.place,
            cost.key,
            f"{cost.distinct:,}",
            f"{cost.uses:,}",
            f"{cost.disk_bytes:,}",
            f"{cost.share:.1%}",
            rule,
        )
    console.print(table)
    rules = [cost.rule for cost in found if cost.rule]
    console.print("\n".join(["values and uses are those of the sample\n", *rules]), soft_wrap=True)
