"""Requests made by patching: they parse, each record is told from every other, sizes hold."""

import itertools
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from headrace_loadgen.generate import (
    INDEX_BITS,
    POINT_INDEX_BITS,
    SIGNALS,
    SPAN_NANOSECONDS,
    TRACE_SPANS,
    VARIANTS,
    Generator,
    Signal,
    Template,
    make_marks,
)
from headrace_loadgen.profiles import PROFILES

NOW = 1_764_000_000_123_456_789
# Not a multiple of the eight spans of a trace: the last trace is a short one.
RECORDS = 203
# Every template twice, one of them three times.
REQUESTS = 2 * VARIANTS + 1


def generator(
    signal: Signal, profile: str = "genai", service: str = "loadgen-12345678", seed: int = 1
) -> Generator:
    return Generator(signal, PROFILES[profile], service, RECORDS, seed)


def bodies(made: Generator, count: int = REQUESTS) -> list[bytes]:
    return [made.next(NOW + number).body for number in range(count)]


def spans(body: bytes) -> list[Span]:
    (resource_spans,) = ExportTraceServiceRequest.FromString(body).resource_spans
    return list(resource_spans.scope_spans[0].spans)


def logs(body: bytes) -> list[LogRecord]:
    (resource_logs,) = ExportLogsServiceRequest.FromString(body).resource_logs
    return list(resource_logs.scope_logs[0].log_records)


def points(body: bytes) -> Iterator[tuple[str, Any]]:
    """Kind and data point, in the order of the wire."""
    (resource_metrics,) = ExportMetricsServiceRequest.FromString(body).resource_metrics
    for metric in resource_metrics.scope_metrics[0].metrics:
        kind = metric.WhichOneof("data")
        assert kind is not None
        yield from ((kind, point) for point in getattr(metric, kind).data_points)


def sequence(kind: str, point: Any) -> float:
    """The double that verification reads: column Value, or Sum."""
    return float(point.as_double if kind in ("gauge", "sum") else point.sum)


def expected(bits: int) -> list[tuple[int, int]]:
    """(request, index) of every record of the requests, in order."""
    mask = (1 << bits) - 1
    assert mask >= RECORDS
    return list(itertools.product(range(1, REQUESTS + 1), range(RECORDS)))


def split(numbers: Iterable[int], bits: int) -> list[tuple[int, int]]:
    return [(number >> bits, number & ((1 << bits) - 1)) for number in numbers]


def test_span_ids_hold_request_and_index_and_never_repeat() -> None:
    found = [
        int.from_bytes(span.span_id, "big")
        for body in bodies(generator("traces"))
        for span in spans(body)
    ]
    assert split(found, INDEX_BITS) == expected(INDEX_BITS)


def test_log_records_hold_request_and_index_and_never_repeat() -> None:
    found = [
        int.from_bytes(record.span_id, "big")
        for body in bodies(generator("logs"))
        for record in logs(body)
    ]
    assert split(found, INDEX_BITS) == expected(INDEX_BITS)


def test_point_values_hold_request_and_index_and_never_repeat() -> None:
    values = [
        sequence(kind, point)
        for body in bodies(generator("metrics"))
        for kind, point in points(body)
    ]
    assert all(value.is_integer() for value in values)
    # A request's points are grouped by metric, so only the set is in order.
    assert sorted(split(map(int, values), POINT_INDEX_BITS)) == expected(POINT_INDEX_BITS)


def test_points_of_every_metric_type_are_among_them() -> None:
    """Of ten, four gauges, four sums and two histograms; of a hundred, one of each other type."""
    kinds = [kind for kind, _ in points(generator("metrics").next(NOW).body)]
    assert {kind: kinds.count(kind) for kind in sorted(set(kinds))} == {
        "exponential_histogram": 2,
        "gauge": 80,
        "histogram": 39,
        "sum": 80,
        "summary": 2,
    }


