"""The whole cluster together: every part ready, watched by Prometheus, and back after a kill."""

import json
import time
import urllib.request

import pytest

from headrace_native import status
from support import otlp
from support.cluster import Cluster

pytestmark = pytest.mark.integration


def test_every_part_is_healthy_and_every_table_replicated(cluster: Cluster) -> None:
    look = status.read(cluster.layout)
    assert look.healthy, [each for each in look.components if not each.ready]
    servers = {each.name for each in cluster.layout.replicas}
    by_table: dict[str, set[str]] = {}
    for queue in look.queues:
        by_table.setdefault(queue.table, set()).add(queue.server)
    assert "otel_traces_local" in by_table
    assert all(found == servers for found in by_table.values()), by_table


def test_prometheus_scrapes_gateways_writers_exporter_and_the_balancer(cluster: Cluster) -> None:
    wanted = 3 + len(cluster.layout.gateways) + len(cluster.layout.writers)
    url = f"{cluster.json['prometheus']}/api/v1/targets?state=active"
    deadline = time.monotonic() + 30  # a scrape comes every five seconds
    while True:
        with urllib.request.urlopen(url, timeout=5) as answer:
            targets = json.load(answer)["data"]["activeTargets"]
        bad = [each["scrapeUrl"] for each in targets if each["health"] != "up"]
        if len(targets) == wanted and not bad:
            return
        assert time.monotonic() < deadline, f"{len(targets)} of {wanted} targets, not up: {bad}"
        time.sleep(0.5)


@pytest.mark.parametrize("name", ["writer-metrics", "clickhouse-2-1"])
def test_a_killed_part_comes_back_and_data_still_arrives(cluster: Cluster, name: str) -> None:
    killed = cluster.control.kill(name)
    marker = f"cluster.kill.{killed}.{time.time_ns()}"
    otlp.export(cluster.otlp_grpc, otlp.metrics(marker))
    assert cluster.control.wait_restarted(name, killed) != killed

    client = cluster.clickhouse()
    try:
        deadline = time.monotonic() + 60
        while not count(client, marker):
            assert time.monotonic() < deadline, "the point never became visible"
            time.sleep(0.1)
        assert count(client, marker) == 1
    finally:
        client.disconnect()
    assert status.read(cluster.layout).healthy


def count(client: object, metric: str) -> int:
    """Points of this metric that queries over the Distributed table see."""
    rows = client.execute(  # type: ignore[attr-defined]
        "SELECT count() FROM otel_metrics_gauge WHERE MetricName = %(name)s", {"name": metric}
    )
    return int(rows[0][0])
