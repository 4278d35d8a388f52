"""`loadgen` on the command line: exit codes, flags, where the JSON and the page go, help."""

import json
import re
from pathlib import Path

import pytest

from headrace_loadgen import __main__ as command
from headrace_loadgen import run as runs
from headrace_loadgen.report import Outcome
from headrace_loadgen.store import StoreUnreachable
from headrace_loadgen.watch import Timeline
from support.loadgen_outcome import OBJECTIVES, outcome, verdicts


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


def test_the_peak_of_memory_is_the_most_of_all_samples_and_the_end() -> None:
    sampled = Timeline(memory_mib={"loadgen": [70.0, 95.0], "gone": [500.0]})
    document = outcome(timeline=sampled).document(OBJECTIVES)
    assert document["memory_peak_mib"] == {"loadgen": 95.0, "writer-spans": 120.0}
