"""A consumer group on one topic, in memory: what the writer's loop needs of Kafka.

`tests/contract/test_group_member.py` holds it to the real one.
"""

from collections.abc import Callable, Mapping, Sequence

from headrace_writer.core.backlog import Message
from headrace_writer.core.delivery_effects import CommitResult, Position
from headrace_writer.core.delivery_plan import Plan
from headrace_writer.shell.batch_store import OffsetsGone
from headrace_writer.shell.kafka import Rebalance


class LocalBroker:
    """Logs and committed positions of one topic. Offsets are list positions."""

    def __init__(self, partitions: int) -> None:
        self.logs: list[list[Message]] = [[] for _ in range(partitions)]
        self.low = [0] * partitions
        self.committed: dict[int, Position] = {}
        self.commits: list[dict[int, Position]] = []
        """Every accepted commit, in order."""

    def produce(self, partition: int, value: bytes, timestamp_ms: int = 0) -> int:
        log = self.logs[partition]
        log.append(Message(partition, len(log), timestamp_ms, None, value))
        return len(log) - 1

    def delete_before(self, partition: int, offset: int) -> None:
        """As retention does."""
        self.low[partition] = offset

    def read(self, plan: Plan) -> list[Message]:
        """The range reader's side: by offset, whoever owns the partition."""
        for partition, start, end in plan.ranges:
            if self.low[partition] > start or len(self.logs[partition]) < end:
                raise OffsetsGone(f"{partition} [{start}, {end})")
        return [message for p, start, end in plan.ranges for message in self.logs[p][start:end]]


class LocalMember:
    """One group member. `inside_poll` holds callbacks that the next poll runs, as rebalances do."""

    def __init__(self, broker: LocalBroker, rebalance: Rebalance) -> None:
        self._broker = broker
        self._rebalance = rebalance
        self._next: dict[int, int] = {}
        self._paused: set[int] = set()
        self.inside_poll: list[Callable[[], None]] = []
        self.answers: list[CommitResult] = []
        """Answers that the next commits get instead of theirs; UNKNOWN ones are not stored."""
        self.closed = False

    def assign(self, *partitions: int) -> None:
        def run() -> None:
            for partition in partitions:
                self._next[partition] = 0
                self._paused.add(partition)
            self._rebalance.assigned(list(partitions))

        self.inside_poll.append(run)

    def revoke(self, *partitions: int) -> None:
        def run() -> None:
            self._rebalance.revoked(list(partitions))
            self._drop(partitions)

        self.inside_poll.append(run)

    def lose(self, *partitions: int) -> None:
        def run() -> None:
            self._rebalance.lost(list(partitions))
            self._drop(partitions)

        self.inside_poll.append(run)

    def _drop(self, partitions: Sequence[int]) -> None:
        for partition in partitions:
            self._next.pop(partition, None)
            self._paused.discard(partition)

    def poll(self, max_messages: int, timeout_s: float) -> list[Message]:
        del timeout_s
        callbacks, self.inside_poll = self.inside_poll, []
        for callback in callbacks:
            callback()
        found: list[Message] = []
        for partition, at in self._next.items():
            if partition in self._paused:
                continue
            taken = self._broker.logs[partition][at : at + max_messages - len(found)]
            self._next[partition] = at + len(taken)
            found += taken
        return found

    def commit(self, positions: Mapping[int, Position]) -> CommitResult:
        answer = self.answers.pop(0) if self.answers else CommitResult.OK
        if answer is CommitResult.OK:
            self._broker.committed.update(positions)
            self._broker.commits.append(dict(positions))
        return answer

    def committed(self, partitions: tuple[int, ...]) -> dict[int, Position]:
        known = self._broker.committed
        return {p: known[p] for p in partitions if p in known}

    def low_watermark(self, partition: int) -> int:
        return self._broker.low[partition]

    def start(self, partition: int, offset: int) -> None:
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
            self._rebalance.revoked(list(self._next))
        self.closed = True
