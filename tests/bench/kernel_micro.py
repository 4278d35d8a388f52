"""CPU time of the kernel per record, wire bytes in, compressed blocks out.

    python tests/bench/kernel_micro.py [--seconds 1.0] [--records 500] [--json FILE]

Prints one JSON object: for each signal and dialect the best and the median µs of CPU per record
(`time.process_time`), the part of it that `append_many` takes, and the sizes involved.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import headrace_kernel
from headrace_schema.columns import TABLES_BY_SIGNAL, Dialect, insert_layout
from headrace_writer.core.block import Signal

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support.kernel_payloads import agent_logs, agent_metrics, genai_traces

Measure = dict[str, float]
DIALECTS: tuple[Dialect, ...] = ("modern", "legacy")
# Rows of one round: about what a writer closes a block with at 50,000 spans/s and 1 s.
ROUND = 50_000


def measure(
    signal: Signal, dialect: Dialect, payloads: list[bytes], records: int, seconds: float
) -> Measure:
    """Time rounds of `payloads` (together `records` records) for about `seconds`."""
    layouts = {table: insert_layout(table, dialect) for table in TABLES_BY_SIGNAL[signal]}
    builder = headrace_kernel.builder(signal, layouts, 2, "lz4")
    appends: list[float] = []
    totals: list[float] = []
    raw = packed = 0
    deadline = time.perf_counter() + seconds
    while len(totals) < 3 or time.perf_counter() < deadline:
        started = time.process_time()
        if builder.append_many(payloads):
            raise SystemExit("a sample was rejected")
        appended = time.process_time()
        blocks = builder.finish({target: 1 for target, _ in builder.pending()})
        ended = time.process_time()
        appends.append((appended - started) / records * 1e6)
        totals.append((ended - started) / records * 1e6)
        raw = sum(block[5] for block in blocks)
        packed = sum(len(block[4]) for block in blocks)
    return {
        "us_best": round(min(totals), 4),
        "us_median": round(statistics.median(totals), 4),
        "us_append_best": round(min(appends), 4),
        "wire_bytes": round(sum(map(len, payloads)) / records, 1),
        "block_bytes": round(raw / records, 1),
        "compressed_bytes": round(packed / records, 1),
    }


def main() -> None:
    """Measure every signal in both dialects and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=1.0, help="time per measurement")
    parser.add_argument("--records", type=int, default=500, help="records per request")
    parser.add_argument("--only", default="", help="measure only names that begin so")
    parser.add_argument("--json", type=Path, help="also write the result here")
    options = parser.parse_args()
    samples: dict[str, tuple[Signal, Callable[[int, int], bytes]]] = {
        "spans": ("traces", genai_traces),
        "gauge_points": ("metrics", lambda n, seed: agent_metrics(n, seed, "gauge")),
        "sum_points": ("metrics", lambda n, seed: agent_metrics(n, seed, "sum")),
        "histogram_points": ("metrics", lambda n, seed: agent_metrics(n, seed, "histogram")),
        "logs": ("logs", agent_logs),
    }
    result: dict[str, dict[str, Measure]] = {}
    for name, (signal, make) in samples.items():
        if not name.startswith(options.only):
            continue
        count = ROUND // options.records
        payloads = [make(options.records, seed) for seed in range(count)]
        result[name] = {
            dialect: measure(signal, dialect, payloads, count * options.records, options.seconds)
            for dialect in DIALECTS
        }
    text = json.dumps({"kernel": headrace_kernel.__version__, "records": result}, indent=2)
    if options.json:
        options.json.write_text(text + "\n")
    sys.stdout.write(text + "\n")


if __name__ == "__main__":
    main()
