"""The dashboard for LLM operations as Grafana reads it: complete, by variable only, loaded."""

import json
from typing import Any

import pytest
import yaml

from headrace_dashboards.lag import LAG_DASHBOARD
from headrace_dashboards.llm import LLM_DASHBOARD
from headrace_dashboards.sql_panels import FORMATS, PLUGIN, build_sql
from headrace_native.spec import ROOT
from support.grafana import Range, expand

GRAFANA = ROOT / "deploy" / "observability" / "grafana"
BUILT = build_sql(LLM_DASHBOARD)
PANELS = [one for one in BUILT["panels"] if one["type"] != "row"]
VARIABLES = {one["name"]: one for one in BUILT["templating"]["list"]}
TIMES = Range(1_000, 2_000)


def test_the_committed_dashboard_is_the_built_one() -> None:
    committed = json.loads((GRAFANA / "dashboards" / "llm.json").read_text())
    assert committed == BUILT, "run: make docs"


def test_uid_title_and_panels_are_unique() -> None:
    assert (BUILT["uid"], BUILT["title"]) != (LAG_DASHBOARD.uid, LAG_DASHBOARD.title)
    ids = [one["id"] for one in BUILT["panels"]]
    titles = [one["title"] for one in PANELS]
    assert (len(set(ids)), len(set(titles))) == (len(ids), len(titles))


@pytest.mark.parametrize("panel", PANELS, ids=lambda one: one["title"])
def test_a_panel_says_what_it_shows_and_asks_by_variable(panel: dict[str, Any]) -> None:
    assert len(panel["description"]) > 20
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["datasource"] == {"type": PLUGIN, "uid": "${clickhouse}"}
    (target,) = panel["targets"]
    assert target["datasource"] == panel["datasource"]
    assert target["editorType"] == "sql"
    assert target["refId"] == "A"
    assert target["format"] == FORMATS[panel["type"]]
    assert target["queryType"] == ("timeseries" if panel["type"] == "timeseries" else "table")
    # Fails for a macro that the plugin has not, or a variable that the dashboard has not.
    expand(target["rawSql"], TIMES, dict.fromkeys(VARIABLES, "x"))


@pytest.mark.parametrize("panel", PANELS, ids=lambda one: one["title"])
def test_thresholds_rise(panel: dict[str, Any]) -> None:
    steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
    assert steps[0]["value"] is None
    values = [step["value"] for step in steps[1:]]
    assert values == sorted(values)


def test_panels_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in BUILT["panels"]:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert at["x"] + at["w"] <= 24
        assert not taken & cells, panel["title"]
        taken |= cells


def test_links_lead_to_this_dashboard_and_its_variables() -> None:
    links = [
        link["url"]
        for panel in PANELS
        for override in panel["fieldConfig"]["overrides"]
        for one in override["properties"]
        if one["id"] == "links"
        for link in one["value"]
    ]
    assert links
    for link in links:
        assert link.startswith(f"/d/{BUILT['uid']}?var-trace=")
    assert VARIABLES["trace"]["type"] == "textbox"


def test_grafana_is_given_the_folder_and_the_plugin() -> None:
    (provider,) = yaml.safe_load(
        (GRAFANA / "provisioning" / "dashboards" / "headrace.yaml").read_text()
    )["providers"]
    compose = (ROOT / "deploy" / "compose" / "compose.observability.yaml").read_text()
    assert f"grafana/dashboards:{provider['options']['path']}" in compose
    assert PLUGIN in compose
    sources = yaml.safe_load(
        (GRAFANA / "provisioning" / "datasources" / "headrace.yaml").read_text()
    )["datasources"]
    assert PLUGIN in {one["type"] for one in sources}


def test_an_unknown_macro_is_refused() -> None:
    with pytest.raises(ValueError, match="timeGroupe"):
        expand("SELECT $__timeGroupe(Time)", TIMES, {})
