"""The slow half of a delivery: building blocks, inserting, counting, dead letters, the ledger."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from headrace_writer.core import batch
from headrace_writer.core.backlog import Message
from headrace_writer.core.batch import BadMessage, Decoded, Origin
from headrace_writer.core.block import Block, BlockBuilder, Layout, NewBuilder, Target
from headrace_writer.core.delivery_effects import BuildProblem, Inserted
from headrace_writer.core.delivery_plan import Exclusion, Plan, Range
from headrace_writer.core.guardrails import NOTHING, Rule, Treatment
from headrace_writer.errors import LayoutError, Poison
from headrace_writer.shell import fault_points
from headrace_writer.shell.clock import Clock, Deadline
from headrace_writer.shell.shards import Overdue, Shards

# "Constraint `c` for table t is violated at row 17": counted from 1.
_ROW = re.compile(r"at row (\d+)")
# Each costs a commit, a decode and an insert, and some twenty of a plan's 4,096 bytes.
MOST_CULPRITS = 32


class OffsetsGone(Exception):
    """The broker no longer has all messages of a range."""


class Reader(Protocol):
    """Reads ranges by offset, whoever owns them."""

    def read(self, plan: Plan) -> list[Message]:
        """The plan's messages ordered by partition and offset. Raises OffsetsGone."""


class DeadLetters(Protocol):
    """Where messages go that cannot be stored."""

    def send(self, bad: Iterable[BadMessage]) -> None:
        """Store them durably, or raise Retryable."""


class LedgerRows(Protocol):
    """What was stored, per partition and range."""

    def write(self, plan: Plan, verified: bool) -> None:
        """Store one row per range, durably."""

    def ahead(self, topic_id: str, partition: int, offset: int) -> list[tuple[int, int]]:
        """Stored ranges of a partition that end after `offset`, sorted."""

    def plans(self, topic_id: str, place: Range) -> list[Plan]:
        """The plans under which exactly this range was stored."""


@dataclass(frozen=True, slots=True)
class InsertEvents:
    """For metrics: each block that was acknowledged; of each new batch, the strings that were
    repaired and what each guardrail did; at the start, blocks a second that each table remembers
    for long enough."""

    inserted: Callable[[Block, float], None] = lambda _block, _seconds: None
    repaired: Callable[[int], None] = lambda _strings: None
    guarded: Callable[[Sequence[Rule], Sequence[int]], None] = lambda _rules, _counts: None
    remembered: Callable[[Mapping[str, float]], None] = lambda _tables: None


@dataclass(frozen=True, slots=True)
class Tables:
    """Where blocks go and how they are encoded."""

    layouts: Mapping[str, Layout]
    """Plain table name → the server's INSERT header."""
    local_name: Callable[[str], str]
    """Plain table name → the table to insert into."""
    builder_for: Callable[[int], BlockBuilder]
    """A builder of blocks for so many shards."""
    origin: Origin
    treatment: Treatment = NOTHING
    """What the builders do to records."""
    rules: Sequence[Rule] = ()
    """The signal's rules of it."""

    def new_builder(self) -> BlockBuilder:
        """For new batches."""
        return self.builder_for(self.origin.shards)

    def builder_of(self, plan: Plan) -> NewBuilder:
        """For a plan's blocks, whose rows are spread over as many shards as there were then."""
        return lambda: self.builder_for(plan.shards)


