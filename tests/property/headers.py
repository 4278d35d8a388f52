"""Random INSERT headers: any type that a field can fill, for any field."""

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from headrace_writer.core.block import Layout, Signal
from support.decoders import Layouts, layouts_of

# The types that a field can fill, by the type that the modern schema gives it.
_INTEGERS = [f"{sign}{bits}" for sign in ("UInt", "Int") for bits in (8, 16, 32, 64)]
_FREE_TEXT = ["String", "LowCardinality(String)"]
_MAPS = [f"Map({key}, {value})" for key in _FREE_TEXT for value in _FREE_TEXT]
_TRACE_IDS = [*_FREE_TEXT, "FixedString(32)", "FixedString(16)", "UUID"]
_SPAN_IDS = [*_FREE_TEXT, "FixedString(16)", "FixedString(8)"]
_TIMES = [
    *(f"DateTime64({places})" for places in range(10)),
    "DateTime64(6, 'UTC')",
    "DateTime",
    "DateTime('Asia/Tokyo')",
    "Int64",
    "UInt64",
]
_TEXTS = [*_FREE_TEXT, "FixedString(1)", "FixedString(5)", "FixedString(200)"]


def alternatives(name: str, modern: str) -> list[str]:
    """All spellings of types that a column may have, given what the modern schema gives it."""
    group, dot, part = name.rpartition(".")
    if modern.startswith("Array("):
        inner = modern.removeprefix("Array(").removesuffix(")")
        kinds = alternatives(part if group else "", inner)
        # Attributes in a Nested group may also be JSON.
        extra = _FREE_TEXT if dot and inner.startswith("Map") else []
        return [f"Array({kind})" for kind in kinds + extra]
    by_name = {"IngestId": ["UInt64"], "TraceId": _TRACE_IDS}
    if name.endswith("SpanId"):
        return _SPAN_IDS
    return by_name.get(name) or _BY_TYPE[modern]


_BY_TYPE = {
    "DateTime64(9)": _TIMES,
    "String": _TEXTS,
    "LowCardinality(String)": _TEXTS,
    "Bool": ["Bool", *_INTEGERS],
    "Float64": ["Float64"],
    "Map(LowCardinality(String), String)": _MAPS,
    **{kind: [*_INTEGERS, "Float64"] for kind in _INTEGERS},
}


@st.composite
def columns(draw: Callable[..., Any], name: str, modern: str) -> list[tuple[str, str]]:
    """One field's columns: none, one, or a pair of arrays for a map."""
    if draw(st.integers(0, 9)) == 0:
        return []
    if "Map(" in modern and draw(st.booleans()):
        dot = "" if "." in name else "."
        kinds = [
            f"Array({kind})" if dot else f"Array(Array({kind}))"
            for kind in draw(st.tuples(*[st.sampled_from(_FREE_TEXT)] * 2))
        ]
        return [(f"{name}{dot}Key", kinds[0]), (f"{name}{dot}Value", kinds[1])]
    return [(name, draw(st.sampled_from(alternatives(name, modern))))]


@st.composite
def random_layouts(draw: Callable[..., Any], signal: Signal) -> Layouts:
    """Headers as no server has them all: any type for any field, fields missing, any order."""
    layouts: dict[str, Layout] = {}
    for table, modern in layouts_of(signal, "modern").items():
        chosen = [column for name, kind in modern for column in draw(columns(name, kind))]
        layouts[table] = draw(st.permutations(chosen))
    return layouts


def layouts(signal: Signal) -> st.SearchStrategy[Layouts]:
    """The two dialects, and anything else."""
    return st.one_of(
        st.just(layouts_of(signal, "modern")),
        st.just(layouts_of(signal, "legacy")),
        random_layouts(signal),
    )
