"""Old parts go to S3: chDB 26.9 with a local hot disk and an S3 server on the loopback interface.

Every table that has a limit gets the rule; its old parts must be in the bucket, and readable.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from clickhouse_driver.errors import ServerException

from headrace_schema.retention import DEFAULT_DAYS, kept_tables
from headrace_schema.rollup_cli import add_rollup_parser, run_rollup
from support.chdb_front import chdb_front
from support.kept_database import KeptDatabase, eventually
from support.s3_server import ACCESS_KEY, SECRET_KEY, Bucket, s3_bucket
from support.schema_command import answer
from support.schema_server import SchemaServer, create_tables

CONFIG = """<clickhouse><storage_configuration>
  <disks><cold>{s3}</cold></disks>
  <policies><tiered><volumes>
    <default><disk>default</disk></default>
    <cold><disk>cold</disk></cold>
  </volumes></tiered></policies>
</storage_configuration></clickhouse>"""
OLD, YOUNG = 5, 1
"""Days; parts move after two."""
MOVES = tuple(
    word
    for signal in DEFAULT_DAYS
    for word in (f"--{signal}", "30d", "--move-after", f"{signal}=2d:cold")
)
TABLES = kept_tables("modern")


@dataclass(frozen=True, slots=True)
class Tiered:
    """A server whose tables have the rule; each has rows of OLD and of YOUNG days ago."""

    server: SchemaServer
    bucket: Bucket

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with self.server.client() as client:
            found: list[tuple[Any, ...]] = client.execute(sql)
        return found

    def places(self) -> set[tuple[str, str, int]]:
        """(table, disk, days ago) of every part."""
        rows = self.rows(
            "SELECT table, disk_name, toRelativeDayNum(today()) - toRelativeDayNum("
            "toDate(partition)) FROM system.parts WHERE active AND rows > 0 AND "
            "database = 'otel' AND partition LIKE '20%'"
        )
        return {(str(table), str(disk), int(days)) for table, disk, days in rows}


def fill(tiered: Tiered) -> None:
    """Spans of an LLM with their prompts, a log, and a point of every kind."""
    for days in (OLD, YOUNG):
        at = f"now() - toIntervalDay({days})"
        tiered.rows(
            "INSERT INTO otel_traces (Timestamp, TraceId, ServiceName, SpanAttributes) SELECT "
            f"{at}, toString(number), 's', map('gen_ai.request.model', 'm', 'gen_ai.prompt', "
            "'asked') FROM numbers(1000)"
        )
        tiered.rows(f"INSERT INTO otel_logs (Timestamp, Body) SELECT {at}, 'kept'")
        for table in TABLES:
            if table.kept_as == "metrics":
                tiered.rows(f"INSERT INTO {table.name} (TimeUnix, MetricName) SELECT {at}, 'm'")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tiers")


@pytest.fixture(scope="module")
def bucket(folder: Path) -> Iterator[Bucket]:
    with s3_bucket(folder) as found:
        yield found


@pytest.fixture(scope="module")
def tiered(folder: Path, bucket: Bucket) -> Iterator[Tiered]:
    config = folder / "server.xml"
    config.write_text(CONFIG.format(s3=bucket.disk_xml()))
    with chdb_front(folder / "server", config) as port:
        found = Tiered(create_tables(port, "embedded", "modern"), bucket)
        fill(found)
        code, said = KeptDatabase(found.server, "otel").retention(
            "set", *MOVES, "--storage-policy", "tiered", "--yes"
        )
        assert code == 0, said
        yield found


def test_old_parts_of_every_table_move_to_the_bucket(tiered: Tiered) -> None:
    wanted = {(t.name, "cold", OLD) for t in TABLES} | {(t.name, "default", YOUNG) for t in TABLES}
    eventually(lambda: tiered.places() >= wanted)
    assert {(table, disk, days) for table, disk, days in tiered.places() if days == OLD} == {
        (table.name, "cold", OLD) for table in TABLES
    }
    on_disk = dict(
        tiered.rows(
            "SELECT disk_name, sum(bytes_on_disk) FROM system.parts WHERE active AND "
            "database = 'otel' GROUP BY disk_name"
        )
    )
    stored = tiered.bucket.objects()
    assert stored, "nothing reached the server"
    # Part files, and a little for the checksums that count as part of a part.
    assert sum(stored.values()) >= on_disk["cold"] > 0


def test_what_moved_is_read_from_the_bucket(tiered: Tiered) -> None:
    eventually(lambda: ("otel_traces", "cold", OLD) in tiered.places())
    keys = {key for (key,) in tiered.rows(
        "SELECT remote_path FROM system.remote_data_paths WHERE disk_name = 'cold'"
    )}  # fmt: skip
    stored = {f"clickhouse/{key}" if not key.startswith("clickhouse/") else key for key in keys}
    assert stored
    assert stored <= set(tiered.bucket.objects())
    old = f"toDate(Timestamp) = today() - {OLD}"
    prompt = "SpanAttributes['gen_ai.prompt']"
    assert tiered.rows(
        f"SELECT count(), uniqExact(TraceId), any({prompt}) FROM otel_traces WHERE {old}"
    ) == [(1000, 1000, "asked")]
    assert tiered.rows(
        f"SELECT sum(Calls) FROM genai_usage_1m WHERE toDate(Minute) = today() - {OLD}"
    ) == [(1000,)]


def test_a_day_may_be_moved_by_hand(tiered: Tiered) -> None:
    before = len(tiered.bucket.objects())
    day = (datetime.now(UTC) - timedelta(days=YOUNG)).date()
    count = f"SELECT count() FROM otel_metrics_sum WHERE toDate(TimeUnix) = '{day}'"
    (rows,) = tiered.rows(count)
    tiered.rows(f"ALTER TABLE otel_metrics_sum MOVE PARTITION '{day}' TO VOLUME 'cold'")
    assert ("otel_metrics_sum", "cold", YOUNG) in tiered.places()
    assert len(tiered.bucket.objects()) > before
    assert tiered.rows(count) == [rows] == [(1,)]


def test_a_moved_day_of_the_rollup_is_made_anew(tiered: Tiered) -> None:
    eventually(lambda: ("genai_usage_1m", "cold", OLD) in tiered.places())
    day = (datetime.now(UTC) - timedelta(days=OLD)).date()
    tiered.rows(
        f"INSERT INTO genai_usage_1m SELECT * FROM genai_usage_1m WHERE toDate(Minute) = '{day}'"
    )
    settings = KeptDatabase(tiered.server, "otel").settings
    argv = ("rollup", "rebuild", "--from", str(day))
    code, said = answer(add_rollup_parser, run_rollup, settings, *argv)
    assert code == 0, said
    calls = f"SELECT sum(Calls) FROM genai_usage_1m WHERE toDate(Minute) = '{day}'"
    assert tiered.rows(calls) == [(1000,)]


def test_what_is_dropped_leaves_the_bucket(tiered: Tiered) -> None:
    eventually(lambda: ("otel_logs", "cold", OLD) in tiered.places())
    tiered.rows("OPTIMIZE TABLE otel_logs")
    before = len(tiered.bucket.objects())
    tiered.rows("TRUNCATE TABLE otel_logs SYNC")
    eventually(lambda: len(tiered.bucket.objects()) < before)


def test_the_server_wants_the_key(tiered: Tiered) -> None:
    """Objects come from a server that checks signatures, not from its folder."""
    key = next(iter(tiered.bucket.objects()))
    read = f"SELECT count() FROM s3('{tiered.bucket.url}{key}', '{ACCESS_KEY}', '{{}}', 'One')"
    assert tiered.rows(read.format(SECRET_KEY)) == [(1,)]
    with pytest.raises(ServerException, match="HTTP response code: 403"):
        tiered.rows(read.format("another"))
