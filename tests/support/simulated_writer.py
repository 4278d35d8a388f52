"""A writer in the simulated world: runs the real protocol, one attempt at a time.

`lies` replaces the answer to an effect: a test removes one protection by answering in its place.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from headrace_writer.core import delivery
from headrace_writer.core.delivery_effects import (
    Abandoned,
    Build,
    BuildProblem,
    Commit,
    CommitResult,
    Committed,
    Count,
    DeadLetter,
    Effect,
    Expired,
    Insert,
    Inserted,
    Ledger,
    LedgerAhead,
    LedgerPlans,
    Owned,
    Position,
    Stopped,
    Stored,
    TablesUnchanged,
    Wait,
)
from headrace_writer.core.delivery_plan import Plan, Range
from support.simulation import World

TOPIC_ID = "topic-1"
Lies = Mapping[type, Callable[["Writer", Any], Any]]


class ProtocolStoppedError(AssertionError):
    """The protocol gave up in a history in which it must not."""


@dataclass
class _Insertion:
    """Where an Insert effect has got to; it outlives its writer's interest in it."""

    plan: Plan
    left: list[Any]
    rules: int
    """Those that its blocks were built under."""
    begun: int
    sent: set[Any] = field(default_factory=set)
    overdue: set[Any] = field(default_factory=set)
    doubtful: set[Any] = field(default_factory=set)
    refused: set[Any] = field(default_factory=set)


