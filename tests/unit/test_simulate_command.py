"""`headrace simulate autoscale`: what it reads, prints, draws and refuses."""

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

from headrace_native.spec import ROOT
from headrace_writer.__main__ import main
from headrace_writer.commands.simulate import read
from headrace_writer.core.autoscaling.defaults import (
    MOVED_PAUSE_S,
    START_S,
    UTILIZATION,
    policy_of,
    writer_of,
)
from headrace_writer.core.chart import PLACES, Frame, ceiling, svg, thinned

SAMPLE = ROOT / "tests" / "data" / "autoscaling" / "scaled-object.yaml"
JOINS = ROOT / "docs" / "benchmarks" / "writer-joins.json"
COMMAND = ["simulate", "autoscale"]
SMALL = ["--base", "10000", "--peak", "100000"]


def test_the_default_is_the_charts() -> None:
    assert read(SAMPLE) == policy_of("traces")


def test_the_threshold_is_what_a_writer_takes_less_its_reserve() -> None:
    policy, writer = policy_of("metrics"), writer_of("metrics")
    assert policy.trigger.threshold == pytest.approx(UTILIZATION * writer.rows_per_s)


def test_the_writers_are_the_measured_ones() -> None:
    found = json.loads(JOINS.read_text())["seconds"]["median"]
    # Another machine, or a busier one, measures a little else.
    assert pytest.approx(found["start_to_assigned"], abs=2.5) == START_S
    assert pytest.approx(found["moved_pause"], abs=2.5) == MOVED_PAUSE_S


def test_json_has_verdict_and_timeline(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*COMMAND, *SMALL, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["verdict"] == "PASS"
    assert found["changes"] == [[0, 2]]
    assert found["timeline"][30]["rate"] == 100_000
    assert found["policy"]["trigger"]["threshold"] == 210_000


def test_what_fails_says_which_minimum_would_hold(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*COMMAND, "--scaled-object", str(SAMPLE)]) == 1
    said = capsys.readouterr().out
    assert "fails  lag below 10 s" in said
    assert "minReplicaCount 8 would hold it" in said
    assert "18 to 23 replicas" in said


def test_a_drawing_shows_load_lag_and_replicas(tmp_path: Path) -> None:
    target = tmp_path / "step.svg"
    assert main([*COMMAND, *SMALL, "--plot", str(target)]) == 0
    text = target.read_text()
    lines = ElementTree.fromstring(text).findall(".//{http://www.w3.org/2000/svg}polyline")
    assert len(lines) == 5
    assert len(text) < 200_000


def test_a_trace_from_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trace = tmp_path / "monday.csv"
    trace.write_text("0,100000\n300,100000,1\n420,100000\n1800,100000\n")
    assert main([*COMMAND, "--trace", str(trace), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [one["name"] for one in found["checks"]][-1] == "no writers for a stalled ClickHouse"


def changed(tmp_path: Path, document: Any) -> str:
    target = tmp_path / "so.yaml"
    target.write_text(yaml.safe_dump_all(document))
    return str(target)


def test_a_file_may_hold_other_documents(tmp_path: Path) -> None:
    sample = yaml.safe_load(SAMPLE.read_text())
    path = changed(tmp_path, [{"kind": "Deployment"}, sample, None])
    assert read(Path(path)) == policy_of("traces")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--trace", "monday"], "give one of step, diurnal, spike, stall"),
        (["--scaled-object", "nowhere.yaml"], "nowhere.yaml"),
        (["--trace", "x.csv", "--peak", "5"], "has its own rates"),
    ],
)
def test_what_is_not_there_is_refused(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*COMMAND, *arguments]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("documents", "said"),
    [
        ([], "0 ScaledObjects"),
        (
            [{"kind": "ScaledObject", "spec": {"minReplicaCount": 1, "triggers": [7]}}],
            "AttributeError",
        ),
        ([{"kind": "ScaledObject"}], "spec is missing"),
    ],
)
def test_a_file_that_is_not_understood_is_refused(
    documents: list[Any], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*COMMAND, "--scaled-object", changed(tmp_path, documents)]) == 2
    assert said in capsys.readouterr().err


def test_no_peak_is_lost_when_a_line_is_thinned() -> None:
    points = [(float(at), 1.0) for at in range(10 * PLACES)]
    points[4_321] = (4_321.0, 99.0)
    found = thinned(points)
    assert len(found) <= PLACES
    assert (4_321.0, 99.0) in found


def test_names_are_escaped_and_scales_end_at_1_2_or_5() -> None:
    text = svg([Frame("a & b", [("<x>", [(0, 0), (10, 3)])])], "when")
    ElementTree.fromstring(text)
    assert "a &amp; b: &lt;x&gt;" in text
    assert [ceiling(value) for value in (0.3, 1, 1.1, 21, 600)] == [0.5, 1, 2, 50, 1_000]
