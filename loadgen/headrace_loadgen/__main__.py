"""The `loadgen` command: send load at a rate, measure the metric lag, verify every record.

Exit codes: 0 every objective held; 1 one did not; 2 usage; 3 the endpoint or ClickHouse does not
answer.
"""

import argparse
import logging
import math
import secrets
import signal as signals_of_the_os
import sys
import time
import types
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

from rich.console import Console

from headrace_loadgen.generate import SIGNALS, Generator, Signal
from headrace_loadgen.page import page
from headrace_loadgen.probe import Lag, Probe
from headrace_loadgen.profiles import PROFILES
from headrace_loadgen.report import (
    Objectives,
    Outcome,
    Progress,
    check_writable,
    print_table,
    say,
    write_json,
)
from headrace_loadgen.send import Sender, Stream, Tally
from headrace_loadgen.store import Store, StoreUnreachable, Verdict, judge
from headrace_loadgen.usage import Cluster, Usage

OK, FAILED, USAGE, UNREACHABLE = range(4)
DEFAULT_CLUSTER = Path(".cache/cluster/default/cluster.json")
MAX_DURATION_S = 3_600.0
LOOK_AGAIN_S = 0.5

EXAMPLES = """examples:
  loadgen --rate 100000 --metrics-rate 50000 --duration 60
  loadgen --rate 20000 --logs-rate 5000 --duration 30 --json result.json
  loadgen --rate 50000 --metrics-rate 25000 --report run.html
  loadgen --rate 50000 --endpoint 10.0.0.5:4317 --clickhouse 10.0.0.7:9000,10.0.0.8:9000
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
    output = parser.add_argument_group("output")
    output.add_argument("--json", metavar="FILE", help="write the result as JSON; - for stdout")
    output.add_argument(
        "--report", metavar="FILE", help="write the result as one HTML page that opens offline"
    )
    output.add_argument("--quiet", action="store_true", help="no progress, no table")
    return parser


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.strip().rpartition(":")
    if not colon or not port.isdigit():
        msg = f"{text!r} is not host:port"
        raise ValueError(msg)
    return host, int(port)


class Run:
    """One run, from its arguments to its outcome."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        path: Path | None = args.cluster or (DEFAULT_CLUSTER if DEFAULT_CLUSTER.exists() else None)
        self.cluster = Cluster.read(path) if path else None
        known = self.cluster
        self.endpoint = args.endpoint or (known.otlp if known else "127.0.0.1:4317")
        if args.clickhouse:
            self.clickhouse = [_address(part) for part in args.clickhouse.split(",")]
        else:
            self.clickhouse = known.clickhouse if known else [("127.0.0.1", 9000)]
        self.database = args.database or (known.database if known else "otel")
        password_file: Path | None = args.clickhouse_password_file
        self.password = password_file.read_text().strip() if password_file else ""
        self.name = secrets.token_hex(4)
        self.service = f"loadgen-{self.name}"
        self.rates: dict[Signal, float] = dict(
            zip(SIGNALS, (args.rate, args.metrics_rate, args.logs_rate), strict=True)
        )

    def go(self) -> Outcome:
        """Raises StoreUnreachable, and ConnectionError when the endpoint does not answer."""
        args = self.args
        store = None if args.no_verify else self.store()
        if store is not None:
            store.query("SELECT 1 FROM otel_traces LIMIT 1")
        say("building requests", quiet=args.quiet)
        sender = Sender(self.endpoint, self._streams(), args.connections)
        if not sender.connect(timeout_s=10):
            msg = f"{self.endpoint} does not accept connections (--endpoint)"
            raise ConnectionError(msg)
        probe = None
        if store is not None and self.rates["metrics"]:
            probe = Probe(self.endpoint, self.store(), f"loadgen-canary-{self.name}")
            probe.start()
        usage = Usage(self.cluster)
        seconds = self._load(sender, probe)
        verdicts: dict[Signal, Verdict] = {}
        lag: Lag | None = None
        deadline = time.monotonic() + args.wait
        if store is not None:
            self._wait_for_tail(store, sender, deadline)
            lag = probe.finish(max(0.0, deadline - time.monotonic())) if probe else None
        cpu, memory = usage.since()
        if store is not None:
            say("verifying every record", quiet=args.quiet)
            verdicts = {
                signal: self._verify(store, tally, deadline)
                for signal, tally in sender.tallies.items()
            }
            store.close()
        sender.close()
        settings = {
            "endpoint": self.endpoint,
            "profile": args.profile,
            "request_records": args.request_records,
            "duration": args.duration,
            "seed": args.seed,
            "run": self.name,
            "version": version("headrace"),
        }
        return Outcome(self.rates, seconds, sender.tallies, verdicts, lag, cpu, memory, settings)

    def store(self) -> Store:
        """Another connection: a Store serves one thread."""
        return Store(self.clickhouse, self.database, self.args.clickhouse_user, self.password)

    def _streams(self) -> list[Stream]:
        args = self.args
        profile = PROFILES[args.profile]
        return [
            Stream(
                Generator(signal, profile, self.service, self._request_records(rate), args.seed),
                rate,
            )
            for signal, rate in self.rates.items()
            if rate
        ]

    def _request_records(self, rate: float) -> int:
        """At least two requests a second, so that a low rate is a stream and not one burst."""
        most: int = self.args.request_records
        return max(1, min(most, int(rate / 2)))

    def _load(self, sender: Sender, probe: Probe | None) -> float:
        """Send. The first Ctrl-C ends the load and verification follows; the second ends all."""

        def interrupted(_number: int, _frame: types.FrameType | None) -> None:
            signals_of_the_os.signal(
                signals_of_the_os.SIGINT, signals_of_the_os.default_int_handler
            )
            sender.stop()

        before = signals_of_the_os.signal(signals_of_the_os.SIGINT, interrupted)
        begun = time.monotonic()
        try:
            if self.args.quiet:
                sent = sender.run(self.args.duration)
            else:
                with Progress(sender, probe):
                    sent = sender.run(self.args.duration)
        finally:
            signals_of_the_os.signal(signals_of_the_os.SIGINT, before)
        # Records acknowledged late were not reached in time: the clock runs to the last answer.
        last = max((tally.last_ack for tally in sender.tallies.values()), default=begun)
        return max(sent, last - begun)

    def _wait_for_tail(self, store: Store, sender: Sender, deadline: float) -> None:
        """Until as many rows as acknowledged records are visible, or the patience ends."""
        for signal, tally in sender.tallies.items():
            while (seen := self._visible(store, signal)) < tally.acked_records:
                if time.monotonic() > deadline:
                    return
                say(
                    f"waiting for the last {signal}: {seen:,} of {tally.acked_records:,}",
                    quiet=self.args.quiet,
                )
                time.sleep(LOOK_AGAIN_S)

    def _visible(self, store: Store, signal: Signal) -> int:
        """Rows; 0 while ClickHouse does not answer: its restart costs time, not the run."""
        try:
            return store.count(signal, self.service)
        except StoreUnreachable:
            return 0

    def _verify(self, store: Store, tally: Tally, deadline: float) -> Verdict:
        """Looks again while something may still arrive: the rows of a request that was sent twice
        can make up the count before the last ones are there, and replicas lag behind each other.
        """
        while True:
            late = time.monotonic() > deadline
            try:
                found = store.by_request(tally.signal, self.service, tally.sent_requests)
            except StoreUnreachable:
                if late:
                    raise
            else:
                verdict = judge(tally, found)
                if late or not verdict.unsettled:
                    return verdict
            time.sleep(LOOK_AGAIN_S)


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of the console script."""
    # The driver logs a traceback per failed connection; the error that follows says it in a line.
    logging.getLogger("clickhouse_driver").addHandler(logging.NullHandler())
    parser = make_parser()
    args = parser.parse_args(argv)
    if not any((args.rate, args.metrics_rate, args.logs_rate)):
        parser.error("nothing to send: every rate is 0")
    try:
        run = Run(args)
        for path in filter(None, (args.json, args.report)):
            check_writable(path)
    except (OSError, ValueError) as error:
        print(f"loadgen: {error}", file=sys.stderr)
        return USAGE
    try:
        outcome = run.go()
    except (StoreUnreachable, ConnectionError) as error:
        print(f"loadgen: {error}", file=sys.stderr)
        return UNREACHABLE
    objectives = Objectives(args.min_rate_ratio, args.max_metric_lag_p99)
    document = outcome.document(objectives)
    if args.json:
        write_json(document, args.json)
    if args.report:
        command = ["loadgen", *(sys.argv[1:] if argv is None else argv)]
        Path(args.report).write_text(page(document, objectives.max_metric_lag_p99_s, command))
        say(f"report: {args.report}", quiet=args.quiet)
    if not args.quiet and args.json != "-":
        print_table(outcome, document, Console())
    return FAILED if document["failures"] else OK


if __name__ == "__main__":
    sys.exit(main())
