"""Dashboards and alerts: complete, about metrics that exist, and with a runbook each."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from headrace_dashboards import DASHBOARDS
from headrace_dashboards.panels import build
from headrace_native.spec import ROOT
from headrace_writer.metrics import EXPORTER, WRITER

FOLDER = ROOT / "deploy" / "observability"
RULES = sorted((FOLDER / "prometheus" / "rules").glob("*.yaml"))
RULE_TESTS = sorted((FOLDER / "prometheus" / "tests").glob("*_test.yaml"))
HEADINGS = ["## Meaning", "## Impact", "## Diagnosis", "## Mitigation"]


def rules() -> list[dict[str, Any]]:
    groups = [group for file in RULES for group in yaml.safe_load(file.read_text())["groups"]]
    return [rule for group in groups for rule in group["rules"]]


def alerts() -> list[dict[str, Any]]:
    return [rule for rule in rules() if "alert" in rule]


def panels(name: str) -> list[dict[str, Any]]:
    return [one for one in build(DASHBOARDS[name])["panels"] if one["type"] != "row"]


def expressions() -> list[str]:
    drawn = [t["expr"] for name in DASHBOARDS for one in panels(name) for t in one["targets"]]
    drawn += [mark.expr for one in DASHBOARDS.values() for mark in one.marks if mark.expr]
    return [rule["expr"] for rule in rules()] + drawn


def promtool(*arguments: str | Path, cwd: Path = ROOT) -> None:
    done = subprocess.run(
        ["promtool", *arguments], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_takes_the_rules() -> None:
    promtool("check", "rules", *RULES)


@pytest.mark.parametrize("file", RULE_TESTS, ids=lambda file: file.stem)
def test_rules_fire_and_resolve(file: Path) -> None:
    promtool("test", "rules", file.name, cwd=file.parent)


def test_every_alert_is_seen_firing_and_quiet() -> None:
    cases = [
        case for file in RULE_TESTS for case in yaml.safe_load(file.read_text()).get("tests", ())
    ]
    fired = "".join(str(one.get("promql_expr_test", "")) for one in cases)
    quiet = {
        check["alertname"]
        for one in cases
        for check in one.get("alert_rule_test", ())
        if not check["exp_alerts"]
    }
    names = {one["alert"] for one in alerts()}
    assert not [name for name in names if f'alertname="{name}",alertstate="firing"' not in fired]
    assert not names - quiet


def test_every_alert_is_in_the_page() -> None:
    page = (ROOT / "docs" / "observability.md").read_text()
    assert not [one["alert"] for one in alerts() if f"runbooks/{one['alert']}.md" not in page]


def check_runbook(path: str) -> None:
    """The same headings in each, and something to run in its diagnosis."""
    text = (ROOT / path).read_text()
    assert [line for line in text.splitlines() if line.startswith("## ")] == HEADINGS
    diagnosis = text.split("## Diagnosis")[1].split("## Mitigation")[0]
    assert re.search(r"^```(sh|sql)\n\S", diagnosis, re.MULTILINE), f"{path}: no command"


@pytest.mark.parametrize("alert", alerts(), ids=lambda one: f"{one['alert']}-{one['labels']}")
def test_an_alert_says_what_it_is_and_where_to_read_on(alert: dict[str, Any]) -> None:
    assert alert["labels"]["severity"] in ("page", "ticket")
    notes = alert["annotations"]
    assert notes["summary"]
    assert notes["description"]
    assert notes["runbook"] == f"docs/runbooks/{alert['alert']}.md"
    check_runbook(notes["runbook"])


def grafana_alerts() -> list[dict[str, Any]]:
    files = (FOLDER / "grafana" / "provisioning" / "alerting").glob("*.yaml")
    groups = [group for file in files for group in yaml.safe_load(file.read_text())["groups"]]
    return [rule for group in groups for rule in group["rules"]]


@pytest.mark.parametrize("rule", grafana_alerts(), ids=lambda one: str(one["title"]))
def test_a_grafana_alert_has_its_runbook(rule: dict[str, Any]) -> None:
    book = f"docs/runbooks/{rule['title']}.md"
    assert rule["annotations"]["runbook"] == book
    check_runbook(book)
    assert f"runbooks/{rule['title']}.md" in (ROOT / "docs" / "observability.md").read_text()


def test_every_runbook_belongs_to_an_alert() -> None:
    books = {file.stem for file in (ROOT / "docs" / "runbooks").glob("*.md")}
    assert books == {one["alert"] for one in alerts()} | {one["title"] for one in grafana_alerts()}


def test_runbooks_link_to_what_exists() -> None:
    for file in (ROOT / "docs" / "runbooks").glob("*.md"):
        for target in re.findall(r"\]\(([^)#]+)\)", file.read_text()):
            assert (file.parent / target).exists(), f"{file.name}: {target}"


def test_our_metrics_are_declared_and_our_records_recorded() -> None:
    declared = {metric.name for metric in (*WRITER, *EXPORTER)}
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    for expr in expressions():
        for name in re.findall(r"\bheadrace_\w+", expr):
            assert re.sub(r"_(bucket|sum|count)$", "", name) in declared, expr
        for name in re.findall(r"\bheadrace:[\w:]+", expr):
            assert name in recorded, expr


@pytest.mark.parametrize("name", DASHBOARDS)
def test_the_committed_dashboard_is_the_built_one(name: str) -> None:
    committed = json.loads((FOLDER / "grafana" / "dashboards" / f"{name}.json").read_text())
    assert committed == build(DASHBOARDS[name]), "run: make docs"


@pytest.mark.parametrize("name", DASHBOARDS)
def test_panels_are_complete(name: str) -> None:
    for panel in panels(name):
        assert panel["title"]
        assert len(panel["description"]) > 20, panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert panel["targets"], panel["title"]
        assert panel["datasource"]["uid"] == "${prometheus}"
        refs = [target["refId"] for target in panel["targets"]]
        assert len(set(refs)) == len(refs)
    titles = [panel["title"] for panel in panels(name)]
    assert len(set(titles)) == len(titles)


@pytest.mark.parametrize("name", DASHBOARDS)
def test_thresholds_rise(name: str) -> None:
    for panel in panels(name):
        steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
        assert steps[0]["value"] is None, panel["title"]
        values = [step["value"] for step in steps[1:]]
        assert values == sorted(set(values)), panel["title"]


@pytest.mark.parametrize("name", DASHBOARDS)
def test_an_override_names_a_series_of_its_panel(name: str) -> None:
    for panel in panels(name):
        legends = {target["legendFormat"] for target in panel["targets"]}
        named = {one["matcher"]["options"] for one in panel["fieldConfig"]["overrides"]}
        assert named <= legends, panel["title"]


@pytest.mark.parametrize("name", DASHBOARDS)
def test_panels_do_not_overlap(name: str) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in build(DASHBOARDS[name])["panels"]:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert at["x"] + at["w"] <= 24
        assert not taken & cells, panel["title"]
        taken |= cells


def datasources(node: Any) -> set[str]:
    """The uid of every datasource anywhere in a dashboard."""
    if isinstance(node, dict):
        own = {node["datasource"]["uid"]} if isinstance(node.get("datasource"), dict) else set()
        return own.union(*(datasources(value) for value in node.values()))
    return set().union(*(datasources(one) for one in node)) if isinstance(node, list) else set()


@pytest.mark.parametrize("name", DASHBOARDS)
def test_datasources_are_variables_that_the_dashboard_has(name: str) -> None:
    built = build(DASHBOARDS[name])
    variables = {one["name"] for one in built["templating"]["list"] if one["type"] == "datasource"}
    assert datasources(built) == {f"${{{variable}}}" for variable in variables}


def test_dashboard_ids_are_unique() -> None:
    built = [build(one) for one in DASHBOARDS.values()]
    assert len({one["uid"] for one in built}) == len({one["title"] for one in built}) == len(built)
    for one in built:
        ids = [panel["id"] for panel in one["panels"]]
        assert len(set(ids)) == len(ids)
