"""`python -m bench.autoscale`: real writers come and go with the load, as the simulator foretells.

10,000 → 100,000 → 10,000 spans/s (points at a tenth of it) go through the native cluster, while a
local autoscaler applies the policy of docs/autoscaling-simulator.md to the writers of spans. Then
every record is looked up, the books are audited, and the same load and policy are simulated.
Writes docs/benchmarks/autoscale.json and autoscale.svg. Exit codes: 0 all held; 1 not all.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from bench.autoscaler import Decision, LocalAutoscaler
from bench.machine import machine
from bench.slo import Load as Sent
from bench.slo import finished, start
from headrace_native.spec import ROOT
from headrace_writer.core.autoscaling.defaults import policy_of, writer_of
from headrace_writer.core.autoscaling.loads import Load, steps
from headrace_writer.core.autoscaling.scaled_object import ScaledObject
from headrace_writer.core.autoscaling.simulation import (
    LAG_LIMIT_S,
    Check,
    Moment,
    World,
    flaps,
    simulate,
)
from headrace_writer.core.chart import Frame, svg
from support.cluster import Cluster, running

RESULT = ROOT / "docs" / "benchmarks" / "autoscale.json"
PORT_OFFSET = 16_000
FACTOR = 10.0
"""The way down's windows and periods, and the HPA's own period, are divided by this."""
UP_FACTOR = 4.0
"""Those of the way up by less: what a wave of rebalances costs takes its seconds however fast the
clock goes (5 to 7, writer-joins.json), and the next one must find it over."""
REPLICAS, PARTITIONS = 6, 12
# One process of a writer takes a core's worth; it starts at once.
WRITER = replace(writer_of("traces", PARTITIONS, pod_start_s=0), rows_per_s=600_000)
WORLD = World(WRITER).faster(FACTOR)
POINTS = 0.1
"""Per span. At half as many, as in the run of the promise, spans and points fill two cores, and a
writer that starts takes from those that work."""
QUIET_S, PEAK_S = 45, 110
AFTER_S = 190
"""60 s until the arrival rate has fallen, 60 s of window, 12 s for each writer less, 10 s spare."""
MEAN_ERROR = 0.5
"""Replicas by which simulated and real numbers may differ, averaged over the run."""
MOST_ERROR = 1
"""By which the most replicas may differ: beside everything else on two cores a rebalance takes
longer than measured, and what waits meanwhile asks for a writer more."""
TIME_ERROR_S = 20.0
"""By which the first step up and the last one down may differ: two scrapes, a rule, and what the
load generator needs."""


@dataclass(frozen=True, slots=True)
class Live:
    """What one run left."""

    decisions: list[Decision]
    base: dict[str, Any]
    peak: dict[str, Any]
    audit: int


def policy(peak: float) -> ScaledObject:
    """The chart's, for one replica at least, small replicas and a short day."""
    chart = policy_of("traces")
    # 4.5 replicas at the peak: in the middle between two numbers, where noise decides nothing.
    trigger = replace(chart.trigger, threshold=round(peak / 4.5))
    fast = replace(chart, trigger=trigger, minimum=1, maximum=REPLICAS).faster(FACTOR)
    return replace(fast, up=chart.faster(UP_FACTOR).up)


def live(cluster: Cluster, chosen: ScaledObject, base: float, peak: float) -> Live:
    """One run on a fresh cluster."""
    autoscaler = LocalAutoscaler(cluster, "traces", chosen, WORLD.sync_s)
    autoscaler.start()
    # Requests of one size: the rules take the rows of a message from the last ten minutes.
    records = f"{min(4_096, int(base / 2))}"
    limit = ("--max-metric-lag-p99", f"{LAG_LIMIT_S:g}", "--request-records", records)
    try:
        seconds = QUIET_S + PEAK_S + AFTER_S
        first, first_report = start(cluster, Sent(base, base * POINTS, seconds, limit))
        time.sleep(QUIET_S)
        more = peak - base
        second, second_report = start(cluster, Sent(more, more * POINTS, PEAK_S, limit), "peak")
        return Live(
            autoscaler.decisions,
            peak=finished(second, second_report),
            base=finished(first, first_report),
            audit=cluster.headrace("audit", "--since", "15m").returncode,
        )
    finally:
        autoscaler.stop()


