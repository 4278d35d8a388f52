"""A consumer group on one topic, in memory: what the writer's loop needs of Kafka.

`tests/contract/test_group_member.py` holds it to the real one.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

from headrace_writer.core.backlog import Message
from headrace_writer.core.delivery_effects import CommitResult, Position
from headrace_writer.core.delivery_plan import Plan
from headrace_writer.errors import Fatal, Retryable
from headrace_writer.shell.batch_store import OffsetsGone
from headrace_writer.shell.kafka import Listener

# The broker's offset.metadata.max.bytes is 4,096; confluent-kafka sends a NUL behind the text.
MAX_METADATA = 4095


class LocalBroker:
    """Logs, committed positions and members of one topic's group. Offsets are list positions."""

    def __init__(self, partitions: int) -> None:
        self.topic_id = "topic-1"
        self.logs: list[list[Message]] = [[] for _ in range(partitions)]
        self.low = [0] * partitions
        self.committed: dict[int, Position] = {}
        self.commits: list[dict[int, Position]] = []
        """Every accepted commit, in order."""
        self.marks: set[tuple[int, int]] = set()
        """(partition, offset) that hold no message."""
        self._members: list[LocalMember] = []
        self._owner: dict[int, LocalMember] = {}

    def produce(
        self, partition: int, value: bytes, timestamp_ms: int = 0, key: bytes | None = None
    ) -> int:
        log = self.logs[partition]
        log.append(Message(partition, len(log), timestamp_ms, key, value))
        return len(log) - 1

    def mark(self, partition: int) -> None:
        """As the end of a transaction does: an offset is taken, and no message is there."""
        self.marks.add((partition, self.produce(partition, b"")))

    def messages(self, partition: int, start: int, end: int) -> list[Message]:
        """What lies in [start, end)."""
        return [m for m in self.logs[partition][start:end] if m[:2] not in self.marks]

    def delete_before(self, partition: int, offset: int) -> None:
        """As retention does."""
        self.low[partition] = offset

    def truncate(self, partition: int, offset: int) -> None:
        """As the election of a leader does that lacks the newest messages."""
        del self.logs[partition][offset:]

    def recreate(self) -> None:
        """Another topic of the same name; its group's offsets go with the old one."""
        self.topic_id += "+"
        self.logs = [[] for _ in self.logs]
        self.low = [0] * len(self.logs)
        self.marks.clear()
        self.committed.clear()

    def read(self, plan: Plan) -> list[Message]:
        """The range reader's side: by offset, whoever owns the partition."""
        for partition, start, end in plan.ranges:
            if self.low[partition] > start or len(self.logs[partition]) < end:
                raise OffsetsGone(f"{partition} [{start}, {end})")
        return [m for p, start, end in plan.ranges for m in self.messages(p, start, end)]

    # --- the group: members that joined are assigned partitions by the broker

    def join(self, listener: Listener) -> "LocalMember":
        """A member among which, and those before it, the partitions are spread evenly."""
        member = LocalMember(self, listener)
        self.rejoin(member)
        return member

    def expel(self, member: "LocalMember") -> None:
        """As after silence: the others get its partitions; it learns so in its next poll."""
        self.leave(member)
        member.fence(self.rejoin)

    def rejoin(self, member: "LocalMember") -> None:
        self._members.append(member)
        self._balance()

    def leave(self, member: "LocalMember") -> None:
        if member in self._members:
            self._members.remove(member)
        self._owner = {p: owner for p, owner in self._owner.items() if owner is not member}
        self._balance()

    def released(self, member: "LocalMember", partitions: Sequence[int]) -> None:
        """A revoke has run: only now may another member have them."""
        for partition in partitions:
            if self._owner.get(partition) is member:
                del self._owner[partition]
        self._balance()

    def _balance(self) -> None:
        for number, member in enumerate(self._members):
            share, more = divmod(len(self.logs), len(self._members))
            share += number < more
            kept = sorted(
                p for p, owner in self._owner.items() if owner is member and p not in member.leaving
            )
            free = [p for p in range(len(self.logs)) if p not in self._owner]
            if too_many := kept[share:]:
                member.revoke(*too_many)
            elif gained := free[: share - len(kept)]:
                self._owner |= dict.fromkeys(gained, member)
                member.assign(*gained)


