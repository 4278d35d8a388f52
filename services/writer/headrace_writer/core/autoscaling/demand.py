"""The recording rules of deploy/observability/prometheus/rules/scaling.yaml, in Python.

required = arrival + (backlog - 4 s of arrival) / 5 s, held while ClickHouse takes nothing.
"""

from collections import deque
from dataclasses import dataclass, field

SCRAPE_S = 5.0
"""Of the simulated Prometheus, and how often it evaluates its rules."""
ARRIVAL_OVER_S = 60.0
IN_HAND_S = 4.0
CATCH_UP_S = 5.0
HELD_OVER_S = 60.0


@dataclass(slots=True)
class Demand:
    """What the rules say from scrape to scrape. Rows, rows per second, seconds."""

    _scrapes: deque[tuple[float, float]] = field(default_factory=deque)
    _recorded: deque[tuple[float, float]] = field(default_factory=deque)

    def scrape(self, now: float, arrived: float, stored: float, *, circuit_open: bool) -> float:
        """Take the counters as they are and evaluate; returns required rows/s."""
        self._scrapes.append((now, arrived))
        # A window of 1m leaves its older end out.
        while self._scrapes[0][0] <= now - ARRIVAL_OVER_S:
            self._scrapes.popleft()
        while self._recorded and self._recorded[0][0] <= now - HELD_OVER_S:
            self._recorded.popleft()
        if circuit_open and self._recorded:
            required = min(value for _, value in self._recorded)
        else:
            required = self._needed(arrived - stored)
        self._recorded.append((now, required))
        return required

    def _needed(self, backlog: float) -> float:
        (first, before), (last, now) = self._scrapes[0], self._scrapes[-1]
        arrival = max(0.0, now - before) / (last - first) if last > first else 0.0
        return arrival + max(0.0, backlog - IN_HAND_S * arrival) / CATCH_UP_S
