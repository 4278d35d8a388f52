"""Classic dashboard JSON (schema 39) from short descriptions: rows of panels, 24 columns wide."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from headrace_dashboards.releases import namespace_variable, scoped

PROMETHEUS = {"type": "prometheus", "uid": "${prometheus}"}
SCHEMA_VERSION = 39
GREEN, AMBER, RED = "green", "#EAB839", "red"

CLICKHOUSE = {"type": "grafana-clickhouse-datasource", "uid": "${clickhouse}"}

# cells: a row per series, coloured by its value over time.
Kind = Literal["timeseries", "stat", "heatmap", "cells"]


@dataclass(frozen=True, slots=True)
class Query:
    """PromQL, and how its series are called. `apart`: a line of its own in a stacked panel, for
    what is not part of the sum."""

    expr: str
    legend: str = ""
    apart: bool = False


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel. `warn` and `bad` are thresholds in the panel's unit; with `falling`, values below
    them are the bad ones. `most`: the value of the strongest colour of a "cells" panel."""

    title: str
    description: str
    unit: str
    queries: tuple[Query, ...]
    kind: Kind = "timeseries"
    width: int = 8
    height: int = 8
    warn: float | None = None
    bad: float | None = None
    decimals: int | None = None
    stacked: bool = False
    falling: bool = False
    most: float | None = None


@dataclass(frozen=True, slots=True)
class Mark:
    """An annotation over all panels: PromQL that has a value while it lasts, or SQL with columns
    time, timeEnd (both ms) and text."""

    name: str
    colour: str
    expr: str = ""
    text: str = ""
    sql: str = ""


# Over every dashboard: what an alert is about is usually right below it.
ALERTS = Mark("Alerts", RED, 'ALERTS{alertstate="firing"}', "{{alertname}} ({{severity}})")


