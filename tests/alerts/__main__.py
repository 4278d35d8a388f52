"""`python -m alerts`: faults on a real cluster; the right alerts must fire, end, and no others.

Exit codes: 0 all as expected; 1 not; 2 usage.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

from alerts.runs import FAULTS, Result, onset, play, table, trickle, watched
from support.cluster import running

EXAMPLES = """examples:
  make alerts-fault-run                            five faults, rules as they are: forty minutes
  make alerts-fault-run ARGS=--onsets              until they fire, not until they end
  make alerts-fault-run ARGS='--scale 6'           every duration of the rules a sixth: 15 minutes
  make alerts-fault-run ARGS='--only "a replica is killed"'
"""
# Unscaled: dead letters that wait are reported after fifteen minutes.
PATIENCE_S = 1_080.0


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="alerts", epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = [one.name for one in FAULTS]
    parser.add_argument("--only", action="append", choices=names, help="this fault; repeatable")
    parser.add_argument("--scale", type=float, default=1.0, help="divide the rules' durations")
    parser.add_argument(
        "--onsets", action="store_true", help="do not wait for the alerts' end: half the time"
    )
    options = parser.parse_args()
    run = onset if options.onsets else play
    results: list[Result] = []
    offset = int(os.environ.get("HEADRACE_ALERTS_PORT_OFFSET", "15000"))
    # 120 s beside the scaled ones: the exporter's rounds and the lag's threshold stay as they are.
    patience_s = PATIENCE_S / options.scale + 120
    with (
        tempfile.TemporaryDirectory() as folder,
        running("alerts", offset) as cluster,
        trickle(cluster),
        watched(cluster, Path(folder), options.scale) as watch,
    ):
        for fault in FAULTS:
            if not options.only or fault.name in options.only:
                print(f"{fault.name} …", flush=True)
                results.append(run(cluster, watch, fault, patience_s))
                print(table(results[-1:]), *results[-1].problems, sep="\n", flush=True)
    print("\n" + table(results))
    return 1 if any(one.problems for one in results) else 0


if __name__ == "__main__":
    sys.exit(main())
