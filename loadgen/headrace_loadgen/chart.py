"""Charts as SVG that stretches to its place; words and numbers beside it are HTML, so that they are
as large on a phone as on a desk."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

# The drawing's own units; the page stretches them. Strokes keep their width (non-scaling-stroke).
WIDTH, HEIGHT = 1000, 300
# Badges of events nearer than this share of the width become one.
BADGE_SHARE = 0.07


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened: seconds since the start, and what."""

    at_s: float
    text: str


@dataclass(frozen=True, slots=True)
class Axes:
    """What the edges of the drawing stand for."""

    left: float
    right: float
    top: float
    x_unit: str = " s"
    y_unit: str = " s"

    def across(self, value: float) -> float:
        """Share of the width, 0 to 1."""
        return (value - self.left) / (self.right - self.left)

    def point(self, x: float, y: float) -> str:
        """Coordinates in the drawing."""
        return f"{self.across(x) * WIDTH:.1f} {HEIGHT * (1 - min(y / self.top, 1)):.1f}"


def axes(xs: Sequence[float], highest: float, **units: str) -> Axes:
    """From the first to the last x, from 0 to a round number above `highest`."""
    left, right = min(xs), max(xs)
    return Axes(left, right if right > left else left + 1, ceiling(highest * 1.05), **units)


def ceiling(value: float) -> float:
    """The next number that a person would write at the end of an axis."""
    step = _step(value)
    return math.ceil(value / step - 1e-9) * step


def _step(value: float) -> float:
    """1, 2 or 5 × a power of ten: at most six of it reach `value`."""
    power: float = 10.0 ** math.floor(math.log10(value / 6))
    return next(times * power for times in (1, 2, 5, 10) if times * power * 6 >= value * 0.999999)


def short(value: float) -> str:
    """A number for an axis: 20k rather than 20,000."""
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.4g}{letter}"
    return f"{value:.4g}"


def dots(points: Iterable[tuple[float, float]], axes: Axes, name: str) -> str:
    """A dot for each point: lines of no length with round ends stay round when stretched."""
    path = "".join(f"M{axes.point(x, y)}h0" for x, y in points)
    return f'<path class="dots {name}" d="{path}"/>'


def line(points: Iterable[tuple[float, float]], axes: Axes, name: str) -> str:
    path = "L".join(axes.point(x, y) for x, y in points)
    return f'<path class="line {name}" d="M{path}"/>'


def limit(y: float, axes: Axes, words: str, side: str = "right") -> tuple[str, str]:
    """A horizontal broken line, and its words for the layer above, at the emptier side."""
    height = 100 * min(y / axes.top, 1)
    drawn = f'<path class="limit" d="M{axes.point(axes.left, y)}H{WIDTH}"/>'
    return (
        drawn,
        f'<span class="limit-words {side}" style="bottom:{height:.1f}%">{escape(words)}</span>',
    )


def frame(axes: Axes, drawing: str, above: str, summary: str) -> str:
    """Axes around a drawing. `above`: HTML over it; `summary`: the chart for who cannot see it."""
    step = _step(axes.top)
    ys = [step * i for i in range(round(axes.top / step) + 1)]
    x_step = _step(axes.right - axes.left)
    first = math.ceil(axes.left / x_step - 1e-9) * x_step
    xs = [first + x_step * i for i in range(int((axes.right - first) / x_step + 1e-9) + 1)]
    grid = "".join(f"M{axes.point(axes.left, y)}H{WIDTH}" for y in ys)
    y_words = "".join(
        f'<span style="bottom:{100 * y / axes.top:.1f}%">{short(y)}{escape(axes.y_unit)}</span>'
        for y in ys
    )
    x_words = "".join(
        f'<span style="left:{100 * axes.across(x):.1f}%">{short(x)}{escape(axes.x_unit)}</span>'
        for x in xs
    )
    return (
        f'<div class="chart" role="img" aria-label="{escape(summary)}">'
        f'<div class="ys">{y_words}</div><div class="plot">'
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" aria-hidden="true">'
        f'<path class="grid" d="{grid}"/>{drawing}</svg>{above}</div>'
        f'<div class="xs">{x_words}</div></div>'
    )


def marks(found: Sequence[Mark], axes: Axes) -> tuple[str, str]:
    """Upright lines, and numbered badges for the layer above. Numbers are places in `found`."""
    inside = [(i, one) for i, one in enumerate(found, 1) if axes.left <= one.at_s <= axes.right]
    lines = "".join(f"M{axes.point(one.at_s, 0)}V0" for _, one in inside)
    groups: list[list[tuple[int, float]]] = []
    for number, one in inside:
        at = axes.across(one.at_s)
        if groups and at - groups[-1][0][1] < BADGE_SHARE:
            groups[-1].append((number, at))
        else:
            groups.append([(number, at)])
    badges = "".join(
        f'<span class="badge" style="left:{100 * group[0][1]:.1f}%">{_numbers(group)}</span>'
        for group in groups
    )
    return f'<path class="mark" d="{lines}"/>' if inside else "", badges


def _numbers(group: Sequence[tuple[int, float]]) -> str:
    first, last = group[0][0], group[-1][0]
    return str(first) if first == last else f"{first}–{last}"


def sparkline(values: Sequence[float], words: str) -> str:
    """A small area from 0 to the highest value."""
    top = max(values, default=0)
    if len(values) < 2 or top <= 0:
        return ""
    step = 100 / (len(values) - 1)
    path = "L".join(f"{i * step:.1f} {20 * (1 - v / top):.1f}" for i, v in enumerate(values))
    return (
        f'<svg class="spark" viewBox="0 0 100 20" preserveAspectRatio="none" role="img" '
        f'aria-label="{escape(words)}"><path class="area" d="M0 20L{path}L100 20Z"/>'
        f'<path class="line" d="M{path}"/></svg>'
    )
