"""The search for the highest rate that holds: against pipelines with a known limit, and noise."""

import argparse
import random
from collections.abc import Callable
from typing import Any

import pytest

from headrace_loadgen.find_max import Finder, answer
from headrace_loadgen.probe import Lag
from headrace_loadgen.report import Objectives, Outcome
from headrace_loadgen.search import Bounds, Bracket, search
from headrace_loadgen.send import Tally
from headrace_loadgen.store import Verdict

BOUNDS = Bounds(least=1 / 64, most=64, tolerance=0.05, max_probes=60)


def play(
    held: Callable[[float], bool], start: float = 1.0, bounds: Bounds = BOUNDS
) -> tuple[Bracket, list[float]]:
    """Run a search to its end; what it found and what it tried."""
    bracket, tried = Bracket(), []
    steps = search(start, bounds, bracket)
    try:
        rate = next(steps)
        while True:
            tried.append(rate)
            rate = steps.send(held(rate))
    except StopIteration:
        return bracket, tried


@pytest.mark.parametrize("limit", [0.02, 0.3, 0.999, 1.0, 1.04, 7.7, 33.3])
def test_the_limit_is_enclosed_within_the_tolerance(limit: float) -> None:
    found, tried = play(lambda rate: rate <= limit)
    assert found.held is not None
    assert found.failed is not None
    assert found.held <= limit < found.failed <= found.held * 1.0501
    assert found.confirmed
    assert tried[-1] == found.held
    assert len(tried) == found.probes <= 24


def test_nothing_holds() -> None:
    found, tried = play(lambda _rate: False)
    assert (found.held, found.failed) == (None, BOUNDS.least)
    assert tried.count(BOUNDS.least) == 2


def test_everything_holds() -> None:
    found, tried = play(lambda _rate: True)
    assert (found.held, found.failed, found.confirmed) == (64, None, True)
    assert tried == [1, 2, 4, 8, 16, 32, 64, 64]


def test_one_failure_by_chance_does_not_mislead() -> None:
    seen: list[float] = []

    def held(rate: float) -> bool:
        seen.append(rate)
        return rate <= 6 and seen.count(rate) > 1

    found, _ = play(held)
    assert found.held == pytest.approx(6, rel=0.05)


def test_an_answer_that_held_by_luck_is_taken_back() -> None:
    seen: list[float] = []

    def held(rate: float) -> bool:
        seen.append(rate)
        return rate <= 4 or (rate <= 5 and seen.count(rate) == 1)

    found, _ = play(held)
    assert found.confirmed
    assert found.held is not None
    assert 4 / 1.06 <= found.held <= 4.01


@pytest.mark.parametrize("seed", range(40))
def test_with_noise_near_the_limit_the_answer_is_near_it(seed: int) -> None:
    rng = random.Random(seed)
    found, tried = play(lambda rate: rate * rng.gauss(1, 0.03) <= 10)
    assert found.held is not None
    assert found.held == pytest.approx(10, rel=0.15)
    assert len(tried) <= BOUNDS.max_probes


def test_probes_are_bounded() -> None:
    bounds = Bounds(least=1 / 64, most=64, tolerance=0.05, max_probes=4)
    found, tried = play(lambda rate: rate <= 3, bounds=bounds)
    assert len(tried) == 4
    assert (found.held, found.confirmed) == (2, False)


# --- the runs around it


def arguments(**changes: Any) -> argparse.Namespace:
    given = {"rate": 1_000.0, "metrics_rate": 500.0, "logs_rate": 0.0, "tolerance": 0.05,
             "search_time": 10_000.0, "quiet": True}  # fmt: skip
    return argparse.Namespace(**(given | changes))


def pipeline(limit: float, *, lost: int = 0, drain_above: float = 99) -> Callable[[float], Outcome]:
    """Runs of a pipeline that lags above `limit` times the rates asked."""

    def run(scale: float) -> Outcome:
        tally = Tally("traces", acked=dict.fromkeys(range(30), 1), records=int(1_000 * scale))
        outcome = Outcome({"traces": 1_000 * scale}, 30.0, {"traces": tally})
        outcome.lag = Lag([2.0 if scale <= limit else 20.0] * 5)
        outcome.drain_s = {"traces": 12.0 if scale > drain_above else 1.0}
        outcome.verdicts = {"traces": Verdict("traces", lost=lost if scale > limit else 0)}
        outcome.settings = {"run": "x"}
        return outcome

    return run


class Ticking:
    """A clock on which each look takes ten seconds."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 10
        return self.now


def find(probe: Callable[[float], Outcome], **changes: Any) -> dict[str, Any]:
    finder = Finder(arguments(**changes), Objectives(0.9, 10.0))
    return finder.run(probe, Ticking())


def test_the_document_names_rates_and_every_probe() -> None:
    document = find(pipeline(3.0))
    assert document["held"]["spans"] == pytest.approx(3_000, rel=0.05)
    assert document["held"]["points"] == pytest.approx(1_500, rel=0.05)
    assert document["did_not_hold"]["spans"] > 3_000
    assert (document["verdict"], document["confirmed"], document["cut_short"]) == ("PASS", True, "")
    scales = [one["scale"] for one in document["probes"]]
    assert scales[:4] == [1, 2, 4, 4]
    assert "held twice" in answer(document)


def test_a_rate_that_only_fills_kafka_does_not_hold() -> None:
    document = find(pipeline(99, drain_above=3.0))
    assert document["held"]["spans"] == pytest.approx(3_000, rel=0.05)
    assert "visible 12.0 s after the load" in document["probes"][2]["failures"][0]


def test_no_run_begins_that_would_not_end_in_time() -> None:
    document = find(pipeline(3.0), search_time=65.0)
    assert len(document["probes"]) < 5
    assert "--search-time 65" in document["cut_short"]
    assert document["held"] is not None
    assert "held once" in answer(document)


def test_nothing_is_measured_behind_records_that_did_not_arrive() -> None:
    document = find(pipeline(3.0, lost=5))
    assert len(document["probes"]) == 3
    assert "did not arrive" in document["cut_short"]


def test_no_rate_holds() -> None:
    document = find(pipeline(0.001))
    assert (document["verdict"], document["held"]) == ("FAIL", None)
    assert answer(document) == "No rate held."
