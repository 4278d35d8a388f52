"""A small world for the delivery protocol: Kafka group, replicated ClickHouse, failing writers.

Nothing here knows the protocol. It executes effects, one attempt at a time, so that the steps of
several writers, living and dead, interleave in every order that a seed can produce. Time is a
step counter.
"""

import random
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from headrace_writer.core.block import Target
from headrace_writer.core.delivery_effects import CommitResult, Position
from headrace_writer.core.delivery_plan import Exclusion, Plan, Range

TABLE = "otel_traces"
# Steps. A short one passes within a history.
SHORT_WINDOW = 200
WINDOWS = (SHORT_WINDOW, 4_000, 4_000)
MOST_SHARDS = 3


class Row(NamedTuple):
    """One record; `day` is the ClickHouse partition it falls into."""

    record: int
    key: int
    """What routing hashes."""
    day: int

    def shard(self, shards: int) -> int:
        """The one that it goes to when there are so many."""
        return self.key % shards


@dataclass(frozen=True)
class Message:
    rows: tuple[Row, ...]
    refused: bool = False
    """The server will not take it (the decoder does)."""
    unreadable: bool = False
    """The decoder rejects it."""
    large: bool = False
    """No block holds it whole: it is a batch of its own, in pieces."""


@dataclass
class Faults:
    """Probabilities per attempt; `calm()` for the end of a history."""

    lost_answer: float = 0.08
    broken_insert: float = 0.10
    ghost: float = 0.02
    replica_down: float = 0.02
    delayed_commit: float = 0.10
    partial_commit: float = 0.06
    migration: float = 0.006
    long_sleep: float = 0.0
    replica_back: float = 0.1

    @staticmethod
    def calm() -> "Faults":
        return Faults(0, 0, 0, 0, 0, 0, migration=0)

    @staticmethod
    def slow() -> "Faults":
        """Writers and replicas stay away for longer than a short window. No ghosts: a hash without
        rows that is forgotten while two owners finish the same plan is among the honest limits
        (docs/architecture.md)."""
        return Faults(ghost=0, long_sleep=0.02, replica_back=0.01)


