"""Classic dashboard JSON (schema 39) from short descriptions: rows of panels, 24 columns wide."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from headrace_dashboards.frame import (
    AMBER,
    GREEN,
    RED,
    Asked,
    Drawn,
    Place,
    datasource_variable,
    framed,
    grid,
    page,
    stat,
    thresholds,
    timeseries,
)
from headrace_dashboards.releases import namespace_variable, scoped

PROMETHEUS = {"type": "prometheus", "uid": "${prometheus}"}
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
    return page(
        dashboard,
        _variables(dashboard),
        [_annotation(mark) for mark in dashboard.marks],
        grid([(row.title, row.panels) for row in dashboard.rows], _panel),
    )


def _variables(dashboard: Dashboard) -> list[dict[str, Any]]:
    found = [datasource_variable("prometheus", "Prometheus", PROMETHEUS["type"])]
    if any(mark.sql for mark in dashboard.marks):
        found.append(datasource_variable("clickhouse", "ClickHouse", CLICKHOUSE["type"]))
    return [*found, namespace_variable()]


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


def _panel(panel: Panel, place: Place) -> dict[str, Any]:
    targets = [
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
    ]
    apart = [_apart(query.legend) for query in panel.queries if query.apart]
    asked = Asked(PROMETHEUS, targets, apart)
    return framed(panel, place, _drawn(panel), _colours(panel), asked)


def _apart(legend: str) -> dict[str, Any]:
    """The override that takes a series off the stack."""
    properties = [
        {"id": "custom.stacking", "value": {"mode": "none"}},
        {"id": "custom.fillOpacity", "value": 0},
        {"id": "custom.lineWidth", "value": 2},
    ]
    return {"matcher": {"id": "byName", "options": legend}, "properties": properties}


def _drawn(panel: Panel) -> Drawn:
    decimals = {} if panel.decimals is None else {"decimals": panel.decimals}
    if panel.kind == "timeseries":
        drawn = timeseries(panel, "never")
    elif panel.kind == "cells":
        drawn = Drawn(
            "status-history",
            {"color": {"mode": "continuous-GrYlRd"}, "min": 0, "max": panel.most},
            {"showValue": "never", "rowHeight": 0.9, "legend": {"displayMode": "hidden"}},
        )
    elif panel.kind == "stat":
        drawn = stat("area")
    else:
        options = {
            "calculate": False,
            "yAxis": {"unit": panel.unit},
            "color": {"scheme": "Oranges"},
        }
        drawn = Drawn("heatmap", {}, options)
    return drawn._replace(defaults={**decimals, **drawn.defaults})


def _colours(panel: Panel) -> dict[str, Any]:
    if panel.falling:
        return thresholds(RED, [(AMBER, panel.bad), (GREEN, panel.warn)])
    return thresholds(GREEN, [(AMBER, panel.warn), (RED, panel.bad)])
