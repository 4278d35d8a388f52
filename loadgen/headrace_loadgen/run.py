"""One run: send, measure, wait for the tail, verify."""

import argparse
import platform
import re
import secrets
import signal as signals_of_the_os
import time
import types
import urllib.request
from importlib.metadata import version
from pathlib import Path

import psutil

from headrace_loadgen.generate import SIGNALS, Generator, Signal
from headrace_loadgen.probe import Probe
from headrace_loadgen.profiles import PROFILES
from headrace_loadgen.report import Outcome, Progress, say
from headrace_loadgen.send import Sender, Stream, Tally
from headrace_loadgen.store import Store, StoreUnreachable, Verdict, judge
from headrace_loadgen.usage import Cluster, Usage
from headrace_loadgen.watch import Watch

DEFAULT_CLUSTER = Path(".cache/cluster/default/cluster.json")
LOOK_AGAIN_S = 0.5


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.strip().rpartition(":")
    if not colon or not port.isdigit():
        msg = f"{text!r} is not host:port"
        raise ValueError(msg)
    return host, int(port)


class Run:
    """One run, from its arguments to its outcome. `scale` multiplies every rate."""

    def __init__(self, args: argparse.Namespace, scale: float = 1.0) -> None:
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
        asked = (args.rate, args.metrics_rate, args.logs_rate)
        self.rates: dict[Signal, float] = {
            signal: rate * scale for signal, rate in zip(SIGNALS, asked, strict=True)
        }

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
        watch = Watch(usage, self.cluster, sender.tallies, args.marks, args.duration)
        watch.start()
        outcome = Outcome(self.rates, self._load(sender, probe), sender.tallies)
        deadline = time.monotonic() + args.wait
        if store is not None:
            outcome.drain_s = self._wait_for_tail(store, sender, deadline)
            outcome.lag = probe.finish(max(0.0, deadline - time.monotonic())) if probe else None
        outcome.timeline = watch.finish()
        outcome.cpu_seconds, outcome.memory_mib = usage.since()
        if store is not None:
            say("verifying every record", quiet=args.quiet)
            outcome.verdicts = {
                signal: self._verify(store, tally, deadline)
                for signal, tally in sender.tallies.items()
            }
        outcome.settings, outcome.versions = self._settings(), self._versions(store)
        if store is not None:
            store.close()
        sender.close()
        return outcome

    def _settings(self) -> dict[str, object]:
        args = self.args
        shape = self.cluster.shape if self.cluster else {}
        return {
            "endpoint": self.endpoint,
            "profile": args.profile,
            "request_records": args.request_records,
            "duration": args.duration,
            "seed": args.seed,
            "run": self.name,
            "version": version("headrace"),
            **shape,
        }

    def _versions(self, store: Store | None) -> dict[str, str]:
        """What took part, as far as it tells."""
        found = {
            "headrace": version("headrace"),
            "Python": platform.python_version(),
            "grpcio": version("grpcio"),
            "system": f"{platform.system()} {platform.release()}",
            "machine": f"{psutil.cpu_count()} CPUs, "
            f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        }
        for name, url in self.cluster.writers.items() if self.cluster else ():
            found[name] = build_info(url)
        try:
            if store is not None:
                found["ClickHouse"] = str(store.query("SELECT version()")[0][0])
        except StoreUnreachable:
            found["ClickHouse"] = "does not answer"
        return found

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

    def _wait_for_tail(self, store: Store, sender: Sender, deadline: float) -> dict[Signal, float]:
        """Until as many rows as acknowledged records are visible, or the patience ends. Returns
        the seconds that took, by signal."""
        begun = time.monotonic()
        took: dict[Signal, float] = {}
        for signal, tally in sender.tallies.items():
            while (seen := self._visible(store, signal)) < tally.acked_records:
                if time.monotonic() > deadline:
                    break
                say(
                    f"waiting for the last {signal}: {seen:,} of {tally.acked_records:,}",
                    quiet=self.args.quiet,
                )
                time.sleep(LOOK_AGAIN_S)
            took[signal] = round(time.monotonic() - begun, 3)
        return took

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


def build_info(url: str) -> str:
    """Release and decoder of the writer that serves /metrics at `url`."""
    try:
        with urllib.request.urlopen(f"{url}/metrics", timeout=2) as answer:  # noqa: S310 (ours)
            page = answer.read().decode()
    except OSError:
        return "does not answer"
    found = re.search(r"^headrace_writer_build_info\{(.*)\} 1", page, re.MULTILINE)
    labels = dict(re.findall(r'(\w+)="([^"]*)"', found[1])) if found else {}
    return f"{labels.get('version', '?')}, {labels.get('decoder', '?')} decoder"
