"""A panel's SQL as Grafana's ClickHouse plugin sends it: macros and variables filled in.

https://github.com/grafana/clickhouse-datasource/blob/main/pkg/macros/macros.go
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Range:
    """What the time picker says: seconds since 1970, and the width of a point."""

    begin_s: int
    end_s: int
    interval_s: int = 60


def expand(sql: str, times: Range, variables: Mapping[str, str]) -> str:
    """Raises ValueError for a macro or a variable that is not known here."""
    begin, end = f"toDateTime({times.begin_s})", f"toDateTime({times.end_s})"
    begin_ms = f"fromUnixTimestamp64Milli({times.begin_s * 1000})"
    end_ms = f"fromUnixTimestamp64Milli({times.end_s * 1000})"
    column = r"\(\s*([\w.`]+)\s*\)"
    interval = str(times.interval_s)
    rules = (
        (r"\$__timeFilter_ms" + column, rf"\1 >= {begin_ms} AND \1 <= {end_ms}"),
        (r"\$__timeFilter" + column, rf"\1 >= {begin} AND \1 <= {end}"),
        (
            r"\$__timeInterval" + column,
            rf"toStartOfInterval(toDateTime(\1), INTERVAL {interval} second)",
        ),
        (r"\$__interval_s\b", interval),
        (r"\$__fromTime_ms\b", begin_ms),
        (r"\$__toTime_ms\b", end_ms),
        (r"\$__fromTime\b", begin),
        (r"\$__toTime\b", end),
    )
    for pattern, value in rules:
        sql = re.sub(pattern, value, sql)
    for name, value in variables.items():
        sql = re.sub(rf"\$\{{{name}\}}|\${name}\b", value, sql)
    left = re.search(r"\$\S+", sql)
    if left:
        msg = f"{left[0]} is neither a macro nor a variable of the dashboard"
        raise ValueError(msg)
    return sql
