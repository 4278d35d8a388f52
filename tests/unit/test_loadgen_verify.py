"""The judgement of a run: what is lost, doubled or excused, and how it is said."""

import json
import math
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from headrace_loadgen import __main__ as command
from headrace_loadgen import run as runs
from headrace_loadgen.generate import Signal
from headrace_loadgen.probe import Lag
from headrace_loadgen.send import Tally
from headrace_loadgen.store import Found, Store, StoreUnreachable, judge
from support.loadgen_outcome import (
    OBJECTIVES,
    RECORDS,
    TWICE,
    WHOLE,
    counts,
    outcome,
    tally,
    there,
    verdicts,
)


def test_all_there_once_is_a_clean_verdict() -> None:
    verdict = judge(tally({1: 1, 2: 1, 3: 4}), dict.fromkeys((1, 2, 3), WHOLE))
    assert verdict.acked == 30
    assert counts(verdict) == {"visible": 30}
    assert verdict.examples == []


def test_a_request_that_is_not_there_is_lost() -> None:
    verdict = judge(tally({1: 1, 2: 1}), {1: WHOLE})
    assert counts(verdict) == {"visible": 10, "lost": 10, "unsettled": 1}
    assert verdict.examples == ["traces request 2: 0 of 10 records, acknowledged at attempt 1"]


def test_a_partially_visible_request_is_lost_by_what_is_missing() -> None:
    verdict = judge(tally({1: 1}), {1: there(*range(RECORDS - 3))})
    assert counts(verdict) == {"visible": 7, "lost": 3, "unsettled": 1}


def test_a_request_sent_once_and_there_twice_is_duplicated() -> None:
    verdict = judge(tally({1: 1}), {1: TWICE})
    assert counts(verdict) == {"visible": 10, "duplicated": 10}
    assert verdict.examples == ["traces request 1: 20 of 10 records, acknowledged at attempt 1"]


def test_a_few_doubled_records_are_duplicated_however_often_the_request_was_sent() -> None:
    found = {1: there(*range(RECORDS), 4, 5)}
    assert counts(judge(tally({1: 1}), found)) == {"visible": 10, "duplicated": 2}
    # Of a request sent twice the second copy may still be on its way.
    assert counts(judge(tally({1: 2}), found)) == {"visible": 10, "duplicated": 2, "unsettled": 1}


def test_a_request_sent_twice_may_be_there_twice() -> None:
    assert counts(judge(tally({1: 2}), {1: TWICE})) == {"visible": 10, "resent_doubled": 10}


def test_a_request_sent_twice_may_not_be_there_three_times() -> None:
    found = {1: there(*(3 * list(range(RECORDS))))}
    assert counts(judge(tally({1: 2}), found)) == {"visible": 10, "duplicated": 20}
    assert counts(judge(tally({1: 3}), found)) == {"visible": 10, "resent_doubled": 20}


def test_a_loss_made_up_for_by_a_double_is_seen() -> None:
    verdict = judge(tally({1: 1}), {1: there(*range(RECORDS - 1), 3)})
    assert counts(verdict) == {"visible": 9, "lost": 1, "duplicated": 1}


def test_a_loss_made_up_for_by_doubles_of_the_same_sum_is_seen() -> None:
    """1 + 8 lost, 2 + 7 doubled: the count and the sum are right, the squares are not."""
    indexes = [index for index in range(RECORDS) if index not in (1, 8)]
    verdict = judge(tally({1: 1}), {1: there(*indexes, 2, 7)})
    assert (verdict.lost, verdict.duplicated) == (1, 1)


def test_a_request_never_acknowledged_may_be_there_or_not() -> None:
    assert counts(judge(tally({}, {1: 1, 2: 1}), {1: WHOLE})) == {"unacked_visible": 10}


def test_a_request_never_acknowledged_may_be_there_as_often_as_it_was_sent() -> None:
    excused = {"unacked_visible": 10, "resent_doubled": 10}
    assert counts(judge(tally({}, {1: 2}), {1: TWICE})) == excused
    verdict = judge(tally({}, {1: 1}), {1: TWICE})
    assert counts(verdict) == {"unacked_visible": 10, "duplicated": 10}
    assert verdict.examples == [
        "traces request 1: 20 of 10 records, not acknowledged in 1 attempts"
    ]


def test_examples_are_a_few() -> None:
    verdict = judge(tally(dict.fromkeys(range(1, 100), 1)), {})
    assert (verdict.lost, len(verdict.examples)) == (990, 5)


def refused_tally() -> dict[str, Tally]:
    one = tally(dict.fromkeys(range(1, 1_000), 1), {1_000: 3})
    one.errors = Counter(UNAVAILABLE=3)
    return {"traces": one}


