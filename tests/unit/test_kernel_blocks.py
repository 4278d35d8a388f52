"""What the kernel stores of each signal, read back by clickhouse-driver, in both dialects."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from google.protobuf.message import Message

from headrace_schema.columns import Dialect
from headrace_schema.genai import CONTENT
from headrace_writer.core.block import Signal
from headrace_writer.core.decode import native_backend
from headrace_writer.core.guardrails import Treatment
from support import builders as make
from support.decoders import layouts_of
from support.native_read import read_block

DIALECTS: tuple[Dialect, ...] = ("modern", "legacy")

ATTRIBUTES: make.Attributes = {
    "text": "höher",
    "int": -7,
    "double": 0.7,
    "whole": 2.0,
    "flag": True,
    "bytes": b"\x01\x02",
    "list": [1, "a", None, [False]],
    "map": {"b": 1.5, "a": {"deep": "<&>"}},
    "unset": None,
}
TEXTS = {
    "text": "höher",
    "int": "-7",
    "double": "0.7",
    "whole": "2",
    "flag": "true",
    "bytes": "AQI=",
    "list": '[1,"a",null,[false]]',
    "map": '{"a":{"deep":"<&>"},"b":1.5}',
    "unset": "",
}


def rows_of(signal: Signal, dialect: Dialect, request: Message) -> dict[str, list[dict[str, Any]]]:
    """Table → rows as dicts, attributes as dicts and times as nanoseconds in both dialects."""
    treatment = Treatment(tenant_attribute="service.name", content=CONTENT)
    builder = native_backend().builder(signal, layouts_of(signal, dialect), 1, "none", treatment)
    assert builder.append_many([request.SerializeToString()]) == []
    tables = {}
    for block in builder.finish({target: 77 for target, _ in builder.pending()}):
        columns = {name: [_plain(v) for v in column] for name, column in _joined(block.body)}
        tables[block.target.table] = [
            dict(zip(columns, values, strict=True))
            for values in zip(*columns.values(), strict=True)
        ]
        for row in tables[block.target.table] if dialect == "modern" else ():
            assert row.pop("Tenant") == row["ServiceName"]
    return tables


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, datetime):
        since = value.replace(tzinfo=value.tzinfo or UTC) - datetime(1970, 1, 1, tzinfo=UTC)
        return (since.days * 86_400 + since.seconds) * 1_000_000_000 + since.microseconds * 1_000
    if isinstance(value, Mapping):
        return {_plain(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def _joined(body: bytes) -> list[tuple[str, list[Any]]]:
    """Columns, pairs of key and value columns joined into maps."""
    columns = read_block(body)
    joined: dict[str, list[Any]] = {}
    for name, values in columns.items():
        base = name.removesuffix("Key").removesuffix(".")
        if name.endswith("AttributesKey"):
            inner = zip(values, columns[f"{base}Value"], strict=True)
            joined[base] = [
                [dict(zip(k, v, strict=True)) for k, v in zip(*row, strict=True)] for row in inner
            ]
        elif name.endswith(".Key"):
            inner = zip(values, columns[f"{base}.Value"], strict=True)
            joined[base] = [dict(zip(k, v, strict=True)) for k, v in inner]
        elif not name.endswith(("AttributesValue", "Attributes.Value")):
            joined[name] = values
    return list(joined.items())


@pytest.mark.parametrize("dialect", DIALECTS)
def test_spans(dialect: Dialect) -> None:
    event = make.event("exception", attributes=ATTRIBUTES, time_unix_nano=make.T0 + 5_000)
    link = make.link(trace_state="a=1", attributes={"why": "batch"})
    span = make.span(
        "GET /",
        attributes=ATTRIBUTES,
        parent_span_id=bytes(range(8)),
        trace_state="b=2",
        events=[event, make.event("second", time_unix_nano=make.T0)],
        links=[link],
        status={"code": 2, "message": "broken"},
    )
    request = make.traces(span, make.span("bare", kind=99, trace_id=bytes(16)))
    (rows,) = rows_of("traces", dialect, request).values()
    assert rows[0] == {
        "Timestamp": make.T0,
        "TraceId": make.TRACE_ID.hex(),
        "SpanId": make.SPAN_ID.hex(),
        "ParentSpanId": "0001020304050607",
        "TraceState": "b=2",
        "SpanName": "GET /",
        "SpanKind": "Server",
        "ServiceName": "checkout",
        "ResourceAttributes": {"service.name": "checkout"},
        "ScopeName": "tests",
        "ScopeVersion": "1.0",
        "SpanAttributes": TEXTS,
        "Duration": make.SECOND,
        "StatusCode": "Error",
        "StatusMessage": "broken",
        "Events.Timestamp": [make.T0 + 5_000, make.T0],
        "Events.Name": ["exception", "second"],
        "Events.Attributes": [TEXTS, {}],
        "Links.TraceId": [make.TRACE_ID.hex()],
        "Links.SpanId": [make.SPAN_ID.hex()],
        "Links.TraceState": ["a=1"],
        "Links.Attributes": [{"why": "batch"}],
        "IngestId": 77,
        "ContentAttributes": {},
    }
    bare = rows[1]
    assert (bare["SpanKind"], bare["TraceId"], bare["ParentSpanId"]) == ("", "", "")
    assert (bare["Events.Name"], bare["Links.Attributes"], bare["SpanAttributes"]) == ([], [], {})


@pytest.mark.parametrize("dialect", DIALECTS)
def test_logs(dialect: Dialect) -> None:
    structured = make.log({"b": [1], "a": "x"}, attributes=ATTRIBUTES, flags=0x1FF, event_name="e")
    late = make.log(None, time_unix_nano=0, observed_time_unix_nano=make.T0, trace_id=b"")
    request = make.logs(structured, late)
    request.resource_logs[0].schema_url = "https://resource"
    request.resource_logs[0].scope_logs[0].schema_url = "https://scope"
    (rows,) = rows_of("logs", dialect, request).values()
    assert rows[0] == {
        "Timestamp": make.T0,
        "TraceId": make.TRACE_ID.hex(),
        "SpanId": make.SPAN_ID.hex(),
        "TraceFlags": 0xFF,
        "SeverityText": "INFO",
        "SeverityNumber": 9,
        "ServiceName": "checkout",
        "Body": '{"a":"x","b":[1]}',
        "ResourceSchemaUrl": "https://resource",
        "ResourceAttributes": {"service.name": "checkout"},
        "ScopeSchemaUrl": "https://scope",
        "ScopeName": "tests",
        "ScopeVersion": "1.0",
        "ScopeAttributes": {},
        "LogAttributes": TEXTS,
        "EventName": "e",
        "IngestId": 77,
        "ContentAttributes": {},
    }
    assert (rows[1]["Timestamp"], rows[1]["Body"], rows[1]["TraceId"]) == (make.T0, "", "")


@pytest.mark.parametrize("dialect", DIALECTS)
def test_contents_are_apart(dialect: Dialect) -> None:
    """Of the span and its events in this order, equal keys kept; numbered parts, other keys not."""
    event = make.event("gen_ai.content.prompt", attributes={"gen_ai.prompt": "hi", "n": 1})
    said: make.Attributes = {
        "gen_ai.prompt.0.content": "x" * 200,
        "gen_ai.prompt.version": "v1",
        "input.value": 5,
    }
    spans = (
        make.span("before"),
        make.span("said", attributes={"route": "/", **said}, events=[event]),
        make.span("after", attributes={"route": "/", "gen_ai.completion": ["a"]}),
        make.span("last"),
    )
    (rows,) = rows_of("traces", dialect, make.traces(*spans)).values()
    assert [row["ContentAttributes"] for row in rows] == [
        {},
        {"gen_ai.prompt.0.content": "x" * 200, "input.value": "5", "gen_ai.prompt": "hi"},
        {"gen_ai.completion": '["a"]'},
        {},
    ]
    assert [row["SpanAttributes"] for row in rows[1:3]] == [
        {"route": "/", "gen_ai.prompt.version": "v1"},
        {"route": "/"},
    ]
    assert rows[1]["Events.Attributes"] == [{"n": "1"}]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_bodies_of_genai_events_are_contents(dialect: Dialect) -> None:
    asked = make.log({"content": "hi"}, event_name="gen_ai.user.message", attributes={"a": "b"})
    other = make.log("as usual", event_name="exception", attributes={"gen_ai.input.messages": "q"})
    (rows,) = rows_of("logs", dialect, make.logs(asked, other)).values()
    assert [(row["Body"], row["LogAttributes"], row["ContentAttributes"]) for row in rows] == [
        ("", {"a": "b"}, {"body": '{"content":"hi"}'}),
        ("as usual", {}, {"gen_ai.input.messages": "q"}),
    ]


SHARED = {
    "ResourceAttributes": {"service.name": "checkout"},
    "ResourceSchemaUrl": "",
    "ScopeName": "tests",
    "ScopeVersion": "1.0",
    "ScopeAttributes": {},
    "ScopeDroppedAttrCount": 0,
    "ScopeSchemaUrl": "",
    "ServiceName": "checkout",
    "MetricDescription": "",
    "Attributes": {},
    "StartTimeUnix": make.T0,
    "TimeUnix": make.T0 + make.SECOND,
    "Flags": 0,
    "IngestId": 77,
}
EXEMPLARS = {
    "Exemplars.FilteredAttributes": [{"user": "ada"}],
    "Exemplars.TimeUnix": [make.T0],
    "Exemplars.Value": [3.0],
    "Exemplars.SpanId": [make.SPAN_ID.hex()],
    "Exemplars.TraceId": [make.TRACE_ID.hex()],
}
STATISTICS = {"Count": 3, "Sum": 2.25, "Min": 0.25, "Max": 1.0, "AggregationTemporality": 1}
KINDS = {
    "gauge": {"MetricName": "queue.depth", "MetricUnit": "", "Value": 0.5, **EXEMPLARS},
    "sum": {
        "MetricName": "requests",
        "MetricUnit": "",
        "Value": 7.0,
        "AggregationTemporality": 2,
        "IsMonotonic": 1,
        **EXEMPLARS,
    },
    "histogram": {
        "MetricName": "latency",
        "MetricUnit": "ms",
        **STATISTICS,
        "BucketCounts": [1, 2, 0],
        "ExplicitBounds": [0.5, 1.0],
        **EXEMPLARS,
    },
    "exponential_histogram": {
        "MetricName": "size",
        "MetricUnit": "",
        "Count": 7,
        "Sum": 20.5,
        "Scale": -1,
        "ZeroCount": 1,
        "PositiveOffset": -2,
        "PositiveBucketCounts": [1, 2],
        "NegativeOffset": 3,
        "NegativeBucketCounts": [3],
        "Min": -8.0,
        "Max": 9.5,
        "AggregationTemporality": 2,
        **EXEMPLARS,
    },
    "summary": {
        "MetricName": "rpc",
        "MetricUnit": "",
        "Count": 4,
        "Sum": 7.0,
        "ValueAtQuantiles.Quantile": [0.5, 0.99],
        "ValueAtQuantiles.Value": [1.0, 4.0],
    },
}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_metrics(dialect: Dialect) -> None:
    tables = rows_of("metrics", dialect, make.metrics(*make.every_metric()))
    assert {name.removeprefix("otel_metrics_") for name in tables} == set(KINDS)
    for kind, own in KINDS.items():
        (row,) = tables[f"otel_metrics_{kind}"]
        # The driver shows microseconds.
        row = {k: [make.T0] if k == "Exemplars.TimeUnix" else v for k, v in row.items()}
        assert row == {**SHARED, **own}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_long_runs_of_shared_values(dialect: Dialect) -> None:
    """Resources, scopes and metrics alternate; every row keeps its own."""
    request = make.metrics()
    request.ClearField("resource_metrics")
    wanted = []
    for resource in range(3):
        group = request.resource_metrics.add(resource=make.traces().resource_spans[0].resource)
        group.resource.attributes[0].value.string_value = f"service-{resource}"
        for scope in range(2):
            scopes = group.scope_metrics.add()
            scopes.scope.name = f"scope-{scope}"
            for metric in range(3):
                points = [make.number_point(i) for i in range(metric * 40)]
                scopes.metrics.append(make.gauge(*points, name=f"metric-{metric}"))
                count = len(points) or 1
                wanted += [(f"service-{resource}", f"scope-{scope}", f"metric-{metric}")] * count
    (rows,) = rows_of("metrics", dialect, request).values()
    found = [(row["ServiceName"], row["ScopeName"], row["MetricName"]) for row in rows]
    assert found == wanted
    assert all(row["ResourceAttributes"] == {"service.name": row["ServiceName"]} for row in rows)
