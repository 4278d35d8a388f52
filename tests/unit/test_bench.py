"""The benchmark's own judgement: what it counts, and when it says "slower"."""

import pytest

from bench.check import counted, judge
from bench.plot import Curve, svg


def test_more_instructions_than_the_tolerance_are_slower() -> None:
    before = {"instructions_traces": 1_000.0, "share_traces": 0.006}
    same = judge({"instructions_traces": 1_029.0, "share_traces": 0.0074}, before)
    assert [one.slower for one in same] == [False, False]
    worse = judge({"instructions_traces": 1_031.0, "share_traces": 0.0076}, before)
    assert [one.slower for one in worse] == [True, True]


def test_a_number_that_is_not_measured_any_more_is_an_error() -> None:
    with pytest.raises(KeyError, match="share_logs"):
        judge({}, {"share_logs": 0.01})


def test_callgrind_totals_are_read() -> None:
    assert counted("events: Ir\n12 5\nsummary: 4711\n") == 4711


def test_a_count_of_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match="no instruction"):
        counted("events: Ir\nsummary: 0\n")


def test_a_plot_holds_every_point_and_its_scale() -> None:
    text = svg(
        [Curve("spans & requests", [(50, 0.9, 0.8, 1.1), (8_000, 0.5, 0.5, 0.6)])], "µs", "x"
    )
    assert "spans &amp; requests" in text
    assert text.count("<circle") == 2
    assert ">8k</text>" in text
    assert ">2</text>" in text, "the scale ends at the next of 1, 2, 5"
