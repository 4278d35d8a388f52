"""The audit's judgement: ledger against offsets, and blocks against rows. No I/O.

A partition is covered when the ledger's ranges tile its offsets from the oldest that the broker
retains (or from the last range before the audited time) to the committed offset. A block is whole
when every replica of its shard holds exactly its rows.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

from headrace_writer.core.block import Target
from headrace_writer.core.delivery_plan import Plan

Kind = Literal[
    "gap",
    "deleted_unread",
    "overlap",
    "missing_rows",
    "doubled_rows",
    "replica_behind",
    "replica_silent",
    "shard_unknown",
    "unexplained_rows",
]


class Place(NamedTuple):
    """One partition of one topic; a recreated topic has another id."""

    topic: str
    topic_id: str
    partition: int


@dataclass(frozen=True, slots=True)
class LedgerRange:
    """One ledger row: messages [start, end) are stored as `blocks`."""

    place: Place
    start: int
    end: int
    planned_at_ms: int
    nbytes: int
    rejected: int
    excluded: int
    revision: int
    """How many new IngestIds its blocks needed altogether."""
    verified: bool
    blocks: Mapping[Target, tuple[int, int]]
    """Target → (IngestId, rows). Blocks of one table on one shard are numbered as pieces."""
    plan: str
    """The plan's text, from which the blocks can be built again."""


@dataclass(frozen=True, slots=True)
class Offsets:
    """What Kafka says of one partition. `committed` is None where the group has none."""

    low: int
    high: int
    committed: int | None


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that does not fit. Empty fields do not apply."""

    kind: Kind
    topic: str = ""
    partition: int | None = None
    start: int | None = None
    end: int | None = None
    """Offsets [start, end)."""
    table: str = ""
    shard: int | None = None
    replica: str = ""
    ingest_id: int | None = None
    expected: int | None = None
    found: int | None = None
    note: str = ""
    """What it means, or what to do."""

    def __str__(self) -> str:
        parts = [self.kind.replace("_", " ")]
        if self.partition is not None:
            parts.append(f"{self.topic} partition {self.partition} [{self.start}, {self.end})")
        if self.table:
            where = f"{self.table} on shard {self.shard}"
            parts.append(f"{where}, replica {self.replica}" if self.replica else where)
        if self.expected is not None:
            parts.append(f"{self.found} of {self.expected} rows")
        if self.ingest_id is not None:
            parts.append(f"IngestId {self.ingest_id}")
        return ": ".join(parts) + (f" ({self.note})" if self.note else "")


@dataclass
class PartitionAudit:
    """One line of the result."""

    place: Place
    ranges: int = 0
    nbytes: int = 0
    dead_letters: int = 0
    unverified: int = 0
    """Ranges whose writer could not ask every replica; the audit's own count settles them."""
    first: int | None = None
    end: int | None = None
    committed: int | None = None
    low: int | None = None
    high: int | None = None
    findings: list[Finding] = field(default_factory=list)


def distinct(rows: Iterable[LedgerRange]) -> list[LedgerRange]:
    """One row per range.

    A range may have been written twice: by an owner that died before its commit and by the next
    one, who may have had to give a block another IngestId or to exclude more.
    """
    best: dict[tuple[Place, int, int], LedgerRange] = {}
    for row in rows:
        key = (row.place, row.start, row.end)
        known = best.get(key)
        if known is None:
            best[key] = row
            continue
        newer = max(known, row, key=lambda o: (o.planned_at_ms, o.excluded, o.revision))
        best[key] = replace(newer, verified=known.verified or row.verified)
    return sorted(best.values(), key=lambda one: (one.place, one.start, one.end))


def coverage(
    rows: Sequence[LedgerRange],
    before: Mapping[Place, int],
    offsets: Mapping[Place, Offsets],
) -> list[PartitionAudit]:
    """Tile each partition.

    `rows` are distinct ranges in the audited time, `before` where the ranges before that time end,
    `offsets` the partitions that exist now. Offsets must have been read before the ledger was: a
    writer that goes on meanwhile then only makes the ledger longer.
    """
    by_place: dict[Place, list[LedgerRange]] = {place: [] for place in offsets}
    for row in rows:
        by_place.setdefault(row.place, []).append(row)
    return [
        _cover(place, ranges, before.get(place), offsets.get(place))
        for place, ranges in sorted(by_place.items())
    ]


