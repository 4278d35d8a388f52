"""The plan: what one batch is made of, small enough to live in Kafka's commit metadata.

A plan is committed at the *start* offsets of its ranges before anything is inserted. Whoever
owns one of its partitions later can rebuild the same blocks from it, byte for byte, and insert
them again under the same IngestIds, which ClickHouse drops as duplicates.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import Any, NamedTuple

from headrace_writer.core.block import Target
from headrace_writer.errors import Fatal

# Of plans that name pieces or a message that does not fit; of all others it is 1, which releases
# before 2026-11-24 read, too.
PLAN_VERSION = 2

# Kafka's default offset.metadata.max.bytes is 4,096, and confluent-kafka appends a NUL.
MAX_PLAN_BYTES = 4095


class Range(NamedTuple):
    """Messages [start, end) of one partition; `end` is the offset to commit when stored."""

    partition: int
    start: int
    end: int


class Exclusion(NamedTuple):
    """One message left out of one block; it is in the dead-letter topic instead."""

    target: Target
    partition: int
    offset: int


class PlanUnreadable(Fatal):
    """Commit metadata that is neither empty nor a plan of this or an older version."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that the bytes of a batch depend on, besides the messages themselves."""

    topic_id: str
    ranges: tuple[Range, ...]
    """One per partition, in partition order."""
    shards: int
    fingerprint: str
    """Of the encoders and the table headers; another one would build other bytes."""
    payload_hash: int
    """64 bits over the payloads in order: tells a recreated topic from the one planned on."""
    planned_at_ms: int
    rows: Mapping[Target, int]
    """Rows of each block, so that counting needs no message."""
    sizes: tuple[int, ...] = ()
    """Payload bytes of each range, for the ledger."""
    rejected: int = 0
    """Messages that the decoder could not read: they must be in the dead-letter topic first."""
    excluded: tuple[Exclusion, ...] = ()
    """What the server refused: these messages' rows are left out of these blocks."""
    revisions: Mapping[Target, int] = field(default_factory=dict)
    """Blocks whose first IngestId is burnt (acknowledged as duplicate, yet nowhere present)."""
    cuts: tuple[int, ...] = ()
    """Records in each piece of the only message, which no single block may hold; () for whole."""
    unfit_bytes: int = 0
    """The limit of a block under which the only message was refused; it is among `rejected`."""

    @property
    def partitions(self) -> tuple[int, ...]:
        return tuple(r.partition for r in self.ranges)

    @property
    def ends(self) -> dict[int, int]:
        return {r.partition: r.end for r in self.ranges}

    @property
    def starts(self) -> dict[int, int]:
        return {r.partition: r.start for r in self.ranges}

    @property
    def pieces(self) -> list[tuple[int, int]]:
        """The records [first, end) of each piece."""
        ends = list(accumulate(self.cuts))
        return list(zip([0, *ends], ends, strict=False))

    def ingest_id(self, target: Target, revision: int | None = None) -> int:
        """The block's IngestId (UInt64): also its deduplication token, also its row marker.

        A piece's is a function of its place in the message: another cut is another block.
        """
        text = json.dumps(
            [
                self.topic_id,
                self.ranges,
                [e[1:] for e in self.excluded if e.target == target],
                self.shards,
                self.payload_hash,
                [*target[:2], *(self.pieces[target.piece] if self.cuts else ())],
                self.revisions.get(target, 0) if revision is None else revision,
            ],
            separators=(",", ":"),
        )
        return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")

    def ingest_id_of_ledger(self, shard: int) -> int:
        """Deduplication token of the ledger rows on one shard: an amended plan has other rows."""
        text = f"{self.encode()} {shard}"
        return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")

    def same_batch(self, other: "Plan") -> bool:
        """Whether both describe the same blocks (revisions may differ): the same messages on as
        many shards. One that was refused may have been planned anew on more."""
        return (self.topic_id, self.ranges, self.payload_hash, self.shards) == (
            other.topic_id,
            other.ranges,
            other.payload_hash,
            other.shards,
        )

    def merged(self, other: "Plan") -> "Plan":
        """The same batch with what either of two owners had to amend."""
        revisions = dict(self.revisions)
        for target, n in other.revisions.items():
            revisions[target] = max(n, revisions.get(target, 0))
        excluded = tuple(sorted({*self.excluded, *other.excluded}))
        rows = {t: min(n, other.rows.get(t, n)) for t, n in self.rows.items()}
        return replace(self, revisions=revisions, excluded=excluded, rows=rows)

    def revised(self, targets: Iterable[Target]) -> "Plan":
        """The same batch with fresh IngestIds for `targets`."""
        revisions = dict(self.revisions)
        for target in targets:
            revisions[target] = revisions.get(target, 0) + 1
        return replace(self, revisions=revisions)

    def without(self, excluded: Iterable[Exclusion], rows: Mapping[Target, int]) -> "Plan":
        """The same batch less some messages; only the blocks named get other IngestIds.

        `rows`: what the blocks named still hold.
        """
        return replace(
            self,
            excluded=tuple(sorted({*self.excluded, *excluded})),
            rows={**self.rows, **rows},
        )

    def encode(self) -> str:
        """Commit metadata. Raises Fatal when the broker would refuse its length."""
        document: dict[str, Any] = {
            "v": PLAN_VERSION if self.cuts or self.unfit_bytes else 1,
            "id": self.topic_id,
            "r": self.ranges,
            "s": self.shards,
            "f": self.fingerprint,
            "h": f"{self.payload_hash:x}",
            "t": self.planned_at_ms,
            "y": self.sizes,
        }
        tables = sorted({target.table for target in self.rows})
        document["b"] = tables
        # A table is named once: with 5 metric tables on 16 shards, names would not fit.

        def named(target: Target) -> list[int]:
            place = [tables.index(target.table), target.shard]
            return [*place, target.piece] if self.cuts else place

        document["n"] = [[*named(target), n] for target, n in sorted(self.rows.items())]
        if self.rejected:
            document["d"] = self.rejected
        if self.excluded:
            document["x"] = [[*named(target), *run] for target, *run in _runs(self.excluded)]
        if self.revisions:
            document["u"] = [[*named(t), n] for t, n in sorted(self.revisions.items())]
        if self.cuts:
            document["c"] = self.cuts
        if self.unfit_bytes:
            document["o"] = self.unfit_bytes
        text = json.dumps(document, separators=(",", ":"))
        if len(text) > MAX_PLAN_BYTES:
            msg = (
                f"a plan of {len(self.ranges)} ranges takes {len(text)} bytes, and a Kafka commit "
                f"{MAX_PLAN_BYTES} at most: give this signal more writers, or fewer shards"
            )
            raise Fatal(msg)
        return text


