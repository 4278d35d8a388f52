"""The writer's own spans: complete, sampled, never without end, never in the writer's way."""

import itertools
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from headrace_writer.core.backlog import Message
from headrace_writer.core.batch_trace import SERVICE, BatchTrace, Step, request
from headrace_writer.core.delivery_effects import Stopped
from headrace_writer.shell.batch_store import InsertEvents
from headrace_writer.shell.span_exporter import MOST_WAITING, SpanExporter
from headrace_writer.shell.tracer import BatchTracer
from support.child import free_ports
from support.loop_world import World, Writer

EVERY_S = 60.0


def encode(trace: BatchTrace) -> bytes:
    numbers = itertools.count(1)
    return request(trace, {"service.version": "1"}, lambda size: next(numbers).to_bytes(size))


def spans(trace: BatchTrace) -> dict[str, Span]:
    exported = ExportTraceServiceRequest.FromString(encode(trace))
    (group,) = exported.resource_spans
    attributes = {one.key: one.value.string_value for one in group.resource.attributes}
    assert attributes == {"service.name": SERVICE, "service.version": "1"}
    (scope,) = group.scope_spans
    return {span.name: span for span in scope.spans}


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def kept() -> list[BatchTrace]:
    return []


@pytest.fixture
def writer(world: World, kept: list[BatchTrace]) -> Writer:
    writer = world.writer(0, 1, 2)
    tracer = BatchTracer("traces", "otlp_spans", EVERY_S, world.clock, kept.append)
    writer.loop.tracer = tracer
    writer.loop._store.events = InsertEvents(tracer.inserted)
    return writer


def test_a_batch_has_a_span_for_each_step(
    world: World, writer: Writer, kept: list[BatchTrace]
) -> None:
    world.produce(0)
    world.produce(1)
    writer.store_what_is_there()
    (trace,) = kept
    found = spans(trace)
    root = found.pop("batch traces")
    assert root.kind == Span.SPAN_KIND_CONSUMER
    assert root.status.code != Status.STATUS_CODE_ERROR
    blocks = {name for name in found if name.startswith("insert otel_traces")}
    assert blocks
    assert set(found) - blocks == {"fetch", "decode", "commit", "build", "insert", "ledger"}
    for name, span in found.items():
        within = found["insert"] if name in blocks else root
        assert span.parent_span_id == within.span_id, name
        assert span.trace_id == root.trace_id
        assert root.start_time_unix_nano <= span.start_time_unix_nano <= span.end_time_unix_nano
        assert span.end_time_unix_nano <= root.end_time_unix_nano
    numbers = {one.key: one.value for one in root.attributes}
    assert numbers["messaging.batch.message_count"].int_value == 2
    assert numbers["headrace.batch.partitions"].int_value == 2
    assert numbers["headrace.batch.closed_by"].string_value == "age"
    # The batch came of age: its oldest message waited for that.
    fetch = found["fetch"]
    assert fetch.end_time_unix_nano - fetch.start_time_unix_nano >= 2e9
    assert len({span.span_id for span in found.values()} | {root.span_id}) == len(found) + 1


def test_batches_are_chosen_by_time(world: World, writer: Writer, kept: list[BatchTrace]) -> None:
    begun = world.clock.now()
    for _ in range(60):
        world.produce(0)
        writer.store_what_is_there()
    passed = world.clock.now() - begun
    assert len(kept) == passed // EVERY_S


def feed_back(world: World, traces: list[BatchTrace], partition: int) -> None:
    """What was exported arrives as a message, as it does through gateway and Kafka."""
    for trace in traces:
        world.broker.produce(partition, encode(trace), int(world.clock.now() * 1000))


def test_own_spans_alone_make_no_more_of_them(
    world: World, writer: Writer, kept: list[BatchTrace]
) -> None:
    world.produce(0)
    writer.store_what_is_there()
    assert len(kept) == 1
    for number in range(20):
        world.clock.sleep(EVERY_S + 1)
        feed_back(world, kept[:1], number % 3)
        writer.store_what_is_there()
    assert len(kept) == 1


