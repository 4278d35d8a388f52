"""Panels that ask ClickHouse, by Grafana's official plugin (grafana-clickhouse-datasource 4).

Of its macros only `$__timeFilter`, `$__fromTime`, `$__toTime` and `$__interval_s` are used:
`$__timeInterval` makes `toStartOfInterval`, which 18.16 has not.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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
    source = datasource_variable("clickhouse", "ClickHouse", PLUGIN)
    variables = [source, *map(_variable, dashboard.variables)]
    return page(dashboard, variables, [], grid(dashboard.rows, _panel))


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


def _panel(panel: SqlPanel, place: Place) -> dict[str, Any]:
    target = {
        "refId": "A",
        "datasource": CLICKHOUSE,
        "editorType": "sql",
        "queryType": "timeseries" if panel.kind == "timeseries" else "table",
        "format": FORMATS[panel.kind],
        "rawSql": panel.sql,
    }
    # What is counted per minute has no finer points.
    asked = Asked(CLICKHOUSE, [target], [_override(c) for c in panel.columns], "1m")
    return framed(panel, place, _drawn(panel), _colours(panel), asked)


def _drawn(panel: SqlPanel) -> Drawn:
    if panel.kind == "timeseries":
        drawn = timeseries(panel, "auto")
    elif panel.kind == "stat":
        drawn = stat("none")
    else:
        drawn = Drawn("table", {}, {"showHeader": True, "cellHeight": "sm"})
    most = {} if panel.top is None else {"max": panel.top}
    return drawn._replace(defaults={**drawn.defaults, **most})


def _override(column: Column) -> dict[str, Any]:
    properties: list[dict[str, Any]] = []
    if column.unit:
        properties.append({"id": "unit", "value": column.unit})
    if column.link:
        link = {"title": column.link_title, "url": column.link}
        properties.append({"id": "links", "value": [link]})
    return {"matcher": {"id": "byName", "options": column.name}, "properties": properties}


def _colours(panel: SqlPanel) -> dict[str, Any]:
    """From above: green, then amber at `warn`, red at `bad`. From below: red, amber, green."""
    if panel.low:
        return thresholds(RED, [(AMBER, panel.bad), (GREEN, panel.warn)])
    return thresholds(GREEN, [(AMBER, panel.warn), (RED, panel.bad)])
