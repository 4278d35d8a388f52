"""How long a table remembers inserts, and whether that is long enough to repeat one.

Of `system.tables.engine_full` and the server's defaults; both are there since 18.16.
"""

import math
import re
from collections.abc import Mapping
from typing import NamedTuple

BLOCKS, SECONDS = "replicated_deduplication_window", "replicated_deduplication_window_seconds"
NOT_REPLICATED = "non_replicated_deduplication_window"
# What `headrace migrate` gives its tables: one block per second for a day.
ENOUGH = 86_400


class Window(NamedTuple):
    """What a table remembers: the newest blocks, and none that is older."""

    blocks: float
    seconds: float


def window_of(engine_full: str, defaults: Mapping[str, str]) -> Window:
    """A MergeTree table's window. `defaults` are the server's: setting → value."""
    engine, _, settings = engine_full.partition(" SETTINGS ")
    known = {**defaults, **dict(re.findall(r"(\w+) = '?(\d+)", settings))}
    if engine.startswith("Replicated"):
        return Window(float(known.get(BLOCKS, 0)), float(known.get(SECONDS, 0)))
    # Without replicas there is no limit in time, and by default no window at all.
    return Window(float(known.get(NOT_REPLICATED, 0)), math.inf)


def shortcoming(window: Window, needed: Window) -> str:
    """What a window lacks; empty when it is long enough."""
    if window.blocks < needed.blocks:
        return f"remembers {window.blocks:.0f} blocks, of {needed.blocks:.0f} that come"
    if window.seconds < needed.seconds:
        return f"remembers {window.seconds:.0f} s"
    return ""


def remedy(table: str, *, replicated: bool, modern: bool) -> str:
    """The statement that makes it long enough, or what to configure where there is none."""
    names = (BLOCKS, SECONDS) if replicated else (NOT_REPLICATED,)
    if modern:
        settings = ", ".join(f"{name} = {ENOUGH}" for name in names)
        return f"ALTER TABLE {table} MODIFY SETTING {settings}"
    settings = "".join(f"<{name}>{ENOUGH}</{name}>" for name in names)
    return f"put <merge_tree>{settings}</merge_tree> into the servers' configuration, restart them"
