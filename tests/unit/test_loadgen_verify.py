"""The judgement of a run: what is lost, doubled or excused, and how it is said."""

import json
import math
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from headrace_loadgen import __main__ as command
from headrace_loadgen import run as runs
from headrace_loadgen.generate import Signal
from headrace_loadgen.probe import Lag
from headrace_loadgen.report import Objectives, Outcome
from headrace_loadgen.send import Tally
from headrace_loadgen.store import Found, Store, StoreUnreachable, Verdict, judge

RECORDS = 10
OBJECTIVES = Objectives(min_rate_ratio=0.98, max_metric_lag_p99_s=10.0)


def there(*indexes: int) -> Found:
    """What a query finds of one request of which these records are visible."""
    return Found(len(indexes), sum(indexes), sum(index * index for index in indexes))


WHOLE = there(*range(RECORDS))
TWICE = there(*range(RECORDS), *range(RECORDS))


def tally(
    acked: dict[int, int], refused: dict[int, int] | None = None, signal: Signal = "traces"
) -> Tally:
    """`acked` and `refused`: request number → attempts."""
    refused = refused or {}
    return Tally(
        signal,
        acked=acked,
        refused=refused,
        records=RECORDS,
        sent_requests=len(acked) + len(refused),
    )


def counts(verdict: Verdict) -> dict[str, int]:
    """What is not zero, without `acked`."""
    names = ("visible", "lost", "duplicated", "resent_doubled", "unacked_visible", "unsettled")
    return {name: getattr(verdict, name) for name in names if getattr(verdict, name)}


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


def outcome(**changes: Any) -> Outcome:
    """A clean run: 1,000 spans and 500 points asked for and reached in ten seconds."""
    spans = tally(dict.fromkeys(range(1, 1_001), 1))
    points = tally(dict.fromkeys(range(1, 501), 1), signal="metrics")
    spans.latencies_s, points.latencies_s = [0.1, 0.3], [0.2]
    found = dict.fromkeys(spans.acked, WHOLE)
    fields: dict[str, Any] = {
        "asked": {"traces": 1_000.0, "metrics": 500.0, "logs": 0.0},
        "seconds": 10.0,
        "tallies": {"traces": spans, "metrics": points},
        "verdicts": {"traces": judge(spans, found), "metrics": judge(points, found)},
        "lag": Lag([1.0] * 98 + [3.0, 4.0], [(1_764_000_000.12345, 1.0)]),
        "cpu_seconds": {"loadgen": 1.5, "writer-spans": 2.5},
        "memory_mib": {"loadgen": 80.0, "writer-spans": 120.0},
        "settings": {"seed": 1},
    }
    return Outcome(**{**fields, **changes})


def verdicts(found: dict[int, Found]) -> dict[str, Verdict]:
    return {"traces": judge(tally({1: 1, 2: 1}), found)}


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


def exit_code(monkeypatch: pytest.MonkeyPatch, end: Outcome | Exception, *flags: str) -> int:
    """Of `loadgen`, when its run ends like that."""

    def go(self: runs.Run) -> Outcome:
        if isinstance(end, Exception):
            raise end
        return end

    monkeypatch.setattr(runs.Run, "go", go)
    try:
        return command.main([*flags])
    except SystemExit as ended:
        return int(ended.code or 0)