class LocalMember:
    """One group member. `inside_poll` holds callbacks that the next poll runs, as rebalances do.

    Made by `LocalBroker.join` it is the broker's to assign; made directly, the test assigns.
    """

    def __init__(self, broker: LocalBroker, listener: Listener) -> None:
        self._broker = broker
        self._listener = listener
        self._next: dict[int, int] = {}
        self._paused: set[int] = set()
        self._fenced = False
        self.leaving: set[int] = set()
        """Held, and to be revoked in the next poll."""
        self.inside_poll: list[Callable[[], None]] = []
        self.answers: list[CommitResult] = []
        """Answers that the next commits get instead of theirs; UNKNOWN ones are not stored."""
        self.closed = False

    def assign(self, *partitions: int) -> None:
        def run() -> None:
            for partition in partitions:
                self._next[partition] = 0
                self._paused.add(partition)
            self._listener.assigned(list(partitions))

        self.inside_poll.append(run)

    def revoke(self, *partitions: int) -> None:
        def run() -> None:
            self._listener.revoked(list(partitions))
            self._drop(partitions)
            self._broker.released(self, partitions)

        self.leaving.update(partitions)
        self.inside_poll.append(run)

    def lose(self, *partitions: int) -> None:
        def run() -> None:
            self._fenced = False
            self._listener.lost(list(partitions))
            self._drop(partitions)

        self._fenced = True
        self.inside_poll.append(run)

    def fence(self, rejoin: Callable[["LocalMember"], None]) -> None:
        """The broker knows this member no more, until it polls and joins again."""
        self.inside_poll.clear()
        self.leaving.clear()
        self.lose(*self._next)
        self.inside_poll.append(lambda: rejoin(self))

    def _drop(self, partitions: Sequence[int]) -> None:
        for partition in partitions:
            self._next.pop(partition, None)
            self._paused.discard(partition)
            self.leaving.discard(partition)

    def poll(self, max_messages: int, timeout_s: float) -> list[Message]:
        del timeout_s
        self._check_open()
        callbacks, self.inside_poll = self.inside_poll, []
        for callback in callbacks:
            callback()
        found: list[Message] = []
        for partition in sorted(self.fetching):
            log, low = self._broker.logs[partition], self._broker.low[partition]
            at = self._next[partition]
            if not low <= at <= len(log):
                self._paused.add(partition)
                self._listener.unreadable(partition)
                continue
            end = min(len(log), at + max_messages - len(found))
            self._next[partition] = end
            found += self._broker.messages(partition, at, end)
        return found

    def commit(self, positions: Mapping[int, Position]) -> CommitResult:
        self._check_open()
        if any(len(metadata) > MAX_METADATA for _, metadata in positions.values()):
            raise Fatal("the broker will never take this commit: metadata too large")
        normal = CommitResult.FENCED if self._fenced else CommitResult.OK
        answer = self.answers.pop(0) if self.answers else normal
        if answer is CommitResult.OK:
            self._broker.committed.update(positions)
            self._broker.commits.append(dict(positions))
        return answer

    def committed(self, partitions: tuple[int, ...]) -> dict[int, Position]:
        known = self._broker.committed
        return {p: known[p] for p in partitions if p in known}

    def watermarks(self, partition: int) -> tuple[int, int]:
        return self._broker.low[partition], len(self._broker.logs[partition])

    def topic_id(self) -> str:
        return self._broker.topic_id

    def ends(self, partitions: Iterable[int]) -> dict[int, int]:
        return {partition: len(self._broker.logs[partition]) for partition in partitions}

    def start(self, partition: int, offset: int) -> None:
        if partition not in self._next:
            raise Retryable(f"cannot seek partition {partition} to {offset}: it is not held")
        self._next[partition] = offset
        self._paused.discard(partition)

    def pause(self, partitions: Sequence[int]) -> None:
        self._paused.update(partitions)

    def resume(self, partitions: Sequence[int]) -> None:
        self._paused.difference_update(partitions)

    @property
    def fetching(self) -> frozenset[int]:
        return frozenset(self._next) - self._paused

    def close(self) -> None:
        if self._next:
            self._listener.revoked(list(self._next))
        self._drop(list(self._next))
        self.closed = True
        self._broker.leave(self)

    def _check_open(self) -> None:
        if self.closed:
            raise RuntimeError("Consumer closed")
