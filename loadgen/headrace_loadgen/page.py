"""The run as one HTML page that needs nothing else: opens offline, prints well."""

import math
import shlex
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from html import escape
from typing import Any

WIDTH, HEIGHT = 720, 240
LEFT, RIGHT, TOP, BOTTOM = 44, 12, 12, 28

STYLE = """
:root { --ink: #1c2024; --soft: #5b6570; --ground: #fff; --line: #d5dae0; --good: #0b62b8;
  --bad: #b3400f; --curve: #0b62b8 }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e8ec; --soft: #9aa5b1; --ground: #14171a;
  --line: #353c44; --good: #6cb6ff; --bad: #ffa066; --curve: #6cb6ff } }
@media print { :root { --ink: #000; --soft: #444; --ground: #fff; --line: #bbb; --good: #000;
  --bad: #000; --curve: #000 } section { break-inside: avoid } }
* { box-sizing: border-box }
body { margin: 0 auto; padding: 24px 16px; max-width: 760px; color: var(--ink);
  background: var(--ground); font: 15px/1.5 system-ui, sans-serif }
h1 { font-size: 1.5rem; margin: 0 } h2 { font-size: 1.1rem; margin: 28px 0 8px }
.verdict { font-weight: 700 } .pass { color: var(--good) } .fail { color: var(--bad) }
.soft { color: var(--soft) }
.scroll { overflow-x: auto }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums }
caption { text-align: left; color: var(--soft) }
th, td { padding: 4px 8px; text-align: right; border-bottom: 1px solid var(--line);
  white-space: nowrap }
th:first-child, td:first-child { text-align: left }
svg { width: 100%; min-width: 560px; height: auto; display: block }
svg text { fill: var(--soft); font: 11px system-ui, sans-serif }
.axis { stroke: var(--line) } .dot { fill: var(--curve) }
.limit { stroke: var(--bad); stroke-width: 1.5; stroke-dasharray: 6 4 }
code, pre { font-family: ui-monospace, monospace; font-size: .9em }
pre { overflow-x: auto; margin: 0 }
"""


def page(document: dict[str, Any], limit_s: float, command: Sequence[str]) -> str:
    """The page of one result (the document of `--json`). `command` reruns it."""
    passed = document["verdict"] == "PASS"
    when = datetime.now(UTC)
    lag = document["metric_lag_seconds"]
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{document['verdict']}: loadgen {document['settings']['run']}</title>",
        f"<style>{STYLE}</style></head><body>",
        f"<h1>Load run <code>{escape(document['settings']['run'])}</code>: "
        f'<span class="verdict {"pass" if passed else "fail"}">{document["verdict"]}</span></h1>',
        f'<p class="soft">{when:%Y-%m-%d %H:%M} UTC, {document["seconds"]:.0f} s</p>',
        f"<p>{_proof(document)}</p>",
    ]
    if document["failures"]:
        items = "".join(f"<li>{escape(one)}</li>" for one in document["failures"])
        parts.append(f'<section><h2>What did not hold</h2><ul class="fail">{items}</ul></section>')
    parts.append(_table("Records", *_signals(document)))
    if document["metric_lag_timeline"]:
        words = ", ".join(f"{name} {lag[name]} s" for name in ("p50", "p95", "p99", "max"))
        parts.append(
            "<section><h2>Metric lag</h2>"
            f'<p class="soft">From sending a canary point to reading it: {words}. The broken line '
            f"is the objective for p99, {limit_s:g} s.</p>"
            '<div class="scroll" tabindex=0>'
            f"{_chart(document['metric_lag_timeline'], limit_s)}</div></section>"
        )
    if document["cpu_seconds"]:
        parts.append(_table("What it cost", *_components(document)))
    settings = "".join(
        f"<tr><td>{escape(name)}</td><td>{escape(str(value))}</td></tr>"
        for name, value in document["settings"].items()
    )
    parts += [
        f'<section><h2>Settings</h2><div class="scroll"><table>{settings}</table></div></section>',
        "<section><h2>Run it again</h2>"
        f"<pre tabindex=0>{escape(shlex.join(command))}</pre></section>",
        "</body></html>",
    ]
    return "\n".join(parts) + "\n"


