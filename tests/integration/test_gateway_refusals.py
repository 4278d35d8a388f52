"""What a client is told when its data is not stored: always something, and the right thing."""

import signal
import time
import uuid
from pathlib import Path

import grpc
import pytest
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]
from google.protobuf.message import Message as Proto
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]

from support import otlp
from support.child import free_ports
from support.cluster import Cluster
from support.collector import gateway

pytestmark = pytest.mark.integration

MIB = 1 << 20


def refused(target: str, request: Proto, **how: str) -> grpc.RpcError:
    with pytest.raises(grpc.RpcError) as caught:
        otlp.export(target, request, **how)  # type: ignore[arg-type]
    return caught.value


# What OTLP lets a client send again.
COME_BACK = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}


def acknowledged(cluster: Cluster, request: Proto) -> bool:
    """Send once; False when the client is asked to come back. Raises for any other refusal."""
    try:
        otlp.export(cluster.otlp_grpc, request)
    except grpc.RpcError as error:
        if error.code() not in COME_BACK:
            raise
        return False
    return True


def test_load_above_the_memory_limit_is_unavailable_with_a_delay(
    cluster: Cluster, tmp_path: Path
) -> None:
    # A Collector that runs has more than this on its heap: it refuses everything.
    limits = {"HEADRACE_GATEWAY_MEMORY_MIB": "8", "HEADRACE_GATEWAY_MEMORY_SPIKE_MIB": "7"}
    before = otlp.end_offsets(cluster.bootstrap, "otlp_spans")
    marker = uuid.uuid4().hex
    with gateway(tmp_path, cluster.bootstrap, limits) as limited:
        deadline = time.monotonic() + 10
        while "Refusing data" not in limited.child.log.read_text():
            assert time.monotonic() < deadline, "the memory limiter never stepped in"
            time.sleep(0.05)

        error = refused(limited.grpc, otlp.traces(marker))
        assert error.code() is grpc.StatusCode.UNAVAILABLE
        assert "memory" in error.details()
        delay = otlp.retry_seconds(error)
        assert delay is not None
        assert 1 <= delay <= 2

        status, headers, body = otlp.post(limited.http, otlp.traces(marker))
        assert status == 503
        assert headers["retry-after"] in {"1", "2"}
        assert "memory" in Status.FromString(body).message
    stored = otlp.span_names(otlp.messages_since(cluster.bootstrap, "otlp_spans", before))
    assert marker not in stored


def test_without_a_broker_nothing_is_acknowledged(tmp_path: Path) -> None:
    nobody = f"127.0.0.1:{free_ports(1)[0]}"
    with gateway(tmp_path, nobody) as lonely:
        began = time.monotonic()
        error = refused(lonely.grpc, otlp.traces("lost?"))
        assert error.code() is grpc.StatusCode.UNAVAILABLE
        assert otlp.retry_seconds(error) is not None
        status, headers, _ = otlp.post(lonely.http, otlp.logs("lost?"))
        assert (status, "retry-after" in headers) == (503, True)
        # Both answers came before an SDK's own ten seconds were over.
        assert time.monotonic() - began < 2 * 10


def test_a_frozen_broker_refuses_and_recovers(cluster: Cluster) -> None:
    marker = uuid.uuid4().hex
    before = otlp.end_offsets(cluster.bootstrap, "otlp_spans")
    cluster.control.send("kafka-1", signal.SIGSTOP)
    try:
        error = refused(cluster.otlp_grpc, otlp.traces(marker))
    finally:
        cluster.control.send("kafka-1", signal.SIGCONT)
    assert error.code() in COME_BACK
    cluster.control.wait_ready("kafka-1")

    deadline = time.monotonic() + 60
    attempts = 2
    while not acknowledged(cluster, otlp.traces(marker)):  # as a client does
        assert time.monotonic() < deadline
        attempts += 1
        time.sleep(0.2)
    # At least once; a refused attempt may have been stored, too: nobody was told so.
    stored = otlp.span_names(otlp.messages_since(cluster.bootstrap, "otlp_spans", before))
    assert 1 <= stored.count(marker) <= attempts


def test_a_request_just_under_the_limit_is_stored(cluster: Cluster) -> None:
    marker = uuid.uuid4().hex
    before = otlp.end_offsets(cluster.bootstrap, "otlp_spans")
    request = otlp.traces(marker, spans=15, padding=MIB)
    assert 15 * MIB < request.ByteSize() < 16 * MIB
    otlp.export(cluster.otlp_grpc, request)
    assert otlp.post(cluster.otlp_http, request)[0] == 200
    stored = otlp.span_names(otlp.messages_since(cluster.bootstrap, "otlp_spans", before))
    assert stored.count(marker) == 2 * 15


def test_a_request_over_the_limit_is_refused_for_good(cluster: Cluster) -> None:
    marker = uuid.uuid4().hex
    before = otlp.end_offsets(cluster.bootstrap, "otlp_spans")
    request = otlp.traces(marker, spans=17, padding=MIB)

    error = refused(cluster.otlp_grpc, request)
    # Without RetryInfo this code tells a client not to send the same again (OTLP specification).
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert otlp.retry_seconds(error) is None
    assert "larger than max" in error.details()

    status, headers, body = otlp.post(cluster.otlp_http, request)
    assert (status, "retry-after" in headers) == (400, False)
    assert "too large" in Status.FromString(body).message

    stored = otlp.span_names(otlp.messages_since(cluster.bootstrap, "otlp_spans", before))
    assert marker not in stored


def test_a_message_over_the_topics_limit_is_refused_for_good(
    cluster: Cluster, tmp_path: Path
) -> None:
    """Somebody lowered the topic's limit below the gateway's: still an error, never silence."""
    topic = f"small-{uuid.uuid4().hex[:8]}"
    admin = AdminClient({"bootstrap.servers": cluster.bootstrap})
    made = admin.create_topics([NewTopic(topic, 1, 1, config={"max.message.bytes": "1000"})])
    made[topic].result()
    try:
        with gateway(tmp_path, cluster.bootstrap, {"HEADRACE_TOPIC_TRACES": topic}) as small:
            error = refused(small.grpc, otlp.traces("big", padding=5000))
            assert error.code() is grpc.StatusCode.INTERNAL
            assert otlp.retry_seconds(error) is None
            status, _, body = otlp.post(small.http, otlp.traces("big", padding=5000))
            assert status == 500
            assert "MESSAGE_TOO_LARGE" in Status.FromString(body).message
    finally:
        admin.delete_topics([topic])[topic].result()


def test_a_token_is_asked_for_when_one_is_set(cluster: Cluster, tmp_path: Path) -> None:
    token = {"HEADRACE_GATEWAY_TOKEN": "right"}
    with gateway(tmp_path, cluster.bootstrap, token, "auth-bearer.yaml") as guarded:
        for wrong in ({}, {"token": "wrong"}):
            error = refused(guarded.grpc, otlp.traces("secret"), **wrong)
            assert error.code() is grpc.StatusCode.UNAUTHENTICATED
            assert otlp.post(guarded.http, otlp.traces("secret"), **wrong)[0] == 401
        otlp.export(guarded.grpc, otlp.traces("secret"), token="right")
        assert otlp.post(guarded.http, otlp.traces("secret"), token="right")[0] == 200
