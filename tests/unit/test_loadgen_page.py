"""The page of `loadgen --report`: complete, self-contained, and safe with any text in it."""

import re
from html.parser import HTMLParser
from typing import Any

import pytest

from headrace_loadgen import chart
from headrace_loadgen.page import page
from headrace_loadgen.search_page import search_page

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
        "errors": {"spans": {"UNAVAILABLE": 2}, "points": {}},
        "timeline": {
            "at": [101.0, 102.0, 103.0],
            "achieved_rates": {"spans": [990.0, 1_000.0, 0.0], "points": [500.0, 490.0, 0.0]},
            "cpu_cores": {"gateway-1": [0.1, 0.4, 0.2], "loadgen": [0.0, 0.0, 0.0]},
            "memory_mib": {"gateway-1": [80.0, 90.0, 90.0]},
        },
        "events": [],
        "settings": {"run": "0af1", "profile": "genai"},
        "versions": {"ClickHouse": "18.16.1"},
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
    for text in (make(), search_page(search_document(), []),
                 make(failures=["spans: reached 1/s"], verdict="FAIL"),
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
        "998/s",
        "99.8 % of 1,000 asked",
        "18.16.1",
        "over time, peak 0.40 cores",
        "loadgen --rate 1000",
    ):
        assert part in text, part


def test_each_canary_is_a_dot_and_the_objective_a_line() -> None:
    text = make()
    dots = re.search(r'class="dots one" d="([^"]*)"', text)
    assert dots
    assert dots[1].count("h0") == 30
    assert text.count('class="limit"') == 1
    assert "objective 10 s" in text


def test_an_objective_far_above_is_said_and_not_drawn() -> None:
    text = page(document(), 600.0, ["loadgen"])
    assert 'class="limit"' not in text
    assert "The objective, 600 s, lies above the chart" in text


def test_failures_come_first_and_are_escaped() -> None:
    text = make(verdict="FAIL", failures=["<b>lost</b>"])
    assert "<b>" not in text
    assert text.index("&lt;b&gt;lost") < text.index("<h2>Metric lag")


def test_what_was_not_looked_up_is_not_zero() -> None:
    text = make(spans_visible=None, points_visible=None, lost=None, duplicated=None)
    assert text.count("not looked up") == 2
    assert "doubled" not in text
    assert "Nobody looked" in text


def test_events_are_numbered_on_the_chart_and_listed_below() -> None:
    text = make(events=[[105.0, "kafka-1 restarted"], [105.2, "<i>mark</i>"], [120.0, "late"]])
    badges = re.findall(r'class="badge"[^>]*>([^<]*)<', text)
    # Near ones share a badge; the rates end before the events, so that chart has none.
    assert badges == ["1–2", "3"]
    assert "<b>5.0 s</b> kafka-1 restarted" in text
    assert "<i>mark" not in text


def test_a_run_without_events_says_so() -> None:
    assert "No rebalance, restart or fault" in make()


def test_colour_is_never_the_only_sign() -> None:
    assert "✓ PASS" in make()
    assert "✗ FAIL" in make(verdict="FAIL", failures=["x"])
    assert "stroke-dasharray" in make()


def test_everything_that_scrolls_is_reached_by_the_keyboard() -> None:
    text = make()
    for part in re.findall(r'<(?:pre|div class="scroll")[^>]*>', text):
        assert 'tabindex="0"' in part


@pytest.mark.parametrize(
    ("value", "round_one"), [(0.9, 1.0), (9.9, 10.0), (10.5, 12.0), (104_000, 120_000), (1.2, 1.2)]
)
def test_axes_end_at_round_numbers(value: float, round_one: float) -> None:
    assert chart.ceiling(value) == pytest.approx(round_one)


def search_document(**changes: Any) -> dict[str, Any]:
    def probe(rate: float, lag: float | None, *, held: bool) -> dict[str, Any]:
        return {
            "asked_rates": {"spans": rate, "points": rate / 2, "logs": 0.0},
            "achieved_rates": {"spans": rate, "points": rate / 2, "logs": 0.0},
            "held": held,
            "failures": [] if held else ["metric lag <p99> 12 s"],
            "metric_lag_seconds": {"p99": lag, "max": lag},
            "drain_seconds": {"spans": 1.0},
        }

    base: dict[str, Any] = {
        "verdict": "PASS",
        "held": {"spans": 1_000.0, "points": 500.0},
        "did_not_hold": {"spans": 2_000.0, "points": 1_000.0},
        "confirmed": True,
        "cut_short": "",
        "seconds": 90.0,
        "objectives": {"max_metric_lag_p99_seconds": 10.0},
        "probes": [probe(1_000, 2.0, held=True), probe(2_000, 12.0, held=False)],
        "settings": {"profile": "genai"},
        "versions": {},
    }
    return {**base, **changes}


def test_the_page_of_a_search_plots_lag_against_rate() -> None:
    text = search_page(search_document(), ["loadgen", "--find-max"])
    assert "1,000 spans/s + 500 points/s held twice" in text
    assert re.findall(r'class="dots (held|fail)" d="M[\d. ]+h0"', text).count("held") == 2
    assert "&lt;p99&gt;" in text
    assert "did not hold: 2,000 spans/s" in text


def test_a_search_without_an_answer_says_so() -> None:
    text = search_page(
        search_document(verdict="FAIL", held=None, probes=[], cut_short="the time is used up"), []
    )
    assert "No rate held." in text
    assert "Cut short: the time is used up" in text
