"""One contract for a member of a consumer group: the broker in memory, on which the loop's tests
stand, and Kafka through `GroupConsumer` and `RangeReader`."""

import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import replace
from typing import Any, Protocol

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from headrace_writer.core.backlog import Message
from headrace_writer.core.delivery_effects import CommitResult, Position
from headrace_writer.core.delivery_plan import MAX_PLAN_BYTES, Plan, Range
from headrace_writer.errors import Fatal, Retryable
from headrace_writer.shell.batch_store import OffsetsGone
from headrace_writer.shell.clock import SystemClock
from headrace_writer.shell.kafka import GroupConfig, GroupConsumer, RangeReader
from headrace_writer.shell.loop import GroupMember
from support.cluster import Cluster
from support.local_broker import LocalBroker, LocalMember
from support.timing import ManualClock

PARTITIONS = 4
ALL = set(range(PARTITIONS))
T0_MS = 1_790_000_000_000


class Member:
    """A member and its listener: remembers callbacks and what was fetched."""

    def __init__(self) -> None:
        self.consumer: GroupMember
        self.held: set[int] = set()
        self.calls: list[str] = []
        self.fetched: list[Message] = []
        self.when_revoked: Callable[[list[int]], None] = lambda _partitions: None

    def assigned(self, partitions: list[int]) -> None:
        assert not self.held & set(partitions)
        self.calls.append("assigned")
        self.held |= set(partitions)

    def revoked(self, partitions: list[int]) -> None:
        self.calls.append("revoked")
        self.when_revoked(partitions)
        self.held -= set(partitions)

    def lost(self, partitions: list[int]) -> None:
        self.calls.append("lost")
        self.held -= set(partitions)

    def poll(self) -> None:
        self.fetched += self.consumer.poll(100, 0.05)

    def offsets(self, partition: int) -> list[int]:
        """Of what was fetched, in the order it came."""
        return [message.offset for message in self.fetched if message.partition == partition]


class Group(Protocol):
    """One topic with its group."""

    patience_s: float
    """How long what should happen may take."""
    quiet_s: float
    """How long what should not happen is waited for."""

    def produce(self, partition: int, *values: bytes) -> None:
        """Keyed by the value's first byte, stamped one millisecond after the other from T0_MS."""

    def delete_before(self, partition: int, offset: int) -> None:
        """As retention does."""

    def join(self, *, poll_at_least_every_s: float = 300.0) -> Member:
        """One member more."""

    def fall_silent(self, member: Member) -> None:
        """From now on the member is not polled, longer than it said."""

    def read(self, plan: Plan) -> list[Message]:
        """By offset, outside the group."""

    def close(self) -> None: ...


class LocalGroup:
    patience_s = 0.2
    quiet_s = 0.0

    def __init__(self) -> None:
        self.broker = LocalBroker(PARTITIONS)
        self.members: dict[Member, LocalMember] = {}

    def produce(self, partition: int, *values: bytes) -> None:
        for at, value in enumerate(values):
            self.broker.produce(partition, value, T0_MS + at, value[:1])

    def delete_before(self, partition: int, offset: int) -> None:
        self.broker.delete_before(partition, offset)

    def join(self, *, poll_at_least_every_s: float = 300.0) -> Member:
        member = Member()
        member.consumer = self.members[member] = self.broker.join(member)
        return member

    def fall_silent(self, member: Member) -> None:
        self.broker.expel(self.members[member])

    def read(self, plan: Plan) -> list[Message]:
        return self.broker.read(plan)

    def close(self) -> None:
        pass


class KafkaGroup:
    patience_s = 20.0
    quiet_s = 0.4

    def __init__(self, bootstrap: str, protocol: str) -> None:
        name = f"contract-{uuid.uuid4().hex[:8]}"
        self._admin = AdminClient({"bootstrap.servers": bootstrap})
        # T0_MS lies behind any retention time: only `delete_before` may delete.
        for_ever = {"retention.ms": "-1"}
        done(self._admin.create_topics([NewTopic(name, PARTITIONS, 1, config=for_ever)]))
        self._producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 0})
        self._config = GroupConfig(bootstrap, name, name, protocol, extra={"log_level": 3})
        self._members: list[Member] = []

    def produce(self, partition: int, *values: bytes) -> None:
        for at, value in enumerate(values):
            self._producer.produce(
                self._config.topic, value, value[:1], partition, timestamp=T0_MS + at
            )
        assert self._producer.flush(20) == 0

    def delete_before(self, partition: int, offset: int) -> None:
        place = TopicPartition(self._config.topic, partition, offset)
        done(self._admin.delete_records([place]))

    def join(self, *, poll_at_least_every_s: float = 300.0) -> Member:
        member = Member()
        extra = {**self._config.extra, "max.poll.interval.ms": int(poll_at_least_every_s * 1000)}
        if self._config.protocol == "classic":
            # A member learns of a rebalance at its next heartbeat, by default after 3 s.
            extra["heartbeat.interval.ms"] = 200
        config = replace(self._config, extra=extra)
        member.consumer = GroupConsumer(config, member, HastyClock())
        self._members.append(member)
        return member

    def fall_silent(self, member: Member) -> None:
        """Nothing to do: who is not polled is silent."""

    def read(self, plan: Plan) -> list[Message]:
        return RangeReader(self._config, SystemClock()).read(plan)

    def close(self) -> None:
        for member in self._members:
            member.when_revoked = lambda _partitions: None
            member.consumer.close()
        done(self._admin.delete_topics([self._config.topic]))


