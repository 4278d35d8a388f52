"""Serialized messages with and without protobuf's own parser."""

import math

import pytest
from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, EntityRef, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    ExponentialHistogramDataPoint,
    HistogramDataPoint,
    Metric,
    NumberDataPoint,
)
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from headrace_writer.core.reference_wire import Filler, parse
from headrace_writer.errors import Poison
from support import builders as make
from support.builders import any_value
from support.mutations import BYTES, FIXED64, VARINT, put_together, varint


def filled(message: Message, data: bytes) -> tuple[Message, int]:
    """`message` read field by field, and the repaired strings."""
    filler = Filler()
    filler.fill(message, data, 0)
    return message, filler.replaced


@pytest.mark.parametrize(
    "request_",
    [
        make.traces(
            make.span(
                attributes={"a": [1, -2, 2.5, None, b"x", {"k": True}]},
                events=[make.event()],
                links=[make.link()],
            )
        ),
        make.logs(make.log({"k": "v"}, flags=0x1FF), make.log(None)),
        make.metrics(
            *make.every_metric(),
            make.gauge(make.number_point(-5), make.number_point(math.inf)),
            make.exponential_histogram(make.exponential_point(scale=-10)),
        ),
    ],
    ids=["traces", "logs", "metrics"],
)
def test_field_by_field_is_what_protobuf_reads(request_: Message) -> None:
    again, replaced = filled(type(request_)(), request_.SerializeToString())
    assert again == request_
    assert replaced == 0


def test_numbers_of_all_kinds() -> None:
    point = ExponentialHistogramDataPoint(
        scale=-(2**31), zero_count=2**64 - 1, sum=-0.0, flags=2**32 - 1
    )
    point.positive.bucket_counts.extend([0, 1, 2**64 - 1])
    point.negative.offset = 2**31 - 1
    assert filled(ExponentialHistogramDataPoint(), point.SerializeToString())[0] == point
    number = NumberDataPoint(as_int=-(2**63))
    assert filled(NumberDataPoint(), number.SerializeToString())[0] == number
    span = Span(kind=Span.SPAN_KIND_CONSUMER, flags=2**32 - 1, dropped_links_count=7)
    assert filled(Span(), span.SerializeToString())[0] == span


def test_repeated_numbers_come_packed_and_one_by_one() -> None:
    pieces = [(6, FIXED64, (5).to_bytes(8, "little")), (6, BYTES, bytes(16)), (7, BYTES, b"")]
    point, _ = filled(HistogramDataPoint(), put_together(pieces))
    assert point == HistogramDataPoint(bucket_counts=[5, 0, 0])
    buckets = put_together([(2, VARINT, 9), (2, BYTES, b"\x01\xac\x02")])
    assert filled(ExponentialHistogramDataPoint.Buckets(), buckets)[0] == (
        ExponentialHistogramDataPoint.Buckets(bucket_counts=[9, 1, 300])
    )


@pytest.mark.parametrize(
    "data",
    [
        b"\x0a",  # no length
        b"\x0a\x05abcd",  # cut off
        b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",  # a length bomb
        b"\x10",  # no varint
        b"\x10" + b"\x80" * 9,
        b"\x10" + b"\xff" * 10 + b"\x01",  # eleven bytes
        b"\x09\x00\x00",
        b"\x45\x00",
        b"\x00\x01",  # field number 0
        b"\x82\x00\x00",  # again, longer
        b"\xff\xff\xff\xff\x1f\x00",  # a tag over 32 bits
        b"\x8a\x80\x80\x80\x80\x00\x00",  # a tag of six bytes
        b"\x0b\x0c",  # a group
        b"\x0c",
        b"\x0e",
        b"\x0f",
        b"\x2a\x02\x0a\x05",  # inside of a body
        b"\x32\x03\x12\x01\x0a",  # inside of an attribute's value
    ],
)
def test_malformed(data: bytes) -> None:
    with pytest.raises(Poison, match=r"^malformed: byte \d+: "):
        filled(LogRecord(), data)


def test_errors_say_where() -> None:
    sound = make.logs(make.log()).SerializeToString()
    with pytest.raises(Poison, match=f"byte {len(sound) + 4}: "):
        parse(ExportLogsServiceRequest(), sound + b"\x0a\x02\x0a\x05")


