"""ClickHouse for the writer's unit tests: shards that remember blocks, drop repeated ones, count.

Stands in for `headrace_writer.shell.shards.Shards`; `tests/contract/test_shards.py` holds both to
the same tests.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from headrace_writer.core.block import Block, Layout
from headrace_writer.core.delivery_plan import Plan
from headrace_writer.errors import Poison

T = TypeVar("T")
R = TypeVar("R")


class MemoryShard:
    """One shard with one replica. `unclean` and `refuses` make inserts misbehave."""

    def __init__(self) -> None:
        self.blocks: dict[tuple[str, int], Block] = {}
        """(table, IngestId) → block; a repeated one changes nothing, as deduplication does."""
        self.inserts = 0
        self.unclean = 0
        """So many of the next inserts are acknowledged only after a failed attempt."""
        self.refuses: Callable[[Block], bool] = lambda _block: False

    def insert(self, table: str, layout: Layout, block: Block) -> bool:
        del layout
        if self.refuses(block):
            raise Poison("clickhouse_469", "a constraint is violated")
        self.inserts += 1
        self.blocks.setdefault((table, block.ingest_id), block)
        if self.unclean:
            self.unclean -= 1
            return False
        return True

    def ask_everyone(
        self, sql: str, parameters: dict[str, Any] | None = None
    ) -> list[list[tuple[Any, ...]] | None]:
        """Understands the one query that counts by IngestId."""
        del parameters
        match = re.fullmatch(r"SELECT count\(\) FROM (\w+) WHERE IngestId IN \((.*)\)", sql)
        assert match is not None, sql
        ids = [int(number) for number in re.findall(r"toUInt64\((\d+)\)", match[2])]
        found = [self.blocks[match[1], i].rows for i in ids if (match[1], i) in self.blocks]
        return [[(sum(found),)]]


class MemoryShards:
    """All shards; jobs run where they are called."""

    def __init__(self, count: int) -> None:
        self.shards = [MemoryShard() for _ in range(count)]

    def __len__(self) -> int:
        return len(self.shards)

    def __getitem__(self, number: int) -> MemoryShard:
        return self.shards[number]

    def each(self, jobs: Sequence[T], run: Callable[[T], R]) -> list[R]:
        return [run(job) for job in jobs]

    def rows(self, table: str) -> int:
        return sum(
            block.rows
            for shard in self.shards
            for (name, _), block in shard.blocks.items()
            if name == table
        )


class MemoryLedger:
    """Stored ranges, in memory."""

    def __init__(self) -> None:
        self.ranges: dict[tuple[int, int, int], bool] = {}

    def write(self, plan: Plan, verified: bool) -> None:
        for r in plan.ranges:
            self.ranges[tuple(r)] = verified  # type: ignore[index]

    def ahead(self, topic_id: str, partition: int, offset: int) -> list[tuple[int, int]]:
        del topic_id
        return sorted((s, e) for p, s, e in self.ranges if p == partition and e > offset)
