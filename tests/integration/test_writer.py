"""The writer on the real cluster: exactly once through kills, poison beside good records."""

import json
import re
import signal
import subprocess
import sys
import time
import urllib.request
import uuid
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from headrace_writer.shell.kafka import EndReader, GroupConfig
from headrace_writer.shell.kafka_view import GroupView
from support import builders, otlp
from support.child import Child, free_ports
from support.cluster import Cluster

pytestmark = pytest.mark.integration

VISIBLE_WITHIN_S = 30.0
STEPS = {
    "batch traces", "fetch", "decode", "commit", "build", "insert",
    "insert otel_traces shard", "ledger",
}  # fmt: skip
LOADGEN = Path(sys.executable).with_name("loadgen")


def rows(cluster: Cluster, table: str, service: str) -> int:
    client = cluster.clickhouse()
    try:
        sql = f"SELECT count() FROM {table} WHERE ServiceName = %(service)s"
        return int(client.execute(sql, {"service": service})[0][0])
    finally:
        client.disconnect()


def wait_for_rows(cluster: Cluster, table: str, service: str, wanted: int) -> None:
    """Until as many rows are visible; then a moment more would show any too many."""
    deadline = time.monotonic() + VISIBLE_WITHIN_S
    while (seen := rows(cluster, table, service)) < wanted:
        assert time.monotonic() < deadline, f"{seen} of {wanted} rows in {table}"
        time.sleep(0.2)
    assert seen == wanted


def produce(cluster: Cluster, topic: str, *values: bytes, partition: int = 0) -> None:
    producer = Producer({"bootstrap.servers": cluster.bootstrap, "acks": "all"})
    for value in values:
        producer.produce(topic, value, key=b"key", partition=partition)
    assert producer.flush(20) == 0


def load(cluster: Cluster, tmp_path: Path, *flags: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [
            LOADGEN, "--cluster", str(cluster.layout.dir / "cluster.json"), "--quiet",
            "--json", str(tmp_path / "result.json"), "--min-rate-ratio", "0.5",
            "--max-metric-lag-p99", "60", *flags,
        ],
        text=True,
    )  # fmt: skip


