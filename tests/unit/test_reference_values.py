"""The text of attribute values, held to what Go's pdata and encoding/json print."""

import math
from typing import Any

import pytest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from headrace_writer.core.reference_values import Attributes, double_text, text
from support.builders import any_value, key_values, nested


@pytest.mark.parametrize(
    ("value", "want"),
    [
        (None, ""),
        ("", ""),
        ("as it is <&> \u2028", "as it is <&> \u2028"),
        (True, "true"),
        (False, "false"),
        (0, "0"),
        (-(2**63), "-9223372036854775808"),
        (b"", ""),
        (b"\x00\xff\x10", "AP8Q"),
        ([], "[]"),
        ({}, "{}"),
        ([1, 1.0, 1.5, True, None, "x", b"\x01", [], {}], '[1,1,1.5,true,null,"x","AQ==",[],{}]'),
        ({"b": 1, "a": {"c": [2]}, "B": 3}, '{"B":3,"a":{"c":[2]},"b":1}'),
        ({"é": 1, "z": 2, "\U0001f600": 3, "\uffff": 4}, '{"z":2,"é":1,"\uffff":4,"😀":3}'),
        (["<b>&</b>", '"\\/'], '["<b>&</b>","\\"\\\\/"]'),
        (["\b\f\n\r\t\x00\x1f\x7f"], '["\\b\\f\\n\\r\\t\\u0000\\u001f\x7f"]'),
        (["\u2028\u2029\u2030"], '["\\u2028\\u2029\u2030"]'),
        (math.nan, "NaN"),
        (math.inf, "Infinity"),
        (-math.inf, "-Infinity"),
        # encoding/json refuses these, and pdata keeps what it had: nothing.
        ([1, math.nan], ""),
        # No bytes are a nil slice to Go.
        ([b"", {"empty": b""}], '[null,{"empty":null}]'),
        ({"deep": [{"x": -math.inf}]}, ""),
    ],
)
def test_text(value: Any, want: str) -> None:
    assert text(any_value(value)) == want


@pytest.mark.parametrize(
    ("value", "want"),
    [
        (0.0, "0"),
        (-0.0, "-0"),
        (1.0, "1"),
        (100.0, "100"),
        (-2.5, "-2.5"),
        (0.1, "0.1"),
        (1e-6, "0.000001"),
        (9.5e-7, "9.5e-7"),
        (1e-10, "1e-10"),
        (5e-324, "5e-324"),
        (123456789012345680.0, "123456789012345680"),
        (999999999999999900000.0, "999999999999999900000"),
        (1e21, "1e+21"),
        (1.7976931348623157e308, "1.7976931348623157e+308"),
        (2.50000762939453125, "2.5000076293945312"),
    ],
)
def test_doubles(value: float, want: str) -> None:
    assert double_text(value) == want
    assert text(any_value(value)) == want
    assert text(any_value([value])) == f"[{want}]"


def test_an_index_of_a_string_table_is_nothing() -> None:
    value = AnyValue(string_value_strindex=3)
    assert text(value) == ""
    outer = AnyValue()
    outer.array_value.values.append(value)
    assert text(outer) == "[null]"


def test_equal_keys_of_a_map_the_last_wins() -> None:
    value = AnyValue()
    for number in (1, math.nan, 3):
        value.kvlist_value.values.add(key="k", value=any_value(number))
    value.kvlist_value.values.add(key="unset")
    assert text(value) == '{"k":3,"unset":null}'


@pytest.mark.parametrize(
    ("depth", "inside"), [(1, "leaf"), (32, '"leaf"'), (33, '"<nested too deep>"')]
)
def test_depth(depth: int, inside: str) -> None:
    brackets = min(depth, 33) - 1
    assert text(nested(depth)) == "[" * brackets + inside + "]" * brackets


def test_a_map_counts_as_one_level() -> None:
    value = nested(31)
    for _ in range(2):
        outer = AnyValue()
        outer.kvlist_value.values.add(key="k", value=value)
        value = outer
    assert text(value) == '{"k":{"k":' + "[" * 30 + '"<nested too deep>"' + "]" * 30 + "}}"


def test_attributes_keep_order_and_equal_keys() -> None:
    items = key_values({"b": 1, "a": [2]})
    items.append(KeyValue(key="b", value=any_value("second")))
    items.append(KeyValue())
    attributes = Attributes(items)
    assert attributes.pairs == [(b"b", b"1"), (b"a", b"[2]"), (b"b", b"second"), (b"", b"")]
    assert attributes.first(b"b") == b"1"
    assert attributes.first(b"c") == b""


def test_attributes_as_json() -> None:
    items = key_values({"b": 1.5, "a": "x", "nan": math.nan, "nans": [math.nan], "none": None})
    items.append(KeyValue(key="b", value=any_value(True)))
    assert Attributes(items).json == b'{"a":"x","b":true,"nan":"NaN","nans":"","none":null}'
    assert Attributes([]).json == b"{}"


def test_attributes_as_json_are_as_deep_as_in_a_map() -> None:
    attributes = Attributes([KeyValue(key="k", value=nested(32))])
    assert attributes.json == b'{"k":' + attributes.pairs[0][1] + b"}"
    assert b"leaf" in attributes.json
