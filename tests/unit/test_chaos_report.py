"""What `make chaos ARGS=--report` asks the load generator for, and what it marks."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from chaos import __main__ as command
from chaos import harness
from chaos.fleet import Fleet
from chaos.harness import Chaos, Result, Scenario
from headrace_loadgen.__main__ import make_parser


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The arguments of each load that was started."""
    found: list[list[str]] = []

    def start(words: list[Any], **_rest: object) -> SimpleNamespace:
        found.append([str(word) for word in words[1:]])
        return SimpleNamespace()

    monkeypatch.setattr(harness.subprocess, "Popen", start)  # type: ignore[attr-defined]
    return found


def world(folder: Path) -> Chaos:
    layout: Any = SimpleNamespace(dir=folder, logs=folder)
    cluster: Any = SimpleNamespace(layout=layout)
    return Chaos(cluster, Fleet(layout, 1), folder)


def test_a_page_of_each_scenario_with_what_was_done(
    tmp_path: Path, started: list[list[str]]
) -> None:
    chaos = world(tmp_path)
    chaos.pages = tmp_path / "pages"
    chaos.mark("of the scenario before")
    scenario = Scenario("no_plan: kill at insert.after", lambda _chaos: None)
    result = Result(scenario.name, 1)
    chaos._start_load(scenario, result)
    chaos.mark("kill -9 gateway-1")
    chaos.fleet.on_event("writer traces-1 ended: -9")
    assert chaos.pages.is_dir()
    (words,) = started
    asked = make_parser().parse_args(words)
    assert asked.report == result.report == f"{chaos.pages}/no-plan-kill-at-insert-after.html"
    assert asked.marks.read_text() == "kill -9 gateway-1\nwriter traces-1 ended: -9\n"


def test_without_it_there_is_no_page(tmp_path: Path, started: list[list[str]]) -> None:
    result = Result("kill gateways", 1)
    world(tmp_path)._start_load(Scenario("kill gateways", lambda _chaos: None), result)
    asked = make_parser().parse_args(started[0])
    assert (asked.report, asked.marks, result.report) == (None, None, "")


@pytest.mark.parametrize(
    ("words", "folder"),
    [([], None), (["--report"], command.PAGES), (["--report", "here"], Path("here"))],
)
def test_the_folder_may_be_named(
    words: list[str], folder: Path | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["chaos", *words])
    assert command.arguments().report == folder