@dataclass(slots=True)
class BatchStore:
    """One signal's store. Used by one worker thread at a time, and by the loop in between."""

    tables: Tables
    shards: Shards
    reader: Reader
    dead_letters: DeadLetters
    ledger_rows: LedgerRows
    clock: Clock
    max_plan_age_s: float
    """A quarter of the deduplication window."""
    events: InsertEvents = field(default_factory=InsertEvents)
    reload: Callable[[Tables], Tables | None] = lambda _tables: None
    """The tables under changed guardrails; None while those in force are the newest."""
    _decoded: Decoded | None = None
    _blocks: dict[Target, Block] = field(default_factory=dict)
    _refusals: dict[Target, str] = field(default_factory=dict)
    _spare: BlockBuilder | None = None

    def refresh(self) -> None:
        """Take over changed guardrails. Only while no batch is on its way: a batch is encoded
        under one set of rules."""
        fresh = self.reload(self.tables)
        if fresh is not None:
            self.tables = fresh
            self._decoded = self._spare = None

    def decode(
        self, messages: Sequence[Message], positions: Mapping[int, int]
    ) -> tuple[Plan, list[Message]]:
        """Decode a new batch and plan it. Returns the plan and the messages that did not fit."""
        now_ms = int(self.clock.now() * 1000)
        origin = self.tables.origin
        decoded, rest = batch.decode(messages, positions, origin, self._empty_builder(), now_ms)
        if messages and not decoded.messages:
            # A block cannot hold the first one. The builder, which has tried, goes: its buffers
            # are as large as that message.
            first, *rest = messages
            position = positions[first.partition]
            decoded = batch.decode_alone(first, position, origin, self.tables.new_builder, now_ms)
        self._decoded = decoded
        self.events.repaired(decoded.repaired)
        self.events.guarded(self.tables.rules, decoded.acted)
        return decoded.plan, rest

    def _empty_builder(self) -> BlockBuilder:
        """The last batch's where it has no rows left: its buffers are as large as a batch needs,
        and memory that is never given back is not asked for again."""
        builder, self._spare = self._spare, None
        return builder if builder is not None else self.tables.new_builder()

    def build(self, plan: Plan) -> BuildProblem | None:
        if not self.tables.origin.encoding.builds(plan):
            return BuildProblem.FORMAT_CHANGED
        problem = self._read_again(plan)
        decoded = self._decoded
        if problem is not None or decoded is None:
            return problem
        if decoded.plan == plan and decoded.builder.rows and not plan.excluded:
            self._keep(batch.finish(plan, decoded.builder))
        else:
            self._keep(batch.blocks_of(plan, decoded.messages, self.tables.builder_of(plan)))
        # Rules move no row from block to block, but a message may become too large under them:
        # the plan's counts must hold, or nothing proves that the batch is stored.
        rows = {target: block.rows for target, block in self._blocks.items()}
        if rows != {target: rows for target, rows in plan.rows.items() if rows}:
            return BuildProblem.FORMAT_CHANGED
        return None

    def _read_again(self, plan: Plan) -> BuildProblem | None:
        """Have the plan's messages at hand: from this batch if it is the one, else from Kafka."""
        known = self._decoded.plan if self._decoded is not None else None
        if known and known.same_batch(plan) and known.unfit_bytes == plan.unfit_bytes:
            return None
        try:
            messages = self.reader.read(plan)
        except OffsetsGone:
            return BuildProblem.OFFSETS_GONE
        if batch.payload_hash(messages) != plan.payload_hash:
            return BuildProblem.PAYLOAD_CHANGED
        self._decoded = batch.decode_again(plan, messages, self.tables.builder_of(plan))
        return None

    def _keep(self, blocks: list[Block]) -> None:
        self._blocks = {block.target: block for block in blocks}

    def check_tables(self) -> None:
        for table, layout in self.tables.layouts.items():
            for number in range(len(self.shards)):
                name = self.tables.local_name(table)
                if list(self.shards[number].layout(name)) != list(layout):
                    msg = f"{name} on shard {number} has changed since the start: restart"
                    raise LayoutError(msg)

    def expired(self, plan: Plan, quarters: int) -> bool:
        return self.clock.now() - plan.planned_at_ms / 1000 > quarters * self.max_plan_age_s

    def insert(self, plan: Plan, targets: frozenset[Target]) -> Inserted:
        by_shard: dict[int, list[Block]] = {}
        for target in sorted(targets):
            if target in self._blocks:
                by_shard.setdefault(target.shard, []).append(self._blocks[target])
        outcomes: list[tuple[Target, str]] = []
        deadline = Deadline(self.clock, self.max_plan_age_s)
        for part in self.shards.each(
            list(by_shard.values()), lambda blocks: self._insert_blocks(blocks, deadline)
        ):
            outcomes += part
        excluded: set[Exclusion] = set()
        rows: dict[Target, int] = {}
        for target, outcome in outcomes:
            if outcome == "refused":
                culprits, rows[target] = self._culprits(plan, target)
                excluded |= {Exclusion(target, m.partition, m.offset) for m in culprits}
        those = {
            name: frozenset(target for target, outcome in outcomes if outcome == name)
            for name in ("doubtful", "overdue", "unsent")
        }
        return Inserted(refused=frozenset(excluded), rows=rows, **those)

    def _culprits(self, plan: Plan, target: Target) -> tuple[list[Message], int]:
        """The messages to leave out of a refused block, and how many rows it keeps.

        A server that names the row costs one message. One that does not, or that has refused the
        block too often for the plan to list each offender, costs all messages of the block.
        """
        assert self._decoded is not None, "build() comes before insert()"
        gone = {(e.partition, e.offset) for e in plan.excluded if e.target == target}
        kept = [message for message in self._decoded.messages if message[:2] not in gone]
        if plan.cuts:
            return kept, 0
        counts = batch.rows_by_message(target, kept, self.tables.builder_of(plan))
        named = _ROW.search(self._refusals[target])
        if named and len(gone) < MOST_CULPRITS:
            before = 0
            for message, rows in zip(kept, counts, strict=True):
                if before < int(named[1]) <= before + rows:
                    return [message], sum(counts) - rows
                before += rows
        return [m for m, rows in zip(kept, counts, strict=True) if rows], 0

    def _insert_blocks(self, blocks: list[Block], deadline: Deadline) -> list[tuple[Target, str]]:
        outcomes = []
        for block in blocks:
            table, shard, _ = block.target
            begun = self.clock.monotonic()
            layout = self.tables.layouts[table]
            try:
                name = self.tables.local_name(table)
                clean = self.shards[shard].insert(name, layout, block, deadline)
            except Poison as error:
                self._refusals[block.target] = str(error)
                outcomes.append((block.target, "refused"))
                continue
            except Overdue as error:
                outcomes.append((block.target, "overdue" if error.sent else "unsent"))
                continue
            self.events.inserted(block, self.clock.monotonic() - begun)
            fault_points.passed("block.after")
            outcomes.append((block.target, "clean" if clean else "doubtful"))
        return outcomes

    def count(self, target: Target, ingest_ids: tuple[int, ...]) -> list[int | None]:
        if target.shard >= len(self.shards):
            return [None]  # a shard that was removed: nobody can say what it holds
        table = self.tables.local_name(target.table)
        ids = ", ".join(f"toUInt64({i})" for i in ingest_ids)
        sql = f"SELECT count() FROM {table} WHERE IngestId IN ({ids})"  # noqa: S608 (our names)
        answers = self.shards[target.shard].ask_everyone(sql)
        return [None if rows is None else int(rows[0][0]) for rows in answers]

    def dead_letter(self, plan: Plan) -> None:
        self._read_again(plan)
        decoded = self._decoded
        if decoded is None:
            return
        at = {message[:2]: message for message in decoded.messages}
        refused = [
            BadMessage(
                at[e.partition, e.offset],
                "refused_by_clickhouse",
                self._refusals.get(e.target, f"{e.target.table} on shard {e.target.shard}"),
                e.target.whole,
                plan.pieces[e.target.piece] if plan.cuts else None,
            )
            for e in plan.excluded
        ]
        self.dead_letters.send([*decoded.bad, *refused])

    def ledger(self, plan: Plan, verified: bool) -> None:
        self.ledger_rows.write(plan, verified)
        if self._decoded is not None and plan.shards == self.tables.origin.shards:
            builder = self._decoded.builder
            self._spare = None if builder.rows else builder
        self._decoded = None
        self._blocks = {}
        self._refusals = {}

    def ledger_ahead(self, partition: int, offset: int) -> list[tuple[int, int]]:
        return self.ledger_rows.ahead(self.tables.origin.topic_id, partition, offset)

    def ledger_plans(self, place: Range) -> list[Plan]:
        return self.ledger_rows.plans(self.tables.origin.topic_id, place)
