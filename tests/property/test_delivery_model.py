"""The delivery protocol against a world in which everything fails: thousands of histories.

A history is a seed: writers are killed, expelled, revived as zombies; partitions move; answers are
lost; hashes are kept without rows; replicas vanish; headers and guardrails change. At its end,
when the world is calm and a last writer has drained every partition, each record must be on each
replica exactly once. Then each protection is taken away in turn, and histories must be found that
lose or double.
"""

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from headrace_writer.core import delivery
from headrace_writer.core.block import Target
from headrace_writer.core.delivery_effects import (
    Commit,
    CommitResult,
    DeadLetter,
    LedgerAhead,
    Steps,
    Stored,
    TablesUnchanged,
)
from headrace_writer.core.delivery_plan import Plan, decode_plan
from headrace_writer.core.delivery_survey import Verified
from support.simulated_writer import Lies, ProtocolStoppedError, Writer
from support.simulation import Faults, Message, Row, World

HISTORIES = int(os.environ.get("HEADRACE_MODEL_HISTORIES", "1500"))
FIRST_SEED = int(os.environ.get("HEADRACE_MODEL_SEED", "1"))
WRITERS = 3
STEPS = 260
CALM_STEPS = 4_000


class History:
    """One seed, played to its end."""

    def __init__(self, seed: int, lies: Lies, *, tokens: bool = True) -> None:
        self.world = World(seed)
        for shard in self.world.shards:
            shard.tokens = tokens
        self.rng = self.world.rng
        self.lies = lies
        self.number = 0
        self.writers: dict[int, Writer] = {}
        self.asleep: dict[int, int] = {}
        self.expelled: set[int] = set()

    def play(self) -> None:
        for _ in range(WRITERS):
            self.join()
        for _ in range(STEPS):
            self.event()
            self.run_one()
            self.world.tick()
        self.end()

    def run_one(self) -> None:
        awake = [n for n in self.writers if n not in self.asleep]
        if awake:
            number = self.rng.choice(awake)
            self.writers[number].step()
            if self.writers[number].outdated:
                self.kill(number)
                self.join()

    def event(self) -> None:
        roll = self.rng.random()
        numbers = list(self.writers)
        if roll < 0.015 and numbers:
            self.kill(self.rng.choice(numbers))
        elif roll < 0.03:
            self.join()
        elif roll < 0.08 and numbers:
            self.move(self.rng.randrange(len(self.world.kafka.logs)))
        elif roll < 0.10 and numbers:
            self.asleep[self.rng.choice(numbers)] = self.rng.randint(5, 80)
        elif roll < 0.11 and numbers:
            self.expel(self.rng.choice(numbers))
        elif roll < 0.114:
            self.reset_offsets()
        elif roll < 0.12:
            self.migrate()
        elif roll < 0.14:
            self.world.rules += 1
        for number in list(self.asleep):
            self.asleep[number] -= 1
            if self.asleep[number] <= 0:
                del self.asleep[number]
                if number in self.expelled:
                    self.rejoin(number)

    def join(self) -> Writer:
        self.number += 1
        writer = Writer(self.number, self.world, self.lies)
        self.writers[self.number] = writer
        self.world.kafka.live.add(self.number)
        for partition in range(len(self.world.kafka.logs)):
            if not any(partition in w.owned for n, w in self.members()) or self.rng.random() < 0.4:
                self.move(partition, writer)
        return writer

    def members(self) -> list[tuple[int, Writer]]:
        return [(n, w) for n, w in self.writers.items() if n not in self.expelled]

    def move(self, partition: int, to: Writer | None = None) -> None:
        """A graceful rebalance: the owner is told first, and says so, unless it sleeps."""
        members = self.members()
        if to is None:
            if not members:
                return
            to = self.rng.choice(members)[1]
        for number, writer in members:
            if partition in writer.owned and writer is not to:
                if number in self.asleep or writer.unsettled:
                    self.expel(number)
                    return
                writer.lose(partition)
        if partition not in to.owned:
            to.assign(partition)

    def expel(self, number: int) -> None:
        """The session is over; the member itself hears of it only when it polls again."""
        if number in self.expelled:
            return
        self.expelled.add(number)
        self.world.kafka.live.discard(number)
        self.asleep.setdefault(number, self.rng.randint(3, 60))
        self.hand_over(self.writers[number])

    def rejoin(self, number: int) -> None:
        writer = self.writers[number]
        # It runs on for a while before its poll tells it what happened.
        for _ in range(self.rng.randint(0, 6)):
            writer.step()
        # An unanswered commit is answered (refused) before a poll can rejoin the group.
        self.world.kafka.flush(number)
        writer.lose_all()
        writer.abandon_work()
        self.expelled.discard(number)
        self.world.kafka.live.add(number)

    def kill(self, number: int) -> None:
        writer = self.writers.pop(number)
        self.asleep.pop(number, None)
        was_member = number not in self.expelled
        self.expelled.discard(number)
        self.world.kafka.flush(number)
        self.world.kafka.live.discard(number)
        if was_member:
            self.hand_over(writer)

    def hand_over(self, gone: Writer) -> None:
        """What a member held, as the broker saw it, goes to members that live."""
        heirs = [w for _, w in self.members()]
        for partition in gone.owned:
            if heirs and not any(partition in heir.owned for heir in heirs):
                self.rng.choice(heirs).assign(partition)

    def reset_offsets(self) -> None:
        """Someone sets the offsets of a stopped group back to the beginning, plans and all.

        Only when no plan is outstanding: with one, a reset forgets what was begun, and no
        protocol can know it (docs/architecture.md, "Honest limits").
        """
        self.everybody_leaves()
        if not any(text for _, text in self.world.kafka.committed.values()):
            self.world.kafka.committed = dict.fromkeys(self.world.kafka.committed, (0, ""))
        self.join()

    def migrate(self) -> None:
        """A column changes its type: who inserts with the old header from now on is refused.

        Not while a block is stored in one ClickHouse partition and missing in another: what is
        there can then be completed by the old bytes only. And not in the moment in which a plan is
        amended for the tables of just now (docs/architecture.md, "Honest limits").
        """
        if any(writer.amending for writer in self.writers.values()):
            return
        plans = [decode_plan(text) for _, text in self.world.kafka.committed.values()]
        if not any(self.world.torn(plan) for plan in plans if plan):
            self.world.fingerprint += "+"

    def end(self) -> None:
        self.world.faults = Faults.calm()
        self.everybody_leaves()
        last = self.join()
        for partition in range(len(self.world.kafka.logs)):
            self.move(partition, last)
        for _ in range(CALM_STEPS):
            self.world.tick()
            last.step()
            if self.drained():
                break
        for shard in self.world.shards:
            for replica in shard.replicas:
                replica.up = True
            while shard.queue:
                shard.replicate()

    def drained(self) -> bool:
        committed = self.world.kafka.committed
        ends = {p: (len(log), "") for p, log in enumerate(self.world.kafka.logs)}
        return committed == ends

    def everybody_leaves(self) -> None:
        """All at once and without a word, as in a power cut."""
        for number in list(self.writers):
            self.world.kafka.flush(number)
        self.writers.clear()
        self.world.kafka.live.clear()
        self.asleep.clear()
        self.expelled.clear()

    def faults_found(self) -> list[str]:
        return [*self.row_faults(), *self.ledger_faults()]

    def row_faults(self) -> list[str]:
        """Records lost or doubled on any replica. A loss that the ledger calls unverified is
        not silent (the audit finds and repairs it) and is left out."""
        found = []
        excused = {
            row.record
            for (partition, start, end), verified in self.world.ledger.items()
            if not verified
            for message in self.world.kafka.logs[partition][start:end]
            for row in message.rows
        }
        for number, shard in enumerate(self.world.shards):
            wanted = Counter(
                row.record
                for log in self.world.kafka.logs
                for message in log
                if not message.refused and not message.unreadable
                for row in message.rows
                if row.shard == number
            )
            for replica in shard.replicas:
                have = Counter(row.record for rows in replica.rows.values() for row in rows)
                found += [f"lost {record}" for record in wanted - have if record not in excused]
                found += [f"doubled {record}" for record in have - wanted]
        return found

    def ledger_faults(self) -> list[str]:
        """Gaps and overlaps of the ledger, and bad messages missing from the dead letters."""
        found = []
        for partition, log in enumerate(self.world.kafka.logs):
            at = 0
            for _, start, end in sorted(r for r in self.world.ledger if r[0] == partition):
                if start != at:
                    found.append(f"ledger of {partition}: {at} then [{start}, {end})")
                at = end
            if at != len(log):
                found.append(f"ledger of {partition} ends at {at} of {len(log)}")
            found += [
                f"not dead-lettered {partition}/{offset}"
                for offset, message in enumerate(log)
                if (message.refused or message.unreadable)
                and (partition, offset) not in self.world.kafka.dead_letters
            ]
        return found


