"""Progress while it runs, the table and the JSON at the end, and whether the objectives held."""

import json
import math
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from headrace_loadgen.generate import Signal
from headrace_loadgen.probe import Lag, Probe
from headrace_loadgen.send import Sender, Tally
from headrace_loadgen.store import Verdict
from headrace_loadgen.watch import Timeline

PROGRESS_EVERY_S = 2.0
NOUNS: dict[Signal, str] = {"traces": "spans", "metrics": "points", "logs": "logs"}


@dataclass(frozen=True, slots=True)
class Objectives:
    """What must hold for PASS."""

    min_rate_ratio: float
    max_metric_lag_p99_s: float
    max_lost: int = 0
    max_duplicated: int = 0


@dataclass(slots=True)
class Outcome:
    """All that a run found out."""

    asked: dict[Signal, float]
    seconds: float
    tallies: dict[Signal, Tally]
    verdicts: dict[Signal, Verdict] = field(default_factory=dict)
    lag: Lag | None = None
    cpu_seconds: dict[str, float] = field(default_factory=dict)
    memory_mib: dict[str, float] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    drain_s: dict[Signal, float] = field(default_factory=dict)
    """From the end of the load until everything acknowledged was visible."""
    timeline: Timeline = field(default_factory=Timeline)
    versions: dict[str, str] = field(default_factory=dict)

    def achieved(self, signal: Signal) -> float:
        """Acknowledged records per second, over the time that acknowledging them took."""
        tally = self.tallies.get(signal)
        return tally.acked_records / self.seconds if tally else 0.0

    def failures(self, objectives: Objectives) -> list[str]:
        """The objectives that did not hold, each with by how much."""
        found = []
        for signal, asked in self.asked.items():
            reached = self.achieved(signal)
            if asked and reached < asked * objectives.min_rate_ratio:
                found.append(
                    f"{NOUNS[signal]}: reached {reached:,.0f}/s of {asked:,.0f}/s asked, "
                    f"{100 * reached / asked:.1f} % where {100 * objectives.min_rate_ratio:.1f} % "
                    "is the objective"
                )
        lost = sum(v.lost for v in self.verdicts.values())
        doubled = sum(v.duplicated for v in self.verdicts.values())
        if lost > objectives.max_lost:
            found.append(f"{lost:,} acknowledged records are not visible")
        if doubled > objectives.max_duplicated:
            found.append(f"{doubled:,} records are there more than once")
        for signal, tally in self.tallies.items():
            if tally.refused:
                found.append(
                    f"{NOUNS[signal]}: {len(tally.refused)} requests were not acknowledged "
                    f"({dict(tally.errors)})"
                )
        if self.lag is not None:
            found += self._lag_failures(self.lag, objectives.max_metric_lag_p99_s)
        return found

    def _lag_failures(self, lag: Lag, limit_s: float) -> list[str]:
        # Rounded as in the document: the same number everywhere, whatever shows it.
        p99 = _number(lag.quantile(0.99))
        if p99 is None:
            return ["no canary was acknowledged, so the metric lag is unknown"]
        if lag.missing:
            return [f"{lag.missing} canaries were never seen"]
        if p99 >= limit_s:
            return [f"metric lag p99 {p99:.2f} s, objective below {limit_s:g} s"]
        return []

    def document(self, objectives: Objectives) -> dict[str, Any]:
        """The JSON of `--json`."""
        failures = self.failures(objectives)
        counts: dict[str, Any] = {}
        for signal, noun in NOUNS.items():
            tally = self.tallies.get(signal)
            counts[f"{noun}_acked"] = tally.acked_records if tally else 0
            counts[f"{noun}_visible"] = self._found(lambda v: v.visible, signal)
        lag = self.lag or Lag()
        return {
            "verdict": "FAIL" if failures else "PASS",
            "failures": failures,
            "achieved_rate": round(self.achieved("traces"), 1),
            "achieved_rates": {NOUNS[s]: round(self.achieved(s), 1) for s in self.asked},
            "asked_rates": {NOUNS[s]: rate for s, rate in self.asked.items()},
            "seconds": round(self.seconds, 3),
            **counts,
            "lost": self._found(lambda v: v.lost),
            "duplicated": self._found(lambda v: v.duplicated),
            "resent_doubled": self._found(lambda v: v.resent_doubled),
            "unacked_visible": self._found(lambda v: v.unacked_visible),
            "metric_lag_seconds": {
                "p50": _number(lag.quantile(0.5)),
                "p95": _number(lag.quantile(0.95)),
                "p99": _number(lag.quantile(0.99)),
                "max": _number(max(lag.seconds, default=float("nan"))),
            },
            "metric_lag_timeline": [
                [round(sent, 3), round(seconds, 3)] for sent, seconds in lag.timeline
            ],
            "request_latency_seconds": {
                NOUNS[signal]: {
                    "p50": _number(tally.latency(0.5)),
                    "p99": _number(tally.latency(0.99)),
                }
                for signal, tally in self.tallies.items()
            },
            "errors": {NOUNS[s]: dict(tally.errors) for s, tally in self.tallies.items()},
            "examples": [text for v in self.verdicts.values() for text in v.examples],
            "cpu_seconds": self.cpu_seconds,
            "cpu_us_per_span": self.cpu_per_span(),
            "memory_mib": self.memory_mib,
            "memory_peak_mib": self.memory_peak(),
            "drain_seconds": {NOUNS[s]: seconds for s, seconds in self.drain_s.items()},
            "timeline": {
                "at": self.timeline.at,
                "achieved_rates": {NOUNS[s]: v for s, v in self.timeline.rates.items()},
                "cpu_cores": self.timeline.cpu_cores,
                "memory_mib": self.timeline.memory_mib,
            },
            "events": [[event.at, event.text] for event in self.timeline.events],
            "settings": self.settings,
            "versions": self.versions,
        }

    def memory_peak(self) -> dict[str, float]:
        """The most that a component's samples, one a second, ever had."""
        sampled = self.timeline.memory_mib
        return {
            name: round(max([end, *sampled.get(name, ())]), 1)
            for name, end in self.memory_mib.items()
        }

    def _found(self, count: Callable[[Verdict], int], signal: Signal | None = None) -> int | None:
        """Over one signal or all; None when nobody looked (`--no-verify`)."""
        if not self.verdicts:
            return None
        return sum(count(v) for s, v in self.verdicts.items() if signal in (None, s))

    def cpu_per_span(self) -> dict[str, float]:
        """Microseconds of CPU per acknowledged span, metrics and logs being along for the ride."""
        spans = self.tallies["traces"].acked_records if "traces" in self.tallies else 0
        if not spans:
            return {}
        return {name: round(1e6 * s / spans, 3) for name, s in self.cpu_seconds.items()}


