"""Reading the ledger from every replica, and counting blocks' rows on every replica."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from headrace_writer.core.audit import LedgerRange, Place
from headrace_writer.core.block import Layout, Target
from headrace_writer.shell.ledger import TABLE
from headrace_writer.shell.shards import Shard, Shards

# The arrays are cast because clickhouse-driver reads an array of LowCardinality(String) that is
# empty in every row wrongly from server 18.16.
_COLUMNS = """Topic, TopicId, Partition, StartOffset, EndOffset, toInt64({planned}), Bytes,
Rejected, Excluded, Verified, arrayMap(name -> toString(name), Blocks.Table), Blocks.Shard,
Blocks.IngestId, Blocks.Rows, Blocks.Revision, Plan"""
# A statement stays far below the servers' limit of 256 KiB.
IDS_PER_QUERY = 2_000

Condition = dict[str, Any]


class LedgerReader:
    """Asks every replica and joins the answers: a row may not have replicated yet.

    A replica that does not answer is named in `silent`; nothing is raised for it.
    """

    def __init__(self, shards: Shards, suffix: str) -> None:
        self._shards = shards
        self._table = TABLE + suffix
        self._suffix = suffix
        header = dict(shards[0].layout(self._table))
        self._planned_ns = as_nanoseconds("PlannedAt", header["PlannedAt"])
        self.silent: set[str] = set()

    def starts(self, topics: Sequence[str], since_ns: int) -> dict[Place, int]:
        """The first offset of each partition that was stored since then."""
        found: dict[Place, int] = {}
        sql = (
            f"SELECT Topic, TopicId, Partition, min(StartOffset) FROM {self._table} "  # noqa: S608
            f"WHERE {self._planned_ns} >= %(since)s AND Topic IN %(topics)s "
            "GROUP BY Topic, TopicId, Partition"
        )
        for topic, topic_id, partition, start in self._ask(
            sql, {"since": since_ns, "topics": tuple(topics)}
        ):
            place = Place(topic, topic_id, partition)
            found[place] = min(start, found.get(place, start))
        return found

    def ends(self, topics: Sequence[str], starts: dict[Place, int]) -> dict[Place, int]:
        """Where the ranges end that begin before `starts`, or anywhere for other partitions."""
        found: dict[Place, int] = {}
        for place, start in starts.items():
            sql = (
                f"SELECT count(), max(EndOffset) FROM {self._table} "  # noqa: S608 (our names)
                "WHERE Topic = %(topic)s AND TopicId = %(topic_id)s AND Partition = %(partition)s "
                "AND StartOffset < %(start)s"
            )
            for count, end in self._ask(sql, {**place._asdict(), "start": start}):
                if count:
                    found[place] = max(end, found.get(place, end))
        sql = (
            f"SELECT Topic, TopicId, Partition, max(EndOffset) FROM {self._table} "  # noqa: S608
            "WHERE Topic IN %(topics)s GROUP BY Topic, TopicId, Partition"
        )
        for topic, topic_id, partition, end in self._ask(sql, {"topics": tuple(topics)}):
            place = Place(topic, topic_id, partition)
            if place not in starts:
                found[place] = max(end, found.get(place, end))
        return found

    def ranges(self, place: Place, start: int, end: int = 2**62) -> list[LedgerRange]:
        """Rows of ranges that begin in [start, end); one that was written twice is there twice."""
        sql = (
            f"SELECT {_COLUMNS.format(planned=self._planned_ns)} FROM {self._table} "  # noqa: S608
            "WHERE Topic = %(topic)s AND TopicId = %(topic_id)s AND Partition = %(partition)s "
            "AND StartOffset >= %(start)s AND StartOffset < %(end)s"
        )
        parameters = {**place._asdict(), "start": start, "end": end}
        return [_range(row) for row in self._ask(sql, parameters)]

    def known_ids(self, ids: Iterable[int]) -> set[int]:
        """Which of these IngestIds any ledger row names."""
        found: set[int] = set()
        for part in _parts(ids):
            sql = (
                f"SELECT DISTINCT Blocks.IngestId FROM {self._table} "  # noqa: S608 (our names)
                f"ARRAY JOIN Blocks WHERE Blocks.IngestId IN ({part})"
            )
            found.update(number for (number,) in self._ask(sql, {}))
        return found

    def rows_since(self, target: Target, time: str, since_ns: int) -> dict[str, dict[int, int]]:
        """Replica → IngestId → rows, of rows whose time is not older."""
        table = target.table + self._suffix
        shard = self._shards[target.shard]
        expression = as_nanoseconds(time, dict(shard.layout(table))[time])
        sql = (
            f"SELECT IngestId, count() FROM {table} "  # noqa: S608 (our names)
            f"WHERE {expression} >= %(since)s GROUP BY IngestId"
        )
        return self._per_replica(shard, sql, {"since": since_ns})

    def rows_of(self, target: Target, ids: Iterable[int]) -> dict[str, dict[int, int]]:
        """Replica → IngestId → rows, whenever they are of."""
        found: dict[str, dict[int, int]] = {}
        for part in _parts(ids):
            sql = (
                f"SELECT IngestId, count() FROM {target.table}{self._suffix} "  # noqa: S608
                f"WHERE IngestId IN ({part}) GROUP BY IngestId"
            )
            for replica, counts in self._per_replica(self._shards[target.shard], sql, {}).items():
                found.setdefault(replica, {}).update(counts)
        return found

    def _per_replica(
        self, shard: Shard, sql: str, parameters: Condition
    ) -> dict[str, dict[int, int]]:
        answers = shard.ask_everyone(sql, parameters)
        found: dict[str, dict[int, int]] = {}
        for address, rows in zip(shard.addresses, answers, strict=True):
            if rows is None:
                self.silent.add(str(address))
            else:
                found[str(address)] = {int(number): int(count) for number, count in rows}
        return found

    def _ask(self, sql: str, parameters: Condition) -> list[tuple[Any, ...]]:
        """Rows of all replicas of all shards: a row stays where it was when shards are added."""
        found: list[tuple[Any, ...]] = []
        for shard in self._shards.shards:
            answers = shard.ask_everyone(sql, parameters)
            for address, rows in zip(shard.addresses, answers, strict=True):
                if rows is None:
                    self.silent.add(str(address))
                found += rows or []
        return found


def as_nanoseconds(column: str, kind: str) -> str:
    """The expression for a time column's nanoseconds since 1970, by its type on the server."""
    return column if kind.startswith(("Int", "UInt")) else f"toUnixTimestamp64Nano({column})"


def header_time(layout: Layout) -> str:
    """The time column of a telemetry table."""
    names = [name for name, _ in layout]
    return "Timestamp" if "Timestamp" in names else "TimeUnix"


def _parts(ids: Iterable[int]) -> list[str]:
    ordered = sorted(ids)
    return [
        ", ".join(f"toUInt64({number})" for number in ordered[at : at + IDS_PER_QUERY])
        for at in range(0, len(ordered), IDS_PER_QUERY)
    ]


def _range(row: tuple[Any, ...]) -> LedgerRange:
    topic, topic_id, partition, start, end, planned, nbytes, rejected, excluded, verified = row[:10]
    tables, shards, ids, counts, revisions, plan = row[10:]
    blocks: dict[Target, tuple[int, int]] = {}
    pieces: Counter[tuple[str, int]] = Counter()
    for *place, number, count in zip(tables, shards, ids, counts, strict=True):
        table, shard = place
        blocks[Target(table, shard, pieces[table, shard])] = (number, count)
        pieces[table, shard] += 1
    return LedgerRange(
        Place(topic, topic_id, partition),
        start,
        end,
        planned // 1_000_000,
        nbytes,
        rejected,
        excluded,
        sum(revisions),
        bool(verified),
        blocks,
        plan,
    )