def play(seed: int, lies: Lies | None = None, *, tokens: bool = True) -> list[str]:
    history = History(seed, lies or {}, tokens=tokens)
    try:
        history.play()
    except ProtocolStoppedError as stopped:
        return [f"stopped: {stopped}"]
    return history.faults_found()


def test_every_history_ends_with_each_record_once_on_each_replica() -> None:
    for seed in range(FIRST_SEED, FIRST_SEED + HISTORIES):
        assert play(seed) == [], f"HEADRACE_MODEL_SEED={seed} HEADRACE_MODEL_HISTORIES=1"


def no_plan(writer: Writer, effect: Commit) -> Any:
    return writer.honest(Commit({p: (offset, "") for p, (offset, _) in effect.positions.items()}))


def no_local_fence(writer: Writer, effect: Commit) -> Any:
    return writer.send_commit(effect.positions)


def silence_is_consent(writer: Writer, effect: Commit) -> Any:
    result = writer.honest(effect)
    return CommitResult.OK if result is CommitResult.UNKNOWN else result


def polls_with_a_commit_unanswered(writer: Writer, effect: Commit) -> Any:
    result = writer.honest(effect)
    writer.unsettled = False
    return result


def no_ledger_lookup(_writer: Writer, _effect: LedgerAhead) -> Any:
    return []


