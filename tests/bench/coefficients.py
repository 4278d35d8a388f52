"""`python -m bench.coefficients`: what `headrace size` calculates with, measured on this machine.

One signal at a time goes through a cluster that merges everything, with one replica per shard and
with two, after all of them together have warmed it up. Writes docs/benchmarks/coefficients.json.
"""

import json
import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import corpus
from bench.machine import machine
from headrace_native.spec import ROOT
from headrace_schema.columns import TABLES_BY_SIGNAL
from headrace_writer.core.block import Signal
from support.cluster import Cluster, running

RESULT = ROOT / "docs" / "benchmarks" / "coefficients.json"
LOADGEN = Path(sys.executable).with_name("loadgen")
RATES: dict[Signal, tuple[str, str, float]] = {
    "traces": ("--rate", "spans", 60_000),
    "metrics": ("--metrics-rate", "points", 60_000),
    "logs": ("--logs-rate", "logs", 60_000),
}
SECONDS = 30
WARM_UP_S = 20
"""At a sixth of each rate: a broker's compiler takes seconds of CPU that no record causes."""
SETTLE_S = 10.0
TOPICS: dict[Signal, str] = {
    "traces": "otlp_spans", "metrics": "otlp_metrics", "logs": "otlp_logs",
}  # fmt: skip
COMPONENTS = {
    "gateway": ("gateway", "haproxy"),
    "kafka": ("kafka",),
    "clickhouse": ("clickhouse",),
    "keeper": ("zookeeper",),
}


def load(cluster: Cluster, rates: Mapping[Signal, float], seconds: int) -> dict[str, Any]:
    """One run of the load generator; its result."""
    report = cluster.layout.dir / "load.json"
    command = [
        str(LOADGEN), "--cluster", str(cluster.layout.dir / "cluster.json"),
        *(f"{flag}={rates.get(signal, 0)}" for signal, (flag, *_) in RATES.items()),
        "--duration", str(seconds), "--json", str(report), "--quiet",
    ]  # fmt: skip
    subprocess.run(command, check=True)
    found: dict[str, Any] = json.loads(report.read_text())
    return found


def costs(result: Mapping[str, Any], noun: str, signal: Signal) -> dict[str, float]:
    """CPU µs per record by component."""
    records = result[f"{noun}_acked"]
    cpu = result["cpu_seconds"]
    groups = {**COMPONENTS, "writer": (f"writer-{signal}",)}
    return {
        name: round(sum(cpu.get(part, 0.0) for part in parts) * 1e6 / records, 3)
        for name, parts in groups.items()
    }


def wire_bytes(signal: Signal) -> float:
    """Protobuf bytes per record of what loadgen sends."""
    return round(len(corpus.requests(signal, 1)[0]) / corpus.RECORDS)


def kafka_bytes(cluster: Cluster, signal: Signal) -> int:
    """Of the topic's segments on the broker's disk."""
    folders = cluster.layout.data.glob(f"kafka-1/**/{TOPICS[signal]}-*")
    return sum(file.stat().st_size for folder in folders for file in folder.glob("*.log"))


def disk_bytes(cluster: Cluster, signal: Signal) -> tuple[int, int]:
    """Rows of the signal's tables and their bytes on disk, over one replica of each shard."""
    tables = [f"{table}_local" for table in TABLES_BY_SIGNAL[signal]]
    rows = size = 0
    for shard in range(1, cluster.layout.spec.shards + 1):
        client = cluster.clickhouse(shard)
        found = client.execute(
            "SELECT sum(rows), sum(bytes_on_disk) FROM system.parts"
            " WHERE active AND database = currentDatabase() AND table IN %(tables)s",
            {"tables": tuple(tables)},
        )
        client.disconnect()
        rows, size = rows + found[0][0], size + found[0][1]
    return rows, size


def measure(replicas: int) -> dict[str, dict[str, float]]:
    """Every signal on a fresh cluster with so many replicas."""
    found: dict[str, dict[str, float]] = {}
    with running("bench-costs", 16_000, REPLICAS=replicas, MERGE_ALL=1) as cluster:
        load(cluster, {signal: rate / 6 for signal, (*_, rate) in RATES.items()}, WARM_UP_S)
        for signal, (_, noun, rate) in RATES.items():
            before = kafka_bytes(cluster, signal)
            result = load(cluster, {signal: rate}, SECONDS)
            one = costs(result, noun, signal)
            time.sleep(SETTLE_S)
            rows, size = disk_bytes(cluster, signal)
            stored = kafka_bytes(cluster, signal) - before
            one["kafka_bytes"] = round(stored / result[f"{noun}_acked"], 1)
            one["disk_bytes"] = round(size / rows, 1)
            one["wire_bytes"] = wire_bytes(signal)
            found[signal] = one
            print(f"{replicas} replicas, {signal} at {rate:,.0f}/s: {one}", flush=True)
    return found


def main() -> int:
    alone, pair = measure(1), measure(2)
    for signal, one in pair.items():
        one["replica"] = round(one["clickhouse"] - alone[signal]["clickhouse"], 3)
        one["clickhouse"] = alone[signal]["clickhouse"]
        one["keeper"] = max(one["keeper"], alone[signal]["keeper"])
    document = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "signals": pair,
    }
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(json.dumps(document, indent=1) + "\n")
    print(f"written to {RESULT.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
