"""The page of `loadgen --find-max`: lag against rate."""

import shlex
from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape

from headrace_loadgen import chart, markup
from headrace_loadgen.find_max import Document, answer, rows


def search_page(document: Document, command: Sequence[str]) -> str:
    """The page of one search. `command` repeats it."""
    limit_s = document["objectives"]["max_metric_lag_p99_seconds"]
    cut = document["cut_short"]
    found = document["verdict"] == "PASS"
    heading = markup.verdict(found, "found" if found else "no rate held")
    names = ["probe", "asked/s", "reached/s", "lag p99", "lag max", "visible after", "held"]
    parts = [
        f"<h1>Highest rate that holds: {heading}</h1>",
        markup.note(f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {len(document['probes'])} probes, "
                    f"{document['seconds']:.0f} s"),
        f"<p><b>{escape(answer(document))}</b></p>",
        markup.note(f"Cut short: {cut}") if cut else "",
        _chart(document, limit_s),
        markup.section(
            "Probes",
            markup.note("A probe holds when every objective does and what was sent is visible "
                        f"{limit_s:g} s after the load. A failed one is tried again."),
            markup.table("Probes in order", names, rows(document)),
        ),
        markup.beside(
            markup.section("Settings", markup.pairs(document["settings"])),
            markup.section("Versions", markup.pairs(document["versions"])),
        ),
        markup.section("Run it again", markup.command(shlex.join(command))),
    ]  # fmt: skip
    return markup.whole("loadgen --find-max", parts)


def _chart(document: Document, limit_s: float) -> str:
    """One dot per probe: filled where it held, a ring where it did not."""
    held: list[tuple[float, float]] = []
    failed: list[tuple[float, float]] = []
    noun = ""
    for one in document["probes"]:
        noun = next(noun for noun, rate in one["asked_rates"].items() if rate)
        lag = one["metric_lag_seconds"]["p99"]
        if lag is not None:
            (held if one["held"] else failed).append((one["asked_rates"][noun], lag))
    points = held + failed
    if not points:
        return ""
    highest = max(lag for _, lag in points)
    axes = chart.axes(
        [0.0, max(rate for rate, _ in points) * 1.05], max(limit_s, highest), x_unit=""
    )
    line, words = chart.limit(limit_s, axes, f"objective: p99 below {limit_s:g} s", "left")
    drawing = (
        line
        + chart.dots(held, axes, "held")
        + chart.dots(failed, axes, "fail")
        + chart.dots(failed, axes, "hole")
    )
    legend = "".join(
        f'<li><svg viewBox="0 0 34 14" aria-hidden="true">{dot}</svg>{name}</li>'
        for dot, name in (
            ('<path class="dots held" d="M17 7h0"/>', "held"),
            ('<path class="dots fail" d="M17 7h0"/><path class="dots hole" d="M17 7h0"/>',
             "did not hold"),
        )
    )  # fmt: skip
    return markup.section(
        "Lag against rate",
        markup.note(f"p99 of the metric lag over the {noun} asked per second."),
        f'<ul class="legend">{legend}</ul>',
        chart.frame(axes, drawing, words, f"Metric lag p99 against {noun} per second"),
    )
