"""The writer's own spans of one batch, as an OTLP export request.

https://opentelemetry.io/docs/specs/otlp/, https://opentelemetry.io/docs/specs/semconv/messaging/
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from headrace_writer.core.backlog import Message

SERVICE = "headrace-writer"

Value = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Step:
    """One span below the batch. Times are seconds since 1970."""

    name: str
    begun_s: float
    ended_s: float
    attributes: Mapping[str, Value] = field(default_factory=dict)
    within: str = ""
    """Name of the step that it is a part of; empty: of the batch itself."""


@dataclass(slots=True)
class BatchTrace:
    """What is known of one batch. Insert threads append to `steps`, which a list allows."""

    name: str
    begun_s: float
    attributes: dict[str, Value]
    steps: list[Step] = field(default_factory=list)
    ended_s: float = 0.0
    error: str = ""


def is_own(messages: Sequence[Message]) -> bool:
    """Whether a batch holds nothing but the writer's own spans. Tracing it would make the next
    such batch, and so on without any traffic. A message is one export request, so the name of the
    service is in its bytes."""
    mark = SERVICE.encode()
    return all(mark in message.value for message in messages)


def request(
    trace: BatchTrace, resource: Mapping[str, Value], new_id: Callable[[int], bytes]
) -> bytes:
    """A serialized ExportTraceServiceRequest: the batch as root, its steps below.

    `new_id` makes an id of so many bytes."""
    exported = ExportTraceServiceRequest()
    group = exported.resource_spans.add()
    _put(group.resource.attributes, {"service.name": SERVICE, **resource}.items())
    scope = group.scope_spans.add()
    scope.scope.name = "headrace_writer"
    trace_id = new_id(16)

    def add(step: Step, parent: bytes, kind: "Span.SpanKind.ValueType") -> Span:
        span = scope.spans.add()
        span.trace_id, span.span_id, span.parent_span_id = trace_id, new_id(8), parent
        span.name, span.kind = step.name, kind
        span.start_time_unix_nano = round(step.begun_s * 1e9)
        # Two clocks read on two threads: an end before the start would be refused by viewers.
        span.end_time_unix_nano = round(max(step.begun_s, step.ended_s) * 1e9)
        _put(span.attributes, step.attributes.items())
        return span

    whole = Step(trace.name, trace.begun_s, trace.ended_s, trace.attributes)
    root = add(whole, b"", Span.SPAN_KIND_CONSUMER)
    if trace.error:
        root.status.code, root.status.message = Status.STATUS_CODE_ERROR, trace.error
    made: list[tuple[Step, bytes]] = []
    for step in sorted(trace.steps, key=lambda one: bool(one.within)):
        kind = Span.SPAN_KIND_CLIENT if step.within else Span.SPAN_KIND_INTERNAL
        span = add(step, _parent(step, made) or root.span_id, kind)
        made.append((step, span.span_id))
    body: bytes = exported.SerializeToString()
    return body


def _parent(step: Step, made: Iterable[tuple[Step, bytes]]) -> bytes | None:
    """The span of the step that this one ran in; one name can come twice, after an amendment."""
    for other, span_id in made:
        if other.name == step.within and other.begun_s <= step.ended_s <= other.ended_s:
            return span_id
    return None


def _put(into: "Iterable[KeyValue]", attributes: Iterable[tuple[str, Value]]) -> None:
    for key, value in attributes:
        entry = into.add()  # type: ignore[attr-defined]
        entry.key = key
        if isinstance(value, bool):
            entry.value.bool_value = value
        elif isinstance(value, int):
            entry.value.int_value = value
        elif isinstance(value, float):
            entry.value.double_value = value
        else:
            entry.value.string_value = value