def result(tmp_path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((tmp_path / "result.json").read_text())
    return found


def test_every_signal_reaches_its_tables(cluster: Cluster) -> None:
    service = f"svc-{uuid.uuid4().hex[:8]}"
    resource = {"service.name": service}
    otlp.export(cluster.otlp_grpc, builders.traces(builders.span(), resource=resource))
    otlp.export(cluster.otlp_grpc, builders.logs(builders.log(), resource=resource))
    otlp.export(cluster.otlp_grpc, builders.metrics(*builders.every_metric(), resource=resource))
    wait_for_rows(cluster, "otel_traces", service, 1)
    wait_for_rows(cluster, "otel_logs", service, 1)
    for kind in ("gauge", "sum", "histogram", "exponential_histogram", "summary"):
        wait_for_rows(cluster, f"otel_metrics_{kind}", service, 1)
    wait_for_rows(cluster, "otel_metrics", service, 5)


def test_a_poison_message_is_dead_lettered_and_its_neighbours_land(cluster: Cluster) -> None:
    service = f"svc-{uuid.uuid4().hex[:8]}"
    good = builders.traces(builders.span(), resource={"service.name": service})
    poison = b"\x0a\xff\xff\xff" + uuid.uuid4().bytes
    produce(cluster, "otlp_spans", good.SerializeToString(), poison, good.SerializeToString())
    wait_for_rows(cluster, "otel_traces", service, 2)
    letter = dead_letter(cluster, poison)
    assert letter["headrace.reason"] == "malformed"
    assert letter["headrace.topic"] == "otlp_spans"
    assert letter["headrace.partition"] == "0"
    assert int(letter["headrace.offset"]) >= 0
    assert letter["headrace.detail"]


def dead_letter(cluster: Cluster, value: bytes) -> dict[str, str]:
    """Headers of the dead letter that holds `value`."""
    consumer = Consumer(
        {
            "bootstrap.servers": cluster.bootstrap,
            "group.id": "test-dlq",
            # Another test may have purged the oldest letters.
            "auto.offset.reset": "earliest",
        }
    )
    try:
        consumer.assign([TopicPartition("otlp_dlq", 0, 0)])
        deadline = time.monotonic() + VISIBLE_WITHIN_S
        while time.monotonic() < deadline:
            message = consumer.poll(0.5)
            if message is not None and message.error() is None and message.value() == value:
                assert message.key() == b"key"
                headers: Any = message.headers()
                return {name: text.decode() for name, text in headers}
    finally:
        consumer.close()
    raise AssertionError("the poison message is not in otlp_dlq")


@pytest.mark.chaos
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_writers_that_end_under_load_lose_and_double_nothing(
    cluster: Cluster, tmp_path: Path, how: signal.Signals
) -> None:
    running = load(cluster, tmp_path, "--rate", "8000", "--metrics-rate", "4000",
                   "--logs-rate", "1000", "--duration", "12")  # fmt: skip
    try:
        for _ in range(2):
            time.sleep(3)
            for name in ("writer-traces", "writer-metrics", "writer-logs"):
                before = cluster.control.pid(name)
                cluster.control.send(name, how)
                cluster.control.wait_restarted(name, before)
        assert running.wait(timeout=120) == 0, result(tmp_path)["failures"]
    finally:
        running.kill()
    found = result(tmp_path)
    assert (found["lost"], found["duplicated"], found["resent_doubled"]) == (0, 0, 0)
    assert found["spans_acked"] == found["spans_visible"] > 0
    assert found["points_acked"] == found["points_visible"] > 0
    assert found["logs_acked"] == found["logs_visible"] > 0


def test_the_ledger_tiles_each_partition(cluster: Cluster) -> None:
    body = builders.traces(builders.span(), resource={"service.name": "tiles"}).SerializeToString()
    before = len(ledger_ranges(cluster))
    for _ in range(2):
        for partition in range(6):
            produce(cluster, "otlp_spans", body, partition=partition)
        wait_for_ledger(cluster, otlp.end_offsets(cluster.bootstrap, "otlp_spans"))
    ranges = ledger_ranges(cluster)
    assert len(ranges) >= before + 2 * 6
    ends: dict[int, int] = {}
    for partition, start, end in ranges:
        assert start == ends.get(partition, 0), (partition, start, end)
        ends[partition] = end
    assert ends.keys() == set(range(6))


def ledger_ranges(cluster: Cluster) -> list[tuple[int, int, int]]:
    """(partition, start, end) of what is stored of the spans' topic, in order."""
    client = cluster.clickhouse()
    try:
        found: list[tuple[int, int, int]] = client.execute(
            "SELECT DISTINCT Partition, StartOffset, EndOffset FROM otel_ingest_ledger "
            "WHERE Topic = 'otlp_spans' ORDER BY Partition, StartOffset"
        )
    finally:
        client.disconnect()
    return found


def wait_for_ledger(cluster: Cluster, ends: dict[int, int]) -> None:
    """Until the ledger reaches these offsets: it is written after the rows."""
    deadline = time.monotonic() + VISIBLE_WITHIN_S
    while True:
        stored = {partition: end for partition, _, end in ledger_ranges(cluster)}
        if all(stored.get(partition, 0) >= end for partition, end in ends.items()):
            return
        assert time.monotonic() < deadline, f"{stored} of {ends}"
        time.sleep(0.3)


def test_metrics_tell_what_was_written(cluster: Cluster) -> None:
    service = f"svc-{uuid.uuid4().hex[:8]}"
    span = builders.traces(builders.span(), resource={"service.name": service})
    otlp.export(cluster.otlp_grpc, span)
    wait_for_rows(cluster, "otel_traces", service, 1)
    base = cluster.json["writers"]["writer-traces"]
    with urllib.request.urlopen(f"{base}/metrics", timeout=10) as answer:
        page = answer.read().decode()
    assert 'headrace_writer_build_info{decoder="native"' in page
    assert 'headrace_writer_rows_inserted_total{signal="traces",table="otel_traces"}' in page
    assert "headrace_writer_end_to_end_latency_seconds_bucket" in page
    for path in ("live", "ready"):
        with urllib.request.urlopen(f"{base}/{path}", timeout=10) as answer:
            assert answer.status == 200


def test_a_writer_traces_its_batches_through_the_same_pipeline(
    cluster: Cluster, tmp_path: Path
) -> None:
    """One more writer of the group, with a trace endpoint; the cluster's own have none."""
    listen = f"127.0.0.1:{free_ports(1)[0]}"
    environment = {
        **cluster.layout.writer_environment,
        "HEADRACE_HTTP_LISTEN": listen,
        "HEADRACE_TRACE_ENDPOINT": cluster.otlp_grpc,
        "HEADRACE_TRACE_EVERY_S": "1",
    }
    command = [str(LOADGEN.with_name("headrace")), "write", "--signals", "traces"]
    sql = "SELECT SpanName, TraceId FROM otel_traces WHERE ServiceName = 'headrace-writer'"
    begun = time.monotonic()
    found: dict[str, set[str]] = {}
    client = cluster.clickhouse()
    with Child(command, tmp_path / "writer.log", env=environment):
        while not any(names >= STEPS for names in found.values()):
            assert time.monotonic() < begun + 2 * VISIBLE_WITHIN_S, found
            body = builders.traces(builders.span(), resource={"service.name": "traced"})
            for partition in range(6):
                produce(cluster, "otlp_spans", body.SerializeToString(), partition=partition)
            found = {}
            for name, trace in client.execute(sql):
                found.setdefault(trace, set()).add(re.sub(r"shard \d", "shard", name))
            time.sleep(0.5)
        with urllib.request.urlopen(f"http://{listen}/metrics", timeout=10) as answer:
            page = answer.read().decode()
        assert 'headrace_writer_traces_total{outcome="sent"}' in page
        assert 'outcome="failed"' not in page
    client.disconnect()


def test_ends_of_partitions_are_the_brokers(cluster: Cluster) -> None:
    otlp.export(cluster.otlp_grpc, otlp.traces("ends"))
    reader = EndReader(GroupConfig(cluster.bootstrap, "ends", "otlp_spans"))
    try:
        wanted = otlp.end_offsets(cluster.bootstrap, "otlp_spans")
        assert any(wanted.values())
        assert reader.ask(sorted(wanted)).result(20) == wanted
    finally:
        reader.close()


def test_a_group_is_behind_while_an_older_message_is_not_committed(cluster: Cluster) -> None:
    group, topic = f"behind-{uuid.uuid4().hex[:8]}", "otlp_metrics_behind"
    config = GroupConfig(cluster.bootstrap, group, topic)
    admin = AdminClient(config.client())
    admin.create_topics([NewTopic(topic, 2)])[topic].result(20)
    view = GroupView(config)
    try:
        produce(cluster, topic, b"one", b"two")
        future_ms = int(time.time() * 1000) + 60_000
        assert not view.behind(future_ms), "nobody reads it"
        commit(config, 1)
        assert view.behind(future_ms)
        assert not view.behind(0), "nothing is that old"
        commit(config, 2)
        assert not view.behind(future_ms)
    finally:
        view.close()
        admin.delete_topics([topic])[topic].result(20)


def commit(config: GroupConfig, offset: int) -> None:
    consumer = Consumer(config.unjoined())
    place = TopicPartition(config.topic, 0, offset)
    consumer.commit(offsets=[place], asynchronous=False)
    consumer.close()
