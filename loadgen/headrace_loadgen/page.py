"""The run as one HTML page: verdict, rates, lag and what happened meanwhile, cost, how to rerun."""

import shlex
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from html import escape
from statistics import fmean, median
from typing import Any

from headrace_loadgen import chart, markup
from headrace_loadgen.chart import Mark
from headrace_loadgen.markup import Markup

Document = dict[str, Any]
"""The document of `--json`."""

SERIES = ("one", "two", "three")
"""Line styles: each has a colour and a dash pattern of its own."""
TABLE_ROWS = 12
SMOOTH_OVER = 5
FARTHEST_LIMIT = 20
"""Times the longest lag: an objective beyond that is said and not drawn."""
MOST_MARKS = 40


def page(document: Document, limit_s: float, command: Sequence[str]) -> str:
    """The page of one result. `command` reruns it."""
    passed = document["verdict"] == "PASS"
    run = escape(document["settings"]["run"])
    start = _start(document)
    marks = [Mark(at - start, text) for at, text in document["events"]]
    parts = [
        f"<h1>Load run <code>{run}</code>: {markup.verdict(passed, document['verdict'])}</h1>",
        markup.note(f"{_when(document)}, {document['seconds']:.0f} s"),
        f"<p>{_proof(document)}</p>",
        *_failures(document),
        markup.tiles(_tiles(document, limit_s)),
        *_lag(document, limit_s, marks),
        *_rates(document, marks),
        markup.section("Records", _signals(document)),
        *_cost(document),
        markup.beside(
            markup.section("Settings", markup.pairs(document["settings"])),
            markup.section("Versions", markup.pairs(document["versions"])),
        ),
        markup.section("Run it again", markup.command(shlex.join(command))),
    ]
    return markup.whole(f"{document['verdict']}: loadgen {document['settings']['run']}", parts)


def _start(document: Document) -> float:
    """Seconds since 1970 that the charts count from."""
    times = [at for at, _ in document["metric_lag_timeline"]] + document["timeline"]["at"][:1]
    return min(times, default=0.0)


def _end(document: Document) -> float:
    """Seconds after the start at which the charts end."""
    times: list[float] = document["timeline"]["at"]
    return times[-1] - _start(document) if times else 0.0


def _when(document: Document) -> str:
    start = _start(document)
    when = datetime.fromtimestamp(start, UTC) if start else datetime.now(UTC)
    return f"{when:%Y-%m-%d %H:%M} UTC"


def _proof(document: Document) -> str:
    if document["lost"] is None:
        return "Nobody looked whether the records arrived (<code>--no-verify</code>)."
    return (
        f"Of the acknowledged records, {document['lost']:,} are lost and "
        f"{document['duplicated']:,} doubled."
    )


def _failures(document: Document) -> Iterator[str]:
    if document["failures"]:
        items = "".join(f"<li>{escape(one)}</li>" for one in document["failures"])
        yield markup.section("What did not hold", f'<ul class="fail">{items}</ul>')


def _tiles(document: Document, limit_s: float) -> Iterator[tuple[str, str, str]]:
    for noun, asked in document["asked_rates"].items():
        if asked:
            reached = document["achieved_rates"][noun]
            share = f"{100 * reached / asked:.1f} % of {asked:,.0f} asked"
            yield f"{noun} reached", f"{reached:,.0f}/s", share
    p99 = document["metric_lag_seconds"]["p99"]
    if p99 is not None:
        yield "metric lag p99", f"{p99:.2f} s", f"objective below {limit_s:g} s"
    if document["cpu_us_per_span"]:
        total = sum(document["cpu_us_per_span"].values())
        yield "CPU per span", f"{total:.1f} µs", "all components, all signals"


def _signals(document: Document) -> str:
    names = ["signal", "asked/s", "reached/s", "acknowledged", "visible", "p50 request",
             "p99 request", "failed attempts"]  # fmt: skip
    rows = []
    for noun, asked in document["asked_rates"].items():
        if not asked:
            continue
        visible = document[f"{noun}_visible"]
        latency = document["request_latency_seconds"][noun]
        rows.append(
            [
                noun,
                f"{asked:,.0f}",
                f"{document['achieved_rates'][noun]:,.0f}",
                f"{document[f'{noun}_acked']:,}",
                "not looked up" if visible is None else f"{visible:,}",
                *("–" if latency[q] is None else f"{latency[q]:.2f} s" for q in ("p50", "p99")),
                f"{sum(document['errors'][noun].values()):,}",
            ]
        )
    return markup.table("Records by signal", names, rows)


