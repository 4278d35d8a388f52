"""docs/values.md says what the decoders do: its examples are run, its columns compared."""

import math
import re
from pathlib import Path
from typing import Any

import chdb
import pytest

from headrace_writer.core.reference_fields import FIELDS, TABLES
from headrace_writer.core.reference_routing import log_shard, series_shard, trace_shard
from headrace_writer.core.reference_values import text
from headrace_writer.errors import Poison
from support.builders import T0, TRACE_ID, any_value

PAGE = (Path(__file__).parents[2] / "docs" / "values.md").read_text()


def section(title: str) -> str:
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


def examples() -> list[tuple[str, str]]:
    rows = re.findall(r"^\| `(.+?)` \| (?:`(.+)` )?\|$", section("Attribute values"), re.MULTILINE)
    return [(value, stored) for value, stored in rows if value != "value"]


@pytest.mark.parametrize(("value", "stored"), examples())
def test_examples_of_attribute_values(value: str, stored: str) -> None:
    python: Any = eval(value, {"nan": math.nan, "inf": math.inf})  # our own page
    assert text(any_value(python)) == stored


def test_there_are_examples() -> None:
    assert len(examples()) > 20


@pytest.mark.parametrize("table", FIELDS)
def test_every_column_is_named(table: str) -> None:
    """In its table's part of the page, or among those that all tables have."""
    named = set(re.findall(r"`([A-Z.][\w.*]*)`", section("Columns")))
    named |= {f"{group}{part}" for group in ("Events", "Links") for part in named if part[0] == "."}
    for column in FIELDS[table]:
        assert column in named or f"{column.split('.')[0]}.*" in named, column


def test_reasons_are_those_of_the_code() -> None:
    for reason in ("malformed", "too_many_records", "too_large"):
        assert f"`{reason}`" in section("Odd input")
    assert str(Poison("malformed", "x")) == "malformed: x"
    assert len(TABLES["metrics"]) == 5


def shard_queries() -> tuple[str, str, str]:
    (sql,) = re.findall(r"```sql\n(.*?)```", section("Shards"), re.DOTALL)
    trace, time, series = re.split(r"\n\n", re.sub(r"--.*\n", "", sql).strip())
    return trace, time, series


def test_shards_by_query() -> None:
    """ClickHouse computes the shards that we choose."""
    shards = 1_000_003
    trace, time, series = (query.replace("% N", f"% {shards}") for query in shard_queries())
    row = f"""
        SELECT '{TRACE_ID.hex()}' AS TraceId,
            fromUnixTimestamp64Nano(toInt64({T0 + 123_456_789})) AS Timestamp,
            'checkout' AS ServiceName, 'queue.depth' AS MetricName,
            CAST(map('q', 'in', 'n', '5'), 'Map(LowCardinality(String), String)') AS Attributes
    """
    query: Any = chdb.query
    answer = str(query(f"SELECT {trace}, {time}, {series} FROM ({row})", "CSV")).split(",")
    assert [int(number) for number in answer] == [
        trace_shard(TRACE_ID.hex().encode(), shards),
        log_shard(b"", T0 + 123_456_789, shards),
        series_shard(b"checkout", b"queue.depth", [(b"q", b"in"), (b"n", b"5")], shards),
    ]
