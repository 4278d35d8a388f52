"""`headrace retention set` on 2 shards × 2 replicas, while both shards are written to."""

import json
import time
from contextlib import ExitStack

import pytest

from headrace_schema.model import Dialect
from headrace_schema.render import Deployment
from headrace_schema.retention import DEFAULT_DAYS
from support.cluster import Cluster
from support.kept_database import DAY_S, NANO, eventually
from support.own_database import OwnDatabase, everywhere
from support.schema_server import SchemaServer
from support.schema_writer import Writer

pytestmark = pytest.mark.integration

OLD = 3
"""Rows per shard of each earlier day."""


def test_up_has_set_the_usual_limits(cluster: Cluster) -> None:
    done = cluster.headrace("retention", "show", "--json")
    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout)
    assert len(shown) == 4
    for tables in shown.values():
        found = {one["signal"]: one["days"] for one in tables}
        assert found == {signal: DEFAULT_DAYS[signal] for signal in found}
        assert found.keys() >= {"traces", "metrics", "logs"}


def writers(own: OwnDatabase) -> list[Writer]:
    """One for each shard."""
    shards = own.cluster.json["clickhouse"]["shards"]
    deployment = Deployment("cluster", own.cluster.dialect, own.name)
    return [Writer(SchemaServer(int(first.rpartition(":")[2]), deployment)) for first, *_ in shards]


def store_old(own: OwnDatabase, dialect: Dialect, *days_ago: int) -> None:
    for shard in {shard for shard, _ in own.replicas}:
        with own.client(shard) as client:
            for days in days_ago:
                at = f"toInt64({(int(time.time()) - days * DAY_S) * NANO})"
                value = at if dialect == "legacy" else f"fromUnixTimestamp64Nano({at})"
                client.execute(
                    "INSERT INTO otel_logs_local (Timestamp, ServiceName) "
                    f"SELECT {value}, 'old' FROM system.numbers LIMIT {OLD}"
                )


def test_days_go_on_both_shards_while_rows_are_inserted(own: OwnDatabase) -> None:
    store_old(own, own.cluster.dialect, 3, 20)
    both = writers(own)
    with ExitStack() as running:
        for writer in both:
            running.enter_context(writer.running(["logs"]))
        own.headrace("retention", "set", "--logs", "10d", "--yes")
        eventually(lambda: older(own) == [(2 * OLD,)])
        # What runs every day keeps to what was set.
        own.headrace("retention", "set", "--defaults", "--yes")
    rows = sum(writer.rows["otel_logs"] for writer in both)
    assert min(writer.requests for writer in both) > 2
    sql = "SELECT count(), countIf(ServiceName = 'old') FROM otel_logs"
    eventually(lambda: everywhere(own, sql) == [(rows + 2 * OLD, 2 * OLD)])
    store_old(own, own.cluster.dialect, 12)
    own.headrace("retention", "set", "--defaults", "--yes")
    eventually(lambda: older(own) == [(2 * OLD,)])


def older(own: OwnDatabase) -> list[tuple[object, ...]]:
    """Rows of earlier days, alike on every replica."""
    return everywhere(own, "SELECT count() FROM otel_logs WHERE ServiceName = 'old'")
