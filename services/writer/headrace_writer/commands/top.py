"""`headrace top`: the pipeline at a glance, in a terminal.

Asks Kafka and ClickHouse themselves, so it also tells when no writer runs. Exit codes of `--once`:
0 healthy; 1 something needs a person; 3 Kafka does not answer.
"""

import argparse
import json
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

from rich.console import Console, RenderableType
from rich.live import Live

from headrace_writer import wiring
from headrace_writer.commands.options import duration
from headrace_writer.commands.top_screen import screen
from headrace_writer.config import Settings
from headrace_writer.core.block import Signal
from headrace_writer.core.overview import (
    Look,
    Overview,
    PartitionLook,
    ReplicaLook,
    overview,
)
from headrace_writer.shell.clock import SystemClock
from headrace_writer.shell.kafka_view import GroupView

OLDEST_WITHIN_S = 1.0
BETWEEN_LOOKS_S = 2.0

EXAMPLES = """examples:
  headrace top --config .cache/cluster/default/headrace.toml
  headrace top --every 5s
  headrace top --once --json      for scripts; exit code 1 when something needs a person
"""

STATE = """
SELECT
  (SELECT max(n) FROM (SELECT count() AS n FROM system.parts
    WHERE active AND database = currentDatabase() GROUP BY table, partition)),
  (SELECT sum(queue_size) FROM system.replicas WHERE database = currentDatabase()),
  (SELECT sum(is_readonly) FROM system.replicas WHERE database = currentDatabase()),
  (SELECT max(absolute_delay) FROM system.replicas WHERE database = currentDatabase()),
  (SELECT count() FROM system.merges WHERE database = currentDatabase())
"""
DISK = "SELECT min(free_space) FROM system.disks"


def add_parser(commands: Any, parents: list[argparse.ArgumentParser]) -> None:
    """Adds `top` to the subcommands."""
    parser = commands.add_parser(
        "top",
        parents=parents,
        help="lag, rates, replicas and dead letters, live",
        description="Reads offsets and server states every few seconds; changes nothing.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--once", action="store_true", help="two looks, one answer, then exit")
    parser.add_argument("--json", action="store_true", help="with --once: print JSON")
    parser.add_argument(
        "--every", type=duration, metavar="TIME", help="between two looks (default 2s)"
    )


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Look until interrupted, or once."""
    pause = args.every.total_seconds() if args.every else BETWEEN_LOOKS_S
    with Observer(settings) as observer:
        before = observer.look()
        if args.once:
            time.sleep(pause)
            found = overview(observer.look(), before)
            if args.json:
                print(json.dumps(document(found), indent=2))
            else:
                console = Console(highlight=False)
                utf8 = console.encoding.startswith("utf")
                console.print(screen(found, console.width, unicode=utf8))
            return 0 if found.healthy else 1
        return watch(observer, before, pause)


def watch(observer: "Observer", before: Look, pause: float) -> int:
    """Until Ctrl-C; follows the terminal's size."""
    console = Console(highlight=False)
    utf8 = console.encoding.startswith("utf")

    def shown(found: Overview) -> RenderableType:
        return screen(found, console.width, console.height, unicode=utf8)

    with Live(shown(overview(before)), console=console, auto_refresh=False, screen=True) as live:
        try:
            while True:
                time.sleep(pause)
                now = observer.look()
                live.update(shown(overview(now, before)), refresh=True)
                before = now
        except KeyboardInterrupt:
            return 0


class Observer:
    """Connections to everything that is looked at. A context manager."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stack = ExitStack()
        self._shards = wiring.make_shards(settings, SystemClock())
        self._views: dict[Signal, GroupView] = {}

    def __enter__(self) -> "Observer":
        self._stack.callback(self._shards.close)
        for signal in self._settings.signals:
            view = GroupView(wiring.group_config(self._settings, signal))
            self._stack.callback(view.close)
            self._views[signal] = view
        return self

    def __exit__(self, *_error: object) -> None:
        self._stack.close()

    def look(self) -> Look:
        """Everything now. Raises Retryable where Kafka does not answer."""
        partitions = {signal: _partitions(view) for signal, view in self._views.items()}
        return Look(time.time(), partitions, self._replicas(), self._dead_letters())

    def _replicas(self) -> tuple[ReplicaLook, ...]:
        found = []
        for shard in self._shards.shards:
            disks = shard.ask_everyone(DISK) if self._modern else [None] * len(shard.addresses)
            states = shard.ask_everyone(STATE)
            for address, rows, disk in zip(shard.addresses, states, disks, strict=True):
                if rows is None:
                    found.append(ReplicaLook(shard.number, str(address), silent="no answer"))
                    continue
                parts, queue, readonly, delay, merges = (int(value or 0) for value in rows[0])
                free = int(disk[0][0]) if disk else None
                found.append(
                    ReplicaLook(
                        shard.number, str(address), parts, queue, readonly, delay, merges, free
                    )
                )
        return tuple(found)

    @property
    def _modern(self) -> bool:
        """Whether servers have system.disks; 18.16 has not."""
        return self._settings.clickhouse_dialect == "modern"

    def _dead_letters(self) -> int:
        group = wiring.group_config(self._settings, self._settings.signals[0])
        view = GroupView(replace(group, topic=self._settings.topic_dlq))
        try:
            return sum(one.high - one.low for one in view.read().values())
        finally:
            view.close()


def _partitions(view: GroupView) -> dict[int, PartitionLook]:
    found = view.read()
    places = {p: one.low if one.committed is None else one.committed for p, one in found.items()}
    behind = {p: at for p, at in places.items() if at < found[p].high}
    times: Mapping[int, int] = view.times_at(behind, OLDEST_WITHIN_S) if behind else {}
    return {p: PartitionLook(one.high, places[p], times.get(p)) for p, one in found.items()}


def document(found: Overview) -> dict[str, Any]:
    """The JSON of `--once --json`."""
    return {
        "time": datetime.fromtimestamp(found.at_s, UTC).isoformat(timespec="milliseconds"),
        "healthy": found.healthy,
        "problems": list(found.problems),
        "signals": {one.signal: asdict(one) for one in found.signals},
        "replicas": [asdict(one) for one in found.replicas],
        "dead_letters": found.dead_letters,
    }
