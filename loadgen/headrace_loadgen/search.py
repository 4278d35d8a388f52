"""The highest rate that holds, by trying: pure, so that tests play it against any pipeline.

A measurement is noisy near the limit. So a rate counts as too high only after it failed twice, and
the answer has held twice.
"""

import math
from collections.abc import Generator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bounds:
    """Where to look, and how closely."""

    least: float
    most: float
    tolerance: float
    """The answer and the lowest rate that failed differ by at most this share."""
    max_probes: int


@dataclass(slots=True)
class Bracket:
    """What is known so far; both ends are rates that were tried."""

    held: float | None = None
    failed: float | None = None
    confirmed: bool = False
    """`held` held twice."""
    probes: int = 0


Search = Generator[float, bool, None]
"""Yields a rate to try, is sent whether it held."""


def search(start: float, bounds: Bounds, bracket: Bracket) -> Search:
    """Double or halve from `start` until the limit is in between, halve the distance until it is
    within the tolerance, then try the answer again. `bracket` is kept up to date, so that a search
    that is cut short leaves what it knows."""
    rate: float | None = start
    while rate is not None and bracket.probes < bounds.max_probes:
        if (yield from _holds(rate, bounds, bracket)):
            bracket.held, bracket.confirmed = rate, False
        else:
            bracket.failed = rate
        rate = _next(bracket, bounds)
        if rate is None and bracket.held is not None:
            rate = yield from _confirm(bracket.held, bounds, bracket)


def _holds(rate: float, bounds: Bounds, bracket: Bracket) -> Generator[float, bool, bool]:
    """One failure may be chance; two are not."""
    for _ in range(2):
        if bracket.probes >= bounds.max_probes:
            break
        bracket.probes += 1
        if (yield rate):
            return True
    return False


def _confirm(rate: float, bounds: Bounds, bracket: Bracket) -> Generator[float, bool, float | None]:
    """Try the answer once more. Returns a lower rate to go on with if it does not hold."""
    if bracket.probes >= bounds.max_probes:
        return None
    bracket.probes += 1
    bracket.confirmed = yield rate
    if bracket.confirmed:
        return None
    bracket.held, bracket.failed = None, rate
    lower = rate / (1 + bounds.tolerance)
    return lower if lower >= bounds.least else None


def _next(bracket: Bracket, bounds: Bounds) -> float | None:
    """The rate that tells most, or None when the answer is as close as was asked."""
    held, failed = bracket.held, bracket.failed
    if failed is None:
        assert held is not None
        return min(held * 2, bounds.most) if held < bounds.most else None
    if held is None:
        return max(failed / 2, bounds.least) if failed > bounds.least else None
    if failed <= held * (1 + bounds.tolerance):
        return None
    return math.sqrt(held * failed)
