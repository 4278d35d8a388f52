"""`python -m bench.joins`: what it costs that a writer joins or leaves, for `headrace simulate`.

A second writer of spans is started and stopped under load, and every partition's stored offset is
watched. Writes docs/benchmarks/writer-joins.json. Exit codes: 0 done; 1 something was lost.
"""

import argparse
import json
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from bench import pipeline
from bench.machine import machine
from bench.rig import rig
from bench.slo import Load, finished, start
from headrace_native.spec import ROOT
from headrace_native.supervise import Supervisor
from support.cluster import Cluster, running

RESULT = ROOT / "docs" / "benchmarks" / "writer-joins.json"
PORT_OFFSET = 16_000
FIRST, SECOND = "writer-traces", "writer-traces-2"
WATCH_S = 14.0
LOOK_EVERY_S = 0.1


@dataclass
class Watch:
    """The group as its members' metrics show it, look by look. Times are of time.monotonic."""

    cluster: Cluster
    advanced: dict[str, list[float]] = field(default_factory=dict)
    """When each partition's stored offset was seen to have moved."""
    owner: dict[str, str] = field(default_factory=dict)
    assigned: dict[str, float] = field(default_factory=dict)
    """Partitions by writer."""
    rows: dict[str, float] = field(default_factory=dict)
    _offsets: dict[str, float] = field(default_factory=dict)

    def until(self, seconds: float, enough: Callable[[], bool] = lambda: False) -> None:
        """Look until `enough`, at most so long."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and not enough():
            self._look()
            time.sleep(LOOK_EVERY_S)

    def _look(self) -> None:
        now = time.monotonic()
        for name in (FIRST, SECOND):
            try:
                text = metrics_of(self.cluster.json["writers"][name])
            except OSError:
                self.assigned[name] = self.rows[name] = 0.0
                continue
            self.rows[name] = 0.0
            for family in text_string_to_metric_families(text):
                for sample in family.samples:
                    self._take(name, sample.name, sample.labels, sample.value, now)

    def _take(
        self, writer: str, name: str, labels: Mapping[str, str], value: float, now: float
    ) -> None:
        if name == "headrace_writer_partition_stored_offset":
            partition = labels["partition"]
            if value > self._offsets.get(partition, -1.0):
                self._offsets[partition] = value
                self.advanced.setdefault(partition, []).append(now)
                self.owner[partition] = writer
        elif name == "headrace_writer_partitions_assigned":
            self.assigned[writer] = value
        elif name == "headrace_writer_rows_inserted_total":
            self.rows[writer] += value


def metrics_of(writer: str) -> str:
    """A writer's /metrics. Raises OSError when it does not answer."""
    with urllib.request.urlopen(f"{writer}/metrics", timeout=2) as answer:
        return str(answer.read().decode())


def longest_gap(times: list[float], begin: float, end: float) -> float:
    """Seconds without progress that begin or end within the span."""
    gaps = [
        later - earlier for earlier, later in pairwise(times) if later > begin and earlier < end
    ]
    return max(gaps, default=end - begin)


def join_and_leave(watch: Watch, supervisor: Supervisor) -> dict[str, float]:
    """One round: seconds of each step."""
    steady_from = time.monotonic()
    watch.until(WATCH_S)
    began = time.monotonic()
    owners = dict(watch.owner)
    steady = max(longest_gap(each, steady_from, began) for each in watch.advanced.values())
    supervisor.start(SECOND)
    watch.until(60, lambda: watch.assigned[SECOND] > 0)
    joined = time.monotonic()
    watch.until(60, lambda: watch.rows[SECOND] > 0)
    first_rows = time.monotonic()
    watch.until(WATCH_S)
    moved = [each for each in owners if watch.owner[each] != owners[each]]
    times = [watch.advanced[each] for each in moved]
    joining = max((longest_gap(each, began, first_rows) for each in times), default=0.0)
    stopped = time.monotonic()
    supervisor.stop(SECOND, wait=True)
    gone = time.monotonic()
    watch.until(WATCH_S)
    leaving = max((longest_gap(each, stopped, gone + 2) for each in times), default=0.0)
    return {
        "start_to_assigned": joined - began,
        "start_to_first_rows": first_rows - began,
        "moved_partitions": float(len(moved)),
        "steady_gap": steady,
        # What a partition that changes hands waits beyond what every batch waits.
        "moved_pause": max(0.0, joining - steady),
        "joining_gap": joining,
        "leaving_gap": leaving,
        "stop_to_gone": gone - stopped,
    }


def measure(rounds: int, rate: float) -> dict[str, Any]:
    """Rounds under load, and whether every record was found once."""
    with running("bench-joins", PORT_OFFSET, WRITERS_TRACES=2) as cluster:
        supervisor = Supervisor(cluster.layout.socket)
        supervisor.stop(SECOND)
        seconds = round(rounds * (3 * WATCH_S + 12))
        # Small requests, so that every partition has something to advance by at any time.
        process, report = start(cluster, Load(rate, 0, seconds, ("--request-records", "256")))
        watch = Watch(cluster)
        watch.until(30, lambda: watch.rows.get(FIRST, 0) > 0)
        watch.until(WATCH_S)
        found = []
        for _ in range(rounds):
            one = {key: round(value, 2) for key, value in join_and_leave(watch, supervisor).items()}
            found.append(one)
            print(one, flush=True)
        result = finished(process, report)
    return {
        "rate": rate,
        "rounds": found,
        "median": {key: round(median(one[key] for one in found), 2) for key in found[0]},
        "most": {key: max(one[key] for one in found) for key in found[0]},
        "lost": result["lost"],
        "duplicated": result["duplicated"],
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench-joins", description=__doc__)
    parser.add_argument("--rounds", type=int, default=4, help="default 4")
    parser.add_argument("--rate", type=float, default=10_000, help="spans/s; default 10000")
    parser.add_argument("--json", type=Path, default=RESULT, help=f"default {RESULT.name}")
    options = parser.parse_args()
    joins = measure(options.rounds, options.rate)
    with rig() as world:
        us = pipeline.marginal_us(world, 240, 1)
    document = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "command": "make bench-joins",
        "protocol": "consumer (KIP-848)",
        "seconds": joins,
        "cpu_us_per_span": us,
    }
    options.json.write_text(json.dumps(document, indent=1) + "\n")
    print(f"{us} µs of CPU per further span; written to {options.json}")
    return 1 if joins["lost"] or joins["duplicated"] else 0


if __name__ == "__main__":
    sys.exit(main())
