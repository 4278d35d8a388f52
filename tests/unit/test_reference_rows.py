"""Requests as rows: what lands in which column."""

from typing import Any

import pytest
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric, NumberDataPoint
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from headrace_writer.core.reference_fields import FIELDS, TABLES
from headrace_writer.core.reference_metrics import metric_rows
from headrace_writer.core.reference_rows import hex_id, log_rows, trace_rows
from headrace_writer.core.reference_values import Attributes
from support import builders as make
from support.builders import SECOND, SPAN_ID, T0, TRACE_ID


def plain(value: Any) -> Any:
    """Attributes as their pairs, for comparing."""
    if isinstance(value, list):
        return [plain(element) for element in value]
    return value.pairs if isinstance(value, Attributes) else value


def span_row(span: Span, **request: Any) -> dict[str, Any]:
    (row,) = trace_rows(make.traces(span, **request), 1)
    return {name: plain(value) for name, value in row.fields.items()}


def log_row(**fields: Any) -> dict[str, Any]:
    (row,) = log_rows(make.logs(make.log(**fields)), 1)
    return {name: plain(value) for name, value in row.fields.items()}


def metric_row(metric: Metric) -> dict[str, Any]:
    (row,) = metric_rows(make.metrics(metric), 1)
    return {name: plain(value) for name, value in row.fields.items()}


def test_a_span() -> None:
    row = span_row(
        make.span(
            "GET /",
            attributes={"http.status": 200},
            parent_span_id=b"parent!!",
            trace_state="a=b",
            events=[make.event(attributes={"n": 1}), make.event("gone", time_unix_nano=0)],
            links=[make.link(trace_id=b"", trace_state="x", attributes={"k": "v"})],
            status=Status(code=Status.STATUS_CODE_ERROR, message="no"),
        ),
        resource={"service.name": "checkout", "n": 5},
        scope=InstrumentationScope(name="lib", version="2"),
    )
    want = {
        "Timestamp": T0,
        "TraceId": TRACE_ID,
        "SpanId": SPAN_ID,
        "ParentSpanId": b"parent!!",
        "TraceState": b"a=b",
        "SpanName": b"GET /",
        "SpanKind": b"Server",
        "ServiceName": b"checkout",
        "ResourceAttributes": [(b"service.name", b"checkout"), (b"n", b"5")],
        "ScopeName": b"lib",
        "ScopeVersion": b"2",
        "SpanAttributes": [(b"http.status", b"200")],
        "Duration": SECOND,
        "StatusCode": b"Error",
        "StatusMessage": b"no",
        "Events.Timestamp": [T0 + 1, 0],
        "Events.Name": [b"retry", b"gone"],
        "Events.Attributes": [[(b"n", b"1")], []],
        "Links.TraceId": [b""],
        "Links.SpanId": [SPAN_ID],
        "Links.TraceState": [b"x"],
        "Links.Attributes": [[(b"k", b"v")]],
    }
    assert {name: row[name] for name in FIELDS["otel_traces"]} == {
        **want,
        "Tenant": b"",
        "ContentAttributes": [],
    }


def test_span_kinds() -> None:
    names = [span_row(make.span(kind=number))["SpanKind"] for number in (*range(7), -1)]
    known = [b"Unspecified", b"Internal", b"Server", b"Client", b"Producer", b"Consumer"]
    assert names == [*known, b"", b""]


@pytest.mark.parametrize(("number", "name"), [(0, b"Unset"), (1, b"Ok"), (2, b"Error"), (-1, b"")])
def test_status_codes(number: int, name: bytes) -> None:
    span = make.span(status=Status(code=number))  # type: ignore[arg-type]
    assert span_row(span)["StatusCode"] == name


def test_an_end_before_the_start_is_no_duration() -> None:
    assert span_row(make.span(end_time_unix_nano=T0 - 1))["Duration"] == 0
    assert span_row(make.span(end_time_unix_nano=0))["Duration"] == 0
    assert span_row(make.span(start_time_unix_nano=0, end_time_unix_nano=2**64 - 1))[
        "Duration"
    ] == (2**64 - 1)


def test_a_log_record() -> None:
    row = log_row(
        body={"msg": "hi"},
        attributes={"a": True},
        flags=0x1FF,
        severity_number=17,
        severity_text="ERROR",
        event_name="boot",
    )
    want = {
        "Timestamp": T0,
        "TraceId": TRACE_ID,
        "SpanId": SPAN_ID,
        "TraceFlags": 0xFF,
        "SeverityText": b"ERROR",
        "SeverityNumber": 17,
        "ServiceName": b"checkout",
        "Body": b'{"msg":"hi"}',
        "ResourceSchemaUrl": b"",
        "ResourceAttributes": [(b"service.name", b"checkout")],
        "ScopeSchemaUrl": b"",
        "ScopeName": b"tests",
        "ScopeVersion": b"1.0",
        "ScopeAttributes": [],
        "LogAttributes": [(b"a", b"true")],
        "EventName": b"boot",
    }
    assert {name: row[name] for name in FIELDS["otel_logs"]} == {
        **want,
        "Tenant": b"",
        "ContentAttributes": [],
    }


def test_a_log_without_a_time_has_the_one_it_was_seen_at() -> None:
    assert log_row(time_unix_nano=0, observed_time_unix_nano=9)["Timestamp"] == 9
    assert log_row(time_unix_nano=0)["Timestamp"] == 0
    assert log_row(time_unix_nano=1, observed_time_unix_nano=9)["Timestamp"] == 1


