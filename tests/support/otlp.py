"""Small OTLP requests, sending them, and reading back what Kafka holds.

The Collector always writes a resource, a scope and a span's status, empty or not; the requests here
set them, so that what is stored equals what was sent.
"""

import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import grpc
from confluent_kafka import Consumer, TopicPartition
from google.protobuf.message import Message as Proto
from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped]
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2_grpc import LogsServiceStub
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2_grpc import MetricsServiceStub
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub

STUBS: dict[type[Proto], Callable[[grpc.Channel], Any]] = {
    ExportTraceServiceRequest: TraceServiceStub,
    ExportMetricsServiceRequest: MetricsServiceStub,
    ExportLogsServiceRequest: LogsServiceStub,
}
PATHS: dict[type[Proto], str] = {
    ExportTraceServiceRequest: "/v1/traces",
    ExportMetricsServiceRequest: "/v1/metrics",
    ExportLogsServiceRequest: "/v1/logs",
}


@dataclass(frozen=True)
class Stored:
    """One message as Kafka holds it."""

    partition: int
    offset: int
    value: bytes


def traces(marker: str, spans: int = 1, padding: int = 0) -> ExportTraceServiceRequest:
    """`spans` spans named `marker`, each with `padding` bytes of incompressible attribute."""
    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add()
    attribute = resource.resource.attributes.add(key="service.name")
    attribute.value.string_value = "gateway-test"
    scope = resource.scope_spans.add()
    scope.scope.name = "test"
    for _ in range(spans):
        span = scope.spans.add(
            trace_id=uuid.uuid4().bytes,
            span_id=uuid.uuid4().bytes[:8],
            name=marker,
            start_time_unix_nano=time.time_ns(),
            end_time_unix_nano=time.time_ns() + 1_000_000,
        )
        span.status.SetInParent()
        if padding:
            pad = span.attributes.add(key="padding")
            # Random bytes: lz4 must not hide the size.
            pad.value.bytes_value = b"".join(uuid.uuid4().bytes for _ in range(padding // 16 + 1))
    return request


def metrics(marker: str) -> ExportMetricsServiceRequest:
    """One gauge named `marker` with one point."""
    request = ExportMetricsServiceRequest()
    resource = request.resource_metrics.add()
    resource.resource.SetInParent()
    scope = resource.scope_metrics.add()
    scope.scope.name = "test"
    metric = scope.metrics.add(name=marker)
    metric.gauge.data_points.add(time_unix_nano=time.time_ns(), as_double=1.5)
    return request


def logs(marker: str) -> ExportLogsServiceRequest:
    """One log record whose body is `marker`."""
    request = ExportLogsServiceRequest()
    resource = request.resource_logs.add()
    resource.resource.SetInParent()
    scope = resource.scope_logs.add()
    scope.scope.name = "test"
    record = scope.log_records.add(severity_number=9)
    record.time_unix_nano = time.time_ns()
    record.body.string_value = marker
    return request


@contextmanager
def channel(target: str) -> Iterator[grpc.Channel]:
    """A plain-text channel that may send requests of any size."""
    opened = grpc.insecure_channel(target, options=[("grpc.max_send_message_length", -1)])
    try:
        yield opened
    finally:
        opened.close()


def export(target: str, request: Proto, token: str = "", timeout: float = 12) -> None:
    """One unary export over gRPC. Raises grpc.RpcError when it is not acknowledged."""
    metadata = [("authorization", f"Bearer {token}")] if token else []
    with channel(target) as opened:
        STUBS[type(request)](opened).Export(request, timeout=timeout, metadata=metadata)


def post(base: str, request: Proto, token: str = "") -> tuple[int, dict[str, str], bytes]:
    """One export over HTTP; status, headers in lower case, body."""
    headers = {"Content-Type": "application/x-protobuf"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    http = urllib.request.Request(
        base + PATHS[type(request)], request.SerializeToString(), headers, method="POST"
    )
    try:
        with urllib.request.urlopen(http, timeout=12) as answer:
            return answer.status, _lower(answer.headers), answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, _lower(error.headers), error.read()


def _lower(headers: Any) -> dict[str, str]:
    return {key.lower(): value for key, value in headers.items()}


def retry_seconds(error: grpc.RpcError) -> float | None:
    """The delay that the server asked for (google.rpc.RetryInfo), None when it did not."""
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            for detail in Status.FromString(value).details:
                info = RetryInfo()
                if detail.Unpack(info):
                    return float(info.retry_delay.ToMilliseconds()) / 1000
    return None


def end_offsets(bootstrap: str, topic: str) -> dict[int, int]:
    """Partition → next offset, now."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "unused"})
    try:
        partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
        return {
            each: consumer.get_watermark_offsets(TopicPartition(topic, each), timeout=10)[1]
            for each in partitions
        }
    finally:
        consumer.close()


def messages_since(bootstrap: str, topic: str, start: dict[int, int]) -> list[Stored]:
    """Every message from the given offsets to the present end of the topic."""
    end = end_offsets(bootstrap, topic)
    waiting = sum(end[each] - start[each] for each in end)
    consumer = Consumer(
        {"bootstrap.servers": bootstrap, "group.id": "unused", "enable.auto.commit": False}
    )
    consumer.assign([TopicPartition(topic, each, start[each]) for each in end])
    found: list[Stored] = []
    deadline = time.monotonic() + 60
    try:
        while len(found) < waiting and time.monotonic() < deadline:
            for message in consumer.consume(500, timeout=0.2):
                assert message.error() is None, message.error()
                one = Stored(
                    int(message.partition() or 0),
                    int(message.offset() or 0),
                    bytes(message.value() or b""),
                )
                if one.offset < end[one.partition]:
                    found.append(one)
    finally:
        consumer.close()
    assert len(found) == waiting, f"read {len(found)} of {waiting} messages"
    return found


def span_names(messages: list[Stored]) -> list[str]:
    """Names of all spans in messages of the spans topic."""
    return [
        span.name
        for message in messages
        for resource in ExportTraceServiceRequest.FromString(message.value).resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]
