"""Values over time as one SVG: readable on light and dark ground, a few ten kB."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

STYLE = """<style>
svg { background: #fff; font: 11px sans-serif; fill: #333 }
.line { fill: none; stroke: #0b62b8; stroke-width: 2 }
.other { fill: none; stroke: #b3400f; stroke-width: 1.5; stroke-dasharray: 5 3 }
.limit { stroke: #b3400f; stroke-width: 1; stroke-dasharray: 2 3 }
.spread { stroke: #0b62b8; stroke-width: 1 }
.dot { fill: #0b62b8 }
.axis { stroke: #999; stroke-width: 1 }
.name { font-weight: bold }
@media (prefers-color-scheme: dark) {
  svg { background: #16191d; fill: #ddd }
  .line, .spread { stroke: #6cb6ff } .dot { fill: #6cb6ff } .axis { stroke: #666 }
  .other, .limit { stroke: #ffa066 }
}
</style>"""

WIDTH, HEIGHT = 720, 170
LEFT, RIGHT, TOP, BOTTOM = 56, 12, 30, 24
PLACES = 600
"""Points drawn of a line; of more, the highest of each stretch."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One diagram. `lines`: a name and its (seconds, value), the second line drawn broken."""

    name: str
    lines: Sequence[tuple[str, Sequence[tuple[float, float]]]]
    limit: float | None = None


def svg(frames: Sequence[Frame], about: str) -> str:
    """The frames below each other over one time axis, each from zero."""
    last = max(points[-1][0] for frame in frames for _, points in frame.lines) or 1.0
    height = HEIGHT * len(frames) + 24
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-label="{escape(", ".join(frame.name for frame in frames))}">',
        STYLE,
    ]
    for number, frame in enumerate(frames):
        parts.append(f'<g transform="translate(0 {number * HEIGHT})">')
        parts += _frame(frame, last)
        parts.append("</g>")
    parts.append(f'<text x="{LEFT}" y="{height - 8}">{escape(about)}</text></svg>')
    return "\n".join(parts) + "\n"


def _frame(frame: Frame, last: float) -> Iterable[str]:
    values = [value for _, points in frame.lines for _, value in points]
    top = ceiling(max(*values, frame.limit or 0.0, 1e-9))

    def across(at: float) -> float:
        return round(LEFT + at / last * (WIDTH - LEFT - RIGHT), 1)

    def down(value: float) -> float:
        return round(HEIGHT - BOTTOM - value / top * (HEIGHT - TOP - BOTTOM), 1)

    names = ", ".join(
        f"{name} (broken line)" if number else name for number, (name, _) in enumerate(frame.lines)
    )
    yield f'<text class="name" x="{LEFT}" y="18">{escape(frame.name)}: {escape(names)}</text>'
    for share in (0, 0.5, 1):
        y = down(top * share)
        yield f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>'
        yield f'<text x="{LEFT - 6}" y="{y + 4}" text-anchor="end">{short(top * share)}</text>'
        anchor = ("start", "middle", "end")[int(share * 2)]
        yield (
            f'<text x="{across(last * share)}" y="{HEIGHT - 8}" text-anchor="{anchor}">'
            f"{last * share:.0f} s</text>"
        )
    for number, (_, points) in enumerate(frame.lines):
        places = " ".join(f"{across(at)},{down(value)}" for at, value in thinned(points))
        yield f'<polyline class="{"other" if number else "line"}" points="{places}"/>'
    if frame.limit is not None:
        y = down(frame.limit)
        yield f'<line class="limit" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>'


def thinned(points: Sequence[tuple[float, float]]) -> Sequence[tuple[float, float]]:
    """At most PLACES of them: the highest of each stretch, so that no peak is lost."""
    stretch = math.ceil(len(points) / PLACES)
    return [
        max(points[at : at + stretch], key=lambda point: point[1])
        for at in range(0, len(points), stretch)
    ]


def short(value: float) -> str:
    """With k or M where that is shorter."""
    for unit, name in ((1e6, "M"), (1e3, "k")):
        if value >= unit:
            return f"{value / unit:g}{name}"
    return f"{value:g}"


def ceiling(value: float) -> float:
    """The next of 1, 2, 5 × a power of ten."""
    power: float = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= value)