@dataclass(frozen=True, slots=True)
class Row:
    """A headline and the panels below it."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True)
class Dashboard:
    """`uid` stays for ever: links and alerts hold it."""

    uid: str
    title: str
    description: str
    rows: Sequence[Row]
    marks: tuple[Mark, ...] = (ALERTS,)
    refresh: str = "10s"
    since: str = "now-1h"


def build(dashboard: Dashboard) -> dict[str, Any]:
    """The JSON that Grafana imports."""
    panels: list[dict[str, Any]] = []
    y = 0
    for row in dashboard.rows:
        panels.append(
            {
                "id": len(panels) + 1,
                "type": "row",
                "title": row.title,
                "collapsed": False,
                "gridPos": {"h": 1, "w": 24, "x": 0, "y": y},
                "panels": [],
            }
        )
        y += 1
        x = tallest = 0
        for panel in row.panels:
            if x + panel.width > 24:
                x, y, tallest = 0, y + tallest, 0
            panels.append(_panel(panel, len(panels) + 1, x, y))
            x, tallest = x + panel.width, max(tallest, panel.height)
        y += tallest
    return {
        "uid": dashboard.uid,
        "title": dashboard.title,
        "description": dashboard.description,
        "tags": ["headrace"],
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": dashboard.refresh,
        "time": {"from": dashboard.since, "to": "now"},
        "timezone": "utc",
        "templating": {
            "list": [
                *(_datasource_variable(name) for name in _datasources(dashboard)),
                namespace_variable(),
            ]
        },
        "annotations": {"list": [_annotation(mark) for mark in dashboard.marks]},
        "links": [],
        "panels": panels,
    }


def _datasources(dashboard: Dashboard) -> list[str]:
    sql = any(mark.sql for mark in dashboard.marks)
    return ["prometheus", *(["clickhouse"] if sql else [])]


def _datasource_variable(name: str) -> dict[str, Any]:
    labels = {"prometheus": "Prometheus", "clickhouse": "ClickHouse"}
    types = {"prometheus": PROMETHEUS["type"], "clickhouse": CLICKHOUSE["type"]}
    return {
        "name": name,
        "label": labels[name],
        "type": "datasource",
        "query": types[name],
        "current": {},
        "hide": 0,
        "refresh": 1,
    }


def _annotation(mark: Mark) -> dict[str, Any]:
    about = {"name": mark.name, "enable": True, "iconColor": mark.colour}
    if mark.sql:
        target = {
            "refId": "Anno", "editorType": "sql", "queryType": "table", "format": 1,
            "rawSql": mark.sql,
        }  # fmt: skip
        return {**about, "datasource": CLICKHOUSE, "target": target}
    return {
        **about,
        "datasource": PROMETHEUS,
        "expr": scoped(mark.expr),
        "titleFormat": mark.text,
        "step": "15s",
    }


def _panel(panel: Panel, number: int, x: int, y: int) -> dict[str, Any]:
    defaults: dict[str, Any] = {"unit": panel.unit, "thresholds": _thresholds(panel)}
    if panel.decimals is not None:
        defaults["decimals"] = panel.decimals
    options: dict[str, Any] = {}
    if panel.kind == "timeseries":
        defaults["custom"] = {
            "lineWidth": 1,
            "fillOpacity": 20 if panel.stacked else 5,
            "showPoints": "never",
            "stacking": {"mode": "normal" if panel.stacked else "none"},
            "thresholdsStyle": {"mode": "off" if panel.bad is None else "line"},
        }
        defaults["min"] = 0
        options = {
            "legend": {"displayMode": "list", "placement": "bottom"},
            "tooltip": {"mode": "multi", "sort": "desc"},
        }
    elif panel.kind == "cells":
        defaults["color"] = {"mode": "continuous-GrYlRd"}
        defaults |= {"min": 0, "max": panel.most}
        options = {"showValue": "never", "rowHeight": 0.9, "legend": {"displayMode": "hidden"}}
    elif panel.kind == "stat":
        options = {
            "reduceOptions": {"calcs": ["lastNotNull"]},
            "colorMode": "value",
            "graphMode": "area",
        }
    else:
        options = {
            "calculate": False,
            "yAxis": {"unit": panel.unit},
            "color": {"scheme": "Oranges"},
        }
    return {
        "id": number,
        "type": "status-history" if panel.kind == "cells" else panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": PROMETHEUS,
        "gridPos": {"h": panel.height, "w": panel.width, "x": x, "y": y},
        "fieldConfig": {
            "defaults": defaults,
            "overrides": [_apart(one.legend) for one in panel.queries if one.apart],
        },
        "options": options,
        "targets": [
            {
                "refId": chr(ord("A") + i),
                "datasource": PROMETHEUS,
                "expr": scoped(query.expr),
                "legendFormat": query.legend or "__auto",
                "range": panel.kind != "stat",
                "instant": panel.kind == "stat",
                "format": "heatmap" if panel.kind == "heatmap" else "time_series",
            }
            for i, query in enumerate(panel.queries)
        ],
    }


def _apart(legend: str) -> dict[str, Any]:
    """The override that takes a series off the stack."""
    properties = [
        {"id": "custom.stacking", "value": {"mode": "none"}},
        {"id": "custom.fillOpacity", "value": 0},
        {"id": "custom.lineWidth", "value": 2},
    ]
    return {"matcher": {"id": "byName", "options": legend}, "properties": properties}


def _thresholds(panel: Panel) -> dict[str, Any]:
    if panel.falling:
        bounds = [(AMBER, panel.bad), (GREEN, panel.warn)]
        above = [{"color": colour, "value": at} for colour, at in bounds if at is not None]
        return {"mode": "absolute", "steps": [{"color": RED, "value": None}, *above]}
    steps: list[dict[str, Any]] = [{"color": GREEN, "value": None}]
    if panel.warn is not None:
        steps.append({"color": AMBER, "value": panel.warn})
    if panel.bad is not None:
        steps.append({"color": RED, "value": panel.bad})
    return {"mode": "absolute", "steps": steps}
