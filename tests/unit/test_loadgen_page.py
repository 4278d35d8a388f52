"""The page of `loadgen --report`: complete, self-contained, and safe with any text in it."""

import re
from html.parser import HTMLParser
from typing import Any

from headrace_loadgen.page import page

VOID = {"meta"}


def document(**changes: Any) -> dict[str, Any]:
    base: dict[str, Any] = {
        "verdict": "PASS",
        "failures": [],
        "asked_rates": {"spans": 1_000.0, "points": 500.0, "logs": 0.0},
        "achieved_rates": {"spans": 998.0, "points": 499.0, "logs": 0.0},
        "seconds": 30.0,
        "spans_acked": 29_940, "points_acked": 14_970, "logs_acked": 0,
        "spans_visible": 29_940, "points_visible": 14_970, "logs_visible": 0,
        "lost": 0, "duplicated": 0,
        "metric_lag_seconds": {"p50": 1.4, "p95": 2.0, "p99": 2.5, "max": 2.6},
        "metric_lag_timeline": [[100.0 + i, 1.0 + i % 3] for i in range(30)],
        "request_latency_seconds": {"spans": {"p50": 0.1, "p99": 0.2},
                                    "points": {"p50": 0.1, "p99": 0.2}},
        "cpu_seconds": {"gateway-1": 3.0, "loadgen": 1.0},
        "cpu_us_per_span": {"gateway-1": 100.2, "loadgen": 33.4},
        "memory_mib": {"gateway-1": 90.0},
        "settings": {"run": "0af1", "profile": "genai"},
    }  # fmt: skip
    return {**base, **changes}


def make(**changes: Any) -> str:
    return page(document(**changes), 10.0, ["loadgen", "--rate", "1000"])


class Balanced(HTMLParser):
    """Fails where a tag is closed that is not the last one opened."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Opens nothing."""

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_every_tag_is_closed_in_order() -> None:
    for text in (make(), make(failures=["spans: reached 1/s"], verdict="FAIL"),
                 make(metric_lag_timeline=[], cpu_seconds={}, cpu_us_per_span={})):  # fmt: skip
        parser = Balanced()
        parser.feed(text)
        assert parser.open == []


def test_it_loads_nothing_from_elsewhere() -> None:
    assert not re.search(r"(src|href)=|url\(|@import|https?://", make())


def test_verdict_numbers_and_command_are_there() -> None:
    text = make()
    for part in (
        "PASS",
        "29,940",
        "0 are lost and 0 doubled",
        "gateway-1",
        "133.60",
        "p99 2.5 s",
        "loadgen --rate 1000",
    ):
        assert part in text, part


def test_each_canary_is_a_dot_and_the_objective_a_line() -> None:
    text = make()
    assert text.count('class="dot"') == 30
    assert text.count('class="limit"') == 1
    assert "objective 10 s" in text


def test_failures_come_first_and_are_escaped() -> None:
    text = make(verdict="FAIL", failures=["<b>lost</b>"])
    assert "<b>" not in text
    assert text.index("&lt;b&gt;lost") < text.index("<h2>Records")


def test_what_was_not_looked_up_is_not_zero() -> None:
    text = make(spans_visible=None, points_visible=None, lost=None, duplicated=None)
    assert text.count("not looked up") == 2
    assert "doubled" not in text
    assert "Nobody looked" in text
