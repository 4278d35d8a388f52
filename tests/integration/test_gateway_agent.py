"""The agent's promise: what it acknowledged survives the agent and waits for the gateway."""

import signal
import time
import uuid
from pathlib import Path

import pytest

from support import otlp
from support.child import free_ports
from support.cluster import Cluster
from support.collector import agent, gateway

pytestmark = pytest.mark.integration


def test_a_killed_agent_delivers_after_its_restart(cluster: Cluster, tmp_path: Path) -> None:
    """Gateway away, agent killed at once after its answers, agent back, gateway back."""
    before = otlp.end_offsets(cluster.bootstrap, "otlp_spans")
    ports = free_ports(4)
    gateway_port = free_ports(1)[0]
    markers = [uuid.uuid4().hex for _ in range(30)]

    with agent(tmp_path, ports, gateway_port) as first:
        for marker in markers:
            otlp.export(first.grpc, otlp.traces(marker, spans=10))
        # At once: what a batch in memory had swallowed would be gone now.
        first.child.signal(signal.SIGKILL)
    with agent(tmp_path, ports, gateway_port) as second:
        otlp.export(second.grpc, otlp.traces("after the restart"))
        with gateway(tmp_path, cluster.bootstrap, grpc_port=gateway_port):
            stored = wait_for_spans(cluster, before, {*markers, "after the restart"})

    assert {marker: stored.count(marker) for marker in markers} == dict.fromkeys(markers, 10)
    assert stored.count("after the restart") == 1


def test_batches_stay_below_the_gateways_limit(cluster: Cluster, tmp_path: Path) -> None:
    """Many large spans at once are cut by bytes, not refused as one oversized batch."""
    before = otlp.end_offsets(cluster.bootstrap, "otlp_spans")
    marker = uuid.uuid4().hex
    gateway_port = int(cluster.otlp_grpc.rpartition(":")[2])
    with agent(tmp_path, free_ports(4), gateway_port) as node:
        for _ in range(3):  # 24 MiB within the second in which a batch fills
            otlp.export(node.grpc, otlp.traces(marker, spans=8, padding=1 << 20))
        stored = wait_for_spans(cluster, before, {marker}, count=24)
    assert stored.count(marker) == 24


def wait_for_spans(
    cluster: Cluster, since: dict[int, int], names: set[str], count: int = 1
) -> list[str]:
    """Span names in Kafka once each of `names` is there at least `count` times."""
    deadline = time.monotonic() + 60
    while True:
        found = otlp.span_names(otlp.messages_since(cluster.bootstrap, "otlp_spans", since))
        if all(found.count(name) >= count for name in names):
            return found
        assert time.monotonic() < deadline, f"{len(found)} spans arrived within 60 s"
        time.sleep(0.3)