def test_traces_have_eight_spans_below_one_head_and_never_share_an_id() -> None:
    seen: set[bytes] = set()
    for body in bodies(generator("traces")):
        by_trace: dict[bytes, list[Span]] = {}
        for span in spans(body):
            by_trace.setdefault(span.trace_id, []).append(span)
        assert [len(family) for family in by_trace.values()] == [TRACE_SPANS] * 25 + [3]
        ids = {span.span_id for span in spans(body)}
        for head, *children in by_trace.values():
            assert head.parent_span_id not in ids
            assert {child.parent_span_id for child in children} == {head.span_id}
        assert not seen & by_trace.keys()
        seen |= by_trace.keys()


def test_ids_are_valid_for_otlp() -> None:
    for span in spans(generator("traces").next(NOW).body):
        assert (len(span.trace_id), len(span.span_id), len(span.parent_span_id)) == (16, 8, 8)
        assert span.trace_id.strip(b"\0")
        assert span.span_id.strip(b"\0")


def test_trace_ids_of_two_runs_differ_though_the_seed_is_the_same() -> None:
    one = spans(generator("traces", service="loadgen-00000001").next(NOW).body)
    other = spans(generator("traces", service="loadgen-00000002").next(NOW).body)
    assert not {span.trace_id for span in one} & {span.trace_id for span in other}


def test_a_spans_times_follow_the_stamp_and_its_index() -> None:
    for index, span in enumerate(spans(generator("traces").next(NOW).body)):
        assert span.start_time_unix_nano == NOW - SPAN_NANOSECONDS + index
        assert span.end_time_unix_nano - span.start_time_unix_nano == SPAN_NANOSECONDS // 2


def test_log_records_and_points_are_stamped_just_before_now() -> None:
    records = logs(generator("logs").next(NOW).body)
    assert [record.time_unix_nano for record in records] == [NOW - i for i in range(RECORDS)]
    for kind, point in points(generator("metrics").next(NOW).body):
        index = int(sequence(kind, point)) & ((1 << POINT_INDEX_BITS) - 1)
        assert point.time_unix_nano == NOW - index


@pytest.mark.parametrize(
    ("profile", "low", "high", "span_attributes", "resource_attributes"),
    [("genai", 380, 400, 10, 5), ("small", 155, 170, 3, 2), ("wide", 1_600, 1_700, 40, 15)],
)
def test_a_profiles_size_and_attributes_hold(
    profile: str, low: int, high: int, span_attributes: int, resource_attributes: int
) -> None:
    made = generator("traces", profile)
    assert low <= made.bytes_per_record <= high
    (resource_spans,) = ExportTraceServiceRequest.FromString(made.next(NOW).body).resource_spans
    resource = {pair.key: pair.value for pair in resource_spans.resource.attributes}
    assert len(resource) == resource_attributes
    assert resource["service.name"].string_value == "loadgen-12345678"
    for span in resource_spans.scope_spans[0].spans:
        assert len({pair.key for pair in span.attributes}) == span_attributes


@pytest.mark.parametrize("signal", SIGNALS)
def test_the_same_seed_makes_the_same_requests(signal: Signal) -> None:
    assert bodies(generator(signal)) == bodies(generator(signal))
    assert bodies(generator(signal)) != bodies(generator(signal, seed=99))


@pytest.mark.parametrize("signal", SIGNALS)
def test_requests_are_numbered_from_one_and_a_patch_moves_no_byte(signal: Signal) -> None:
    made = generator(signal)
    requests = [made.next(NOW) for _ in range(2 * VARIANTS)]
    assert [request.number for request in requests] == list(range(1, 2 * VARIANTS + 1))
    assert {request.records for request in requests} == {RECORDS}
    # The same template comes round again, with other ids and nothing else changed in size.
    again, first = requests[VARIANTS], requests[0]
    assert len(again.body) == len(first.body)
    assert again.body != first.body


def test_a_template_is_not_fooled_by_bytes_that_only_begin_like_a_mark() -> None:
    marks = make_marks(2, seed=7)
    decoy = marks[0][:5] + b"zzz"
    template = Template(decoy + marks[1] + decoy[:2] + marks[0], marks, per_record=1)
    assert [list(place) for place in template.places] == [[18, 8]]