def _number(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 3)


def check_writable(path: str) -> None:
    """Before the run, so that a path that cannot be written does not cost its result. Raises
    OSError."""
    if path != "-":
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        new = not target.exists()
        target.open("a").close()
        if new:
            # A file that is there has a result in it.
            target.unlink()


def write_json(document: dict[str, Any], path: str) -> None:
    """To a file, or to standard output for `-`."""
    text = json.dumps(document, indent=2) + "\n"
    if path == "-":
        sys.stdout.write(text)
        return
    Path(path).write_text(text)


def print_table(outcome: Outcome, document: dict[str, Any], console: Console) -> None:
    """The table for people."""
    table = Table(title=f"loadgen, {outcome.seconds:.0f} s")
    for name in ("", "asked/s", "reached/s", "acked", "visible", "lost", "doubled", "p99 request"):
        table.add_column(name, justify="right" if name else "left")
    for signal, tally in outcome.tallies.items():
        verdict = outcome.verdicts.get(signal)
        table.add_row(
            NOUNS[signal],
            f"{outcome.asked[signal]:,.0f}",
            f"{outcome.achieved(signal):,.0f}",
            f"{tally.acked_records:,}",
            f"{verdict.visible:,}" if verdict else "?",
            f"{verdict.lost:,}" if verdict else "?",
            f"{verdict.duplicated:,}" if verdict else "?",
            f"{tally.latency(0.99):.2f} s",
        )
    console.print(table)
    lag = document["metric_lag_seconds"]
    if outcome.lag is not None:
        console.print(
            f"metric lag, send to visible: p50 {lag['p50']} s, p95 {lag['p95']} s, "
            f"p99 {lag['p99']} s, max {lag['max']} s"
        )
    if document["resent_doubled"]:
        console.print(
            f"{document['resent_doubled']:,} records twice because their request was sent twice "
            "(its first answer was lost; OTLP allows it)"
        )
    usage = Table(title="CPU")
    for name in ("component", "CPU s", "µs/span", "MiB"):
        usage.add_column(name, justify="left" if name == "component" else "right")
    per_span = document["cpu_us_per_span"]
    for name, seconds in sorted(outcome.cpu_seconds.items(), key=lambda item: -item[1]):
        usage.add_row(
            name,
            f"{seconds:.1f}",
            f"{per_span[name]:.2f}" if name in per_span else "",
            f"{outcome.memory_mib.get(name, 0):.0f}",
        )
    console.print(usage)
    for text in document["examples"]:
        console.print(f"  {text}")
    for failure in document["failures"]:
        console.print(f"[red]did not hold:[/red] {failure}")
    console.print(f"verdict {document['verdict']}", style="bold")


class Progress:
    """A line every two seconds on standard error; rewritten in place on a terminal."""

    def __init__(self, sender: Sender, probe: Probe | None) -> None:
        self._sender = sender
        self._probe = probe
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._in_place = sys.stderr.isatty()

    def __enter__(self) -> "Progress":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        if self._in_place:
            sys.stderr.write("\n")

    def _run(self) -> None:
        begun = last = time.monotonic()
        before: dict[Signal, int] = {}
        while not self._stop.wait(PROGRESS_EVERY_S):
            now = time.monotonic()
            parts = [f"{now - begun:5.0f} s"]
            for signal, tally in self._sender.tallies.items():
                acked = tally.acked_records
                rate = (acked - before.get(signal, 0)) / (now - last)
                before[signal] = acked
                errors = sum(tally.errors.values())
                parts.append(
                    f"{NOUNS[signal]} {rate:,.0f}/s acked"
                    + (f", {errors} errors" if errors else "")
                )
            parts.append(f"{self._sender.in_flight} in flight")
            if self._probe is not None:
                parts.append(f"metric lag {max(self._probe.recent, self._probe.oldest_wait):.1f} s")
            last = now
            line = "  ".join(parts)
            sys.stderr.write(f"\r{line:<110}" if self._in_place else line + "\n")
            sys.stderr.flush()


def say(text: str, *, quiet: bool) -> None:
    """A line of progress on standard error."""
    if not quiet:
        sys.stderr.write(text + "\n")
        sys.stderr.flush()