def test_the_exit_code_tells_pass_fail_and_unreachable(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert exit_code(monkeypatch, outcome()) == 0
    assert "verdict PASS" in capsys.readouterr().out
    assert exit_code(monkeypatch, outcome(verdicts=verdicts({}))) == 1
    printed = capsys.readouterr().out
    assert "did not hold: 20 acknowledged records are not visible" in printed
    assert "traces request 1: 0 of 10 records" in printed
    assert exit_code(monkeypatch, outcome(verdicts={}), "--no-verify") == 0
    assert exit_code(monkeypatch, StoreUnreachable("ClickHouse at x:1 (--clickhouse): no")) == 3
    assert exit_code(monkeypatch, ConnectionError("y:1 (--endpoint)")) == 3
    said = capsys.readouterr().err
    assert said == "loadgen: ClickHouse at x:1 (--clickhouse): no\nloadgen: y:1 (--endpoint)\n"


def test_an_objective_can_be_moved_by_its_flag(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    slow = outcome(seconds=12.5)
    assert exit_code(monkeypatch, slow, "--quiet") == 1
    assert exit_code(monkeypatch, slow, "--quiet", "--min-rate-ratio", "0.8") == 0
    assert exit_code(monkeypatch, outcome(), "--quiet", "--max-metric-lag-p99", "2") == 1


@pytest.mark.parametrize("path", ["result.json", "new/folder/result.json", "-"])
def test_the_json_goes_where_it_was_asked_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str], path: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert exit_code(monkeypatch, outcome(), "--json", path) == 0
    printed = capsys.readouterr().out
    text = printed if path == "-" else Path(path).read_text()
    assert json.loads(text)["verdict"] == "PASS"


def test_a_search_writes_its_own_json_and_page(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every run holds, so the answer is the most that is tried."""
    monkeypatch.chdir(tmp_path)
    flags = ("--find-max", "--rate", "1000", "--metrics-rate", "500", "--min-rate-ratio", "0")
    assert (
        exit_code(monkeypatch, outcome(), *flags, "--json", "max.json", "--report", "p.html") == 0
    )
    found = json.loads(Path("max.json").read_text())
    assert found["held"] == {"spans": 64_000, "points": 32_000}
    assert "64,000 spans/s + 32,000 points/s held twice" in Path("p.html").read_text()
    said = capsys.readouterr()
    assert "64,000 spans/s" in said.out
    assert "so far: held 2,000 spans/s" in said.err


def test_a_run_that_did_not_end_leaves_no_json(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert exit_code(monkeypatch, ConnectionError("nobody"), "--json", "new/result.json") == 3
    assert not Path("new/result.json").exists()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--rate", "fast"], "argument --rate: 'fast' is not a number from 0 to 100,000,000"),
        (["--rate", "-1"], "argument --rate: '-1' is not a number"),
        (["--rate", "nan"], "argument --rate: 'nan' is not a number"),
        (["--rate", "inf"], "argument --rate: 'inf' is not a number"),
        (["--rate", "0"], "nothing to send: every rate is 0"),
        (["--find-max"], "--find-max holds rates to the lag of metrics: give --metrics-rate"),
        (["--find-max", "--metrics-rate", "9", "--no-verify"], "leave --no-verify away"),
        (["--duration", "0"], "argument --duration: '0' is not a number from 0.001 to 3,600"),
        (["--duration", "4000"], "argument --duration: '4000' is not a number"),
        (["--request-records", "0"], "'0' is not a number from 1 to 1,000,000"),
        # A point's index has 20 bits; this many would be verified wrongly.
        (["--request-records", "2000000"], "'2000000' is not a number from 1 to 1,000,000"),
        (["--request-records", "1.5"], "'1.5' is not a number"),
        (["--connections", "0"], "argument --connections: '0' is not a number from 1 to 256"),
        (["--min-rate-ratio", "nan"], "'nan' is not a number from 0 to 1"),
        (["--profile", "huge"], "argument --profile: invalid choice: 'huge'"),
        (["--unknown"], "unrecognized arguments: --unknown"),
        (["--clickhouse", "nowhere"], "'nowhere' is not host:port"),
        (["--cluster", "missing.json"], "No such file or directory: 'missing.json'"),
        (["--cluster", "odd.json"], "odd.json does not describe a cluster (KeyError('otlp'))"),
        (["--json", "odd.json/result.json"], "File exists: 'odd.json'"),
    ],
)
def test_bad_usage_ends_with_2_and_says_why(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    flags: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("odd.json").write_text('{"clickhouse": {"shards": []}}')
    assert exit_code(monkeypatch, outcome(), *flags) == 2
    assert message in capsys.readouterr().err


def test_help_shows_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main(["--help"])
    assert ended.value.code == 0
    assert "loadgen --rate 100000 --metrics-rate 50000 --duration 60" in capsys.readouterr().out


def test_the_page_names_every_flag_and_every_key_of_the_json() -> None:
    page = (Path(__file__).parents[2] / "docs" / "loadgen.md").read_text()
    flags = re.findall(r"--[a-z-]+", command.make_parser().format_help())
    missing = {flag for flag in flags if flag not in page} - {"--help", "--version"}
    assert not missing
    assert not [key for key in outcome().document(OBJECTIVES) if f"`{key}`" not in page]