def _cover(
    place: Place, ranges: list[LedgerRange], before: int | None, now: Offsets | None
) -> PartitionAudit:
    audit = PartitionAudit(
        place,
        ranges=len(ranges),
        nbytes=sum(one.nbytes for one in ranges),
        dead_letters=sum(one.rejected + one.excluded for one in ranges),
        unverified=sum(not one.verified for one in ranges),
        first=ranges[0].start if ranges else None,
    )

    def found(kind: Kind, start: int, end: int, note: str) -> None:
        audit.findings.append(Finding(kind, place.topic, place.partition, start, end, note=note))

    at = before
    if at is None and now is not None:
        # Never stored, and still there: what the broker has deleted nobody can judge.
        at = min(now.low, ranges[0].start) if ranges else now.low
    for one in ranges:
        if at is not None and one.start > at:
            found("gap", at, one.start, "not in the ledger; headrace replay stores it")
        elif at is not None and one.start < at:
            found("overlap", one.start, min(at, one.end), "stored twice")
        at = one.end if at is None else max(at, one.end)
    audit.end = at
    if now is not None:
        audit.low, audit.high, audit.committed = now.low, now.high, now.committed
        if now.committed is not None and at is not None and now.committed > at:
            found("gap", at, now.committed, "committed, not in the ledger")
            at = now.committed
        if at is not None and now.low > at:
            found("deleted_unread", at, now.low, "retention was shorter than the delay")
    return audit


@dataclass(frozen=True, slots=True)
class Expected:
    """One block as the ledger has it, and the ranges it came from."""

    target: Target
    ingest_id: int
    rows: int
    ranges: tuple[tuple[Place, int, int], ...]


def expected_blocks(rows: Iterable[LedgerRange]) -> dict[Target, dict[int, Expected]]:
    """Every block of the ledger rows: target → IngestId → block, all pieces of a table on a shard
    together. Empty ones are left out."""
    found: dict[Target, dict[int, Expected]] = {}
    for row in rows:
        for target, (ingest_id, count) in row.blocks.items():
            if not count:
                continue
            of_target = found.setdefault(target.whole, {})
            known = of_target.get(ingest_id)
            ranges = (*(known.ranges if known else ()), (row.place, row.start, row.end))
            of_target[ingest_id] = Expected(target.whole, ingest_id, count, ranges)
    return found


def on_unknown_shards(
    blocks: Mapping[Target, Mapping[int, Expected]], shards: int
) -> list[Finding]:
    """Findings for the blocks that nobody counts: those on shards beyond the ones named."""
    return [
        Finding(
            "shard_unknown",
            table=target.table,
            shard=target.shard,
            note=f"{len(found)} blocks not counted: clickhouse_shards names {shards} shards",
        )
        for target, found in sorted(blocks.items())
        if target.shard >= shards
    ]


def judge(block: Expected, counts: Mapping[str, int | None]) -> list[Finding]:
    """Findings of one block. `counts`: replica → rows, None where it did not answer."""
    place, start, end = block.ranges[0]
    about = Finding(
        "missing_rows",
        place.topic,
        place.partition,
        start,
        end,
        block.target.table,
        block.target.shard,
        ingest_id=block.ingest_id,
        expected=block.rows,
    )
    whole = any(n == block.rows for n in counts.values())
    findings = []
    for replica, rows in sorted(counts.items()):
        if rows is None or rows == block.rows:
            continue
        more = rows > block.rows
        kind: Kind = "doubled_rows" if more else "replica_behind" if whole else "missing_rows"
        findings.append(replace(about, kind=kind, replica=replica, found=rows))
    return findings


def in_flight_ids(plans: Iterable[Plan]) -> set[int]:
    """IngestIds under which the blocks of unfinished plans may already be stored."""
    return {
        plan.ingest_id(target, revision)
        for plan in plans
        for target in plan.rows
        for revision in range(plan.revisions.get(target, 0) + 2)
    }