class Writer:
    """One group member. `step` runs one effect, or one attempt of an insert."""

    def __init__(self, number: int, world: World, lies: Lies) -> None:
        self.number = number
        self.world = world
        self.lies = lies
        self.owned: dict[int, int] = {}
        """Partition → local ownership epoch."""
        self.epoch = 0
        self.position: dict[int, int] = {}
        self.completed: dict[int, int] = {}
        self.work: Iterator[Any] | None = None
        self.kind = ""
        self.plan: Plan | None = None
        self.epochs: dict[int, int] = {}
        self.answer: Any = None
        self.insertion: _Insertion | None = None
        self.zombies: list[_Insertion] = []
        self.encoding = delivery.Encoding(world.fingerprint, world.named)
        """Of the table headers at its start, and the shards that its list names. An insert under
        another header ends the process. Guardrails are not part of it: they change the bytes of a
        block, but not its IngestId."""
        self.rules = world.rules
        self.patience = world.window / 4
        """How long an insert is repeated before the protocol looks what is there."""
        self.checked = False
        """Between looking and inserting: a sleep of more than half the window doubles here."""
        self.outdated = False
        self.amending = False
        """Between finding the tables unchanged and committing a plan for them."""
        self.unsettled = False
        """A commit is without answer: it is repeated before any rebalance callback is served."""

    # --- group membership, as the rebalance callbacks tell it

    def assign(self, partition: int) -> None:
        self.epoch += 1
        self.owned[partition] = self.epoch

    def lose(self, partition: int) -> None:
        """Revoked or lost: from here on nothing of this partition is ours to commit."""
        self.owned.pop(partition, None)
        self.position.pop(partition, None)
        self.completed.pop(partition, None)

    def lose_all(self) -> None:
        for partition in list(self.owned):
            self.lose(partition)

    # --- one step

    def step(self) -> None:
        for zombie in list(self.zombies):
            if self._attempt(zombie):
                self.zombies.remove(zombie)
        if self.insertion is not None:
            if not self._attempt(self.insertion):
                return
            done = self.insertion
            self.insertion = None
            rows = {
                e.target: len(self.world.block(done.plan.without(done.refused, {}), e.target).rows)
                for e in done.refused
            }
            self.answer = Inserted(
                frozenset(done.doubtful - done.overdue),
                frozenset(done.refused),
                rows,
                frozenset(done.overdue & done.sent),
                frozenset(done.overdue - done.sent),
            )
        if self.work is None:
            # Its first effect is a step of its own: ownership may end in between.
            self._begin()
            return
        try:
            effect = self.work.send(self.answer)  # type: ignore[attr-defined]
        except StopIteration as end:
            self.work = None
            self.answer = None
            self._ended(end.value)
            return
        self.answer = self._execute(effect)

    def _begin(self) -> None:
        """Recover what is new, else cut a batch, else commit what is stored."""
        self.answer = None
        if self.world.rng.random() < 0.3:
            self.rules = self.world.rules
        self.epochs = dict(self.owned)
        new = tuple(sorted(p for p in self.owned if p not in self.position))
        if new:
            self.kind, self.work = "recover", delivery.recover(TOPIC_ID, new, self.encoding)
            return
        ranges = []
        for partition in sorted(self.owned):
            start = self.position[partition]
            end = min(len(self.world.kafka.logs[partition]), start + self.world.rng.randint(1, 4))
            if end > start and self.world.rng.random() < 0.8:
                ranges.append(Range(partition, start, end))
        if ranges:
            plan = self._plan(self.world.fitting(ranges))
            self.plan = self.world.complete(plan)
            done, self.completed = self.completed, {}
            self.kind, self.work = "deliver", delivery.deliver(self.plan, done)
        elif self.completed:
            done, self.completed = self.completed, {}
            self.kind, self.work = "settle", delivery.settle(done)

    def _plan(self, ranges: tuple[Range, ...]) -> Plan:
        fingerprint, shards = self.encoding
        return Plan(TOPIC_ID, ranges, shards, fingerprint, hash(ranges), self.world.now, {})

    def _ended(self, outcome: Any) -> None:
        if self.kind == "recover":
            for partition, position in outcome.items():
                if isinstance(position, Stopped) and self.encoding.shards < self.world.named:
                    # A plan of one who knows more shards: somebody starts it with their list.
                    self.outdated = True
                elif isinstance(position, Stopped):
                    raise ProtocolStoppedError(position.why)
                elif self._still_mine(partition) and not isinstance(position, Abandoned):
                    self.position[partition] = position or 0
        elif isinstance(outcome, Stopped):
            raise ProtocolStoppedError(outcome.why)
        elif isinstance(outcome, Stored):
            for partition, end in outcome.plan.ends.items():
                if self._still_mine(partition):
                    self.position[partition] = end
                    self.completed[partition] = end
        elif isinstance(outcome, Abandoned):
            # What was committed meanwhile is not known here: ask again, as if newly assigned.
            self.position.clear()
            self.completed.clear()

    def _still_mine(self, partition: int) -> bool:
        epoch = self.owned.get(partition)
        return epoch is not None and epoch == self.epochs.get(partition)

    # --- effects

    def _execute(self, effect: Effect) -> Any:
        lie = self.lies.get(type(effect))
        if lie is not None:
            return lie(self, effect)
        return self.honest(effect)

    def honest(self, effect: Effect) -> Any:  # noqa: PLR0911, PLR0912, C901 (one case per effect)
        world, kafka = self.world, self.world.kafka
        self.checked = isinstance(effect, Expired | Count) or (
            self.checked and not isinstance(effect, Insert)
        )
        match effect:
            case Owned(partitions):
                return all(self._still_mine(p) for p in partitions)
            case Commit(positions):
                self.amending = False
                if not all(self._still_mine(p) for p in positions):
                    return CommitResult.FENCED
                return self.send_commit(positions)
            case Committed(partitions):
                return {p: kafka.committed[p] for p in partitions if p in kafka.committed}
            case Build(plan):
                return None if self.encoding.builds(plan) else BuildProblem.FORMAT_CHANGED
            case TablesUnchanged():
                self.outdated = self.encoding.fingerprint != world.fingerprint
                self.amending = True
                return None
            case Expired(plan, quarters):
                return world.now - plan.planned_at_ms > quarters * world.window / 4
            case Insert(plan, targets):
                self.insertion = _Insertion(plan, sorted(targets), self.rules, world.now)
                return None
            case Count(target, ingest_ids):
                if target.shard >= self.encoding.shards:
                    return [None]
                return world.shards[target.shard].count(ingest_ids)
            case DeadLetter(plan):
                kafka.dead_letters |= {(e.partition, e.offset) for e in plan.excluded}
                kafka.dead_letters |= {
                    (p, o) for p, o, message in world.messages(plan) if message.unreadable
                }
                return None
            case Ledger(plan, verified):
                for r in plan.ranges:
                    world.ledger[r] = verified or world.ledger.get(r, False)
                    world.ledger_plans.setdefault(r, []).append(plan)
                return None
            case LedgerAhead(partition, offset):
                return sorted((s, e) for p, s, e in world.ledger if p == partition and e > offset)
            case LedgerPlans(place):
                return world.ledger_plans.get(place, [])
            case Wait():
                for _ in range(3):
                    world.tick()
                return None

    def send_commit(self, positions: Mapping[int, Position]) -> CommitResult:
        """Past the local fence."""
        result = self.world.kafka.commit(self.number, positions, self.world.faults)
        self.unsettled = result is CommitResult.UNKNOWN
        return result

    def _attempt(self, insertion: _Insertion) -> bool:
        """One attempt of one block. True when nothing is left to insert."""
        if not insertion.left:
            return True
        if self.world.now - insertion.begun > self.patience:
            insertion.overdue |= set(insertion.left)
            insertion.left.clear()
            return True
        if self.encoding.fingerprint != self.world.fingerprint:
            self.outdated = True
            return False
        target = insertion.left[0]
        refused = self.world.refusals(insertion.plan, target)
        if refused:
            insertion.refused |= refused
            insertion.left.pop(0)
        else:
            block = self.world.block(insertion.plan, target)._replace(rules=insertion.rules)
            shard = self.world.shards[target.shard]
            answer = shard.insert(block, self.world.now, self.world.faults)
            if answer:
                insertion.left.pop(0)
            else:
                insertion.doubtful.add(target)
                if answer is False:
                    insertion.sent.add(target)
        return not insertion.left

    def abandon_work(self) -> None:
        """A rejoin after expulsion: the work in hand is dropped, its inserts may still land."""
        self.work = None
        self.answer = None
        self.unsettled = False
        self.amending = False
        self.position.clear()
        self.completed.clear()
        if self.insertion is not None:
            self.zombies.append(self.insertion)
            self.insertion = None
