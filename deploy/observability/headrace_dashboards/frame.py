"""What dashboards of Prometheus and of ClickHouse have in common: the page, the grid, a panel."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

SCHEMA_VERSION = 39
COLUMNS = 24
GREEN, AMBER, RED = "green", "#EAB839", "red"

Json = dict[str, Any]


class Described(Protocol):
    """A panel of either kind: what stands on it, and its size on the grid."""

    @property
    def title(self) -> str: ...
    @property
    def description(self) -> str: ...
    @property
    def unit(self) -> str: ...
    @property
    def width(self) -> int: ...
    @property
    def height(self) -> int: ...
    @property
    def bad(self) -> float | None: ...
    @property
    def stacked(self) -> bool: ...


class Titled(Protocol):
    """A dashboard of either kind."""

    @property
    def uid(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def description(self) -> str: ...
    @property
    def refresh(self) -> str: ...
    @property
    def since(self) -> str: ...


P = TypeVar("P", bound=Described)


class Place(NamedTuple):
    """A panel's number on its dashboard, and its upper left corner."""

    number: int
    x: int
    y: int


def grid(rows: Iterable[tuple[str, Sequence[P]]], make: Callable[[P, Place], Json]) -> list[Json]:
    """Headlines with their panels below, from left to right, each row as high as its tallest."""
    panels: list[Json] = []
    y = 0
    for title, row in rows:
        panels.append(
            {
                "id": len(panels) + 1,
                "type": "row",
                "title": title,
                "collapsed": False,
                "gridPos": {"h": 1, "w": COLUMNS, "x": 0, "y": y},
                "panels": [],
            }
        )
        y += 1
        x = tallest = 0
        for panel in row:
            if x + panel.width > COLUMNS:
                x, y, tallest = 0, y + tallest, 0
            panels.append(make(panel, Place(len(panels) + 1, x, y)))
            x, tallest = x + panel.width, max(tallest, panel.height)
        y += tallest
    return panels


def page(
    dashboard: Titled, variables: Sequence[Json], annotations: Sequence[Json], panels: list[Json]
) -> Json:
    """The JSON that Grafana imports."""
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
        "templating": {"list": list(variables)},
        "annotations": {"list": list(annotations)},
        "links": [],
        "panels": panels,
    }


def datasource_variable(name: str, label: str, plugin: str) -> Json:
    """The box in which a dashboard's data source is chosen."""
    return {
        "name": name,
        "label": label,
        "type": "datasource",
        "query": plugin,
        "current": {},
        "hide": 0,
        "refresh": 1,
    }


class Drawn(NamedTuple):
    """What a panel's kind makes of it."""

    kind: str
    """Grafana's name of the visualization."""
    defaults: Json
    """Of its fields, besides unit and thresholds."""
    options: Json


def timeseries(panel: Described, points: str) -> Drawn:
    """Lines from zero on. `points`: when they are shown, `never` or `auto`."""
    custom = {
        "lineWidth": 1,
        "fillOpacity": 20 if panel.stacked else 5,
        "showPoints": points,
        "stacking": {"mode": "normal" if panel.stacked else "none"},
        "thresholdsStyle": {"mode": "off" if panel.bad is None else "line"},
    }
    options = {
        "legend": {"displayMode": "list", "placement": "bottom"},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    return Drawn("timeseries", {"custom": custom, "min": 0}, options)


def stat(graph: str) -> Drawn:
    """The last value, coloured by its threshold, with `graph` behind it."""
    options = {
        "reduceOptions": {"calcs": ["lastNotNull"]},
        "colorMode": "value",
        "graphMode": graph,
    }
    return Drawn("stat", {}, options)


def thresholds(lowest: str, above: Iterable[tuple[str, float | None]]) -> Json:
    """The colour below all bounds, and each colour from its bound on; bounds that are none are
    left out."""
    steps: list[Json] = [{"color": lowest, "value": None}]
    steps += [{"color": colour, "value": at} for colour, at in above if at is not None]
    return {"mode": "absolute", "steps": steps}


class Asked(NamedTuple):
    """Whom a panel asks, and what."""

    datasource: Mapping[str, str]
    targets: list[Json]
    overrides: Sequence[Json] = ()
    interval: str = ""
    """The finest step; empty for Grafana's own."""


def framed(panel: Described, place: Place, drawn: Drawn, colours: Json, asked: Asked) -> Json:
    """One panel's JSON."""
    defaults = {"unit": panel.unit, "thresholds": colours, **drawn.defaults}
    return {
        "id": place.number,
        "type": drawn.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": asked.datasource,
        "gridPos": {"h": panel.height, "w": panel.width, "x": place.x, "y": place.y},
        **({"interval": asked.interval} if asked.interval else {}),
        "fieldConfig": {"defaults": defaults, "overrides": list(asked.overrides)},
        "options": drawn.options,
        "targets": asked.targets,
    }