def test_a_known_field_of_another_wire_type_is_passed_over() -> None:
    pieces = [
        (1, VARINT, 1),
        (3, VARINT, 1),
        (5, VARINT, 1),
        (2, BYTES, b"\x09"),
        (3, BYTES, b"ok"),
    ]
    assert filled(LogRecord(), put_together(pieces))[0] == LogRecord(severity_text="ok")


def test_excess_bits_are_dropped() -> None:
    tenth = b"\xff" * 9 + b"\x7f"
    value, _ = filled(AnyValue(), put_together([(3, VARINT, tenth)]))
    assert value == AnyValue(int_value=-1)
    span, _ = filled(Span(), put_together([(6, VARINT, (1 << 32) + 2)]))
    assert span == Span(kind=Span.SPAN_KIND_SERVER)
    point, _ = filled(ExponentialHistogramDataPoint(), put_together([(6, VARINT, (1 << 40) + 3)]))
    assert point == ExponentialHistogramDataPoint(scale=-2)


def test_the_last_one_counts_and_messages_merge() -> None:
    first = any_value([1]).SerializeToString()
    second = any_value([2]).SerializeToString()
    number = AnyValue(int_value=3).SerializeToString()
    cases = {
        first + second: any_value([1, 2]),
        first + number: AnyValue(int_value=3),
        first + number + second: any_value([2]),
    }
    for data, want in cases.items():
        assert filled(AnyValue(), data)[0] == want
        pair = put_together([(2, BYTES, data[: len(first)]), (2, BYTES, data[len(first) :])])
        assert filled(KeyValue(), pair)[0] == KeyValue(value=want)
    assert filled(LogRecord(), b"\x1a\x01a\x1a\x01b")[0] == LogRecord(severity_text="b")


def test_invalid_utf8_is_replaced_and_counted() -> None:
    data = put_together([(3, BYTES, b"a\xffb"), (12, BYTES, b"\xe2\x82"), (9, BYTES, b"\xff")])
    record, replaced = filled(LogRecord(), data)
    assert record == LogRecord(severity_text="a\ufffdb", event_name="\ufffd", trace_id=b"\xff")
    assert replaced == 2


def test_what_is_not_stored_is_not_counted() -> None:
    bad = put_together([(1, BYTES, b"\xff")])
    assert filled(Metric(), put_together([(12, BYTES, bad)]))[1] == 0
    references = put_together([(1, BYTES, b"\xff"), (3, BYTES, b"\xff"), (3, BYTES, b"ok")])
    resource, replaced = filled(Resource(), put_together([(3, BYTES, references)]))
    assert replaced == 0
    assert resource == Resource(
        entity_refs=[EntityRef(schema_url="\ufffd", id_keys=["\ufffd", "ok"])]
    )


@pytest.mark.parametrize("depth", [32, 33, 1000])
def test_depth(depth: int) -> None:
    """Below the limit, nothing is read, so nothing there is malformed."""
    value = b"\x0a\x05x"
    for _ in range(depth - 1):
        value = put_together([(5, BYTES, put_together([(1, BYTES, value)]))])
    if depth == 32:
        with pytest.raises(Poison):
            filled(AnyValue(), value)
    else:
        found, _ = filled(AnyValue(), value)
        levels = 0
        while found.array_value.values:  # type: ignore[attr-defined]
            levels, found = levels + 1, found.array_value.values[0]  # type: ignore[attr-defined]
        assert levels == 32


@pytest.mark.parametrize(
    ("extra", "plainly"),
    [
        (b"", True),
        (varint(99 << 3) + b"\x01", False),  # an unknown field
        (b"\x0a\x00", True),  # an empty resource
        (b"\x0b\x0c", False),
    ],
)
def test_only_whole_messages_are_left_to_protobuf(
    extra: bytes, plainly: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    monkeypatch.setattr(Filler, "fill", lambda *args: calls.append(args))
    parse(ExportLogsServiceRequest(), make.logs(make.log()).SerializeToString() + extra)
    assert bool(calls) is not plainly
