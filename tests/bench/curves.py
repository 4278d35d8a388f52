"""`python -m bench.curves`: how the CPU per span grows with what users vary.

Writes docs/benchmarks/curves.json and curves.svg. The kernel's curves are measured in this process,
those over partitions by a whole writer between Kafka and the null sink.
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime

from bench import pipeline
from bench.corpus import RECORDS
from bench.kernel import measure
from bench.machine import machine
from bench.plot import Curve, svg
from bench.rig import rig
from headrace_loadgen.profiles import PROFILES
from headrace_native.spec import ROOT
from headrace_writer.core.decode import native_backend

FOLDER = ROOT / "docs" / "benchmarks"
SPANS = 120_000
"""Decoded per measurement."""
REPEATS = 5


@dataclass(frozen=True, slots=True)
class Point:
    """One measurement: median and spread in µs of CPU per span."""

    x: int
    us_per_span: float
    least: float
    most: float


def kernel_point(
    x: int, records: int = RECORDS, attributes: int = 10, words: int = 0, shards: int = 2
) -> Point:
    """The kernel on requests of that shape. `words`: distinct values of each filling attribute."""
    profile = replace(PROFILES["genai"], span_attributes=attributes, distinct_values=words or None)
    count = max(2, SPANS // records)
    timing = measure(
        native_backend(), "traces", count, REPEATS, records, profile=profile, shards=shards
    )
    return Point(x, timing.median, *timing.spread)


def kernel_curves() -> dict[str, list[Point]]:
    """What the kernel alone depends on."""
    plans: dict[str, tuple[Sequence[int], Callable[[int], Point]]] = {
        "spans per request": (
            (50, 100, 250, 500, 1_000, 2_000, 4_000, 8_000),
            lambda x: kernel_point(x, records=x),
        ),
        "attributes per span": (
            (0, 5, 10, 20, 40, 70, 100),
            lambda x: kernel_point(x, attributes=x),
        ),
        "distinct values per attribute": (
            (1, 10, 100, 1_000, 10_000),
            lambda x: kernel_point(x, attributes=20, words=x),
        ),
        "shards": ((1, 2, 4, 8), lambda x: kernel_point(x, shards=x)),
    }
    found: dict[str, list[Point]] = {}
    for name, (places, point) in plans.items():
        found[name] = [point(x) for x in places]
        print(name, *(f"{one.x}: {one.us_per_span}" for one in found[name]), sep="  ", flush=True)
    return found


def partition_curve() -> list[Point]:
    """A whole writer over topics with more and more partitions."""
    points = []
    with rig() as world:
        for partitions in (1, 4, 16, 64):
            runs = [
                pipeline.drain_writer(world, 192, partitions=partitions).us_per_span
                for _ in range(3)
            ]
            ordered = sorted(runs)
            points.append(Point(partitions, ordered[1], ordered[0], ordered[-1]))
            print(f"partitions  {partitions}: {ordered[1]}", flush=True)
    return points


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench-curves", description=__doc__)
    parser.add_argument("--kernel-only", action="store_true", help="without Kafka")
    options = parser.parse_args()
    curves = kernel_curves()
    if not options.kernel_only:
        curves["partitions (whole writer)"] = partition_curve()
    now = datetime.now(UTC)
    about = f"µs of CPU per span; {now:%Y-%m-%d}, {machine()}"
    document = {
        "date": now.isoformat(timespec="seconds"),
        "machine": machine(),
        "unit": "µs of CPU per span",
        "curves": {name: [asdict(one) for one in points] for name, points in curves.items()},
    }
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / "curves.json").write_text(json.dumps(document, indent=1) + "\n")
    drawn = [
        Curve(name, [(one.x, one.us_per_span, one.least, one.most) for one in points])
        for name, points in curves.items()
    ]
    (FOLDER / "curves.svg").write_text(svg(drawn, "CPU µs per span", about))
    print(f"written to {FOLDER.relative_to(ROOT)}/curves.json and curves.svg")
    return 0


if __name__ == "__main__":
    sys.exit(main())
