"""What an LLM platform team would ask about the run: five queries of docs/queries.md, as tables."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, TextIO

from clickhouse_driver import Client
from rich.console import Console
from rich.table import Table

from headrace_native.spec import ROOT

PAGE = ROOT / "docs" / "queries.md"
ROWS = 16


@dataclass(frozen=True, slots=True)
class Question:
    """A query of the page, by name, and which of its columns to show under which heading."""

    title: str
    query: str
    columns: tuple[tuple[str, str], ...]


QUESTIONS = (
    Question(
        "How slow is each model?",
        "llm_latency_by_model",
        (("quarter", "since"), ("Model", "model"), ("calls", "calls"), ("p50_ms", "p50, ms"),
         ("p95_ms", "p95, ms")),
    ),
    Question(
        "Which routes fail?",
        "llm_success_by_route",
        (("Route", "route"), ("calls", "calls"), ("success_rate", "success")),
    ),
    Question(
        "Tokens per minute by customer tier?",
        "llm_tokens_per_minute_by_tier",
        (("Tier", "tier"), ("Minute", "minute"), ("input", "input"), ("output", "output")),
    ),
    Question(
        "Which sessions are the dearest?",
        "llm_dearest_sessions",
        (("SessionId", "session"), ("turns", "turns"), ("calls", "calls"), ("tokens", "tokens"),
         ("errors", "errors"), ("cost", "cost, USD"), ("unpriced_calls", "calls without a price")),
    ),
    Question(
        "What goes wrong?",
        "llm_errors_by_type",
        (("ErrorType", "error"), ("Model", "model"), ("errors", "errors"),
         ("last_seen", "last seen")),
    ),
)  # fmt: skip


def sql(name: str) -> str:
    """The query of that name on the page. Raises KeyError when the page has none."""
    found = re.search(
        rf"<!-- query: {name} both -->\n```sql\n(.*?)\n```", PAGE.read_text(), re.DOTALL
    )
    if found is None:
        raise KeyError(name)
    return found[1]


def ask(client: Client, question: Question, since_s: int, until_s: int) -> list[tuple[Any, ...]]:
    """The rows, with the columns that the question shows. Times in seconds since 1970."""
    window = {"since_s": since_s, "until_s": until_s}
    rows, described = client.execute(sql(question.query), window, with_column_types=True)
    places = [[name for name, _ in described].index(name) for name, _ in question.columns]
    return [tuple(row[place] for place in places) for row in rows]


def calls(client: Client, since_s: int) -> int:
    """How many calls of models the load generator and the example agent made since then."""
    rows = client.execute(
        "SELECT count() FROM genai_spans WHERE Kind = 'model' AND Time >= toDateTime(%(since)s) "
        "AND (ServiceName = 'support-agent' OR startsWith(ServiceName, 'loadgen-')) "
        "SETTINGS enable_optimize_predicate_expression = 1",
        {"since": since_s},
    )
    return int(rows[0][0])


def show(client: Client, since_s: int, until_s: int, out: TextIO | None = None) -> None:
    """Print all five answers about a window."""
    console = Console(file=out, highlight=False, width=100)
    for question in QUESTIONS:
        rows = ask(client, question, since_s, until_s)
        console.print()
        if not rows:
            console.print(f"{question.title} Nothing in this window.")
            continue
        table = Table(title=question.title, title_justify="left", title_style="bold", box=None)
        numbers = _numeric(rows)
        for (_, heading), number in zip(question.columns, numbers, strict=True):
            table.add_column(heading, justify="right" if number else "left")
        for row in rows[:ROWS]:
            table.add_row(*map(_text, row))
        console.print(table)
        if len(rows) > ROWS:
            console.print(f" and {len(rows) - ROWS} rows more")


def _numeric(rows: Sequence[tuple[Any, ...]]) -> list[bool]:
    kinds = (int, float, Decimal)
    return [all(isinstance(value, kinds) for value in column) for column in zip(*rows, strict=True)]


def _text(value: Any) -> str:
    match value:
        case None:
            return "no price"
        case datetime():
            return value.strftime("%H:%M:%S")
        case Decimal():
            return f"{value:.6f}"
        case float() if value <= 1:
            return f"{value:.2%}"
        case int() | float():
            return f"{value:,.0f}"
    return str(value) or "-"
