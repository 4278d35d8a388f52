"""Windows of deduplication: what a table has, whether it is enough, and what mends it."""

import math
from types import SimpleNamespace
from typing import cast

import pytest

from headrace_writer import wiring
from headrace_writer.config import load
from headrace_writer.core.dedup_window import Window, remedy, shortcoming, window_of
from headrace_writer.errors import Fatal
from headrace_writer.shell.shards import Shards

DEFAULTS_OF_18_16 = {
    "replicated_deduplication_window": "100",
    "replicated_deduplication_window_seconds": "604800",
}
DEFAULTS = {
    "replicated_deduplication_window": "10000",
    "replicated_deduplication_window_seconds": "3600",
    "non_replicated_deduplication_window": "0",
}
REPLICATED = "ReplicatedMergeTree('/clickhouse/t', '{replica}') ORDER BY Timestamp SETTINGS "
OURS = "index_granularity = 8192, replicated_deduplication_window = 86400, " + (
    "replicated_deduplication_window_seconds = 86400"
)


@pytest.mark.parametrize(
    ("engine", "defaults", "expected"),
    [
        (REPLICATED + OURS, DEFAULTS, Window(86_400, 86_400)),
        (REPLICATED + "index_granularity = 8192", DEFAULTS, Window(10_000, 3_600)),
        (REPLICATED + "index_granularity = 8192", DEFAULTS_OF_18_16, Window(100, 604_800)),
        (
            "MergeTree ORDER BY tuple() SETTINGS non_replicated_deduplication_window = 500",
            DEFAULTS,
            Window(500, math.inf),
        ),
        ("MergeTree ORDER BY tuple()", DEFAULTS, Window(0, math.inf)),
        ("MergeTree(Date, (Id), 8192)", DEFAULTS_OF_18_16, Window(0, math.inf)),
    ],
)
def test_a_tables_own_setting_wins_over_the_servers(
    engine: str, defaults: dict[str, str], expected: Window
) -> None:
    assert window_of(engine, defaults) == expected


def test_what_a_window_lacks_is_said() -> None:
    needed = Window(1_200, 3_600)
    assert shortcoming(Window(1_200, 3_600), needed) == ""
    assert shortcoming(Window(100, 604_800), needed) == "remembers 100 blocks, of 1200 that come"
    assert shortcoming(Window(10_000, 60), needed) == "remembers 60 s"


def test_where_settings_cannot_be_altered_the_servers_configuration_is_named() -> None:
    assert remedy("otel.t", replicated=False, modern=True) == (
        "ALTER TABLE otel.t MODIFY SETTING non_replicated_deduplication_window = 86400"
    )
    assert "<merge_tree><replicated_deduplication_window>86400<" in remedy(
        "otel.t", replicated=True, modern=False
    )


class OneShard:
    number = 1

    def __init__(self, engine: str) -> None:
        self._engine = engine

    def ask(self, sql: str) -> list[tuple[str, str]]:
        if "merge_tree_settings" in sql:
            return list(DEFAULTS_OF_18_16.items())
        assert "'otel_traces_local'" in sql
        return [("otel_traces_local", self._engine)]


def test_a_writer_does_not_start_on_tables_that_forget_too_soon() -> None:
    settings = load({"clickhouse_topology": "cluster"}, {})
    found = [OneShard(REPLICATED + OURS)]
    shards = cast(Shards, SimpleNamespace(shards=found))
    wiring.check_windows(settings, "traces", shards, modern=True)
    found.append(OneShard(REPLICATED + "index_granularity = 8192"))
    with pytest.raises(Fatal, match=r"ALTER TABLE otel\.otel_traces_local MODIFY SETTING"):
        wiring.check_windows(settings, "traces", shards, modern=True)


def test_shards_together_hold_as_many_times_the_least_window() -> None:
    settings = load({"clickhouse_topology": "cluster", "dedup_window_s": 1_000}, {})
    engines = [
        f"{REPLICATED}replicated_deduplication_window = {blocks}, "
        "replicated_deduplication_window_seconds = 86400"
        for blocks in (50_000, 9_000)
    ]
    shards = cast(Shards, SimpleNamespace(shards=[OneShard(one) for one in engines]))
    found = wiring.check_windows(settings, "traces", shards, modern=True)
    assert found == {"otel_traces": 18.0}