def told(result: dict[str, Any]) -> tuple[float, float]:
    """When a load generator sent its first and last canary: seconds since 1970."""
    sent = [at for at, _ in result["metric_lag_timeline"]]
    return min(sent), max(sent)


def same_load(found: Live, base: float, peak: float) -> Load:
    """What was sent, from the first second of the base load on."""
    begin, end = told(found.base)
    up, down = told(found.peak)
    return steps("live", [(up - begin, base), (down - up, peak), (end - down, base)])


def at_second(decisions: Sequence[Decision], begin: float, seconds: int) -> list[int]:
    """Replicas in each second from `begin` on."""
    found, place = [], 0
    for second in range(seconds):
        while place + 1 < len(decisions) and decisions[place + 1].at <= begin + second:
            place += 1
        found.append(decisions[place].replicas)
    return found


def steps_of(replicas: Sequence[int], up: bool) -> list[int]:
    """The second of each step in that direction; [-1] without one."""
    pairs = enumerate(pairwise(replicas), 1)
    return [at for at, (was, now) in pairs if (now > was if up else now < was)] or [-1]


def compare(real: Sequence[int], foretold: Sequence[int]) -> dict[str, Any]:
    """How far the simulator was off."""
    size = min(len(real), len(foretold))
    off = [abs(one - other) for one, other in zip(real[:size], foretold[:size], strict=True)]
    sides = {"live": real, "simulated": foretold}
    return {
        "mean_replicas_off": round(sum(off) / size, 3),
        "most": {side: max(one) for side, one in sides.items()},
        "first_up_s": {side: steps_of(one, up=True)[0] for side, one in sides.items()},
        "last_down_s": {side: steps_of(one, up=False)[-1] for side, one in sides.items()},
    }


def judge(found: Live, real: Sequence[int], agreement: dict[str, Any]) -> list[Check]:
    """What the run promised."""
    parts = (found.base, found.peak)
    lost, doubled = (sum(one[name] for one in parts) for name in ("lost", "duplicated"))
    lag = max(one["metric_lag_seconds"]["max"] for one in parts)
    moments = [Moment(float(at), 0, 0, count, count, 0) for at, count in enumerate(real)]
    back = flaps(moments, WORLD.flap_within_s)
    off = agreement["mean_replicas_off"]
    late = [
        abs(agreement[name]["live"] - agreement[name]["simulated"])
        for name in ("first_up_s", "last_down_s")
    ]
    more = abs(agreement["most"]["live"] - agreement["most"]["simulated"])
    failures = [text for one in parts for text in one["failures"]]
    shape = (real[0], max(real), real[-1])
    return [
        Check("load as asked", not failures, "; ".join(failures) or "both load generators: PASS"),
        Check("nothing lost or doubled", not (lost or doubled), f"{lost} lost, {doubled} doubled"),
        Check("headrace audit", found.audit == 0, f"exit code {found.audit}"),
        Check(f"metric lag below {LAG_LIMIT_S:g} s", lag < LAG_LIMIT_S, f"at most {lag:.1f} s"),
        Check(
            "1 → n → 1 replicas",
            shape[0] == shape[2] == 1 and 4 <= shape[1] <= REPLICAS,
            " → ".join(map(str, shape)),
        ),
        Check("no flapping", not back, f"{len(back)} steps down taken back"),
        Check(
            "as simulated",
            off <= MEAN_ERROR and more <= MOST_ERROR and max(late) <= TIME_ERROR_S,
            f"{off} replicas off in the mean, {more} at the peak, "
            f"first step up {late[0]} s, last one down {late[1]} s",
        ),
    ]


def one_run(base: float, peak: float, keep: Callable[[dict[str, Any], str], None]) -> None:
    """`keep` gets a run's result and drawing before the cluster is deleted: that takes minutes
    on a slow disk."""
    chosen = policy(peak)
    # One shard: every writer makes parts of its own on each, and two cores have to make them all.
    size = {"WRITERS_TRACES": REPLICAS, "PARTITIONS": PARTITIONS, "SHARDS": 1}
    with running("bench-autoscale", PORT_OFFSET, **size) as cluster:
        found = live(cluster, chosen, base, peak)
        load = same_load(found, base, peak)
        foretold = simulate(chosen, load, WORLD)
        begin = told(found.base)[0]
        real = at_second(found.decisions, begin, int(load.duration_s))
        result = summary(found, real, foretold, load) | {"required": asked(found, begin)}
        keep(result, drawing(found, real, foretold, begin))


