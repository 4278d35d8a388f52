"""The parts that the pages of `loadgen --report` are made of."""

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from headrace_loadgen.style import STYLE


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def text(value: str) -> str:
    return value if isinstance(value, Markup) else escape(value)


def whole(title: str, parts: Iterable[str]) -> str:
    """A page that needs nothing else: opens offline, prints well."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style></head><body><main>\n"
        + "\n".join(parts)
        + "\n</main></body></html>\n"
    )


def section(title: str, *parts: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{''.join(parts)}</section>"


def beside(*parts: str) -> str:
    """Next to each other where there is room."""
    return f'<div class="beside">{"".join(parts)}</div>'


def note(words: str) -> str:
    return f'<p class="soft">{text(words)}</p>'


def tiles(found: Iterable[tuple[str, str, str]]) -> str:
    """(what, number, remark) as a row of boxes."""
    boxes = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(number)}<small>{escape(remark)}</small></dd></div>"
        for name, number, remark in found
    )
    return f'<dl class="tiles">{boxes}</dl>'


def table(title: str, names: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """On a phone each row becomes a card, so nothing has to be scrolled sideways."""
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in names)
    body = "".join(
        "<tr>"
        + "".join(
            f"<td{' class=words' if len(cell) > 40 and not isinstance(cell, Markup) else ''}"
            f' data-name="{escape(name)}">{text(cell)}</td>'
            for name, cell in zip(names, row, strict=True)
        )
        + "</tr>"
        for row in rows
    )
    return (
        f'<div class="scroll" role="region" aria-label="{escape(title)}" tabindex="0">'
        f'<table class="cards"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def pairs(found: dict[str, Any]) -> str:
    rows = "".join(
        f"<tr><td>{escape(str(name))}</td><td>{escape(str(value))}</td></tr>"
        for name, value in found.items()
    )
    return f'<table class="plain"><tbody>{rows}</tbody></table>'


def folded(words: str, inside: str) -> str:
    """Opened by a click or the keyboard."""
    return f"<details><summary>{escape(words)}</summary>{inside}</details>"


def command(words: str) -> str:
    return f'<pre tabindex="0">{escape(words)}</pre>'


def verdict(passed: bool, words: str) -> str:
    """A sign beside the colour, for who cannot tell colours apart."""
    kind, sign = ("pass", "✓") if passed else ("fail", "✗")
    return f'<span class="verdict {kind}">{sign} {escape(words)}</span>'
