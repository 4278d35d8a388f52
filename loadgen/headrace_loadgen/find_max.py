"""`loadgen --find-max`: short verified runs, each at the rate that tells most, within a time."""

import argparse
import time
from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.table import Table

from headrace_loadgen.report import NOUNS, Objectives, Outcome, say
from headrace_loadgen.run import Run
from headrace_loadgen.search import Bounds, Bracket, search

# Of the rates on the command line: six doublings up, six halvings down.
LEAST, MOST = 1 / 64, 64
MAX_PROBES = 40

Document = dict[str, Any]
Probe = Callable[[float], Outcome]
"""A run at so many times the rates of the command line."""


class Finder:
    """One search."""

    def __init__(self, args: argparse.Namespace, objectives: Objectives) -> None:
        self._args = args
        self._objectives = objectives
        self._bracket = Bracket()
        self._probes: list[Document] = []
        self._last: Outcome | None = None

    def run(
        self,
        probe: Probe | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> Document:
        """Probe until the answer is close enough or the time is used up."""
        measure = probe or (lambda scale: Run(self._args, scale).go())
        bounds = Bounds(LEAST, MOST, self._args.tolerance, MAX_PROBES)
        steps = search(1.0, bounds, self._bracket)
        begun, longest = clock(), 0.0
        why = ""
        scale = next(steps)
        while True:
            before = clock()
            outcome = self._last = measure(scale)
            longest = max(longest, clock() - before)
            held = self._judge(scale, outcome)
            try:
                scale = steps.send(held)
            except StopIteration:
                break
            left = self._args.search_time - (clock() - begun)
            self._tell(left)
            if self._probes[-1]["lost"]:
                why = "records did not arrive, so what follows would be measured behind them"
                break
            if left < longest:
                why = f"the time is used up (--search-time {self._args.search_time:g})"
                break
        return self._document(clock() - begun, why)

    def _judge(self, scale: float, outcome: Outcome) -> bool:
        """A rate that only fills Kafka does not hold: what was sent must be visible soon after."""
        failures = outcome.failures(self._objectives)
        limit = self._objectives.max_metric_lag_p99_s
        failures += [
            f"{NOUNS[signal]}: visible {seconds:.1f} s after the load, objective {limit:g} s"
            for signal, seconds in outcome.drain_s.items()
            if seconds >= limit
        ]
        whole = outcome.document(self._objectives)
        kept = ("asked_rates", "achieved_rates", "lost", "duplicated", "metric_lag_seconds",
                "drain_seconds", "cpu_us_per_span", "cpu_seconds")  # fmt: skip
        found = {"scale": round(scale, 4), "held": not failures, "failures": failures}
        self._probes.append(found | {key: whole[key] for key in kept})
        return not failures

    def _tell(self, left_s: float) -> None:
        last, bracket = self._probes[-1], self._bracket
        held = "nothing held yet" if bracket.held is None else f"held {self._rates(bracket.held)}"
        failed = "" if bracket.failed is None else f", too much {self._rates(bracket.failed)}"
        state = "held" if last["held"] else f"did not hold: {last['failures'][0]}"
        say(
            f"probe {len(self._probes)}, {self._rates(last['scale'])}: {state}\n"
            f"  so far: {held}{failed}; {max(0, left_s):.0f} s left",
            quiet=self._args.quiet,
        )

    def _asked(self, scale: float | None) -> dict[str, float] | None:
        if scale is None:
            return None
        args = self._args
        rates = {"spans": args.rate, "points": args.metrics_rate, "logs": args.logs_rate}
        return {noun: round(rate * scale, 1) for noun, rate in rates.items() if rate}

    def _rates(self, scale: float) -> str:
        return " + ".join(f"{rate:,.0f} {n}/s" for n, rate in (self._asked(scale) or {}).items())

    def _document(self, seconds: float, why: str) -> Document:
        bracket, last = self._bracket, self._last
        return {
            "verdict": "FAIL" if bracket.held is None else "PASS",
            "held": self._asked(bracket.held),
            "did_not_hold": self._asked(bracket.failed),
            "confirmed": bracket.confirmed,
            "cut_short": why,
            "seconds": round(seconds, 1),
            "objectives": {
                "min_rate_ratio": self._objectives.min_rate_ratio,
                "max_metric_lag_p99_seconds": self._objectives.max_metric_lag_p99_s,
                "max_drain_seconds": self._objectives.max_metric_lag_p99_s,
            },
            "probes": self._probes,
            "settings": (last.settings if last else {}) | {"tolerance": self._args.tolerance},
            "versions": last.versions if last else {},
        }


def answer(document: Document) -> str:
    """The result in one sentence."""
    if document["held"] is None:
        return "No rate held."
    rates = " + ".join(f"{rate:,.0f} {noun}/s" for noun, rate in document["held"].items())
    times = "twice" if document["confirmed"] else "once"
    above = document["did_not_hold"]
    too_much = "nothing higher failed" if above is None else "did not hold: " + " + ".join(
        f"{rate:,.0f} {noun}/s" for noun, rate in above.items()
    )  # fmt: skip
    return f"{rates} held {times}; {too_much}."


def print_search(document: Document, console: Console) -> None:
    """The table for people."""
    table = Table(title=f"loadgen --find-max, {document['seconds']:.0f} s")
    for name in ("probe", "asked/s", "reached/s", "lag p99", "lag max", "visible after", "held"):
        table.add_column(name, justify="left" if name == "held" else "right")
    for *cells, held in rows(document):
        table.add_row(*cells, held[:1])
    console.print(table)
    for number, one in enumerate(document["probes"], 1):
        if not one["held"]:
            console.print(f"probe {number}: {one['failures'][0]}")
    if document["cut_short"]:
        console.print(f"cut short: {document['cut_short']}")
    console.print(answer(document), style="bold")


def rows(document: Document) -> list[list[str]]:
    """The probes in the order in which they were made."""
    found = []
    for number, one in enumerate(document["probes"], 1):
        lag = one["metric_lag_seconds"]
        found.append(
            [
                str(number),
                " + ".join(f"{rate:,.0f}" for rate in one["asked_rates"].values() if rate),
                " + ".join(f"{rate:,.0f}" for rate in one["achieved_rates"].values() if rate),
                *("–" if lag[q] is None else f"{lag[q]:.2f} s" for q in ("p99", "max")),
                f"{max(one['drain_seconds'].values(), default=0):.1f} s",
                "✓" if one["held"] else f"✗ {one['failures'][0]}",
            ]
        )
    return found
