"""Panels that ask ClickHouse, by Grafana's official plugin (grafana-clickhouse-datasource 4).

Of its macros only `$__timeFilter`, `$__fromTime`, `$__toTime` and `$__interval_s` are used:
`$__timeInterval` makes `toStartOfInterval`, which 18.16 has not.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from headrace_dashboards.panels import AMBER, GREEN, RED, SCHEMA_VERSION

PLUGIN = "grafana-clickhouse-datasource"
CLICKHOUSE = {"type": PLUGIN, "uid": "${clickhouse}"}

Kind = Literal["timeseries", "stat", "table"]
# What the plugin calls them in a target.
FORMATS: dict[Kind, int] = {"timeseries": 0, "stat": 1, "table": 1}


@dataclass(frozen=True, slots=True)
class Column:
    """How a table shows one of its columns."""

    name: str
    unit: str = ""
    link: str = ""
    """Where a click on its value leads; Grafana's variables are filled in."""
    link_title: str = ""


@dataclass(frozen=True, slots=True)
class SqlPanel:
    """One panel. A time series selects `time`, optionally one text column that names the series,
    and numbers. `warn` and `bad` are thresholds in the panel's unit; with `low` they are limits
    from below."""

    title: str
    description: str
    unit: str
    sql: str
    kind: Kind = "timeseries"
    width: int = 12
    height: int = 8
    warn: float | None = None
    bad: float | None = None
    low: bool = False
    top: float | None = None
    stacked: bool = False
    columns: tuple[Column, ...] = ()


@dataclass(frozen=True, slots=True)
class Variable:
    """A box above the dashboard: values of a query, or `choices` (words → value), or free text."""

    name: str
    label: str
    sql: str = ""
    choices: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SqlDashboard:
    """`rows`: headline → panels. `uid` stays for ever: links hold it."""

    uid: str
    title: str
    description: str
    rows: Sequence[tuple[str, Sequence[SqlPanel]]]
    variables: Sequence[Variable] = field(default=())
    refresh: str = "30s"
    since: str = "now-3h"


def build_sql(dashboard: SqlDashboard) -> dict[str, Any]:
    """The JSON that Grafana imports."""
    panels: list[dict[str, Any]] = []
    y = 0
    for title, row in dashboard.rows:
        place = {"h": 1, "w": 24, "x": 0, "y": y}
        panels.append({"id": len(panels) + 1, "type": "row", "title": title, "collapsed": False,
                       "gridPos": place, "panels": []})  # fmt: skip
        y += 1
        x = tallest = 0
        for panel in row:
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
        "templating": {"list": [_datasource(), *map(_variable, dashboard.variables)]},
        "annotations": {"list": []},
        "links": [],
        "panels": panels,
    }


def _datasource() -> dict[str, Any]:
    return {"name": "clickhouse", "label": "ClickHouse", "type": "datasource", "query": PLUGIN,
            "current": {}, "hide": 0, "refresh": 1}  # fmt: skip


def _variable(variable: Variable) -> dict[str, Any]:
    base = {"name": variable.name, "label": variable.label, "hide": 0}
    if variable.choices:
        options = [
            {"text": words, "value": value, "selected": at == 0}
            for at, (words, value) in enumerate(variable.choices.items())
        ]
        query = ", ".join(
            f"{o['text']} : {str(o['value']).replace(',', chr(92) + ',')}" for o in options
        )
        current = {"text": options[0]["text"], "value": options[0]["value"]}
        return {**base, "type": "custom", "query": query, "options": options, "current": current}
    if not variable.sql:
        return {**base, "type": "textbox", "query": "", "current": {"text": "", "value": ""}}
    return {
        **base,
        "type": "query",
        "datasource": CLICKHOUSE,
        "definition": variable.sql,
        "query": {"editorType": "sql", "rawSql": variable.sql},
        "includeAll": True,
        # Everything, also values that come later: the panels compare with it.
        "allValue": "",
        "current": {"text": "All", "value": "$__all"},
        "refresh": 2,
        "sort": 1,
    }


def _panel(panel: SqlPanel, number: int, x: int, y: int) -> dict[str, Any]:
    defaults: dict[str, Any] = {"unit": panel.unit, "thresholds": _thresholds(panel)}
    options: dict[str, Any] = {}
    if panel.kind == "timeseries":
        defaults["custom"] = {
            "lineWidth": 1,
            "fillOpacity": 20 if panel.stacked else 5,
            "showPoints": "auto",
            "stacking": {"mode": "normal" if panel.stacked else "none"},
            "thresholdsStyle": {"mode": "off" if panel.bad is None else "line"},
        }
        defaults["min"] = 0
        options = {
            "legend": {"displayMode": "list", "placement": "bottom"},
            "tooltip": {"mode": "multi", "sort": "desc"},
        }
    elif panel.kind == "stat":
        options = {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "value",
                   "graphMode": "none"}  # fmt: skip
    else:
        options = {"showHeader": True, "cellHeight": "sm"}
    if panel.top is not None:
        defaults["max"] = panel.top
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": CLICKHOUSE,
        "gridPos": {"h": panel.height, "w": panel.width, "x": x, "y": y},
        # What is counted per minute has no finer points.
        "interval": "1m",
        "fieldConfig": {"defaults": defaults, "overrides": [_override(c) for c in panel.columns]},
        "options": options,
        "targets": [
            {
                "refId": "A",
                "datasource": CLICKHOUSE,
                "editorType": "sql",
                "queryType": "timeseries" if panel.kind == "timeseries" else "table",
                "format": FORMATS[panel.kind],
                "rawSql": panel.sql,
            }
        ],
    }


def _override(column: Column) -> dict[str, Any]:
    properties: list[dict[str, Any]] = []
    if column.unit:
        properties.append({"id": "unit", "value": column.unit})
    if column.link:
        link = {"title": column.link_title, "url": column.link}
        properties.append({"id": "links", "value": [link]})
    return {"matcher": {"id": "byName", "options": column.name}, "properties": properties}


def _thresholds(panel: SqlPanel) -> dict[str, Any]:
    """From above: green, then amber at `warn`, red at `bad`. From below: red, amber, green."""
    steps: list[dict[str, Any]] = [{"color": RED if panel.low else GREEN, "value": None}]
    if panel.low:
        ordered = ((panel.bad, AMBER), (panel.warn, GREEN))
    else:
        ordered = ((panel.warn, AMBER), (panel.bad, RED))
    steps += [{"color": colour, "value": at} for at, colour in ordered if at is not None]
    return {"mode": "absolute", "steps": steps}
