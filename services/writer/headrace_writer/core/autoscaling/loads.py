"""Loads over time: rows per second between given moments, and when ClickHouse takes nothing."""

import math
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass

from headrace_writer.errors import ConfigError

NAMES = ("step", "diurnal", "spike", "stall")
DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Load:
    """`points`: (seconds, rows/s), ascending; straight between them; two of one time are a jump."""

    name: str
    points: tuple[tuple[float, float], ...]
    stalls: tuple[tuple[float, float], ...] = ()

    @property
    def duration_s(self) -> float:
        return self.points[-1][0]

    def rate(self, at: float) -> float:
        """Rows per second; before the first point as there, behind the last as there."""
        after = bisect_right(self.points, (at, math.inf))
        if after == 0:
            return self.points[0][1]
        if after == len(self.points):
            return self.points[-1][1]
        (begin, low), (end, high) = self.points[after - 1], self.points[after]
        return low + (high - low) * (at - begin) / (end - begin)

    def stalled(self, at: float) -> bool:
        """Whether ClickHouse takes nothing."""
        return any(begin <= at < end for begin, end in self.stalls)


def named(name: str, base: float, peak: float) -> Load:
    """One of NAMES between `base` and `peak` rows/s."""
    if name == "step":
        return steps("step", [(300, base), (900, peak), (2_400, base)])
    if name == "spike":
        quiet, high = (600.0, base), (30.0, peak)
        return steps("spike", [quiet, high, quiet, high, (1_800, base)])
    if name == "diurnal":
        middle, swing = (base + peak) / 2, (peak - base) / 2
        quarters = (900.0 * number for number in range(97))
        return Load(
            "diurnal",
            tuple((at, middle - swing * math.cos(2 * math.pi * at / DAY_S)) for at in quarters),
        )
    if name == "stall":
        return Load("stall", ((0.0, peak), (3_600.0, peak)), ((600.0, 780.0),))
    msg = f"--trace {name}: one of {', '.join(NAMES)}, or a CSV file"
    raise ConfigError(msg)


def steps(name: str, parts: Iterable[tuple[float, float]]) -> Load:
    """From (seconds, rows/s) of each part."""
    points: list[tuple[float, float]] = []
    at = 0.0
    for seconds, rate in parts:
        points += [(at, rate), (at + seconds, rate)]
        at += seconds
    return Load(name, tuple(points))


def from_csv(name: str, text: str) -> Load:
    """Lines of `seconds,rows per second[,down]`; `down` 1: ClickHouse takes nothing from here to
    the next line. Raises ConfigError that names the line.
    """
    points: list[tuple[float, float]] = []
    stalls: list[tuple[float, float]] = []
    down_since: float | None = None
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        try:
            at, rate, *rest = (float(cell) for cell in line.split(","))
        except ValueError as error:
            msg = f"{name}, line {number}: {line!r} is not seconds,rows per second[,1 if down]"
            raise ConfigError(msg) from error
        if not (math.isfinite(at) and 0 <= rate < math.inf) or (points and at < points[-1][0]):
            msg = f"{name}, line {number}: seconds ascend from line to line, rates are not negative"
            raise ConfigError(msg)
        points.append((at, rate))
        if down_since is not None:
            stalls.append((down_since, at))
        down_since = at if rest and rest[0] else None
    if len(points) < 2:
        msg = f"{name}: a load has at least two lines"
        raise ConfigError(msg)
    first = points[0][0]
    return Load(
        name,
        tuple((at - first, rate) for at, rate in points),
        tuple((begin - first, end - first) for begin, end in stalls),
    )