def test_a_clean_run_passes() -> None:
    assert outcome().failures(OBJECTIVES) == []
    assert outcome().document(OBJECTIVES)["verdict"] == "PASS"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"seconds": 12.5, "asked": {"traces": 1_000.0, "metrics": 400.0, "logs": 0.0}},
            "spans: reached 800/s of 1,000/s asked, 80.0 % where 98.0 % is the objective",
        ),
        (
            {"asked": {"traces": 1_000.0, "metrics": 500.0, "logs": 100.0}},
            "logs: reached 0/s of 100/s asked, 0.0 % where 98.0 % is the objective",
        ),
        ({"verdicts": verdicts({1: WHOLE})}, "10 acknowledged records are not visible"),
        (
            {"verdicts": verdicts({1: WHOLE, 2: TWICE})},
            "10 records are there more than once",
        ),
        (
            {"tallies": refused_tally(), "asked": {"traces": 999.0}},
            "spans: 1 requests were not acknowledged ({'UNAVAILABLE': 3})",
        ),
        ({"lag": Lag([1.0] * 50 + [12.5] * 50)}, "metric lag p99 12.50 s, objective below 10 s"),
        ({"lag": Lag([10.0])}, "metric lag p99 10.00 s, objective below 10 s"),
        ({"lag": Lag([1.0, 120.0], missing=1)}, "1 canaries were never seen"),
        ({"lag": Lag()}, "no canary was acknowledged, so the metric lag is unknown"),
    ],
)
def test_each_objective_says_what_did_not_hold_and_by_how_much(
    changes: dict[str, Any], message: str
) -> None:
    document = outcome(**changes).document(OBJECTIVES)
    assert document["failures"] == [message]
    assert document["verdict"] == "FAIL"


def test_a_lag_is_rounded_once_for_the_document_and_for_what_failed() -> None:
    late = outcome(lag=Lag([2.2951])).document(replace(OBJECTIVES, max_metric_lag_p99_s=1.0))
    p99 = late["metric_lag_seconds"]["p99"]
    assert late["failures"] == [f"metric lag p99 {p99:.2f} s, objective below 1 s"]


def test_every_objective_that_failed_is_named() -> None:
    failing = outcome(
        seconds=20.0, verdicts=verdicts({2: TWICE}), lag=Lag([99.0]), tallies=refused_tally()
    )
    assert len(failing.failures(OBJECTIVES)) == 6


def test_the_json_has_the_promised_keys() -> None:
    document = json.loads(json.dumps(outcome().document(OBJECTIVES), allow_nan=False))
    promised = {
        "verdict": "PASS",
        "failures": [],
        "achieved_rate": 1_000.0,
        "spans_acked": 10_000,
        "spans_visible": 10_000,
        "points_acked": 5_000,
        "points_visible": 5_000,
        "logs_acked": 0,
        "logs_visible": 0,
        "lost": 0,
        "duplicated": 0,
        "metric_lag_seconds": {"p50": 1.0, "p95": 1.0, "p99": 3.01, "max": 4.0},
        "metric_lag_timeline": [[1_764_000_000.123, 1.0]],
        "cpu_seconds": {"loadgen": 1.5, "writer-spans": 2.5},
    }
    assert {key: document[key] for key in promised} == promised
    assert document["achieved_rates"] == {"spans": 1_000.0, "points": 500.0, "logs": 0.0}
    # Microseconds: 1.5 s and 2.5 s over 10,000 spans.
    assert document["cpu_us_per_span"] == {"loadgen": 150.0, "writer-spans": 250.0}


def test_the_json_of_a_run_that_was_not_verified_claims_nothing() -> None:
    document = outcome(verdicts={}, lag=None).document(OBJECTIVES)
    assert (document["spans_acked"], document["points_acked"]) == (10_000, 5_000)
    unknown = ("spans_visible", "points_visible", "logs_visible", "lost", "duplicated")
    assert {document[key] for key in unknown} == {None}
    assert document["metric_lag_seconds"] == dict.fromkeys(("p50", "p95", "p99", "max"))


def test_a_lag_without_canaries_is_unknown_and_not_zero() -> None:
    assert math.isnan(Lag().quantile(0.99))


class ScriptedStore(Store):
    """Answers with one finding after the other, the last one for ever; an error is raised."""

    def __init__(self, *findings: dict[int, Found] | StoreUnreachable) -> None:
        self._findings = list(findings)

    def by_request(self, signal: Signal, service: str, last: int) -> dict[int, Found]:
        finding = self._findings.pop(0) if len(self._findings) > 1 else self._findings[0]
        if isinstance(finding, StoreUnreachable):
            raise finding
        return finding


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> runs.Run:
    monkeypatch.setattr(runs, "LOOK_AGAIN_S", 0.001)
    monkeypatch.chdir(tmp_path)
    return runs.Run(command.make_parser().parse_args([]))


def test_verification_looks_again_while_something_may_arrive(run: runs.Run) -> None:
    """A lagging replica, then one that does not answer, then all."""
    store = ScriptedStore({}, StoreUnreachable("restarting"), {1: there(1)}, {1: WHOLE})
    assert counts(run._verify(store, tally({1: 1}), math.inf)) == {"visible": 10}


def test_verification_ends_at_its_deadline(run: runs.Run) -> None:
    assert run._verify(ScriptedStore({}), tally({1: 1}), deadline=0.0).lost == 10
    with pytest.raises(StoreUnreachable):
        run._verify(ScriptedStore(StoreUnreachable("gone")), tally({1: 1}), deadline=0.0)


def test_a_duplicate_is_final_at_the_first_look(run: runs.Run) -> None:
    store = ScriptedStore({1: TWICE}, {1: WHOLE})
    assert run._verify(store, tally({1: 1}), math.inf).duplicated == 10
