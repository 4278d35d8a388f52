"""What can still be had of a dead letter: its readable parts, and the records one block lacks."""

from collections.abc import Iterator, MutableSequence
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message as Proto
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from headrace_writer.core.block import NewBuilder, Signal, Target
from headrace_writer.core.reference_wire import parse, pieces
from headrace_writer.errors import Poison

REQUESTS: dict[Signal, type[Proto]] = {
    "traces": ExportTraceServiceRequest,
    "metrics": ExportMetricsServiceRequest,
    "logs": ExportLogsServiceRequest,
}
# How much of the bytes that cannot be read is shown.
SHOWN_BYTES = 64


def readable(signal: Signal, payload: bytes) -> dict[str, Any]:
    """The request as protobuf's JSON, as far as it can be read.

    `resources` holds each top-level element that can be read; `unreadable` tells where reading
    ended and why, with the bytes there in hex.
    """
    found: list[dict[str, Any]] = []
    result: dict[str, Any] = {"resources": found}
    known = 0
    try:
        for piece in pieces(payload, 0):
            request = REQUESTS[signal]()
            raw = payload[known : piece.at + len(piece.raw)]
            parse(request, raw)
            fields = MessageToDict(request)
            found += next(iter(fields.values()), [])
            known = piece.at + len(piece.raw)
    except Poison as error:
        result["unreadable"] = {
            "from_byte": known,
            "why": error.detail,
            "hex": payload[known : known + SHOWN_BYTES].hex(" "),
        }
    return result


def narrow(signal: Signal, payload: bytes, target: Target, new_builder: NewBuilder) -> bytes:
    """The request with only those records that belong into `target`.

    For a message that the server refused in one block while its other records were stored. Each
    record is routed by the decoder itself, alone in a request of its own.
    """
    request = REQUESTS[signal]()
    parse(request, payload)
    for resource, scope, records in _record_lists(signal, request):
        kept = []
        for record in records:
            alone = _alone(signal, resource, scope, record)
            builder = new_builder()
            builder.append_many([alone.SerializeToString()])
            if any(where == target for where, _ in builder.pending()):
                kept.append(record)
        del records[:]
        records.extend(kept)
    return request.SerializeToString()


def _record_lists(signal: Signal, request: Any) -> Iterator[tuple[Any, Any, MutableSequence[Any]]]:
    """(resource element, scope element, list of records); a metric's points are its records."""
    if signal == "metrics":
        for resource in request.resource_metrics:
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    data = metric.WhichOneof("data")
                    if data is not None:
                        yield resource, (scope, metric), getattr(metric, data).data_points
        return
    for resource in request.resource_spans if signal == "traces" else request.resource_logs:
        for scope in resource.scope_spans if signal == "traces" else resource.scope_logs:
            yield resource, scope, scope.spans if signal == "traces" else scope.log_records


def _alone(signal: Signal, resource: Any, scope: Any, record: Any) -> Proto:
    """A request with this record only, under its own resource and scope."""
    request: Any = REQUESTS[signal]()
    if signal == "metrics":
        one = request.resource_metrics.add(resource=resource.resource)
        scope, metric = scope
        inner = one.scope_metrics.add(scope=scope.scope).metrics.add(name=metric.name)
        data = metric.WhichOneof("data")
        getattr(inner, data).data_points.append(record)
    elif signal == "traces":
        one = request.resource_spans.add(resource=resource.resource)
        one.scope_spans.add(scope=scope.scope).spans.append(record)
    else:
        one = request.resource_logs.add(resource=resource.resource)
        one.scope_logs.add(scope=scope.scope).log_records.append(record)
    return request  # type: ignore[no-any-return]
