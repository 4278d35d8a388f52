"""`python -m chaos`: faults against a real cluster under load; every scenario ends in a proof.

Exit codes: 0 every invariant held (and every mutant was caught); 1 not; 2 usage.
"""

import argparse
import json
import os
import random
import signal
import sys
import time
from pathlib import Path

from chaos.harness import Chaos, Result, Scenario, as_json, chaos
from chaos.scenarios import MUTANTS, SCENARIOS, SMOKE

EXAMPLES = """examples:
  make chaos                                 every scenario, a new seed
  make chaos ARGS='--seed 7'                 the same choices again
  make chaos ARGS='--only "kill one replica" --only "zombie writers"'
  make chaos ARGS='--mutants'                protections off: each must be caught
  make chaos ARGS='--only "kill gateways" --report'     with the load's page
"""
RESULT = Path(".cache/chaos/latest.json")
PAGES = Path(".cache/chaos/report")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="chaos", epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=None, help="default: a new one, printed")
    parser.add_argument("--only", action="append", metavar="NAME", help="this scenario; repeatable")
    parser.add_argument("--smoke", action="store_true", help="the two-minute selection")
    parser.add_argument("--mutants", action="store_true", help="with protections switched off")
    parser.add_argument("--list", action="store_true", help="name the scenarios and end")
    parser.add_argument("--json", type=Path, default=RESULT, help=f"default {RESULT}")
    parser.add_argument(
        "--report",
        type=Path,
        nargs="?",
        const=PAGES,
        metavar="FOLDER",
        help=f"a page of each scenario's load, faults marked; default {PAGES}",
    )
    options = parser.parse_args()
    known = [one.name for one in (*SCENARIOS, *MUTANTS)]
    for name in options.only or ():
        if name not in known:
            parser.error(f"no scenario {name!r}; --list names them")
    return options


def chosen(options: argparse.Namespace) -> list[Scenario]:
    """Scenarios in order, those for one broker first."""
    pool = MUTANTS if options.mutants else SCENARIOS
    if options.only:
        pool = tuple(one for one in (*SCENARIOS, *MUTANTS) if one.name in options.only)
    elif options.smoke:
        pool = tuple(one for one in SCENARIOS if one.name in SMOKE)
    return sorted(pool, key=lambda one: one.brokers)


def play_all(
    scenarios: list[Scenario], seed: int, report: Path, pages: Path | None
) -> list[Result]:
    """Play them, each number of brokers on a cluster of its own; write the JSON after each."""
    begun = time.monotonic()
    results: list[Result] = []
    for brokers in sorted({one.brokers for one in scenarios}):
        offset = int(os.environ.get("HEADRACE_CHAOS_PORT_OFFSET", "10000"))
        with chaos(f"chaos-{brokers}", offset, brokers) as world:
            world.pages = pages
            for scenario in scenarios:
                if scenario.brokers == brokers:
                    results.append(play(world, scenario, seed))
                    report.parent.mkdir(parents=True, exist_ok=True)
                    document = as_json(results, seed, time.monotonic() - begun)
                    report.write_text(json.dumps(document, indent=2) + "\n")
    return results


def play(world: Chaos, scenario: Scenario, seed: int) -> Result:
    """One scenario, its line printed. Of a mutant a broken promise is wanted, nothing less."""
    result = world.play(scenario, seed)
    if scenario.mutation:
        caught, told = result.broken, result.problems
        result.problems = [] if caught else ["the missing protection was not noticed", *told]
        print(f"       caught: {', '.join(caught) or 'nothing'}")
    print(
        f"{'ok    ' if result.passed else 'FAILED'} {result.scenario:<36} "
        f"acked {result.acked:>9,}  lost {result.lost}  doubled {result.duplicated}  "
        f"gaps {result.ledger_gaps}  recovery {result.recovery_seconds:>5.1f} s  "
        f"deaths {result.writer_deaths}  cores {result.writer_cores_max:.2f}  "
        f"{result.seconds:.0f} s",
        flush=True,
    )
    for problem in result.problems:
        print(f"       {problem}", flush=True)
    if result.report:
        print(f"       {result.report}", flush=True)
    return result


def main() -> int:
    options = arguments()
    if options.list:
        for scenario in (*SCENARIOS, *MUTANTS):
            print(scenario.name)
        return 0
    # Its writers are nobody else's: who ends this with a signal must not leave them behind.
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    seed = random.randrange(10**6) if options.seed is None else options.seed
    print(f"chaos, seed {seed}", flush=True)
    results = play_all(chosen(options), seed, options.json, options.report)
    failed = [one.scenario for one in results if not one.passed]
    print(f"{len(results) - len(failed)} passed, {len(failed)} failed; {options.json}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