def _lag(document: Document, limit_s: float, marks: Sequence[Mark]) -> Iterator[str]:
    if not document["metric_lag_timeline"]:
        return
    start = _start(document)
    points = sorted((at - start, seconds) for at, seconds in document["metric_lag_timeline"])
    highest = max(seconds for _, seconds in points)
    lag = document["metric_lag_seconds"]
    words = ", ".join(f"{name} {lag[name]} s" for name in ("p50", "p95", "p99", "max"))
    # An objective of minutes, for a run under faults, would press seconds flat.
    near = limit_s <= FARTHEST_LIMIT * highest
    axes = chart.axes(
        [0.0, max(points[-1][0], _end(document))], max(limit_s, highest) if near else highest
    )
    lines, badges = chart.marks(marks[:MOST_MARKS], axes)
    line, line_words = "", ""
    if near:
        line, line_words = chart.limit(limit_s, axes, f"objective: p99 below {limit_s:g} s")
    else:
        words += f". The objective, {limit_s:g} s, lies above the chart"
    summary = f"Metric lag over time, at most {highest:.1f} s, objective {limit_s:g} s"
    yield markup.section(
        "Metric lag",
        markup.note(f"A dot per canary: from sending a point to reading it. {words}."),
        chart.frame(axes, lines + chart.dots(points, axes, "one") + line, line_words + badges,
                    summary),
        _events(marks),
        markup.folded("The same in numbers", _lag_table(points)),
    )  # fmt: skip


def _events(marks: Sequence[Mark]) -> str:
    """The list that the numbers on the chart point to."""
    if not marks:
        return markup.note("No rebalance, restart or fault was seen during the run.")
    items = "".join(
        f"<li><b>{one.at_s:.1f} s</b> {escape(one.text)}</li>" for one in marks[:MOST_MARKS]
    )
    more = len(marks) - MOST_MARKS
    rest = markup.note(f"and {more} more, in the JSON") if more > 0 else ""
    return f'<ol class="events">{items}</ol>{rest}'


def _lag_table(points: Sequence[tuple[float, float]]) -> str:
    width = (points[-1][0] or 1.0) / TABLE_ROWS
    rows = []
    for number in range(TABLE_ROWS):
        inside = [lag for at, lag in points if number == min(int(at / width), TABLE_ROWS - 1)]
        if inside:
            span = f"{number * width:.0f}–{(number + 1) * width:.0f} s"
            rows.append([span, f"{len(inside)}", f"{median(inside):.2f} s", f"{max(inside):.2f} s"])
    return markup.table("Lag by time", ["sent at", "canaries", "median", "max"], rows)


def _rates(document: Document, marks: Sequence[Mark]) -> Iterator[str]:
    times = document["timeline"]["at"]
    sampled = document["timeline"]["achieved_rates"]
    found = {
        noun: _smooth(sampled[noun])
        for noun, asked in document["asked_rates"].items()
        if asked and noun in sampled
    }
    if len(times) < 2 or not found:
        return
    start = _start(document)
    seconds = [at - start for at in times]
    highest = max(max(rates) for rates in found.values())
    axes = chart.axes([0.0, _end(document)], max(highest, 1.0), y_unit="/s")
    lines, badges = chart.marks(marks[:MOST_MARKS], axes)
    for style, rates in zip(SERIES, found.values(), strict=False):
        lines += chart.line(zip(seconds, rates, strict=True), axes, style)
    legend = "".join(
        f'<li><svg viewBox="0 0 34 14" aria-hidden="true"><path class="line {style}" d="M0 7H34"/>'
        f"</svg>{noun}, {document['asked_rates'][noun]:,.0f}/s asked</li>"
        for style, noun in zip(SERIES, found, strict=False)
    )
    yield markup.section(
        "Rate",
        markup.note(
            f"Records acknowledged per second, averaged over {SMOOTH_OVER} samples because they "
            "come in requests of thousands; until the last one was visible."
        ),
        f'<ul class="legend">{legend}</ul>',
        chart.frame(axes, lines, badges, "Acknowledged records per second over time"),
    )


def _smooth(values: Sequence[float]) -> list[float]:
    """Averages of each value and those before it."""
    windows = (values[max(0, i + 1 - SMOOTH_OVER) : i + 1] for i in range(len(values)))
    return [fmean(window) for window in windows]


def _cost(document: Document) -> Iterator[str]:
    if not document["cpu_seconds"]:
        return
    per_span, memory = document["cpu_us_per_span"], document["memory_mib"]
    timeline = document["timeline"]
    total = sum(document["cpu_seconds"].values()) or 1.0
    rows = [
        [
            name,
            f"{seconds:.1f} s",
            f"{100 * seconds / total:.0f} %",
            f"{per_span[name]:.2f} µs" if name in per_span else "",
            _spark(timeline["cpu_cores"].get(name, []), "cores", ".2f"),
            f"{memory[name]:,.0f} MiB" if name in memory else "",
            _spark(timeline["memory_mib"].get(name, []), "MiB", ",.0f"),
        ]
        for name, seconds in sorted(document["cpu_seconds"].items(), key=lambda item: -item[1])
    ]
    rows.append(["all", f"{total:.1f} s", "", f"{sum(per_span.values()):.2f} µs", "", "", ""])
    names = ["component", "CPU", "share", "per span", "cores, peak", "memory, end",
             "memory, peak"]  # fmt: skip
    yield markup.section(
        "What it cost",
        markup.note("From the first request until the last record was visible."),
        markup.table("CPU and memory by component", names, rows),
    )


def _spark(values: Sequence[float], unit: str, form: str) -> str:
    if not values:
        return ""
    words = f"{max(values):{form}} {unit}"
    drawn = chart.sparkline(values, f"over time, peak {words}")
    return Markup(f"<span>{escape(words)}{drawn}</span>")