def _proof(document: dict[str, Any]) -> str:
    if document["lost"] is None:
        return "Nobody looked whether the records arrived (<code>--no-verify</code>)."
    return (
        f"Of the acknowledged records, {document['lost']:,} are lost and "
        f"{document['duplicated']:,} doubled."
    )


def _signals(document: dict[str, Any]) -> tuple[list[str], Iterable[list[str]]]:
    names = ["", "asked/s", "reached/s", "acknowledged", "visible", "p99 request"]
    rows = []
    for noun, asked in document["asked_rates"].items():
        if not asked:
            continue
        visible = document[f"{noun}_visible"]
        latency = document["request_latency_seconds"][noun]["p99"]
        rows.append(
            [
                noun,
                f"{asked:,.0f}",
                f"{document['achieved_rates'][noun]:,.0f}",
                f"{document[f'{noun}_acked']:,}",
                "not looked up" if visible is None else f"{visible:,}",
                "" if latency is None else f"{latency:.2f} s",
            ]
        )
    return names, rows


def _components(document: dict[str, Any]) -> tuple[list[str], Iterable[list[str]]]:
    per_span = document["cpu_us_per_span"]
    memory = document["memory_mib"]
    ordered = sorted(document["cpu_seconds"].items(), key=lambda item: -item[1])
    rows = [
        [
            name,
            f"{seconds:.1f}",
            f"{per_span[name]:.2f}" if name in per_span else "",
            f"{memory.get(name, 0):,.0f}",
        ]
        for name, seconds in ordered
    ]
    total = sum(document["cpu_seconds"].values())
    rows.append(["all", f"{total:.1f}", f"{sum(per_span.values()):.2f}", ""])
    return ["component", "CPU s", "µs per span", "MiB"], rows


def _table(title: str, names: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in names)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return (
        f'<section><h2>{escape(title)}</h2><div class="scroll" tabindex=0><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div></section>"
    )


def _chart(timeline: Sequence[Sequence[float]], limit_s: float) -> str:
    """One dot per canary over the time of its sending, and the objective."""
    start = min(at for at, _ in timeline)
    span = max(at for at, _ in timeline) - start or 1.0
    top = _ceiling(max(limit_s, *(seconds for _, seconds in timeline)) * 1.05)

    def across(at: float) -> float:
        return round(LEFT + (at - start) / span * (WIDTH - LEFT - RIGHT), 1)

    def down(seconds: float) -> float:
        return round(HEIGHT - BOTTOM - seconds / top * (HEIGHT - TOP - BOTTOM), 1)

    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="Metric lag over time, '
        f'at most {max(s for _, s in timeline):.1f} s, objective {limit_s:g} s">'
    ]
    for share in (0, 0.5, 1):
        y = down(top * share)
        parts.append(
            f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>'
            f'<text x="{LEFT - 6}" y="{y + 4}" text-anchor="end">{top * share:g} s</text>'
        )
    for share in (0, 0.5, 1):
        anchor = ("start", "middle", "end")[int(share * 2)]
        parts.append(
            f'<text x="{across(start + span * share)}" y="{HEIGHT - 8}" '
            f'text-anchor="{anchor}">{span * share:.0f} s</text>'
        )
    parts += [
        f'<circle class="dot" cx="{across(at)}" cy="{down(seconds)}" r="2"/>'
        for at, seconds in timeline
    ]
    y = down(limit_s)
    parts.append(f'<line class="limit" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/></svg>')
    return "".join(parts)


def _ceiling(value: float) -> float:
    """The next of 1, 2, 5 × a power of ten."""
    power: float = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= value)
