"""The `loadgen` command: send load at a rate, measure the metric lag, verify every record.

Exit codes: 0 every objective held; 1 one did not; 2 usage; 3 the endpoint or ClickHouse does not
answer.
"""

import argparse
import logging
import math
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console

from headrace_loadgen.find_max import Finder, print_search
from headrace_loadgen.page import page
from headrace_loadgen.profiles import PROFILES
from headrace_loadgen.report import Objectives, check_writable, print_table, say, write_json
from headrace_loadgen.run import DEFAULT_CLUSTER, Run
from headrace_loadgen.search_page import search_page
from headrace_loadgen.store import StoreUnreachable

OK, FAILED, USAGE, UNREACHABLE = range(4)
MAX_DURATION_S = 3_600.0

EXAMPLES = """examples:
  loadgen --rate 100000 --metrics-rate 50000 --duration 60
  loadgen --rate 20000 --logs-rate 5000 --duration 30 --json result.json
  loadgen --rate 50000 --metrics-rate 25000 --report run.html
  loadgen --rate 50000 --endpoint 10.0.0.5:4317 --clickhouse 10.0.0.7:9000,10.0.0.8:9000
  loadgen --rate 20000 --metrics-rate 10000 --find-max --report max.html
  loadgen --rate 50000 --no-verify      only send; needs no ClickHouse
"""


def _number(
    least: float, most: float, kind: Callable[[str], float] = float
) -> Callable[[str], float]:
    """An argument's type: `kind`, from `least` to `most`; NaN is neither."""

    def parse(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = math.nan
        if not least <= value <= most:
            msg = f"{text!r} is not a number from {least:g} to {most:,.9g}"
            raise argparse.ArgumentTypeError(msg)
        return value

    return parse


RATE = _number(0, 100_000_000)
SECONDS = _number(0.001, MAX_DURATION_S)


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="loadgen",
        description="OTLP load with proof: every acknowledged record is looked up afterwards. "
        "Defaults in parentheses.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"loadgen {version('headrace')}")
    load = parser.add_argument_group("load")
    load.add_argument("--rate", type=RATE, default=10_000.0, help="spans per second (10,000)")
    load.add_argument("--metrics-rate", type=RATE, default=0.0, help="metric points per second (0)")
    load.add_argument("--logs-rate", type=RATE, default=0.0, help="log records per second (0)")
    load.add_argument("--duration", type=SECONDS, default=30.0, help="seconds, at most 3,600 (30)")
    load.add_argument(
        "--profile",
        choices=sorted(PROFILES),
        default="genai",
        help="; ".join(f"{p.name}: {p.about}" for p in PROFILES.values()),
    )
    load.add_argument(
        "--request-records",
        # A point's value has 20 bits for its index, and the rest must hold the request's number.
        type=_number(1, 1_000_000, int),
        default=4_096,
        help="records per request; an agent that batches sends thousands (4,096)",
    )
    load.add_argument(
        "--connections", type=_number(1, 256, int), default=4, help="gRPC connections (4)"
    )
    load.add_argument("--seed", type=int, default=1, help="of the attribute values (1)")
    where = parser.add_argument_group("where")
    where.add_argument("--cluster", type=Path, help=f"({DEFAULT_CLUSTER})")
    where.add_argument("--endpoint", help="OTLP gRPC host:port (127.0.0.1:4317)")
    where.add_argument("--clickhouse", help="native host:port, by comma (127.0.0.1:9000)")
    where.add_argument("--clickhouse-user", default="default", help="(default)")
    where.add_argument(
        "--clickhouse-password-file", type=Path, metavar="FILE", help="(no password)"
    )
    where.add_argument("--database", help="of the tables (otel)")
    proof = parser.add_argument_group("proof")
    proof.add_argument("--no-verify", action="store_true", help="send only")
    proof.add_argument(
        "--wait", type=SECONDS, default=120.0, help="seconds to wait for the last records (120)"
    )
    proof.add_argument(
        "--min-rate-ratio",
        type=_number(0, 1),
        default=0.98,
        help="reached/asked that must hold (0.98)",
    )
    proof.add_argument(
        "--max-metric-lag-p99",
        type=SECONDS,
        default=10.0,
        help="seconds below which p99 must be (10)",
    )
    most = parser.add_argument_group("the highest rate that holds")
    most.add_argument(
        "--find-max",
        action="store_true",
        help="runs of --duration at multiples of the rates, until the highest that holds is known",
    )
    most.add_argument(
        "--tolerance",
        type=_number(0.005, 1),
        default=0.05,
        help="how far the answer and the lowest rate that failed may be apart (0.05)",
    )
    most.add_argument(
        "--search-time",
        type=SECONDS,
        default=1_200.0,
        help="seconds after which no further run begins (1,200)",
    )
    output = parser.add_argument_group("output")
    output.add_argument("--json", metavar="FILE", help="write the result as JSON; - for stdout")
    output.add_argument(
        "--report", metavar="FILE", help="write the result as one HTML page that opens offline"
    )
    output.add_argument(
        "--marks",
        type=Path,
        metavar="FILE",
        help="each line appended to it during the run is an event of the page, at its time",
    )
    output.add_argument("--quiet", action="store_true", help="no progress, no table")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of the console script."""
    # The driver logs a traceback per failed connection; the error that follows says it in a line.
    logging.getLogger("clickhouse_driver").addHandler(logging.NullHandler())
    parser = make_parser()
    args = parser.parse_args(argv)
    if not any((args.rate, args.metrics_rate, args.logs_rate)):
        parser.error("nothing to send: every rate is 0")
    if args.find_max and (args.no_verify or not args.metrics_rate):
        parser.error("--find-max holds rates to the lag of metrics: give --metrics-rate, and "
                     "leave --no-verify away")  # fmt: skip
    try:
        run = Run(args)
        for path in filter(None, (args.json, args.report)):
            check_writable(path)
    except (OSError, ValueError) as error:
        print(f"loadgen: {error}", file=sys.stderr)
        return USAGE
    command = ["loadgen", *(sys.argv[1:] if argv is None else argv)]
    try:
        return (find if args.find_max else once)(args, run, command)
    except (StoreUnreachable, ConnectionError) as error:
        print(f"loadgen: {error}", file=sys.stderr)
        return UNREACHABLE


def once(args: argparse.Namespace, run: Run, command: Sequence[str]) -> int:
    """One run at the rates asked."""
    objectives = Objectives(args.min_rate_ratio, args.max_metric_lag_p99)
    outcome = run.go()
    document = outcome.document(objectives)
    keep(args, document, lambda: page(document, objectives.max_metric_lag_p99_s, command))
    if not args.quiet and args.json != "-":
        print_table(outcome, document, Console())
    return FAILED if document["failures"] else OK


def find(args: argparse.Namespace, _run: Run, command: Sequence[str]) -> int:
    """The highest rate that holds, in the proportions asked."""
    objectives = Objectives(args.min_rate_ratio, args.max_metric_lag_p99)
    document = Finder(args, objectives).run()
    keep(args, document, lambda: search_page(document, command))
    if not args.quiet and args.json != "-":
        print_search(document, Console())
    return FAILED if document["held"] is None else OK


def keep(args: argparse.Namespace, document: dict[str, Any], html: Callable[[], str]) -> None:
    """Write what `--json` and `--report` ask for."""
    if args.json:
        write_json(document, args.json)
    if args.report:
        Path(args.report).write_text(html())
        say(f"report: {args.report}", quiet=args.quiet)


if __name__ == "__main__":
    sys.exit(main())
