"""`headrace top` on the real cluster: what it reads, and that it changes nothing."""

import json
import threading
import uuid
from collections.abc import Iterator

import pytest

from support import otlp
from support.cluster import Cluster

pytestmark = pytest.mark.integration


def test_every_partition_and_replica_is_looked_at(cluster: Cluster) -> None:
    done = cluster.headrace("top", "--once", "--json")
    found = json.loads(done.stdout)
    assert {name: one["partitions"] for name, one in found["signals"].items()} == {
        "traces": 6, "metrics": 6, "logs": 6,
    }  # fmt: skip
    assert len(found["replicas"]) == 4
    assert all(one["parts"] > 0 and not one["silent"] for one in found["replicas"])
    assert done.returncode == (0 if found["healthy"] else 1)


@pytest.fixture
def trickle(cluster: Cluster) -> Iterator[None]:
    """A few spans all the time."""
    ending = threading.Event()

    def send() -> None:
        while not ending.wait(0.2):
            otlp.export(cluster.otlp_grpc, otlp.traces(f"top-{uuid.uuid4().hex[:8]}", 5))

    thread = threading.Thread(target=send)
    thread.start()
    yield
    ending.set()
    thread.join()


def test_messages_are_seen_arriving_and_being_committed(cluster: Cluster, trickle: None) -> None:
    done = cluster.headrace("top", "--once", "--json", "--every", "8s")
    traces = json.loads(done.stdout)["signals"]["traces"]
    assert traces["arriving"] > 0
    assert traces["committed"] > 0


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
