"""Export requests of traces and logs as rows: one dict per span or log record.

A row's keys are the column names of the OpenTelemetry Collector's ClickHouse exporter v0.161;
`Events.Name` and its like hold one list per row. Values are as OTLP has them: times in
nanoseconds since 1970, ids as raw bytes, text as UTF-8 bytes, attributes as `Attributes`; what a
column of some type makes of them is `reference_layout`'s affair.
"""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from headrace_writer.core.reference_routing import log_shard, trace_shard
from headrace_writer.core.reference_values import Attributes, text

Fields = dict[str, Any]

# The names of pdata's SpanKind.String and StatusCode.String; other numbers have none.
_KINDS = (b"Unspecified", b"Internal", b"Server", b"Client", b"Producer", b"Consumer")
_STATUSES = (b"Unset", b"Ok", b"Error")
# `reference_content` fills it.
_NO_CONTENT = Attributes(())


class Row(NamedTuple):
    """One row on its way to a table of a shard."""

    table: str
    shard: int
    time_ns: int
    """Timestamp or TimeUnix."""
    fields: Fields


def trace_rows(request: ExportTraceServiceRequest, shards: int) -> Iterator[Row]:
    """Spans in the order of the message."""
    for resource_spans in request.resource_spans:
        resource = resource_fields(resource_spans.resource, resource_spans.schema_url)
        for scope_spans in resource_spans.scope_spans:
            scope = scope_fields(scope_spans.scope, scope_spans.schema_url)
            for span in scope_spans.spans:
                shard = trace_shard(hex_id(span.trace_id, 16), shards)
                fields = {**resource, **scope, **_span_fields(span)}
                yield Row("otel_traces", shard, span.start_time_unix_nano, fields)


def _span_fields(span: Span) -> Fields:
    return {
        "Timestamp": span.start_time_unix_nano,
        "TraceId": span.trace_id,
        "SpanId": span.span_id,
        "ParentSpanId": span.parent_span_id,
        "TraceState": span.trace_state.encode(),
        "SpanName": span.name.encode(),
        "SpanKind": _name(_KINDS, span.kind),
        "SpanAttributes": Attributes(span.attributes),
        # An end before the start says nothing about how long the work took.
        "Duration": max(0, span.end_time_unix_nano - span.start_time_unix_nano),
        "StatusCode": _name(_STATUSES, span.status.code),
        "StatusMessage": span.status.message.encode(),
        "ContentAttributes": _NO_CONTENT,
        **columns(
            "Events",
            (
                {
                    "Timestamp": event.time_unix_nano,
                    "Name": event.name.encode(),
                    "Attributes": Attributes(event.attributes),
                }
                for event in span.events
            ),
            ("Timestamp", "Name", "Attributes"),
        ),
        **columns(
            "Links",
            (
                {
                    "TraceId": link.trace_id,
                    "SpanId": link.span_id,
                    "TraceState": link.trace_state.encode(),
                    "Attributes": Attributes(link.attributes),
                }
                for link in span.links
            ),
            ("TraceId", "SpanId", "TraceState", "Attributes"),
        ),
    }


def log_rows(request: ExportLogsServiceRequest, shards: int) -> Iterator[Row]:
    """Log records in the order of the message."""
    for resource_logs in request.resource_logs:
        resource = resource_fields(resource_logs.resource, resource_logs.schema_url)
        for scope_logs in resource_logs.scope_logs:
            scope = scope_fields(scope_logs.scope, scope_logs.schema_url)
            for record in scope_logs.log_records:
                # A record without its own time has the one at which it was seen.
                time = record.time_unix_nano or record.observed_time_unix_nano
                shard = log_shard(hex_id(record.trace_id, 16), time, shards)
                fields = {**resource, **scope, **_log_fields(record), "Timestamp": time}
                yield Row("otel_logs", shard, time, fields)


def _log_fields(record: LogRecord) -> Fields:
    return {
        "TraceId": record.trace_id,
        "SpanId": record.span_id,
        # The exporter keeps eight bits of both: the flags of W3C trace context, and severities
        # are 1 to 24.
        "TraceFlags": record.flags & 0xFF,
        "SeverityNumber": record.severity_number & 0xFF,
        "SeverityText": record.severity_text.encode(),
        "Body": text(record.body).encode(),
        "LogAttributes": Attributes(record.attributes),
        "EventName": record.event_name.encode(),
        "ContentAttributes": _NO_CONTENT,
    }


def resource_fields(resource: Resource, schema_url: str) -> Fields:
    """What all rows of one resource share."""
    attributes = Attributes(resource.attributes)
    return {
        "ServiceName": attributes.first(b"service.name"),
        "ResourceAttributes": attributes,
        "ResourceSchemaUrl": schema_url.encode(),
        # Whoever knows the message's headers and the settings fills it in.
        "Tenant": b"",
    }


def scope_fields(scope: InstrumentationScope, schema_url: str) -> Fields:
    """What all rows of one instrumentation scope share."""
    return {
        "ScopeName": scope.name.encode(),
        "ScopeVersion": scope.version.encode(),
        "ScopeAttributes": Attributes(scope.attributes),
        "ScopeDroppedAttrCount": scope.dropped_attributes_count,
        "ScopeSchemaUrl": schema_url.encode(),
    }


def columns(group: str, elements: Iterable[Fields], names: Iterable[str]) -> Fields:
    """The elements of a Nested group, turned into one list per column of the group."""
    elements = list(elements)
    return {f"{group}.{name}": [element[name] for element in elements] for name in names}


def hex_id(raw: bytes, size: int) -> bytes:
    """An id as a String column stores it: lower-case hex of whatever came.

    Empty for none, and for one of the right size that is all zero, which means none (W3C trace
    context, section 3.2.2.3).
    """
    return b"" if raw == bytes(size) else raw.hex().encode()


def _name(names: tuple[bytes, ...], number: int) -> bytes:
    return names[number] if 0 <= number < len(names) else b""
