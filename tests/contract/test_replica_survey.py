"""What the exporter reads of one ClickHouse server: everything declared, on both servers."""

import pytest

from headrace_writer.errors import Retryable
from headrace_writer.metrics import EXPORTER
from headrace_writer.shell.clickhouse_survey import ReplicaSurvey
from headrace_writer.shell.replica import Address, Login
from headrace_writer.shell.snapshots import Snapshots
from support.schema_server import SchemaServer


def survey(port: int, database: str = "otel") -> ReplicaSurvey:
    return ReplicaSurvey(1, Address("127.0.0.1", port), Login(database, "default", "", 2, 5))


def test_every_metric_of_a_replica_is_read(server: SchemaServer) -> None:
    asked = survey(server.port)
    samples = asked.read()
    asked.close()
    Snapshots(EXPORTER).put("a", samples)
    found = {sample.metric for sample in samples}
    declared = {one.name for one in EXPORTER if one.name.startswith("headrace_clickhouse_")}
    disks = {"headrace_disk_free_bytes", "headrace_disk_total_bytes"}
    assert found == declared | (disks if server.dialect == "modern" else set())
    by_metric = {sample.metric: sample for sample in samples}
    assert by_metric["headrace_clickhouse_up"].labels == ("1", f"127.0.0.1:{server.port}")
    assert by_metric["headrace_clickhouse_parts_limit"].value >= 150
    tables = {s.labels[2] for s in samples if s.metric == "headrace_clickhouse_table_rows"}
    assert "headrace_migrations" in tables


def test_a_server_that_is_not_there_is_silent() -> None:
    asked = survey(1)
    with pytest.raises(Retryable):
        asked.read()
    assert [(one.metric, one.value) for one in asked.silent] == [("headrace_clickhouse_up", 0)]


def test_a_database_that_is_not_there_may_come(server: SchemaServer) -> None:
    asked = survey(server.port, "nowhere")
    with pytest.raises(Retryable):
        asked.read()
    asked.close()
