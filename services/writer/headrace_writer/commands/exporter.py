"""`headrace exporter`: what writers cannot tell of Kafka, ClickHouse and ledger, for Prometheus.

One process per pipeline. Each source (Kafka, every replica, the ledger) has a thread, so that one
that is silent holds up no other; a scrape reads what they saw last and asks nobody.
"""

import argparse
import shutil
import signal as signals_of_the_os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import structlog
from prometheus_client import CollectorRegistry, ProcessCollector

from headrace_writer import wiring
from headrace_writer.commands.options import duration
from headrace_writer.config import Settings, parse_endpoint
from headrace_writer.errors import HeadraceError
from headrace_writer.metrics import EXPORTER
from headrace_writer.shell import kafka_survey
from headrace_writer.shell.clickhouse_survey import ReplicaSurvey
from headrace_writer.shell.health import HealthServer
from headrace_writer.shell.kafka_survey import KafkaSurvey
from headrace_writer.shell.ledger_watch import LedgerWatch
from headrace_writer.shell.replica import Address
from headrace_writer.shell.snapshots import Sample, Snapshots

END_WITHIN_S = 5.0
# At a cluster's start groups have no coordinator yet; the ledger need not wait a minute for that.
AGAIN_AFTER_S = 10.0

EXAMPLES = """examples:
  headrace exporter --http-listen 0.0.0.0:9464
  headrace exporter --every 30s --disk kafka=/var/lib/kafka
"""

log = structlog.get_logger()


def add_parser(commands: Any, parents: list[argparse.ArgumentParser]) -> None:
    """Adds `exporter` to the subcommands."""
    parser = commands.add_parser(
        "exporter",
        parents=parents,
        help="serve the state of Kafka, ClickHouse and the ledger to Prometheus",
        description="Asks every replica, the brokers and the ledger now and then, and serves what "
        "it saw at /metrics (docs/metrics.md). Changes nothing. Runs until SIGTERM.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--every", type=duration, default=timedelta(seconds=15), metavar="TIME",
        help="between two rounds of Kafka and of each replica (default 15s)",
    )  # fmt: skip
    parser.add_argument(
        "--ledger-every", type=duration, default=timedelta(seconds=60), metavar="TIME",
        help="between two looks at the ledger (default 60s)",
    )  # fmt: skip
    parser.add_argument(
        "--disk", type=named_path, action="append", default=[], metavar="NAME=PATH",
        help="report this file system, too: a broker's, or that of a server without system.disks",
    )  # fmt: skip


def named_path(text: str) -> tuple[str, str]:
    """`name=/path`. Raises argparse's error, which names the text."""
    name, equals, path = text.partition("=")
    if not (name and equals and path):
        msg = f"{text!r}: write NAME=PATH, as in kafka=/var/lib/kafka"
        raise argparse.ArgumentTypeError(msg)
    return name, path


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Until SIGTERM or SIGINT."""
    every, ledger_every = args.every.total_seconds(), args.ledger_every.total_seconds()
    exporter = Exporter(make_sources(settings, every, ledger_every, args.disk))
    for number in (signals_of_the_os.SIGTERM, signals_of_the_os.SIGINT):
        signals_of_the_os.signal(number, lambda *_: exporter.stop())
    exporter.run(parse_endpoint(settings.http_listen))
    return 0


@dataclass(frozen=True, slots=True)
class Source:
    """One thing that is asked. `silent` is what to say of it while it does not answer."""

    name: str
    every_s: float
    read: Callable[[], list[Sample]]
    close: Callable[[], None] = lambda: None
    silent: Sequence[Sample] = ()


def make_sources(
    settings: Settings, every_s: float, ledger_every_s: float, disks: Sequence[tuple[str, str]]
) -> list[Source]:
    """Everything to ask; nothing is connected yet."""
    groups = {signal: wiring.group_config(settings, signal) for signal in settings.signals}
    brokers = KafkaSurvey(wiring.kafka_client(settings), groups, settings.topic_dlq)
    ledger = LedgerWatch(settings)
    found = [
        Source("kafka", every_s, brokers.read, brokers.close, kafka_survey.SILENT),
        Source("ledger", ledger_every_s, ledger.read, ledger.close),
    ]
    for number, replicas in enumerate(settings.clickhouse_shards):
        for replica in replicas:
            address = Address(*replica)
            survey = ReplicaSurvey(number, address, wiring.login(settings))
            found.append(Source(str(address), every_s, survey.read, survey.close, survey.silent))
    if disks:
        found.append(Source("disks", every_s, lambda: disk_samples(disks)))
    return found


def disk_samples(disks: Sequence[tuple[str, str]]) -> list[Sample]:
    """Size and free bytes of each path's file system; one that is not there is left out."""
    found = []
    for name, path in disks:
        try:
            usage = shutil.disk_usage(path)
        except OSError as error:
            log.warning("no such disk", name=name, why=str(error))
            continue
        found.append(Sample("headrace_disk_free_bytes", (name, path), usage.free))
        found.append(Sample("headrace_disk_total_bytes", (name, path), usage.total))
    return found


class Exporter:
    """A thread per source, and the page."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self._sources = sources
        self._stopping = threading.Event()
        self._asked: set[str] = set()
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._snapshots = Snapshots(EXPORTER)
        self.registry.register(self._snapshots)
        self._answered: dict[str, float] = {}

    def run(self, listen: tuple[str, int]) -> None:
        """Until `stop`."""
        health = HealthServer(listen, self.registry, lambda: "", self._ready)
        threads = [
            threading.Thread(target=self._follow, args=(one,), name=one.name, daemon=True)
            for one in self._sources
        ]
        for thread in threads:
            thread.start()
        self._stopping.wait()
        end = time.monotonic() + END_WITHIN_S
        for thread in threads:
            thread.join(max(0.0, end - time.monotonic()))
        health.close()

    def stop(self) -> None:
        self._stopping.set()

    def _ready(self) -> str:
        waiting = [one.name for one in self._sources if one.name not in self._asked]
        return f"not asked yet: {', '.join(waiting)}" if waiting else ""

    def _follow(self, source: Source) -> None:
        while not self._stopping.is_set():
            begun = time.monotonic()
            answered = self.ask(source)
            every_s = source.every_s if answered else min(source.every_s, AGAIN_AFTER_S)
            self._stopping.wait(max(0.0, every_s - (time.monotonic() - begun)))
        source.close()

    def ask(self, source: Source) -> bool:
        """One round of one source; whether it answered. What goes wrong is logged and shows on
        the page."""
        begun = time.monotonic()
        answered = False
        try:
            samples: Sequence[Sample] = source.read()
            self._answered[source.name] = time.time()
            answered = True
        except HeadraceError as error:
            log.warning("no answer", source=source.name, why=str(error))
            samples = source.silent
        except Exception:
            log.exception("unexpected error", source=source.name)
            samples = source.silent
        seconds = time.monotonic() - begun
        about = [Sample("headrace_exporter_round_seconds", (source.name,), seconds)]
        if source.name in self._answered:
            at = self._answered[source.name]
            about.append(Sample("headrace_exporter_success_timestamp_seconds", (source.name,), at))
        self._snapshots.put(source.name, [*samples, *about])
        self._asked.add(source.name)
        return answered