def test_beside_other_traffic_own_spans_are_only_sampled(
    world: World, writer: Writer, kept: list[BatchTrace]
) -> None:
    world.produce(0)
    writer.store_what_is_there()
    begun = world.clock.now()
    for _ in range(100):
        feed_back(world, kept[-1:], 1)
        world.produce(0)
        writer.store_what_is_there()
    assert 2 <= len(kept) <= (world.clock.now() - begun) // EVERY_S + 1


def test_a_batch_that_is_not_stored_is_an_error(world: World, kept: list[BatchTrace]) -> None:
    tracer = BatchTracer("traces", "otlp_spans", EVERY_S, world.clock, kept.append)
    tracer.begin("age", [Message(0, 0, 1_000, None, b"x")], 1.0)
    tracer.end(Stopped("the broker deleted offsets"))
    root = spans(kept[0])["batch traces"]
    assert root.status.code == Status.STATUS_CODE_ERROR
    assert root.status.message == "stopped: the broker deleted offsets"


def test_a_block_belongs_to_the_insert_it_ran_in() -> None:
    steps = [
        Step("insert", 1.0, 2.0),
        Step("insert", 3.0, 4.0),
        Step("insert t shard 0", 1.5, 2.0, within="insert"),
        Step("insert t shard 1", 3.5, 4.0, within="insert"),
        Step("insert t shard 2", 9.0, 9.5, within="insert"),
    ]
    exported = ExportTraceServiceRequest.FromString(encode(BatchTrace("b", 0.0, {}, steps, 10.0)))
    root, first, second, *blocks = exported.resource_spans[0].scope_spans[0].spans
    parents = [span.parent_span_id for span in blocks]
    assert parents == [first.span_id, second.span_id, root.span_id]


# --- sending them


@contextmanager
def sink(answer: threading.Event | None = None) -> Iterator[tuple[str, list[bytes]]]:
    """An OTLP endpoint that keeps what it gets, after `answer` is set."""
    got: list[bytes] = []

    class Handler(grpc.GenericRpcHandler):  # type: ignore[misc]
        def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
            def export(body: bytes, _context: grpc.ServicerContext) -> bytes:
                if answer is not None:
                    answer.wait(10)
                got.append(body)
                return b""

            assert details.method.endswith("TraceService/Export")
            return grpc.unary_unary_rpc_method_handler(export)

    server = grpc.server(ThreadPoolExecutor(2), handlers=[Handler()])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}", got
    finally:
        server.stop(grace=None).wait()


TRACE = BatchTrace("batch traces", 1.0, {"a": 1, "b": 0.5, "c": True, "d": "e"}, [], 2.0)


def test_traces_arrive() -> None:
    outcomes: list[str] = []
    with sink() as (endpoint, got):
        exporter = SpanExporter(endpoint, outcomes.append)
        exporter.submit(TRACE)
        exporter.close(10)
    assert outcomes == ["sent"]
    exported = ExportTraceServiceRequest.FromString(got[0])
    keys = {one.key for one in exported.resource_spans[0].resource.attributes}
    assert keys == {"service.name", "service.version", "service.instance.id"}


def test_nobody_listens_and_nothing_breaks() -> None:
    outcomes: list[str] = []
    exporter = SpanExporter(f"127.0.0.1:{free_ports(1)[0]}", outcomes.append)
    exporter.submit(TRACE)
    exporter.submit(BatchTrace("broken \udc00", 1.0, {}))
    exporter.close(20)
    assert outcomes == ["failed", "failed"]


def test_a_stalled_endpoint_holds_nobody_up() -> None:
    outcomes: list[str] = []
    answer = threading.Event()
    with sink(answer) as (endpoint, _got):
        exporter = SpanExporter(endpoint, outcomes.append)
        for _ in range(MOST_WAITING + 5):
            exporter.submit(TRACE)
        assert outcomes.count("dropped") >= 4
        answer.set()
        exporter.close(10)
