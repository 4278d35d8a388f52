"""`python -m bench`: what headrace costs per record, beside the Collector doing the same.

CPU seconds come from the operating system; times of the clock are not compared. Exit codes: 0
measured; 1 something did not run; 2 usage.
"""

import argparse
import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from bench import kernel, pipeline
from bench.machine import machine
from bench.rig import rig
from headrace_native.spec import ROOT
from headrace_writer.core.block import Signal
from headrace_writer.core.decode import native_backend
from headrace_writer.core.decode_reference import ReferenceBackend
from headrace_writer.core.guardrails import Treatment
from headrace_writer.shell.guardrails_source import read_rules

RESULT = Path(".cache/bench/latest.json")
SIGNALS: dict[Signal, str] = {"traces": "span", "metrics": "point", "logs": "log"}
BATCH = 20
"""Requests of spans in a batch of 32 MiB, which is where a writer closes it by default."""
TARGETS = {
    "kernel_us_per_span": 0.6,
    "kernel_us_per_point": 0.4,
    "kernel_us_per_log": 0.5,
    "writer_us_per_span": 1.0,
    "writer_peak_rss_mb": 400.0,
}
EXAMPLES = """examples:
  make bench                              everything, three repeats
  make bench ARGS='--quick'               less data, one repeat: a few minutes
  make bench ARGS='--only kernel'
"""


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bench", epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="less data, one repeat")
    parser.add_argument("--only", action="append", choices=["kernel", "writer", "peer", "memory"])
    parser.add_argument("--json", type=Path, default=RESULT, help=f"default {RESULT}")
    return parser.parse_args()


def bench_kernel(quick: bool, results: dict[str, Any]) -> None:
    """Both decoders alone, in this process."""
    rounds: dict[Signal, list[kernel.Timing]] = {signal: [] for signal in SIGNALS}
    # The signals in turn: a slow moment of the host is no signal's whole measurement.
    for _ in range(1 if quick else 5):
        for signal, timings in rounds.items():
            timings.append(kernel.measure(native_backend(), signal, 10 if quick else BATCH, 5))
    for signal, noun in SIGNALS.items():
        timing = kernel.joined(rounds[signal])
        results[f"kernel_us_per_{noun}"] = timing.median
        results[f"kernel_spread_{noun}"] = timing.spread
        results[f"wire_bytes_per_{noun}"] = round(timing.wire_bytes, 1)
        results[f"block_bytes_per_{noun}"] = round(timing.block_bytes, 1)
        print(f"kernel, {noun}: {timing.median} µs {timing.spread}", flush=True)
    bench_guardrails(quick, results)
    reference = kernel.measure(ReferenceBackend(), "traces", 1, 1)
    results["reference_us_per_span"] = reference.median
    print(f"reference decoder, span: {reference.median} µs", flush=True)


def bench_guardrails(quick: bool, results: dict[str, Any]) -> None:
    """What the ten rules of docs/examples add to a span: with and without in turn."""
    treatment = Treatment(read_rules(ROOT / "docs" / "examples" / "guardrails.toml"))
    added = []
    for _ in range(3 if quick else 9):
        without = kernel.measure(native_backend(), "traces", 10, 1)
        with_rules = kernel.measure(native_backend(), "traces", 10, 1, treatment=treatment)
        added.append(with_rules.median - without.median)
    results["kernel_guardrails_us_per_span"] = round(median(added), 3)
    results["kernel_guardrails_spread_span"] = (round(min(added), 3), round(max(added), 3))
    print(f"guardrails, added to a span: {results['kernel_guardrails_us_per_span']} µs", flush=True)


def repeated(name: str, times: int, measure: Callable[[], Any]) -> list[Any]:
    """The runs of one measurement, each said as it comes."""
    runs = []
    for _ in range(times):
        run = measure()
        runs.append(run)
        print(
            f"{name}: {run.us_per_span} µs/span, {run.spans / run.wall_s:,.0f} spans/s on the "
            f"clock, {run.peak_rss_mb:.0f} MB, {run.blocks} blocks",
            flush=True,
        )
    return runs


def bench_processes(options: argparse.Namespace, results: dict[str, Any]) -> None:
    """Whole processes between Kafka and the sink."""
    wanted = options.only or ["writer", "peer", "memory"]
    times = 1 if options.quick else 3
    # Enough that reaching its working set, which each process does once, does not weigh.
    count = 150 if options.quick else 1_200
    with rig() as world:
        if "writer" in wanted:
            runs = repeated("writer", times, lambda: pipeline.drain_writer(world, count))
            note(results, "writer", runs)
            numbers = {"one": 1, "four": 4}
            pairs = [
                [pipeline.marginal_us(world, count, processes) for processes in numbers.values()]
                for _ in range(times)
            ]
            for name, each in zip(numbers, zip(*pairs, strict=True), strict=True):
                results[f"writer_marginal_us_of_{name}"] = median(each)
                results[f"writer_marginal_spread_of_{name}"] = (min(each), max(each))
                print(f"each further span, {name}: {each} µs", flush=True)
        if "memory" in wanted:
            seconds = 15 if options.quick else 60
            stalls = [pipeline.memory_while_stalled(world, count, seconds) for _ in range(times)]
            results["writer_stalled_rss_mb"] = max(peak for peak, _ in stalls)
            results["writer_stalled_growth_mb"] = max(growth for _, growth in stalls)
            results["writer_peak_rss_mb"] = max(
                results["writer_stalled_rss_mb"], results.get("writer_rss_mb", 0.0)
            )
            print(f"writer, ClickHouse stalled, (MB at most, growth): {stalls}", flush=True)
        if "peer" in wanted:
            runs = repeated("otelcol", times, lambda: pipeline.drain_peer(world, count // 2))
            note(results, "peer_otelcol", runs)
    if {"writer_us_per_span", "peer_otelcol_us_per_span"} <= results.keys():
        ratio = results["peer_otelcol_us_per_span"] / results["writer_us_per_span"]
        results["ratio_vs_otelcol"] = round(ratio, 1)


def note(results: dict[str, Any], name: str, runs: list[Any]) -> None:
    each = [run.us_per_span for run in runs]
    results[f"{name}_us_per_span"] = round(median(each), 3)
    results[f"{name}_spread_span"] = (min(each), max(each))
    results[f"{name}_rss_mb"] = max(run.peak_rss_mb for run in runs)


def show(results: dict[str, Any]) -> None:
    table = Table("measured", "value", "target", title="CPU µs per record, MB")
    for name, value in results.items():
        if isinstance(value, int | float):
            target = TARGETS.get(name)
            text = "" if target is None else f"≤ {target:g} " + ("✓" if value <= target else "✗")
            table.add_row(name, f"{value:,}", text)
    Console().print(table)


def main() -> int:
    options = arguments()
    results: dict[str, Any] = {}
    if not options.only or "kernel" in options.only:
        bench_kernel(options.quick, results)
    if not options.only or set(options.only) - {"kernel"}:
        bench_processes(options, results)
    document = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "quick": options.quick,
        **results,
    }
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(document, indent=2) + "\n")
    show(results)
    print(f"written to {options.json}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
