"""Both decoders take the same headers and refuse the same ones, with the same kind of error."""

from collections.abc import Mapping

import pytest

from headrace_schema.columns import TABLES_BY_SIGNAL
from headrace_writer.core.block import DecoderBackend, Layout, Signal
from headrace_writer.errors import LayoutError
from support.decoders import KERNEL, REFERENCE, SIGNALS, layouts_of

from .headers import alternatives

BACKENDS = (KERNEL, REFERENCE)

SCALARS = (
    *(f"{sign}Int{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64, 128)),
    "Float32",
    "Float64",
    "Bool",
    "String",
    "LowCardinality(String)",
    "LowCardinality(UInt8)",
    "LowCardinality(FixedString(4))",
    "FixedString(8)",
    "FixedString(16)",
    "FixedString(32)",
    "FixedString(7)",
    "FixedString(0)",
    "UUID",
    "Date",
    "DateTime",
    "DateTime('UTC')",
    "DateTime64(0)",
    "DateTime64(9)",
    "DateTime64(10)",
    "DateTime64(9, 'UTC')",
    "DateTime64",
    "Nullable(String)",
    "JSON",
    "Map(String, String)",
    "Map(LowCardinality(String), LowCardinality(String))",
    "Map(String, UInt8)",
    "Map(UUID, String)",
    "Map(String)",
    "Enum8('a' = 1)",
    "Tuple(String)",
    "",
)
TYPES = tuple(f"{'Array(' * depth}{kind}{')' * depth}" for kind in SCALARS for depth in range(3))


def refusal(backend: DecoderBackend, signal: Signal, layouts: Mapping[str, Layout]) -> str:
    try:
        backend.builder(signal, layouts, 1)
    except LayoutError as error:
        return str(error)
    return ""


def only_ids(signal: Signal) -> dict[str, Layout]:
    """Headers of one column for all tables of a signal."""
    return {table: [("IngestId", "UInt64")] for table in TABLES_BY_SIGNAL[signal]}


def names_of(table: str, signal: Signal) -> list[str]:
    modern = layouts_of(signal, "modern")[table]
    legacy = layouts_of(signal, "legacy")[table]
    return list(dict.fromkeys(name for name, _ in [*modern, *legacy]))


@pytest.mark.parametrize("table", [t for s in SIGNALS for t in TABLES_BY_SIGNAL[s]])
def test_every_type_of_every_column(table: str) -> None:
    """Refusals name table, column and the server's type."""
    signal = next(s for s in SIGNALS if table in TABLES_BY_SIGNAL[s])
    refused = 0
    for name in names_of(table, signal):
        for kind in TYPES:
            layouts = {**only_ids(signal), table: [(name, kind)]}
            ours, theirs = (refusal(backend, signal, layouts) for backend in BACKENDS)
            assert bool(ours) == bool(theirs), f"{name} {kind}: kernel {ours!r}, ref. {theirs!r}"
            for text in (ours, theirs) if ours else ():
                assert table in text
                assert name in text
                assert kind in text
            refused += bool(ours)
    assert refused > 0


@pytest.mark.parametrize("signal", SIGNALS)
def test_every_alternative_is_taken(signal: Signal) -> None:
    for table, layout in layouts_of(signal, "modern").items():
        for name, modern in layout:
            for kind in alternatives(name, modern):
                layouts = {**only_ids(signal), table: [(name, kind)]}
                for backend in BACKENDS:
                    assert refusal(backend, signal, layouts) == "", f"{backend.name}"


@pytest.mark.parametrize("backend", BACKENDS, ids=lambda backend: backend.name)
@pytest.mark.parametrize(
    ("columns", "named"),
    [
        ([("Extra", "String")], "Extra"),
        ([("SpanAttributesKey", "Array(String)")], "SpanAttributesKey"),
        ([("Events.Attributes.Key", "Array(Array(String))")], "Events.Attributes.Key"),
        ([("SpanName.Key", "Array(String)")], "SpanName.Key"),
        ([("SpanName", "String"), ("SpanName", "String")], "SpanName"),
        (
            [("SpanAttributes", "Map(String, String)"), ("SpanAttributes.Key", "Array(String)")],
            "SpanAttributes.Key",
        ),
        (
            [("SpanAttributes.Value", "Array(String)"), ("SpanAttributes", "Map(String, String)")],
            "SpanAttributes",
        ),
        ([("IngestId", "Int64")], "Int64"),
    ],
)
def test_impossible_headers(
    backend: DecoderBackend, columns: list[tuple[str, str]], named: str
) -> None:
    text = refusal(backend, "traces", {"otel_traces": columns})
    assert "otel_traces" in text
    assert named in text


@pytest.mark.parametrize("backend", BACKENDS, ids=lambda backend: backend.name)
def test_tables_belong_to_signals(backend: DecoderBackend) -> None:
    logs = layouts_of("logs", "modern")
    assert "otel_logs" in refusal(backend, "traces", {**layouts_of("traces", "modern"), **logs})
    some = dict(layouts_of("metrics", "modern"))
    del some["otel_metrics_summary"]
    assert "otel_metrics_summary" in refusal(backend, "metrics", some)