def _runs(excluded: Iterable[Exclusion]) -> list[tuple[Target, int, int, int]]:
    """Exclusions as (target, partition, first, last): neighbours fail together, and must fit."""
    runs: list[tuple[Target, int, int, int]] = []
    for target, partition, offset in sorted(excluded):
        if runs and runs[-1][:2] == (target, partition) and runs[-1][3] == offset - 1:
            runs[-1] = (*runs[-1][:3], offset)
        else:
            runs.append((target, partition, offset, offset))
    return runs


def decode_plan(metadata: str) -> Plan | None:
    """The plan in commit metadata; None where there is none. Raises PlanUnreadable."""
    if not metadata:
        return None
    try:
        document = json.loads(metadata)
        if document["v"] not in (1, PLAN_VERSION):
            msg = (
                f"the committed plan has version {document['v']}, this writer reads up to "
                f"{PLAN_VERSION}: finish it with the release that wrote it"
            )
            raise PlanUnreadable(msg)
        tables = document["b"]
        return Plan(
            topic_id=document["id"],
            ranges=tuple(Range(*r) for r in document["r"]),
            shards=document["s"],
            fingerprint=document["f"],
            payload_hash=int(document["h"], 16),
            planned_at_ms=document["t"],
            rows={Target(tables[t], *where): n for t, *where, n in document["n"]},
            rejected=document.get("d", 0),
            sizes=tuple(document.get("y", ())),
            excluded=tuple(
                Exclusion(Target(tables[t], *where), p, offset)
                for t, *where, p, first, last in document.get("x", ())
                for offset in range(first, last + 1)
            ),
            revisions={Target(tables[t], *where): n for t, *where, n in document.get("u", ())},
            cuts=tuple(document.get("c", ())),
            unfit_bytes=document.get("o", 0),
        )
    except (ValueError, KeyError, TypeError, IndexError) as error:
        msg = f"commit metadata is not a plan ({error}): {metadata[:80]!r}"
        raise PlanUnreadable(msg) from error