class HastyClock(ManualClock):
    """Goes ten times as fast: a seek that cannot succeed gives up after 1 s instead of 10."""

    def monotonic(self) -> float:
        return 10 * time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds / 10)


def done(futures: dict[Any, "Future[Any]"]) -> None:
    """Wait for an admin client's requests; raises the first error."""
    for future in futures.values():
        future.result(20)


def kafka(protocol: str) -> Any:
    return pytest.param(protocol, marks=pytest.mark.integration)


# How members share partitions is the protocol's business; all else is the same in both.
ON_BOTH_PROTOCOLS = pytest.mark.parametrize(
    "group", ["local", kafka("consumer"), kafka("classic")], indirect=True
)


@pytest.fixture(params=["local", kafka("consumer")])
def group(request: pytest.FixtureRequest) -> Iterator[Group]:
    if request.param == "local":
        made: Group = LocalGroup()
    else:
        cluster: Cluster = request.getfixturevalue("cluster")
        made = KafkaGroup(cluster.bootstrap, request.param)
    yield made
    made.close()


def poll_until(group: Group, *members: Member, reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + group.patience_s
    while not reached():
        assert time.monotonic() < deadline, [(m.held, m.calls, m.fetched[-3:]) for m in members]
        for member in members:
            member.poll()


def poll_a_while(group: Group, *members: Member) -> None:
    """Long enough that what must not come would have come."""
    deadline = time.monotonic() + group.quiet_s
    while True:
        for member in members:
            member.poll()
        if time.monotonic() >= deadline:
            return


def sole_member(group: Group) -> Member:
    """A member that holds every partition."""
    member = group.join()
    poll_until(group, member, reached=lambda: member.held == ALL)
    return member


def numbered(count: int) -> list[bytes]:
    return [b"%d" % number for number in range(count)]


def plan_of(*ranges: tuple[int, int, int]) -> Plan:
    return Plan("topic", tuple(Range(*r) for r in ranges), 1, "", 0, 0, {})


def test_assigned_partitions_are_reported_and_paused(group: Group) -> None:
    for partition in ALL:
        group.produce(partition, b"waiting")
    member = sole_member(group)
    assert member.calls == ["assigned"]
    poll_a_while(group, member)
    assert member.fetched == []


def test_fetching_begins_at_the_offset_it_is_started_at(group: Group) -> None:
    group.produce(1, *numbered(6))
    group.produce(2, *numbered(6))
    member = sole_member(group)
    member.consumer.start(1, 2)
    poll_until(group, member, reached=lambda: len(member.fetched) == 4)
    poll_a_while(group, member)
    assert member.fetched == [
        Message(1, offset, T0_MS + offset, b"%d" % offset, b"%d" % offset)
        for offset in (2, 3, 4, 5)
    ]


def test_no_more_messages_come_than_were_asked_for(group: Group) -> None:
    group.produce(0, *numbered(10))
    group.produce(1, *numbered(10))
    member = sole_member(group)
    for partition in (0, 1):
        member.consumer.start(partition, 0)
    sizes: list[int] = []

    def all_fetched() -> bool:
        sizes.append(len(got := member.consumer.poll(3, 0.05)))
        member.fetched += got
        return len(member.fetched) == 20

    poll_until(group, reached=all_fetched)
    assert max(sizes) == 3
    assert member.offsets(0) == member.offsets(1) == list(range(10))


def test_a_partition_can_be_started_again_elsewhere(group: Group) -> None:
    group.produce(0, *numbered(5))
    member = sole_member(group)
    member.consumer.start(0, 3)
    poll_until(group, member, reached=lambda: member.offsets(0) == [3, 4])
    member.consumer.start(0, 1)
    poll_until(group, member, reached=lambda: member.offsets(0) == [3, 4, 1, 2, 3, 4])


@pytest.mark.parametrize("offset", [0, 100])
def test_an_offset_outside_the_log_means_the_oldest_message(group: Group, offset: int) -> None:
    group.produce(0, *numbered(6))
    group.delete_before(0, 4)
    member = sole_member(group)
    member.consumer.start(0, offset)
    poll_until(group, member, reached=lambda: member.offsets(0) == [4, 5])


def test_a_partition_that_is_not_held_cannot_be_started(group: Group) -> None:
    member = group.join()
    with pytest.raises(Retryable):
        member.consumer.start(0, 0)


def test_a_paused_partition_goes_on_where_it_stopped(group: Group) -> None:
    for partition in (0, 1):
        group.produce(partition, *numbered(3))
    member = sole_member(group)
    for partition in (0, 1):
        member.consumer.start(partition, 0)
    poll_until(group, member, reached=lambda: len(member.fetched) == 6)
    member.consumer.pause([0])
    for partition in (0, 1):
        group.produce(partition, *numbered(2))
    poll_until(group, member, reached=lambda: len(member.offsets(1)) == 5)
    poll_a_while(group, member)
    assert member.offsets(0) == [0, 1, 2]
    member.consumer.resume([0])
    poll_until(group, member, reached=lambda: len(member.offsets(0)) == 5)
    assert member.offsets(0) == member.offsets(1) == [0, 1, 2, 3, 4]


def test_a_commit_keeps_offset_and_metadata(group: Group) -> None:
    member = sole_member(group)
    positions: dict[int, Position] = {0: (7, '{"v":1}'), 2: (0, "")}
    assert member.consumer.commit(positions) is CommitResult.OK
    assert member.consumer.committed((0, 1, 2)) == positions
    assert member.consumer.committed((1,)) == {}
    assert member.consumer.commit({0: (8, "")}) is CommitResult.OK
    assert member.consumer.committed((0, 2)) == {0: (8, ""), 2: (0, "")}


def test_the_longest_plan_can_be_committed_and_a_longer_one_never(group: Group) -> None:
    member = sole_member(group)
    longest = "x" * MAX_PLAN_BYTES
    assert member.consumer.commit({0: (1, longest)}) is CommitResult.OK
    assert member.consumer.committed((0,)) == {0: (1, longest)}
    with pytest.raises(Fatal):
        member.consumer.commit({0: (2, longest + "x")})
    assert member.consumer.committed((0,)) == {0: (1, longest)}


def test_the_low_watermark_follows_what_retention_deletes(group: Group) -> None:
    group.produce(0, *numbered(5))
    member = sole_member(group)
    assert member.consumer.low_watermark(0) == 0
    group.delete_before(0, 3)
    assert member.consumer.low_watermark(0) == 3
    assert member.consumer.low_watermark(1) == 0


def test_the_ends_of_paused_partitions_are_known(group: Group) -> None:
    group.produce(0, *numbered(5))
    member = sole_member(group)
    ends = member.consumer.ends
    poll_until(group, member, reached=lambda: ends([0, 1]) == {0: 5, 1: 0})
    group.produce(0, *numbered(2))
    poll_until(group, member, reached=lambda: ends([0]) == {0: 7})
    assert member.fetched == [], "nothing was started, so all stayed paused"


@ON_BOTH_PROTOCOLS
def test_partitions_move_to_a_second_member_and_back(group: Group) -> None:
    first = sole_member(group)
    answers: list[CommitResult] = []

    def give_up(partitions: list[int]) -> None:
        assert second.held.isdisjoint(partitions), "the next owner waits for this to return"
        answers.append(first.consumer.commit({p: (p + 10, "given up") for p in partitions}))

    first.when_revoked = give_up
    second = group.join()
    poll_until(group, first, second, reached=lambda: len(second.held) == PARTITIONS // 2)
    assert first.held == ALL - second.held
    assert answers == [CommitResult.OK], "still a member while a revoke runs"
    moved = tuple(second.held)
    assert second.consumer.committed(moved) == {p: (p + 10, "given up") for p in moved}
    assert second.consumer.committed(tuple(first.held)) == {}

    second.when_revoked = lambda partitions: answers.append(
        second.consumer.commit({p: (p + 20, "closing") for p in partitions})
    )
    second.consumer.close()
    assert second.held == set()
    assert answers == [CommitResult.OK] * 2
    poll_until(group, first, reached=lambda: first.held == ALL)
    assert first.consumer.committed(moved) == {p: (p + 20, "closing") for p in moved}


@ON_BOTH_PROTOCOLS
def test_a_moved_partition_is_not_fetched_by_its_old_owner(group: Group) -> None:
    first = sole_member(group)
    for partition in ALL:
        group.produce(partition, *numbered(2))
        first.consumer.start(partition, 0)
    poll_until(group, first, reached=lambda: len(first.fetched) == 2 * PARTITIONS)
    second = group.join()
    poll_until(group, first, second, reached=lambda: len(second.held) == PARTITIONS // 2)
    for partition in ALL:
        group.produce(partition, b"later")
    kept = 2 * PARTITIONS + len(first.held)
    poll_until(group, first, second, reached=lambda: len(first.fetched) == kept)
    poll_a_while(group, first, second)
    assert {m.partition for m in first.fetched[2 * PARTITIONS :]} == first.held
    assert second.fetched == []


@ON_BOTH_PROTOCOLS
def test_a_member_too_many_holds_nothing_until_another_leaves(group: Group) -> None:
    members: list[Member] = []
    for _ in range(PARTITIONS + 1):
        members.append(group.join())
        members[-1].poll()
    poll_until(
        group,
        *members,
        reached=lambda: sorted(len(m.held) for m in members) == [0] + [1] * PARTITIONS,
    )
    spare = next(member for member in members if not member.held)
    assert not {"revoked", "lost"} & set(spare.calls)
    next(member for member in members if member.held).consumer.close()
    others = [member for member in members if member.held or member is spare]
    poll_until(group, *others, reached=lambda: all(len(m.held) == 1 for m in others))


def test_a_member_that_was_silent_too_long_cannot_commit(group: Group) -> None:
    silent = group.join(poll_at_least_every_s=1.0)
    poll_until(group, silent, reached=lambda: silent.held == ALL)
    assert silent.consumer.commit({0: (1, "mine")}) is CommitResult.OK
    heir = group.join()
    group.fall_silent(silent)
    poll_until(group, heir, reached=lambda: heir.held == ALL)
    assert heir.consumer.commit({0: (2, "heir")}) is CommitResult.OK

    assert silent.consumer.commit({0: (3, "stale")}) is CommitResult.FENCED
    assert heir.consumer.committed((0,)) == {0: (2, "heir")}
    assert silent.held == ALL, "it learns of its loss only in poll"
    poll_until(group, silent, heir, reached=lambda: "lost" in silent.calls and bool(silent.held))
    assert silent.consumer.commit({0: (3, "again a member")}) is CommitResult.OK


def test_a_closed_member_can_do_nothing_more(group: Group) -> None:
    member = sole_member(group)
    member.consumer.close()
    assert member.calls == ["assigned", "revoked"]
    with pytest.raises(RuntimeError):
        member.consumer.commit({0: (1, "")})
    with pytest.raises(RuntimeError):
        member.consumer.poll(1, 0)


def test_ranges_are_read_by_offset_in_the_plans_order(group: Group) -> None:
    for partition in (0, 2):
        group.produce(partition, *numbered(500))
    read = group.read(plan_of((0, 100, 400), (2, 499, 500)))
    assert [m[:2] for m in read] == [(0, offset) for offset in range(100, 400)] + [(2, 499)]
    assert read[-1] == Message(2, 499, T0_MS + 499, b"4", b"499")


def test_a_range_is_read_without_disturbing_the_group(group: Group) -> None:
    group.produce(0, *numbered(4))
    member = sole_member(group)
    member.consumer.commit({0: (2, "plan")})
    member.consumer.start(0, 3)
    assert [m.offset for m in group.read(plan_of((0, 0, 4)))] == [0, 1, 2, 3]
    poll_until(group, member, reached=lambda: member.offsets(0) == [3])
    assert member.consumer.committed((0,)) == {0: (2, "plan")}
    assert member.calls == ["assigned"]


@pytest.mark.parametrize(
    "lost", [(0, 1, 4), (0, 3, 6)], ids=["deleted at the start", "beyond the end"]
)
def test_a_range_that_the_log_no_longer_has_is_gone(
    group: Group, lost: tuple[int, int, int]
) -> None:
    group.produce(0, *numbered(5))
    group.produce(1, *numbered(5))
    group.delete_before(0, 2)
    assert len(group.read(plan_of((0, 2, 5), (1, 0, 5)))) == 8
    with pytest.raises(OffsetsGone):
        group.read(plan_of(lost))
    with pytest.raises(OffsetsGone):
        group.read(plan_of(lost, (1, 0, 5)))
