"""The TTL that a retention becomes, and back."""

import pytest

from headrace_schema.retention_rules import Change, Rules, read, ttl

SPANS = frozenset({"Timestamp", "ServiceName", "Tenant"})

RULES = [
    Rules(),
    Rules(7),
    Rules(7, {"checkout": 30}),
    Rules(7, {"it's": 3, "a\\b": 30, "a, b']": 9}),
    Rules(7, {}, {"acme": 90}),
    Rules(7, {"checkout": 30}, {"acme": 90, "tiny": 1}),
    Rules(None, move=(2, "cold")),
    Rules(7, {"checkout": 30}, {"acme": 90}, (2, "cold")),
]


@pytest.mark.parametrize("rules", RULES, ids=str)
def test_what_is_written_is_read(rules: Rules) -> None:
    assert read(ttl(rules, "Timestamp", SPANS)) == rules


def test_without_overrides_parts_go_when_their_last_row_is_old() -> None:
    assert ttl(Rules(7), "Timestamp", SPANS) == "toDateTime(Timestamp) + toIntervalDay(7)"


def test_with_overrides_all_rows_of_a_day_and_limit_expire_at_once() -> None:
    assert ttl(Rules(7, {"b": 30, "a": 3}), "Timestamp", SPANS) == (
        "toStartOfDay(toDateTime(Timestamp) + toIntervalDay(1)) + "
        "toIntervalDay(transform(toString(ServiceName), ['a', 'b'], [3, 30], 7))"
    )


def test_rows_may_go_by_whole_days() -> None:
    text = ttl(Rules(7), "Timestamp", SPANS, whole_days=True)
    assert text == "toStartOfDay(toDateTime(Timestamp) + toIntervalDay(1)) + toIntervalDay(7)"
    assert read(text) == Rules(7)


def test_a_table_without_the_column_keeps_its_rows_for_the_longest() -> None:
    lookup = ttl(Rules(7, {"a": 3, "b": 30}), "Start", frozenset({"TraceId", "Start"}))
    assert lookup == "toDateTime(Start) + toIntervalDay(30)"


@pytest.mark.parametrize(
    "text",
    [
        "toDate(Timestamp) + toIntervalMonth(1)",
        "toDateTime(Timestamp) + toIntervalDay(transform(toString(SpanName), ['a'], [3], 7))",
        "Timestamp + toIntervalDay(7) DELETE WHERE ServiceName = 'a'",
    ],
)
def test_a_ttl_of_somebodys_own_is_not_misread(text: str) -> None:
    assert read(text) is None


def test_changes_leave_the_rest_as_it_is() -> None:
    before = Rules(7, {"a": 3}, {"acme": 90}, (2, "cold"))
    assert Change(days=9).applied(before) == Rules(9, {"a": 3}, {"acme": 90}, (2, "cold"))
    assert Change(services={"a": None, "b": 5}).applied(before).services == {"b": 5}
    assert Change(move=(1, "s3")).applied(before).move == (1, "s3")
    assert Change().applied(before) == before


def test_the_longest_counts_overrides() -> None:
    assert Rules(7, {"a": 3}, {"acme": 90}).longest == 90
    assert Rules(7).longest == 7
    assert Rules().longest is None
