"""What happens beside the load, second by second: rates, CPU, memory, events with their time."""

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from headrace_loadgen.generate import Signal
from headrace_loadgen.send import Tally
from headrace_loadgen.usage import Cluster, Reading, Usage, difference

K = TypeVar("K")

MOST_SAMPLES = 300
MOST_EVENTS = 200
# Log lines of a writer that are worth a mark, and how they are told.
TOLD: dict[str, Callable[[dict[str, object]], str]] = {
    "partitions assigned": lambda entry: f"assigned {_count(entry)}",
    "partitions given up": lambda entry: f"gave up {_count(entry)}",
    "partition stopped": lambda entry: f"partition stopped: {entry.get('why', '')}",
    "delivery abandoned": lambda entry: f"delivery abandoned: {entry.get('why', '')}",
}


@dataclass(frozen=True, slots=True, order=True)
class Event:
    """`at`: seconds since 1970."""

    at: float
    text: str


@dataclass
class Timeline:
    """One entry of each list per sample; a component that is not there counts 0."""

    at: list[float] = field(default_factory=list)
    """Seconds since 1970, at the end of the sample's interval."""
    rates: dict[Signal, list[float]] = field(default_factory=dict)
    """Acknowledged records per second."""
    cpu_cores: dict[str, list[float]] = field(default_factory=dict)
    memory_mib: dict[str, list[float]] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)

    def add(self, now: float, rates: Mapping[Signal, float], use: "Use") -> None:
        """One more sample."""
        before = len(self.at)
        self.at.append(round(now, 3))
        _extend(self.rates, rates, before)
        _extend(self.cpu_cores, use.cores, before)
        _extend(self.memory_mib, use.mib, before)


def _extend(into: dict[K, list[float]], found: Mapping[K, float], before: int) -> None:
    for name in dict.fromkeys([*into, *found]):
        into.setdefault(name, [0.0] * before).append(round(found.get(name, 0.0), 3))


@dataclass(frozen=True, slots=True)
class Use:
    """Of one interval, by component."""

    cores: dict[str, float]
    mib: dict[str, float]


class Watch:
    """Samples on a thread of its own between `start` and `finish`."""

    def __init__(
        self,
        usage: Usage,
        cluster: Cluster | None,
        tallies: Mapping[Signal, Tally],
        marks: Path | None,
        duration_s: float,
    ) -> None:
        self._usage = usage
        self._tallies = tallies
        self._every_s = max(1.0, duration_s / MOST_SAMPLES)
        self._stop = threading.Event()
        self._marks = Tail(marks) if marks else None
        logs = cluster.logs if cluster else {}
        self._logs = {name: Tail(logs[name]) for name in (cluster.writers if cluster else ())}
        self._pids: dict[str, int] = usage.pids()
        self._before: tuple[float, Reading, dict[Signal, int]] = self._look(self._pids)
        self.timeline = Timeline()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def finish(self) -> Timeline:
        """End, read what the writers logged meanwhile, and return all of it in order."""
        self._stop.set()
        self._thread.join()
        self._sample()
        for name, tail in self._logs.items():
            found = (of_log_line(name, line) for line in tail.lines())
            self.timeline.events += [event for event in found if event is not None]
        self.timeline.events = sorted(self.timeline.events)[:MOST_EVENTS]
        return self.timeline

    def _run(self) -> None:
        while not self._stop.wait(self._every_s):
            self._sample()

    def _look(self, pids: dict[str, int]) -> tuple[float, Reading, dict[Signal, int]]:
        acked = {signal: tally.acked_records for signal, tally in self._tallies.items()}
        return time.time(), self._usage.read(pids, children=False), acked

    def _sample(self) -> None:
        pids = self._usage.pids()
        before, self._before = self._before, self._look(pids)
        now, reading, acked = self._before
        seconds = now - before[0]
        if seconds <= 0:
            return
        cpu, mib = difference(reading, before[1])
        rates = {signal: (acked[signal] - before[2][signal]) / seconds for signal in acked}
        use = Use({name: used / seconds for name, used in cpu.items()}, mib)
        self.timeline.add(now, rates, use)
        self.timeline.events += process_events(self._pids, pids, now)
        if self._marks is not None:
            self.timeline.events += [Event(now, line) for line in self._marks.lines()]
        self._pids = pids


def process_events(before: Mapping[str, int], now: Mapping[str, int], at: float) -> list[Event]:
    """Components that ended or started between two looks. When the supervisor did not answer,
    nobody knows."""
    if len(before) < 2 or len(now) < 2:
        return []
    events = []
    for name in sorted(before.keys() | now.keys()):
        old, new = before.get(name), now.get(name)
        if old == new:
            continue
        happened = "restarted" if old and new else "ended" if old else "started"
        events.append(Event(at, f"{name} {happened}"))
    return events


def of_log_line(name: str, line: str) -> Event | None:
    """What a line of a writer's JSON log tells, if it is of those in TOLD."""
    try:
        entry = json.loads(line)
        tell = TOLD[entry["event"]]
        at = datetime.fromisoformat(entry["timestamp"]).timestamp()
    except (ValueError, KeyError, TypeError):
        return None
    return Event(round(at, 3), f"{name} {tell(entry)}")


def _count(entry: dict[str, object]) -> str:
    partitions = entry.get("partitions")
    count = len(partitions) if isinstance(partitions, list) else 0
    return f"{count} partition{'' if count == 1 else 's'}"


class Tail:
    """Whole lines that are written to a file from now on. One that was cut or replaced by a shorter
    one is read from its beginning."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._place = self._size()

    def _size(self) -> int:
        try:
            return self._path.stat().st_size
        except OSError:
            return 0

    def lines(self) -> list[str]:
        """Without empty ones."""
        if self._size() < self._place:
            self._place = 0
        try:
            with self._path.open("rb") as file:
                file.seek(self._place)
                text = file.read()
        except OSError:
            return []
        whole = text[: text.rfind(b"\n") + 1]
        self._place += len(whole)
        return [line for line in whole.decode(errors="replace").splitlines() if line.strip()]