def summary(
    found: Live, real: Sequence[int], foretold: Sequence[Moment], load: Load
) -> dict[str, Any]:
    """What of a run is worth committing."""
    simulated = [moment.replicas for moment in foretold]
    agreement = compare(real, simulated)
    checks = judge(found, real, agreement)
    parts = {"base": found.base, "peak": found.peak}
    return {
        "verdict": "PASS" if all(check.held for check in checks) else "FAIL",
        "checks": [asdict(check) for check in checks],
        "agreement": agreement,
        "metric_lag_seconds": {name: one["metric_lag_seconds"] for name, one in parts.items()},
        "spans": sum(one["spans_acked"] for one in parts.values()),
        "points": sum(one["points_acked"] for one in parts.values()),
        "load": [[round(at, 1), rate] for at, rate in load.points],
        "replicas": changes(real),
        "simulated": changes(simulated),
    }


def changes(replicas: Sequence[int]) -> list[list[int]]:
    """[second, replicas] at the start and at each change."""
    return [
        [at, count] for at, count in enumerate(replicas) if at == 0 or count != replicas[at - 1]
    ]


def asked(found: Live, begin: float) -> list[list[int]]:
    """[second, required rows/s] at each change, from what decisions were made of; -1: no answer."""
    told = [
        [round(one.at - begin), -1 if one.required is None else round(min(one.required, 1e12))]
        for one in found.decisions
    ]
    return [one for at, one in enumerate(told) if at == 0 or one[1] != told[at - 1][1]]


def drawing(found: Live, real: Sequence[int], foretold: Sequence[Moment], begin: float) -> str:
    """Rows/s, replicas and metric lag, real and simulated."""
    lag = sorted((at - begin, lag) for at, lag in found.base["metric_lag_timeline"])
    required = [(one.at - begin, one.required or 0.0) for one in found.decisions if one.at >= begin]
    simulated = [(one.at, one.required) for one in foretold]
    return svg(
        [
            Frame("required rows/s", [("live", required), ("simulated", simulated)]),
            Frame(
                "writers of spans",
                [
                    ("live", [(float(at), float(count)) for at, count in enumerate(real)]),
                    ("simulated", [(one.at, float(one.replicas)) for one in foretold]),
                ],
            ),
            Frame("metric lag, s", [("live", lag)], LAG_LIMIT_S),
        ],
        f"{datetime.now(UTC):%Y-%m-%d}, {machine()}",
    )


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="autoscale-run", description=__doc__)
    parser.add_argument("--runs", type=int, default=1, help="default 1; each below 8 minutes")
    parser.add_argument("--base", type=float, default=10_000, help="spans/s; default 10000")
    parser.add_argument("--peak", type=float, default=100_000, help="spans/s; default 100000")
    parser.add_argument("--json", type=Path, default=RESULT, help=f"default {RESULT.name}")
    return parser.parse_args()


def main() -> int:
    options = arguments()
    chosen = policy(options.peak)
    document: dict[str, Any] = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "command": f"make autoscale-run ARGS='{' '.join(sys.argv[1:])}'",
        "spans_per_s": [options.base, options.peak, options.base],
        "time_factor": {"up": UP_FACTOR, "down": FACTOR},
        "policy": asdict(chosen),
        "error_allowed": {
            "mean_replicas": MEAN_ERROR,
            "most_replicas": MOST_ERROR,
            "step_s": TIME_ERROR_S,
        },
        "runs": [],
    }

    def keep(result: dict[str, Any], picture: str) -> None:
        """After each run, so that an interrupted series leaves what it has."""
        document["runs"].append(result)
        print(f"run {len(document['runs'])}: {result['verdict']}, replicas {result['replicas']}")
        for check in result["checks"]:
            print(f"  {'holds' if check['held'] else 'FAILS'}  {check['name']}: {check['why']}")
        sys.stdout.flush()
        options.json.write_text(json.dumps(document, indent=1) + "\n")
        options.json.with_suffix(".svg").write_text(picture)

    for _ in range(options.runs):
        one_run(options.base, options.peak, keep)
    print(f"written to {options.json}")
    return 0 if all(one["verdict"] == "PASS" for one in document["runs"]) else 1


if __name__ == "__main__":
    sys.exit(main())
