"""`python -m bench.slo`: the whole pipeline on this machine, at the rate of the promise.

Each run on a fresh cluster: 100,000 spans/s and 50,000 points/s for five minutes, every record
looked up, then the audit, which is timed. Then three runs in which all of ClickHouse is down for a
minute, and what a quorum of two costs. Writes docs/benchmarks/slo.json; what is not asked for
(`--runs 0`, `--outages 0`, `--quorum-rate 0`) stays there as it was. Exit codes: 0 every run held
its objectives and the audit found nothing; 1 one did not.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import psutil

from bench.machine import machine
from headrace_native.spec import ROOT
from support.cluster import Cluster, running

RESULT = ROOT / "docs" / "benchmarks" / "slo.json"
LOADGEN = Path(sys.executable).with_name("loadgen")
PORT_OFFSET = 16_000
KEPT = (
    "verdict", "achieved_rates", "seconds", "spans_acked", "points_acked", "lost", "duplicated",
    "metric_lag_seconds", "request_latency_seconds", "cpu_us_per_span", "memory_mib",
    "memory_peak_mib",
)  # fmt: skip
LAG_LIMIT_S = 10.0
DISK_SETTLES_S = 60.0
"""The file system takes that long to forget the files of the cluster before."""


@dataclass(frozen=True, slots=True)
class Load:
    """What is asked of the load generator."""

    spans: float
    points: float
    seconds: int
    objectives: tuple[str, ...] = ("--max-metric-lag-p99", "5")


def start(
    cluster: Cluster, load: Load, name: str = "load"
) -> tuple["subprocess.Popen[bytes]", Path]:
    """The load generator at work, and where its result will be: several need several names."""
    report = cluster.layout.dir / f"{name}.json"
    report.unlink(missing_ok=True)
    command = [
        str(LOADGEN), "--cluster", str(cluster.layout.dir / "cluster.json"),
        "--rate", str(load.spans), "--metrics-rate", str(load.points),
        "--duration", str(load.seconds), "--json", str(report), "--quiet", *load.objectives,
    ]  # fmt: skip
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL), report


def finished(process: "subprocess.Popen[bytes]", report: Path) -> dict[str, Any]:
    """The result. Raises RuntimeError where the load generator left none."""
    code = process.wait()
    if not report.exists():
        msg = f"loadgen ended with {code} and left no result"
        raise RuntimeError(msg)
    found: dict[str, Any] = json.loads(report.read_text())
    return found


def kept(result: Mapping[str, Any]) -> dict[str, Any]:
    """What of a result is worth committing."""
    one = {name: result[name] for name in KEPT}
    one["cpu_us_per_span"]["sum"] = round(sum(result["cpu_us_per_span"].values()), 2)
    return one


def steady(load: Load, **changes: int) -> dict[str, Any]:
    """One run on a fresh cluster. `changes` as on make's command line."""
    with running("bench-slo", PORT_OFFSET, **changes) as cluster:
        return kept(finished(*start(cluster, load))) | {"audit": audited(cluster)}


def audited(cluster: Cluster) -> dict[str, Any]:
    """What the audit of all that was stored says and costs: rows are counted on every replica."""
    servers = [
        psutil.Process(pid) for name, pid in cluster.pids().items() if name.startswith("clickhouse")
    ]
    cpu, began = cpu_seconds(servers), time.monotonic()
    done = cluster.headrace("audit", "--since", "1h", "--json")
    took = time.monotonic() - began
    return {
        "exit_code": done.returncode,
        "rows": json.loads(done.stdout)["rows"] if done.stdout else 0,
        "seconds": round(took, 1),
        "clickhouse_cpu_seconds": round(cpu_seconds(servers) - cpu, 1),
    }


def cpu_seconds(processes: Sequence[psutil.Process]) -> float:
    """User and system, all together."""
    return float(sum(sum(one.cpu_times()[:2]) for one in processes))


def kill_and_stay_down(cluster: Cluster, name: str) -> None:
    """kill -9, and no restart: a server that is stopped in order takes up to half a minute."""
    cluster.control.kill(name)
    cluster.control.stop(name)


