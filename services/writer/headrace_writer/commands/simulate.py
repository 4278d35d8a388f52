"""`headrace simulate autoscale`: a ScaledObject against a load, before a cluster meets it.

Exit codes: 0 lag and replicas behaved; 1 they did not; 2 usage, or a ScaledObject that is not
understood.
"""

import argparse
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console

from headrace_writer.commands.size import count, positive
from headrace_writer.core.autoscaling import loads
from headrace_writer.core.autoscaling.defaults import policy_of, writer_of
from headrace_writer.core.autoscaling.fleet import Coefficients
from headrace_writer.core.autoscaling.loads import Load
from headrace_writer.core.autoscaling.scaled_object import ScaledObject, parse
from headrace_writer.core.autoscaling.simulation import (
    LAG_LIMIT_S,
    Check,
    Moment,
    World,
    judge,
    least_minimum,
    simulate,
    uneven,
)
from headrace_writer.core.chart import Frame, svg
from headrace_writer.errors import ConfigError

FAILED = 1
SIGNALS = ("traces", "metrics", "logs")
PEAK_SHARE = 0.4
"""Of what the maximum of replicas takes: where loads peak unless --peak says."""
STEP = 10
"""Peak over base, unless --base says."""

EXAMPLES = """examples:
  headrace simulate autoscale                                    the chart's policy, load × 10
  headrace simulate autoscale --trace stall --plot stall.svg
  headrace simulate autoscale --scaled-object so.yaml --base 10000 --peak 100000
  headrace simulate autoscale --trace monday.csv --partitions 48 --json
      monday.csv: seconds,rows per second[,1 while ClickHouse takes nothing]
"""