def no_dead_letters(_writer: Writer, _effect: DeadLetter) -> None:
    return None


def tables_are_not_looked_at(_writer: Writer, _effect: TablesUnchanged) -> None:
    return None


LIES: dict[str, Lies] = {
    "an outdated process amends plans": {TablesUnchanged: tables_are_not_looked_at},
    "the plan is not committed": {Commit: no_plan},
    "ownership is left to the broker": {Commit: no_local_fence},
    "an unanswered commit counts as done": {Commit: silence_is_consent},
    "callbacks run while a commit is unanswered": {Commit: polls_with_a_commit_unanswered},
    "the ledger is not asked on recovery": {LedgerAhead: no_ledger_lookup},
    "excluded messages are dropped": {DeadLetter: no_dead_letters},
}


def finds_a_fault(lies: Lies) -> bool:
    return any(play(seed, lies) for seed in range(FIRST_SEED, FIRST_SEED + HISTORIES))


@pytest.mark.parametrize("name", LIES)
def test_without_this_answer_histories_fail(name: str) -> None:
    assert finds_a_fault(LIES[name])


def answering(answer: Callable[[Plan], Any]) -> Callable[..., Steps[Any]]:
    """A protocol step that asks nothing and answers at once."""

    def step(plan: Plan, *_rest: object) -> Steps[Any]:
        yield from ()
        return answer(plan)

    return step


def part_of_a_plan_is_a_plan(
    plan: Plan, mine: tuple[int, ...], today: delivery.Encoding
) -> Steps[Any]:
    return (yield from delivery._complete(plan, mine, today))


def fenced_means_never_valid(outcome: Any, plan: Plan, partition: int) -> Any:
    return plan.ends[partition] if isinstance(outcome, Stored) else plan.starts[partition]


REMOVED: dict[str, tuple[str, Any]] = {
    "a found plan is ignored": ("_resolve", answering(lambda _plan: delivery.Void())),
    "a found plan is taken as stored": ("_resolve", answering(Stored)),
    "rows are not counted": (
        "verify",
        answering(lambda _plan: Verified(frozenset(), complete=True)),
    ),
    "a plan refused for one partition is replayed": ("_resolve", part_of_a_plan_is_a_plan),
    "a denied amendment voids the plan": ("_position_after", fenced_means_never_valid),
}


@pytest.mark.parametrize("name", REMOVED)
def test_without_this_step_histories_fail(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    function, replacement = REMOVED[name]
    monkeypatch.setattr(delivery, function, replacement)
    assert finds_a_fault({})


def test_without_the_plans_cuts_histories_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    """Writers that cut a large message each by limits of their own build other blocks."""
    planned = World.rows_of

    def rows_of(world: World, plan: Plan, target: Target, message: Message) -> list[Row]:
        if plan.cuts and world.sizes.random() < 0.5:
            plan = replace(plan, cuts=(plan.cuts[0] + 1, *plan.cuts[1:-1], plan.cuts[-1] - 1))
        return planned(world, plan, target, message)

    monkeypatch.setattr(World, "rows_of", rows_of)
    assert finds_a_fault({})


def test_without_tokens_a_change_of_guardrails_doubles() -> None:
    """Where a server knows a repeated insert by its bytes, other rules make another insert of it:
    there they are part of the fingerprint."""
    seeds = range(FIRST_SEED, FIRST_SEED + HISTORIES)
    assert any("doubled" in str(play(seed, tokens=False)) for seed in seeds)


def test_without_payload_hash_and_range_in_the_ingest_id_histories_fail(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Plan, "ingest_id", lambda _plan, target, _revision=None: target.shard)
    assert finds_a_fault({})
