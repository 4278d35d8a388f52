"""`headrace size`: how much hardware a load needs, from the coefficients of docs/sizing.md."""

import argparse
import json
from dataclasses import asdict, fields
from typing import Any

from rich.console import Console
from rich.table import Table

from headrace_writer.core.block import Signal
from headrace_writer.core.sizing import MEASURED, Load, Policy, Size, size

EXAMPLES = """examples:
  headrace size --spans 100000 --metrics 50000
  headrace size --spans 1e6 --metrics 5e5 --bytes 900 --retention-days 7
  headrace size --spans 1e7 --utilization 0.6 --price-core-month 18 --json
"""
RETENTION_DAYS: dict[Signal, float] = {"traces": 7, "metrics": 30, "logs": 14}
SIGNALS: tuple[Signal, ...] = ("traces", "metrics", "logs")


def positive(text: str) -> float:
    """A number above zero, or argparse's error."""
    value = float(text)
    if not 0 < value < float("inf"):
        msg = f"{text!r} is not above zero"
        raise argparse.ArgumentTypeError(msg)
    return value


def rate(text: str) -> float:
    """Records per second: zero or more."""
    return 0.0 if float(text) == 0 else positive(text)


def share(text: str) -> float:
    """Above 0, at most 1."""
    value = positive(text)
    if value > 1:
        msg = f"{text!r} is more than 1, all of a core"
        raise argparse.ArgumentTypeError(msg)
    return value


def count(text: str) -> int:
    """A whole number from 1."""
    value = int(text)
    if value < 1:
        msg = f"{text!r} is less than 1"
        raise argparse.ArgumentTypeError(msg)
    return value


def add_parser(commands: Any) -> None:
    """Adds `size` to the subcommands; it reads no settings."""
    parser = commands.add_parser(
        "size",
        help="brokers, writers, shards, disks and money for a load",
        description="Arithmetic on coefficients that were measured on one machine "
        "(docs/sizing.md): a first plan, to be held against `loadgen` on your own.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    load = parser.add_argument_group("load")
    load.add_argument("--spans", type=rate, default=0.0, metavar="N", help="spans per second")
    load.add_argument("--metrics", type=rate, default=0.0, metavar="N", help="points per second")
    load.add_argument("--logs", type=rate, default=0.0, metavar="N", help="records per second")
    for signal, flag in (("traces", ""), ("metrics", "metric-"), ("logs", "log-")):
        measured = MEASURED[signal].wire_bytes  # type: ignore[index]
        load.add_argument(
            f"--{flag}bytes", type=positive, default=measured, dest=f"bytes_{signal}",
            metavar="N", help=f"protobuf bytes of one of the {signal} (default {measured:g})",
        )  # fmt: skip
    for signal in SIGNALS:
        days = RETENTION_DAYS[signal]
        flag = "" if signal == "traces" else f"{signal}-"
        load.add_argument(
            f"--{flag}retention-days", type=positive, default=days, dest=f"days_{signal}",
            metavar="N", help=f"how long {signal} are kept (default {days:g})",
        )  # fmt: skip
    default = Policy()
    policy = parser.add_argument_group("policy")
    policy.add_argument(
        "--utilization", type=share, default=default.utilization, metavar="N",
        help="planned busy share of each core (default 0.5)",
    )  # fmt: skip
    for name, kind, flag, text in (
        ("replicas", count, "--replicas", "ClickHouse replicas of a shard"),
        ("kafka_replicas", count, "--kafka-replicas", "copies of a topic"),
        ("kafka_hours", positive, "--kafka-hours", "how long Kafka keeps everything"),
        ("clickhouse_cores", count, "--clickhouse-cores", "cores of one server"),
        ("clickhouse_disk_gb", positive, "--clickhouse-disk-gb", "disk of one server"),
        ("core_month", positive, "--price-core-month", "money per core and month"),
        ("gb_month", positive, "--price-gb-month", "money per GB and month"),
    ):
        value = getattr(default, name)
        policy.add_argument(
            flag, type=kind, default=value, dest=name, metavar="N",
            help=f"{text} (default {value:g})",
        )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(usage=parser.error)


def run(args: argparse.Namespace) -> int:
    """Calculate and print."""
    load = Load(
        {"traces": args.spans, "metrics": args.metrics, "logs": args.logs},
        {signal: getattr(args, f"bytes_{signal}") for signal in SIGNALS},
        {signal: getattr(args, f"days_{signal}") for signal in SIGNALS},
    )
    if not any(load.rates.values()):
        args.usage("no load: give --spans, --metrics or --logs")
    policy = Policy(**{one.name: getattr(args, one.name) for one in fields(Policy)})
    found = size(load, policy)
    if args.json:
        print(
            json.dumps({"load": asdict(load), "policy": asdict(policy), **asdict(found)}, indent=2)
        )
    else:
        show(found)
    return 0


def show(found: Size) -> None:
    """A table for a person."""
    table = Table("", "how many", "cores, all", "disk, all", box=None, pad_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    cores = found.cores
    writers = ", ".join(f"{n} {signal}" for signal, n in found.writers.items() if n)
    topics = ", ".join(f"{n} {signal}" for signal, n in found.partitions.items() if n)
    table.add_row("gateways", str(found.gateways), f"{cores['gateway']:.1f}")
    table.add_row("brokers", str(found.brokers), f"{cores['kafka']:.1f}", disk(found.kafka_disk_gb))
    table.add_row("partitions", topics)
    table.add_row("writers", writers, f"{cores['writer']:.1f}")
    table.add_row(
        "ClickHouse servers", f"{found.shards} shards × {found.replicas}",
        f"{cores['clickhouse']:.1f}", disk(found.clickhouse_disk_gb),
    )  # fmt: skip
    table.add_row("keepers", "3", f"{cores['keeper']:.1f}")
    console = Console(highlight=False)
    console.print(table)
    console.print(
        f"{found.network_in_mb_s:,.0f} MB/s in; {found.cpu_us_per_record:.1f} µs of CPU per "
        f"record; about {found.money_per_month:,.0f} per month"
    )


def disk(gigabytes: float) -> str:
    """With a unit that keeps it short."""
    return f"{gigabytes / 1000:,.1f} TB" if gigabytes >= 1_000 else f"{gigabytes:,.0f} GB"
