"""`headrace top` on the real cluster: what it reads, and that it changes nothing."""

import json
import time
import uuid

import pytest

from support import otlp
from support.cluster import Cluster

pytestmark = pytest.mark.integration

SEEN_WITHIN_S = 30.0


def test_every_partition_and_replica_is_looked_at(cluster: Cluster) -> None:
    done = cluster.headrace("top", "--once", "--json")
    found = json.loads(done.stdout)
    assert {name: one["partitions"] for name, one in found["signals"].items()} == {
        "traces": 6, "metrics": 6, "logs": 6,
    }  # fmt: skip
    assert len(found["replicas"]) == 4
    assert all(one["parts"] > 0 and not one["silent"] for one in found["replicas"])
    assert done.returncode == (0 if found["healthy"] else 1)


def test_messages_are_seen_arriving_and_being_committed(cluster: Cluster) -> None:
    deadline = time.monotonic() + SEEN_WITHIN_S
    arriving = committed = 0.0
    while not (arriving and committed):
        assert time.monotonic() < deadline, f"{arriving} arriving, {committed} committed"
        for _ in range(3):
            otlp.export(cluster.otlp_grpc, otlp.traces(f"top-{uuid.uuid4().hex[:8]}", 5))
        found = json.loads(cluster.headrace("top", "--once", "--json", "--every", "4s").stdout)
        arriving += found["signals"]["traces"]["arriving"]
        committed += found["signals"]["traces"]["committed"]


def test_a_replica_that_stands_still_is_named(cluster: Cluster) -> None:
    control = cluster.control
    control.stop("clickhouse-2-2")
    try:
        done = cluster.headrace("top", "--once")
        assert done.returncode == 1
        assert "does not answer" in done.stdout
        assert str(cluster.json["clickhouse"]["shards"][1][1]) in done.stdout
    finally:
        control.start("clickhouse-2-2")