def outage(load: Load, down_s: float) -> dict[str, Any]:
    """A run in which every ClickHouse server is stopped after a minute, for `down_s`."""
    with running("bench-slo", PORT_OFFSET) as cluster:
        servers = [name for name in cluster.layout.components if name.startswith("clickhouse-")]
        process, report = start(cluster, load)
        time.sleep(60)
        stopped = time.time()
        # All at once: the last connection is refused when the last server is gone.
        with ThreadPoolExecutor(len(servers)) as pool:
            list(pool.map(lambda name: kill_and_stay_down(cluster, name), servers))
            time.sleep(stopped + down_s - time.time())
            list(pool.map(cluster.control.start, servers))
        back = time.time()
        result = finished(process, report)
    late = [
        at + seconds - back
        for at, seconds in result["metric_lag_timeline"]
        if seconds >= LAG_LIMIT_S
    ]
    if not late:
        msg = "no metric was late although ClickHouse was stopped: a server must have run on"
        raise RuntimeError(msg)
    return {
        **kept(result),
        "down_seconds": round(back - stopped, 1),
        "metric_lag_below_10_s_after": round(max(late), 1),
    }


def medians(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Median, least and most of what is compared."""
    lines: dict[str, list[float]] = {
        "spans_per_s": [one["achieved_rates"]["spans"] for one in runs],
        "points_per_s": [one["achieved_rates"]["points"] for one in runs],
        **{
            f"metric_lag_{name}": [one["metric_lag_seconds"][name] for one in runs]
            for name in ("p50", "p99", "max")
        },
        "cpu_us_per_span": [one["cpu_us_per_span"]["sum"] for one in runs],
    }
    return {
        name: {"median": round(median(each), 3), "least": min(each), "most": max(each)}
        for name, each in lines.items()
    }


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench-slo", description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help="default 3")
    parser.add_argument("--duration", type=int, default=300, help="seconds; default 300")
    parser.add_argument(
        "--rate", type=float, default=100_500, help="spans/s; half as many points; default 100500"
    )
    parser.add_argument("--outages", type=int, default=3, help="default 3")
    parser.add_argument("--outage", type=float, default=60, help="seconds; default 60")
    parser.add_argument(
        "--quorum-rate", type=float, default=40_000, help="spans/s; 0 for none; default 40000"
    )
    parser.add_argument("--json", type=Path, default=RESULT, help=f"default {RESULT.name}")
    return parser.parse_args()


def main() -> int:
    options = arguments()
    full = Load(options.rate, options.rate / 2, options.duration)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    document: dict[str, Any] = {}
    runs: list[dict[str, Any]] = []
    for number in range(options.runs):
        runs.append(steady(full))
        print(f"run {number + 1}: {runs[-1]}", flush=True)
        time.sleep(DISK_SETTLES_S)
    if runs:
        document |= {
            "asked": {"spans": full.spans, "points": full.points, "seconds": full.seconds},
            "runs": runs,
            "medians": medians(runs),
        }
    load = Load(full.spans, full.points, 240, ("--max-metric-lag-p99", "600", "--wait", "240"))
    outages: list[dict[str, Any]] = []
    for number in range(options.outages):
        outages.append(outage(load, options.outage))
        print(f"outage {number + 1}: {outages[-1]}", flush=True)
        time.sleep(DISK_SETTLES_S)
    if outages:
        back = [one["metric_lag_below_10_s_after"] for one in outages]
        name = "median_metric_lag_below_10_s_after"
        document["outage"] = {name: median(back), "runs": outages}
    if options.quorum_rate:
        load = Load(options.quorum_rate, options.quorum_rate / 2, 60)
        document["quorum"] = {str(count): steady(load, INSERT_QUORUM=count) for count in (0, 2)}
        print(f"quorum: {document['quorum']}", flush=True)
    before = json.loads(options.json.read_text()) if options.json.exists() else {}
    dates = before.get("dates", {}) | {
        part: {"date": now, "machine": machine()}
        for part in ("runs", "outage", "quorum")
        if part in document
    }
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(before | {"dates": dates} | document, indent=1) + "\n")
    print(f"written to {options.json}")
    held = all(one["verdict"] == "PASS" and one["audit"]["exit_code"] == 0 for one in runs)
    whole = [*runs, *outages, *document.get("quorum", {}).values()]
    return 0 if held and not any(one["lost"] or one["duplicated"] for one in whole) else 1


if __name__ == "__main__":
    sys.exit(main())
