"""Our tables hold every column of the OpenTelemetry exporter's, under its name and type."""

import json
from pathlib import Path
from typing import Any

import pytest

from headrace_schema.columns import TABLES
from headrace_schema.model import described

FACTS: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "data" / "exporter-columns.json").read_text()
)
# The exporter cuts metric times to seconds; we keep their nanoseconds.
FINER = {"DateTime": "DateTime64(9)", "Array(DateTime)": "Array(DateTime64(9))"}
# What we have beside theirs, in any table.
OURS = {"IngestId", "Environment", "Tenant", "ContentAttributes"}


def theirs(table: str) -> dict[str, str]:
    columns = dict(FACTS["tables"][table])
    if table.startswith("otel_metrics_"):
        columns |= FACTS["common_metric_columns"]
        if table != "otel_metrics_summary":
            columns |= FACTS["exemplars"]
    for short, kind in FACTS["types"].items():
        columns = {
            name: kind if of == short else of.replace(f"({short})", f"({kind})")
            for name, of in columns.items()
        }
    return columns


@pytest.mark.parametrize("table", FACTS["tables"])
def test_every_column_of_the_exporter_is_there_in_its_type(table: str) -> None:
    ours = {name: kind for name, kind, _ in described(TABLES[table].columns, "modern")}
    for name, kind in theirs(table).items():
        times = FINER if table.startswith("otel_metrics_") else {}
        assert ours.get(name) == times.get(kind, kind), name


@pytest.mark.parametrize("table", FACTS["tables"])
def test_what_we_add_is_known(table: str) -> None:
    ours = {name for name, _, _ in described(TABLES[table].columns, "modern")}
    assert ours - set(theirs(table)) <= OURS
