"""Small multiples of curves as one SVG: readable on light and dark ground, a few kB."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from xml.sax.saxutils import escape

from headrace_writer.core.chart import STYLE, ceiling

WIDTH, HEIGHT, COLUMNS = 340, 220, 2
LEFT, RIGHT, TOP, BOTTOM = 48, 12, 34, 34


@dataclass(frozen=True, slots=True)
class Curve:
    """Points (x, y, least y, most y), ascending in x."""

    name: str
    points: list[tuple[float, float, float, float]]


def svg(curves: list[Curve], unit: str, about: str) -> str:
    """All curves, each in its own frame from zero, x on a logarithmic scale."""
    rows = math.ceil(len(curves) / COLUMNS)
    width, height = WIDTH * COLUMNS, HEIGHT * rows + 24
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'role="img" aria-label="{escape(unit)}">',
        STYLE,
    ]
    for number, curve in enumerate(curves):
        row, column = divmod(number, COLUMNS)
        parts.append(f'<g transform="translate({column * WIDTH} {row * HEIGHT})">')
        parts += _frame(curve, unit)
        parts.append("</g>")
    parts.append(f'<text x="{LEFT}" y="{height - 8}">{escape(about)}</text></svg>')
    return "\n".join(parts) + "\n"


def _frame(curve: Curve, unit: str) -> Iterable[str]:
    top = ceiling(max(most for *_, most in curve.points))
    low, high = (math.log10(1 + curve.points[end][0]) for end in (0, -1))

    def across(x: float) -> float:
        share = (math.log10(1 + x) - low) / (high - low or 1)
        return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)

    def down(y: float) -> float:
        return round(HEIGHT - BOTTOM - y / top * (HEIGHT - TOP - BOTTOM), 1)

    yield f'<text class="name" x="{LEFT}" y="18">{escape(curve.name)}</text>'
    for share in (0, 0.5, 1):
        y = down(top * share)
        yield f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>'
        yield f'<text x="{LEFT - 6}" y="{y + 4}" text-anchor="end">{top * share:g}</text>'
    places = " ".join(f"{across(x)},{down(y)}" for x, y, *_ in curve.points)
    yield f'<polyline class="line" points="{places}"/>'
    for x, y, least, most in curve.points:
        at = across(x)
        yield f'<line class="spread" x1="{at}" x2="{at}" y1="{down(least)}" y2="{down(most)}"/>'
        yield (
            f'<circle class="dot" cx="{at}" cy="{down(y)}" r="3">'
            f"<title>{x:g}: {y:g} {escape(unit)}</title></circle>"
        )
        label = f"{x / 1000:g}k" if x >= 1_000 else f"{x:g}"
        yield f'<text x="{at}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{label}</text>'
