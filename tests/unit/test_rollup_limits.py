"""How long spans are kept, by the forms of a TTL: a day is rebuilt only while all are there.

The limit of a column says nothing of its rows.
"""

import pytest

from headrace_schema.rollup import kept_days

AT = "toDateTime(Timestamp)"
DAY = f"toStartOfDay({AT} + toIntervalDay(1))"
BY_SERVICE = "transform(toString(ServiceName), ['checkout 3', 'it\\'s 2'], [30, 4], 7)"
BY_TENANT = "transform(toString(Tenant), ['acme'], [5], 0)"
BY_BOTH = f"coalesce(nullIf(greatest({BY_SERVICE}, {BY_TENANT}), 0), 9)"


@pytest.mark.parametrize(
    ("ttl", "days"),
    [
        ("", None),
        (f"TTL {AT} + toIntervalDay(7) ", 7),
        (f"TTL {AT} + toIntervalDay(1) ", 1),
        (f"TTL {AT} + toIntervalDay(7), {AT} + toIntervalDay(2) TO VOLUME 'cold9' ", 7),
        (f"TTL {AT} + toIntervalDay(2) TO VOLUME 'cold' ", None),
        (f"TTL {DAY} + toIntervalDay({BY_SERVICE}) ", 4),
        (f"TTL {DAY} + toIntervalDay({BY_BOTH})", 4),
    ],
)
def test_the_shortest_limit_counts(ttl: str, days: int | None) -> None:
    created = (
        "CREATE TABLE otel.otel_traces (`Timestamp` DateTime64(9), `ContentAttributes` String TTL "
        f"{AT} + toIntervalDay(1)) ENGINE = MergeTree "
        f"ORDER BY Timestamp {ttl}SETTINGS index_granularity = 8192"
    )
    assert kept_days(created) == days