def add_parser(commands: Any) -> None:
    """Adds `simulate` to the subcommands; it reads no settings."""
    parser = commands.add_parser("simulate", help="try a policy on paper: simulate autoscale")
    kinds = parser.add_subparsers(dest="simulated", required=True, metavar="WHAT")
    one = kinds.add_parser(
        "autoscale",
        help="replicas and lag under a ScaledObject",
        description="Runs a KEDA ScaledObject's own values through KEDA's and the HPA's published "
        "algorithms against a load. Writers are measured ones (docs/autoscaling-simulator.md).",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    one.add_argument(
        "--scaled-object", type=Path, metavar="FILE", help="YAML or JSON (default: the chart's)"
    )
    one.add_argument(
        "--trace", default="step", metavar="NAME|FILE",
        help=f"{', '.join(loads.NAMES)}, or a CSV file (default step)",
    )  # fmt: skip
    one.add_argument("--signal", choices=SIGNALS, default="traces", help="(default traces)")
    one.add_argument("--base", type=positive, metavar="N", help="rows/s before and after the peak")
    one.add_argument("--peak", type=positive, metavar="N", help="rows/s of the peak")
    one.add_argument(
        "--partitions", type=count, metavar="N", help="of the topic (default: maxReplicaCount)"
    )
    one.add_argument(
        "--rows-per-second", type=positive, metavar="N",
        help="what one writer takes (default: what the chart's CPU request takes)",
    )  # fmt: skip
    one.add_argument(
        "--rows-per-message", type=positive, default=1_000, metavar="N",
        help="for a kafka trigger, which counts messages (default 1000)",
    )  # fmt: skip
    one.add_argument("--json", action="store_true", help="print JSON")
    one.add_argument("--plot", type=Path, metavar="FILE", help="draw load, lag and replicas as SVG")


def run(args: argparse.Namespace) -> int:
    """Simulate and print. Raises ConfigError."""
    policy = read(args.scaled_object) if args.scaled_object else policy_of(args.signal)
    writer = replace(writer_of(args.signal), partitions=args.partitions or policy.maximum)
    if args.rows_per_second:
        writer = replace(writer, rows_per_s=args.rows_per_second)
    world = World(writer, args.rows_per_message)
    load = read_load(args, policy, writer.rows_per_s)
    found = simulate(policy, load, world)
    checks = judge(found, load, world)
    least = None if checks[0].held else least_minimum(policy, load, world)
    if args.plot:
        args.plot.write_text(plot(found, f"{policy.name}, {load.name}"))
    if args.json:
        print(json.dumps(document(policy, load, world, found, checks) | {"least": least}, indent=1))
    else:
        show(policy, found, checks, Console(highlight=False))
        if not checks[0].held:
            advise(policy, least)
        warn(policy, world.measured)
    return 0 if all(one.held for one in checks) else FAILED


def read(path: Path) -> ScaledObject:
    """The ScaledObject in a file, which may hold other documents beside it."""
    try:
        documents = list(yaml.safe_load_all(path.read_text()))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        msg = f"--scaled-object {path}: {error}"
        raise ConfigError(msg) from error
    found = [
        one for one in documents if isinstance(one, dict) and one.get("kind") == "ScaledObject"
    ]
    if len(found) != 1:
        msg = f"--scaled-object {path}: {len(found)} ScaledObjects in it, where one is expected"
        raise ConfigError(msg)
    try:
        return parse(found[0])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        msg = f"--scaled-object {path}: {type(error).__name__}: {error}"
        raise ConfigError(msg) from error


def read_load(args: argparse.Namespace, policy: ScaledObject, rows_per_s: float) -> Load:
    """One of the named loads, or a file's."""
    if args.trace in loads.NAMES:
        peak = args.peak or PEAK_SHARE * policy.maximum * rows_per_s
        return loads.named(args.trace, args.base or peak / STEP, peak)
    if args.base or args.peak:
        msg = f"--base and --peak are for the named loads; {args.trace} has its own rates"
        raise ConfigError(msg)
    try:
        return loads.from_csv(args.trace, Path(args.trace).read_text())
    except (OSError, UnicodeDecodeError) as error:
        msg = f"--trace {args.trace}: {error}; give one of {', '.join(loads.NAMES)}, or a CSV file"
        raise ConfigError(msg) from error


def changes(found: list[Moment]) -> list[tuple[float, int]]:
    """(seconds, replicas) at the start and at each change."""
    return [
        (one.at, one.replicas)
        for before, one in zip([None, *found], found, strict=False)
        if before is None or before.replicas != one.replicas
    ]


def document(
    policy: ScaledObject, load: Load, world: World, found: list[Moment], checks: list[Check]
) -> dict[str, Any]:
    """The JSON of `--json`; every tenth second of the timeline."""
    return {
        "verdict": "PASS" if all(one.held for one in checks) else "FAIL",
        "checks": [asdict(one) for one in checks],
        "policy": asdict(policy),
        "load": {"name": load.name, "points": load.points, "stalls": load.stalls},
        "writers": asdict(world.measured),
        "uneven_at": uneven(policy, world.measured),
        "changes": changes(found),
        "timeline": [asdict(one) for one in found[::10]],
    }


def plot(found: list[Moment], about: str) -> str:
    """Load, lag and replicas over time."""
    return svg(
        [
            Frame(
                "rows/s",
                [
                    ("arriving", [(one.at, one.rate) for one in found]),
                    ("required", [(one.at, one.required) for one in found]),
                ],
            ),
            Frame("lag, s", [("simulated", [(one.at, one.lag_s) for one in found])], LAG_LIMIT_S),
            Frame(
                "replicas",
                [
                    ("decided", [(one.at, one.replicas) for one in found]),
                    ("at work", [(one.at, one.joined) for one in found]),
                ],
            ),
        ],
        about,
    )


def show(policy: ScaledObject, found: list[Moment], checks: list[Check], console: Console) -> None:
    """For a person."""
    steps = changes(found)
    console.print(f"{policy.name}: {policy.minimum} to {policy.maximum} replicas")
    shown = " → ".join(f"{count} ({at:.0f} s)" for at, count in steps[:12])
    console.print(shown + (f" → … {len(steps) - 12} more" if len(steps) > 12 else ""))
    for one in checks:
        mark = "[green]holds[/]" if one.held else "[red]fails[/]"
        console.print(f"{mark}  {one.name}: {one.why}")


def advise(policy: ScaledObject, least: int | None) -> None:
    """What would hold instead."""
    if least is None:
        print(f"not even {policy.maximum} replicas all the time: raise maxReplicaCount")
    else:
        print(f"minReplicaCount {least} would hold it: no new pod is quick enough for a jump")


def warn(policy: ScaledObject, measured: Coefficients) -> None:
    """About numbers of replicas that share the partitions badly."""
    if bad := uneven(policy, measured):
        print(
            f"note: with {measured.partitions} partitions the busiest of {bad[0]} to {bad[-1]} "
            "replicas has more than it can take: use more partitions (--partitions)"
        )