class Kafka:
    """Topics and one consumer group. Any live member may commit any partition, as real brokers
    allow; a member that was expelled may not until it has rejoined."""

    def __init__(self, rng: random.Random, partitions: int) -> None:
        self.rng = rng
        self.logs: list[list[Message]] = [[] for _ in range(partitions)]
        self.committed: dict[int, Position] = {}
        self.live: set[int] = set()
        self.waiting: dict[int, deque[dict[int, Position]]] = {}
        self.dead_letters: set[tuple[int, int]] = set()

    def commit(
        self, member: int, positions: Mapping[int, Position], faults: Faults
    ) -> CommitResult:
        queue = self.waiting.setdefault(member, deque())
        if self.rng.random() < faults.delayed_commit:
            queue.append(dict(positions))
            return CommitResult.UNKNOWN
        self.flush(member)
        if member not in self.live:
            return CommitResult.FENCED
        if self.rng.random() < faults.partial_commit:
            # Brokers that check ownership per partition may take a part of a commit.
            taken = self.rng.sample(sorted(positions), len(positions) // 2)
            self.committed.update({p: positions[p] for p in taken})
            return CommitResult.FENCED
        self.committed.update(positions)
        if self.rng.random() < faults.lost_answer:
            return CommitResult.UNKNOWN
        return CommitResult.OK

    def flush(self, member: int) -> None:
        """Delayed commits arrive, in order; those of an expelled member are refused."""
        for positions in self.waiting.pop(member, ()):
            if member in self.live:
                self.committed.update(positions)


@dataclass
class Replica:
    up: bool = True
    rows: dict[int, list[Row]] = field(default_factory=dict)


class Block(NamedTuple):
    ingest_id: int
    rows: tuple[Row, ...]
    rules: int = 0
    """Which guardrails it was built under: other ones give other bytes."""


class Shard:
    """Two replicas and the deduplication hashes they share. A hash belongs to one ClickHouse
    partition (day) of a block and is forgotten after `window` steps."""

    def __init__(self, rng: random.Random, window: int) -> None:
        self.rng = rng
        self.window = window
        self.replicas = [Replica(), Replica()]
        self.tokens = True
        """Repeated inserts are known by their token, not by their bytes."""
        self.hashes: dict[tuple[int, int, int], int] = {}
        """By IngestId, rules where bytes count, and day."""
        self.queue: list[tuple[int, int, tuple[Row, ...]]] = []

    def insert(self, block: Block, now: int, faults: Faults) -> bool | None:
        """One attempt. True: acknowledged. False: no or a bad answer, whatever happened. None:
        nobody was reached."""
        alive = [i for i, replica in enumerate(self.replicas) if replica.up]
        if not alive:
            return None
        chosen = self.rng.choice(alive)
        for day in sorted({row.day for row in block.rows}):
            if self.rng.random() < faults.broken_insert:
                return False
            part = tuple(row for row in block.rows if row.day == day)
            key = (block.ingest_id, 0 if self.tokens else block.rules, day)
            seen = self.hashes.get(key)
            if seen is not None and now - seen <= self.window:
                continue
            self.hashes[key] = now
            if self.rng.random() < faults.ghost and len({r.day for r in block.rows}) == 1:
                return False
            self.replicas[chosen].rows.setdefault(block.ingest_id, []).extend(part)
            self.queue.append((1 - chosen, block.ingest_id, part))
        return self.rng.random() >= faults.lost_answer

    def replicate(self) -> None:
        """Bring one queued part to the replica that lacks it, if that replica is up."""
        for i, (to, ingest_id, part) in enumerate(self.queue):
            if self.replicas[to].up:
                self.replicas[to].rows.setdefault(ingest_id, []).extend(part)
                del self.queue[i]
                return

    def count(self, ingest_ids: tuple[int, ...]) -> list[int | None]:
        return [
            sum(len(replica.rows.get(i, ())) for i in ingest_ids) if replica.up else None
            for replica in self.replicas
        ]


class World:
    """Everything but the writers."""

    def __init__(self, seed: int, *, partitions: int = 3, messages: int = 12) -> None:
        self.rng = random.Random(seed)
        self.window = self.rng.choice(WINDOWS)
        self.sizes = random.Random(f"sizes {seed}")
        """Apart, so that a history's faults are the same whatever is large."""
        self.now = 0
        self.faults = Faults.slow() if self.window == SHORT_WINDOW else Faults()
        self.fingerprint = "f1"
        """Of the tables' headers; a migration changes it."""
        self.rules = 0
        """The newest guardrails; writers take them over between two batches, each in its time."""
        self.kafka = Kafka(self.rng, partitions)
        self.reshards = seed % 2 == 1
        self.sharding = random.Random(f"shards {seed}")
        """Apart, so that histories without another shard are the same whatever there is of it."""
        self.shards = [Shard(self.rng, self.window) for _ in range(2)]
        self.named = 2
        """How many of them the list names that writers get at their start."""
        self.ledger: dict[tuple[int, int, int], bool] = {}
        """Stored ranges (partition, start, end) and whether their rows were verified."""
        self.ledger_plans: dict[tuple[int, int, int], list[Plan]] = {}
        record = 0
        for log in self.kafka.logs:
            for _ in range(messages):
                rows = []
                for _ in range(self.rng.randint(1, 3)):
                    day = self.rng.choice((1, 1, 1, 2))
                    key = self.rng.randrange(2) + 2 * self.sharding.randrange(MOST_SHARDS)
                    rows.append(Row(record, key, day))
                    record += 1
                kind = self.rng.random()
                large = len(rows) > 1 and self.sizes.random() < 0.12
                log.append(Message(tuple(rows), kind < 0.03, 0.03 <= kind < 0.06, large))

    def add_shard(self) -> None:
        """Name one more; a server that was there before has its rows still."""
        self.named += 1
        if self.named > len(self.shards):
            self.shards.append(Shard(self.rng, self.window))
            self.shards[-1].tokens = self.shards[0].tokens

    def tick(self) -> None:
        """Time, replication, delayed commits and replicas coming and going."""
        self.now += 1
        for shard in self.shards:
            if self.rng.random() < 0.3:
                shard.replicate()
            for replica in shard.replicas:
                if replica.up and self.rng.random() < self.faults.replica_down / 4:
                    replica.up = False
                elif not replica.up and self.rng.random() < self.faults.replica_back:
                    replica.up = True
        if self.rng.random() < 0.05:
            for member in list(self.kafka.waiting):
                self.kafka.flush(member)

    def messages(self, plan: Plan) -> list[tuple[int, int, Message]]:
        return [
            (r.partition, offset, self.kafka.logs[r.partition][offset])
            for r in plan.ranges
            for offset in range(r.start, r.end)
        ]

    def block(self, plan: Plan, target: Target) -> Block:
        """The plan's rows for one target: a function of plan and log alone."""
        left_out = {(e.partition, e.offset) for e in plan.excluded if e.target == target}
        rows = tuple(
            row
            for partition, offset, message in self.messages(plan)
            if not message.unreadable and (partition, offset) not in left_out
            for row in self.rows_of(plan, target, message)
        )
        return Block(plan.ingest_id(target), rows)

    def rows_of(self, plan: Plan, target: Target, message: Message) -> list[Row]:
        """A message's rows for one target."""
        first, end = plan.pieces[target.piece] if plan.cuts else (0, None)
        return [row for row in message.rows[first:end] if row.shard(plan.shards) == target.shard]

    def fitting(self, ranges: list[Range]) -> tuple[Range, ...]:
        """As many of these messages as one batch may hold: a large one stands alone."""
        taken: list[Range] = []
        for partition, start, end in ranges:
            for offset in range(start, end):
                if self.kafka.logs[partition][offset].large:
                    if not taken and offset == start:
                        return (Range(partition, start, start + 1),)
                    rest = [Range(partition, start, offset)] if offset > start else []
                    return (*taken, *rest)
            taken.append(Range(partition, start, end))
        return tuple(taken)

    def torn(self, plan: Plan) -> bool:
        """Whether a block of the plan is stored for some days and not for others."""
        for target in plan.rows:
            shard = self.shards[target.shard]
            for revision in range(plan.revisions.get(target, 0) + 2):
                ingest_id = plan.ingest_id(target, revision)
                days = {row.day for row in self.block(plan, target).rows}
                here = {day for i, _, day in shard.hashes if i == ingest_id}
                if here and here != days:
                    return True
        return False

    def complete(self, plan: Plan) -> Plan:
        """Fill in what decoding the planned messages tells, and where the planner cuts them."""
        messages = [message for _, _, message in self.messages(plan)]
        if messages[0].large and not messages[0].unreadable:
            # Writers may have other limits.
            whole = len(messages[0].rows)
            at = self.sizes.randrange(1, whole)
            plan = replace(plan, cuts=self.sizes.choice([(1,) * whole, (at, whole - at)]))
        rows: Counter[Target] = Counter()
        for target in (
            Target(TABLE, shard, piece)
            for shard in range(plan.shards)
            for piece in range(len(plan.cuts) or 1)
        ):
            for message in messages:
                if not message.unreadable:
                    rows[target] += len(self.rows_of(plan, target, message))
        unreadable = sum(message.unreadable for message in messages)
        return replace(plan, rows={t: n for t, n in rows.items() if n}, rejected=unreadable)

    def refusals(self, plan: Plan, target: Target) -> frozenset[Exclusion]:
        """Messages in a block that the server refuses."""
        excluded = {e for e in plan.excluded if e.target == target}
        return frozenset(
            Exclusion(target, partition, offset)
            for partition, offset, message in self.messages(plan)
            if message.refused and self.rows_of(plan, target, message)
        ) - frozenset(excluded)
