"""`otel_ingest_ledger`: one row per stored range, and what an owner asks it."""

from typing import Any

from headrace_writer.core.delivery_plan import Plan, Range, decode_plan
from headrace_writer.shell.shards import Shards

TABLE = "otel_ingest_ledger"

COLUMNS = (
    "PlannedAt",
    "Topic",
    "TopicId",
    "Partition",
    "StartOffset",
    "EndOffset",
    "PayloadHash",
    "Bytes",
    "Rejected",
    "Excluded",
    "Verified",
    "Blocks.Table",
    "Blocks.Shard",
    "Blocks.IngestId",
    "Blocks.Rows",
    "Blocks.Revision",
    "Plan",
)


class Ledger:
    """The ledger of one topic. A range's row lies on shard `partition % shards`."""

    def __init__(self, shards: Shards, table: str, topic: str) -> None:
        self._shards = shards
        self._table = table
        self._topic = topic

    def write(self, plan: Plan, verified: bool) -> None:
        """Store a row per range. The same plan gives the same rows: a repeated one is dropped by
        deduplication, and where it is not, readers group by (TopicId, Partition, StartOffset)."""
        sql = f"INSERT INTO {self._table} ({', '.join(COLUMNS)}) VALUES"
        by_shard: dict[int, list[tuple[Any, ...]]] = {}
        for place in plan.ranges:
            row = self._row(plan, place.partition, verified)
            by_shard.setdefault(place.partition % len(self._shards), []).append(row)
        for shard, rows in by_shard.items():
            token = plan.ingest_id_of_ledger(shard)
            self._shards[shard].insert_rows(sql, rows, token)

    def _row(self, plan: Plan, partition: int, verified: bool) -> tuple[Any, ...]:
        targets = sorted(plan.rows)
        return (
            plan.planned_at_ms * 1_000_000,
            self._topic,
            plan.topic_id,
            partition,
            plan.starts[partition],
            plan.ends[partition],
            plan.payload_hash,
            dict(zip(plan.partitions, plan.sizes, strict=False)).get(partition, 0),
            plan.rejected,
            len({e[1:] for e in plan.excluded}),
            int(verified),
            [target.table for target in targets],
            [target.shard for target in targets],
            [plan.ingest_id(target) for target in targets],
            [plan.rows[target] for target in targets],
            [plan.revisions.get(target, 0) for target in targets],
            plan.encode(),
        )

    def ahead(self, topic_id: str, partition: int, offset: int) -> list[tuple[int, int]]:
        """Stored ranges of a partition that end after `offset`, sorted. Every replica is asked:
        one that lags may not have the newest rows yet, and rows stay when shards are added."""
        sql = (
            f"SELECT DISTINCT StartOffset, EndOffset FROM {self._table} "  # noqa: S608 (our names)
            "WHERE TopicId = %(topic_id)s AND Partition = %(partition)s AND EndOffset > %(offset)s"
        )
        parameters = {"topic_id": topic_id, "partition": partition, "offset": offset}
        return sorted({(int(start), int(end)) for start, end in self._ask(sql, parameters)})

    def plans(self, topic_id: str, place: Range) -> list[Plan]:
        """The plans under which exactly this range was stored, from every replica."""
        sql = (
            f"SELECT DISTINCT Plan FROM {self._table} "  # noqa: S608 (our names)
            "WHERE TopicId = %(topic_id)s AND Partition = %(partition)s "
            "AND StartOffset = %(start)s AND EndOffset = %(end)s"
        )
        parameters = {"topic_id": topic_id, **place._asdict()}
        texts = {text for (text,) in self._ask(sql, parameters)}
        return [plan for text in sorted(texts) if (plan := decode_plan(text)) is not None]

    def _ask(self, sql: str, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
        """Rows of every replica of every shard; waits for a shard of which none answers."""
        return [
            row
            for number in range(len(self._shards))
            for row in self._shards[number].ask(sql, parameters)
        ]
