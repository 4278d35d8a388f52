"""ClickHouse for the writer's unit tests: shards that remember blocks, drop repeated ones, count.

Stands in for `headrace_writer.shell.shards.Shards`; `tests/contract/test_shards.py` holds both to
the same tests.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, TypeVar

from headrace_writer.core.block import Block, Layout
from headrace_writer.core.delivery_plan import Plan, Range
from headrace_writer.errors import LayoutError, Poison
from headrace_writer.shell.clock import Deadline
from headrace_writer.shell.shards import Overdue, Stopping

T = TypeVar("T")
R = TypeVar("R")


class MemoryShard:
    """One shard; what a replica gets, all of them have at once. `unclean`, `refuses` and `down`
    make inserts misbehave.

    Blocks of one IngestId are taken for the same block, as the modern dialect does by its token;
    the legacy one compares their bytes.
    """

    def __init__(self, replicas: int = 1) -> None:
        self.blocks: dict[tuple[str, int], Block] = {}
        """(table, IngestId) → block; a repeated one changes nothing, as deduplication does."""
        self.layouts: dict[str, Layout] = {}
        """Table → its header: the one that was inserted first."""
        self.inserts = 0
        self.unclean = 0
        """So many of the next inserts are acknowledged only after a failed attempt."""
        self.refuses: Callable[[Block], bool] = lambda _block: False
        self.down: set[int] = set()
        """Replicas that do not answer, counted from 0."""
        self.silent = 0
        """So many of the next inserts are stored, and not answered before their deadline."""
        self.remembers = True
        """False when the deduplication window has passed: a repeated block is stored again."""
        self.copies: Counter[tuple[str, int]] = Counter()
        self._replicas = range(replicas)
        self._preferred = 0

    def insert(
        self, table: str, layout: Layout, block: Block, deadline: Deadline | None = None
    ) -> bool:
        del deadline
        clean = self._reach_a_replica()
        if list(self.layouts.setdefault(table, layout)) != list(layout):
            raise LayoutError(f"{table} has changed")
        if self.refuses(block):
            raise Poison("clickhouse_469", "a constraint is violated")
        self.inserts += 1
        key = table, block.ingest_id
        self.blocks.setdefault(key, block)
        if not (self.copies[key] and self.remembers):
            self.copies[key] += 1
        if self.silent:
            self.silent -= 1
            raise Overdue(0, sent=True)
        if self.unclean:
            self.unclean -= 1
            return False
        return clean

    def _reach_a_replica(self) -> bool:
        """Whether the preferred one answered. The real shard repeats until told to stop."""
        for failed in self._replicas:
            if self._preferred not in self.down:
                return failed == 0
            self._preferred = (self._preferred + 1) % len(self._replicas)
        raise Stopping("no replica answers")

    def ask_everyone(
        self, sql: str, parameters: dict[str, Any] | None = None
    ) -> list[list[tuple[Any, ...]] | None]:
        """Understands the one query that counts by IngestId."""
        del parameters
        match = re.fullmatch(r"SELECT count\(\) FROM (\w+) WHERE IngestId IN \((.*)\)", sql)
        assert match is not None, sql
        ids = {int(number) for number in re.findall(r"toUInt64\((\d+)\)", match[2])}
        keys = [(match[1], i) for i in ids if (match[1], i) in self.blocks]
        found = [self.blocks[key].rows * self.copies[key] for key in keys]
        return [None if r in self.down else [(sum(found),)] for r in self._replicas]


class MemoryShards:
    """All shards; jobs run where they are called."""

    def __init__(self, count: int, replicas: int = 1) -> None:
        self.shards = [MemoryShard(replicas) for _ in range(count)]

    def first(self, count: int) -> "MemoryShards":
        """The same shards as somebody sees them whose list is shorter."""
        view = MemoryShards(0)
        view.shards = self.shards[:count]
        return view

    def __len__(self) -> int:
        return len(self.shards)

    def __getitem__(self, number: int) -> MemoryShard:
        return self.shards[number]

    def each(self, jobs: Sequence[T], run: Callable[[T], R]) -> list[R]:
        """All jobs run, also behind one that failed; then the first error is raised."""
        futures: list[Future[R]] = [Future() for _ in jobs]
        for future, job in zip(futures, jobs, strict=True):
            try:
                future.set_result(run(job))
            except Exception as error:
                future.set_exception(error)
        return [future.result() for future in futures]

    def close(self) -> None:
        """Nothing is held."""

    def rows(self, table: str) -> int:
        return sum(
            block.rows * shard.copies[name, ingest_id]
            for shard in self.shards
            for (name, ingest_id), block in shard.blocks.items()
            if name == table
        )


class MemoryLedger:
    """Stored ranges, in memory."""

    def __init__(self) -> None:
        self.ranges: dict[tuple[int, int, int], bool] = {}
        """(partition, start, end) → verified, whatever the topic."""
        self._plans: list[Plan] = []

    def write(self, plan: Plan, verified: bool) -> None:
        for partition, start, end in plan.ranges:
            self.ranges[partition, start, end] = verified
        if plan not in self._plans:
            self._plans.append(plan)

    def ahead(self, topic_id: str, partition: int, offset: int) -> list[tuple[int, int]]:
        known = {r for plan in self._plans if plan.topic_id == topic_id for r in plan.ranges}
        return sorted(
            (r.start, r.end) for r in known if r.partition == partition and r.end > offset
        )

    def plans(self, topic_id: str, place: Range) -> list[Plan]:
        return [p for p in self._plans if p.topic_id == topic_id and place in p.ranges]
