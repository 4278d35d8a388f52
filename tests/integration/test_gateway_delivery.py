"""The gateway's promise: what it acknowledged is in Kafka, whole, whatever is killed."""

import re
import threading
import time
import uuid
from collections import Counter

import grpc
import pytest
from google.protobuf.message import Message as Proto
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub

from headrace_native.layout import CACHE
from support import otlp
from support.cluster import Cluster

pytestmark = pytest.mark.integration


def test_the_producer_is_one_that_does_not_reuse_sequence_numbers() -> None:
    """docs/decisions/0029: before 1.22.2 the next request could be dropped as a repetition."""
    built = (CACHE / "gateway" / "headrace-otelcol").read_bytes()
    client = rb"\tgithub.com/twmb/franz-go\tv(\d+)\.(\d+)\.(\d+)"
    versions = re.findall(rb"(?:dep|=>)" + client, built)
    assert tuple(map(int, versions[-1])) >= (1, 22, 2)


@pytest.mark.parametrize(
    ("build", "topic"),
    [(otlp.traces, "otlp_spans"), (otlp.metrics, "otlp_metrics"), (otlp.logs, "otlp_logs")],
)
@pytest.mark.parametrize("transport", ["grpc", "http"])
def test_an_acknowledged_request_is_one_unchanged_message(
    cluster: Cluster, build: type, topic: str, transport: str
) -> None:
    request: Proto = build(uuid.uuid4().hex)
    before = otlp.end_offsets(cluster.bootstrap, topic)

    if transport == "grpc":
        otlp.export(cluster.otlp_grpc, request)
    else:
        assert otlp.post(cluster.otlp_http, request)[0] == 200

    stored = [
        type(request).FromString(message.value)
        for message in otlp.messages_since(cluster.bootstrap, topic, before)
    ]
    assert request in stored


def test_requests_spread_over_all_partitions(cluster: Cluster) -> None:
    marker = uuid.uuid4().hex
    before = otlp.end_offsets(cluster.bootstrap, "otlp_spans")

    for _ in range(60):
        otlp.export(cluster.otlp_grpc, otlp.traces(marker))

    found = otlp.messages_since(cluster.bootstrap, "otlp_spans", before)
    partitions = Counter(
        message.partition for message in found if marker in otlp.span_names([message])
    )
    assert sum(partitions.values()) == 60
    # Two gateways go around six partitions each on their own: ten per partition, give or take.
    assert set(partitions) == set(before)
    assert max(partitions.values()) <= 20


def test_a_gateway_killed_under_load_loses_nothing_acknowledged(cluster: Cluster) -> None:
    before = otlp.end_offsets(cluster.bootstrap, "otlp_spans")
    acknowledged: list[str] = []
    refused = 0
    stop = threading.Event()

    def send() -> None:
        nonlocal refused
        with otlp.channel(cluster.otlp_grpc) as opened:
            stub = TraceServiceStub(opened)  # type: ignore[no-untyped-call]
            while not stop.is_set():
                marker = uuid.uuid4().hex
                try:
                    stub.Export(otlp.traces(marker, spans=20), timeout=5)
                except grpc.RpcError:
                    refused += 1
                else:
                    acknowledged.append(marker)

    senders = [threading.Thread(target=send) for _ in range(6)]
    for sender in senders:
        sender.start()
    try:
        for name in ("gateway-1", "gateway-2"):
            wait_for(lambda: len(acknowledged), more=200)
            killed = cluster.control.kill(name)
            cluster.control.wait_restarted(name, killed)
        wait_for(lambda: len(acknowledged), more=200)
    finally:
        stop.set()
        for sender in senders:
            sender.join()

    stored = Counter(otlp.span_names(otlp.messages_since(cluster.bootstrap, "otlp_spans", before)))
    missing = [marker for marker in acknowledged if stored[marker] < 20]
    assert not missing, f"{len(missing)} of {len(acknowledged)} acknowledged requests are lost"
    # Each was sent once and acknowledged once: then it is stored once.
    assert [marker for marker in acknowledged if stored[marker] > 20] == []
    assert refused, "the kills hit no request; the test proved nothing"
    cluster.control.wait_ready("haproxy")


def wait_for(count: object, more: int, seconds: float = 30) -> None:
    """Wait until `count()` has grown by `more`."""
    assert callable(count)
    target = count() + more
    deadline = time.monotonic() + seconds
    while count() < target:
        assert time.monotonic() < deadline, f"{count()} of {target} after {seconds} s"
        time.sleep(0.02)
