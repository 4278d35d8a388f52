"""The delivery protocol against a world in which everything fails: thousands of histories.

A history is a seed: writers are killed, expelled, revived as zombies; partitions move; answers are
lost; hashes are kept without rows; replicas vanish; headers, guardrails and the number of shards
change. At its end, when the world is calm and a last writer has drained every partition, each
record must be on each replica exactly once. `test_delivery_mutants.py` takes each protection away
in turn.
"""

import os
from collections import Counter

from headrace_writer.core.delivery_plan import decode_plan
from support.simulated_writer import Lies, ProtocolStoppedError, Writer
from support.simulation import MOST_SHARDS, SHORT_WINDOW, Faults, World

HISTORIES = int(os.environ.get("HEADRACE_MODEL_HISTORIES", "1500"))
FIRST_SEED = int(os.environ.get("HEADRACE_MODEL_SEED", "1"))
WRITERS = 3
STEPS = 260
LONG_STEPS = 700
CALM_STEPS = 4_000


class History:
    """One seed, played to its end."""

    def __init__(
        self, seed: int, lies: Lies, *, tokens: bool = True, faults: Faults | None = None
    ) -> None:
        self.world = World(seed)
        self.world.faults = faults or self.world.faults
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
        for _ in range(LONG_STEPS if self.world.window == SHORT_WINDOW else STEPS):
            self.event()
            if self.world.reshards and self.world.sharding.random() < 0.005:
                self.reshard()
            self.run_one()
            self.world.tick()
        self.end()

    def run_one(self) -> None:
        awake = [n for n in self.writers if n not in self.asleep]
        if awake:
            number = self.rng.choice(awake)
            writer = self.writers[number]
            writer.step()
            if writer.outdated:
                self.kill(number)
                self.join()
            elif not writer.checked and self.rng.random() < self.world.faults.long_sleep:
                self.asleep[number] = self.rng.randint(80, 300)

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
            self.asleep.setdefault(self.rng.choice(numbers), self.rng.randint(5, 80))
        elif roll < 0.11 and numbers:
            self.expel(self.rng.choice(numbers))
        elif roll < 0.114:
            self.reset_offsets()
        elif roll < 0.134:
            self.world.rules += 1
        elif roll < 0.134 + self.world.faults.migration:
            self.migrate()
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

    def reshard(self) -> None:
        """Writers that start from now on know another shard, beside those that do not. One is
        taken away only while all are stopped and no plan is outstanding (docs/scaling.md)."""
        if self.world.named < MOST_SHARDS:
            self.world.add_shard()
            return
        self.everybody_leaves()
        if not any(text for _, text in self.world.kafka.committed.values()):
            self.world.named -= 1
        self.join()

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
        wanted = Counter(
            row.record
            for log in self.world.kafka.logs
            for message in log
            if not message.refused and not message.unreadable
            for row in message.rows
        )
        # Which shard a record is on depends on how many there were when it was planned.
        for replicas in zip(*(shard.replicas for shard in self.world.shards), strict=True):
            have = Counter(
                row.record for replica in replicas for rows in replica.rows.values() for row in rows
            )
            found += [f"lost {record}" for record in wanted - have if record not in excused]
            found += [f"doubled {record}" for record in have - wanted]
        return found

    def harm_so_far(self) -> list[str]:
        """In the middle of a history: records doubled, or in the ledger and on no replica."""
        found = [fault for fault in self.row_faults() if fault.startswith("doubled")]
        have = {
            row.record
            for shard in self.world.shards
            for replica in shard.replicas
            for rows in replica.rows.values()
            for row in rows
        }
        for (partition, start, end), verified in self.world.ledger.items():
            for message in self.world.kafka.logs[partition][start:end] if verified else ():
                if not message.refused and not message.unreadable:
                    found += [
                        f"lost {row.record}" for row in message.rows if row.record not in have
                    ]
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


def play(
    seed: int, lies: Lies | None = None, *, tokens: bool = True, faults: Faults | None = None
) -> list[str]:
    """What is wrong at the end of a history; empty when nothing is. Where the protocol stopped,
    what is lost or doubled by then."""
    history = History(seed, lies or {}, tokens=tokens, faults=faults)
    try:
        history.play()
    except ProtocolStoppedError as stopped:
        # After the window no protocol can complete a block that is stored for some days only.
        if history.world.window == SHORT_WINDOW and "is only partly stored" in str(stopped):
            return []
        return [f"stopped: {stopped}", *history.harm_so_far()]
    return history.faults_found()


def test_every_history_ends_with_each_record_once_on_each_replica() -> None:
    for seed in range(FIRST_SEED, FIRST_SEED + HISTORIES):
        assert play(seed) == [], f"HEADRACE_MODEL_SEED={seed} HEADRACE_MODEL_HISTORIES=1"