def test_the_service_is_the_first_of_that_name() -> None:
    request = make.logs(make.log(), resource={"service.name": ["a", 1]})
    request.resource_logs[0].resource.attributes.extend(make.key_values({"service.name": "b"}))
    (row,) = log_rows(request, 1)
    assert row.fields["ServiceName"] == b'["a",1]'
    (row,) = log_rows(make.logs(make.log(), resource={"x": 1}), 1)
    assert row.fields["ServiceName"] == b""


def test_schema_urls_and_dropped_attributes() -> None:
    request = make.metrics(
        make.gauge(),
        scope=InstrumentationScope(
            name="s", attributes=make.key_values({"k": 1}), dropped_attributes_count=4
        ),
    )
    request.resource_metrics[0].schema_url = "https://r"
    request.resource_metrics[0].scope_metrics[0].schema_url = "https://s"
    (row,) = metric_rows(request, 1)
    assert row.fields["ResourceSchemaUrl"] == b"https://r"
    assert row.fields["ScopeSchemaUrl"] == b"https://s"
    assert row.fields["ScopeDroppedAttrCount"] == 4
    assert row.fields["ScopeAttributes"].pairs == [(b"k", b"1")]


def test_number_points() -> None:
    row = metric_row(make.gauge(make.number_point(-7, attributes={"q": "in"}, flags=1)))
    assert (row["Value"], row["Flags"], row["Attributes"]) == (-7.0, 1, [(b"q", b"in")])
    assert (row["StartTimeUnix"], row["TimeUnix"]) == (T0, T0 + SECOND)
    assert metric_row(make.gauge(make.number_point(2**63 - 1)))["Value"] == float(2**63)
    assert metric_row(make.gauge(NumberDataPoint()))["Value"] == 0.0
    row = metric_row(make.counter(make.number_point(2.5), description="d", unit="1"))
    assert (row["Value"], row["AggregationTemporality"], row["IsMonotonic"]) == (2.5, 2, True)
    assert (row["MetricDescription"], row["MetricUnit"]) == (b"d", b"1")


def test_histograms() -> None:
    row = metric_row(make.histogram(make.histogram_point([1, 2, 0], [0.5, 1.0])))
    assert (row["Count"], row["Sum"], row["Min"], row["Max"]) == (3, 2.25, 0.25, 1.0)
    assert (row["BucketCounts"], row["ExplicitBounds"]) == ([1, 2, 0], [0.5, 1.0])
    assert row["AggregationTemporality"] == 1
    row = metric_row(make.exponential_histogram())
    assert (row["Scale"], row["ZeroCount"]) == (-1, 1)
    assert (row["PositiveOffset"], row["PositiveBucketCounts"]) == (-2, [1, 2])
    assert (row["NegativeOffset"], row["NegativeBucketCounts"]) == (3, [3])


def test_summaries() -> None:
    row = metric_row(make.summary(make.summary_point({0.5: 1.0, 0.9: 3.0})))
    assert (row["Count"], row["Sum"]) == (4, 7.0)
    assert row["ValueAtQuantiles.Quantile"] == [0.5, 0.9]
    assert row["ValueAtQuantiles.Value"] == [1.0, 3.0]


def test_exemplars() -> None:
    row = metric_row(
        make.histogram(
            make.histogram_point(
                exemplars=[make.exemplar(3, attributes={"u": 1}), make.exemplar(0.5, trace_id=b"")]
            )
        )
    )
    assert row["Exemplars.Value"] == [3.0, 0.5]
    assert row["Exemplars.TraceId"] == [TRACE_ID, b""]
    assert row["Exemplars.SpanId"] == [SPAN_ID, SPAN_ID]
    assert row["Exemplars.TimeUnix"] == [T0 + 5, T0 + 5]
    assert row["Exemplars.FilteredAttributes"] == [[(b"u", b"1")], []]


def test_each_kind_of_metric_has_its_table_and_all_its_fields() -> None:
    rows = list(metric_rows(make.metrics(*make.every_metric(), Metric(name="no kind")), 4))
    assert tuple(row.table for row in rows) == TABLES["metrics"]
    for row in rows:
        assert FIELDS[row.table].keys() <= row.fields.keys()
        assert row.time_ns == T0 + SECOND


def test_rows_keep_the_order_of_the_message() -> None:
    request = make.traces(make.span("a"), make.span("b"))
    request.resource_spans.add().scope_spans.add().spans.add(name="c")
    request.resource_spans[0].scope_spans.add().spans.add(name="d")
    names = [row.fields["SpanName"] for row in trace_rows(request, 3)]
    assert names == [b"a", b"b", b"d", b"c"]


@pytest.mark.parametrize(
    ("raw", "size", "want"),
    [
        (b"", 16, b""),
        (bytes(16), 16, b""),
        (bytes(8), 8, b""),
        (bytes(8), 16, b"0" * 16),
        (bytes(16), 8, b"0" * 32),
        (b"\xab\x01", 8, b"ab01"),
        (TRACE_ID, 16, b"0af7651916cd43dd8448eb211c80319c"),
    ],
)
def test_ids(raw: bytes, size: int, want: bytes) -> None:
    assert hex_id(raw, size) == want
