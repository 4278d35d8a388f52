"""One contract for a member of a consumer group: the broker in memory, on which the loop's tests
stand, and Kafka through `GroupConsumer` and `RangeReader`."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from headrace_writer.core.backlog import Message
from headrace_writer.core.delivery_effects import CommitResult, Position
from headrace_writer.core.delivery_plan import MAX_PLAN_BYTES, Plan, Range
from headrace_writer.errors import Fatal, Retryable
from headrace_writer.shell.batch_store import OffsetsGone
from support.cluster import Cluster
from support.consumer_group import PARTITIONS, T0_MS, Group, KafkaGroup, LocalGroup, Member

ALL = set(range(PARTITIONS))


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


def test_the_end_of_a_transaction_takes_an_offset_and_is_no_message(group: Group) -> None:
    group.transact(0, b"in a transaction")
    group.produce(0, *numbered(2))
    member = sole_member(group)
    member.consumer.start(0, 0)
    poll_until(group, member, reached=lambda: len(member.fetched) == 3)
    assert member.offsets(0) == [0, 2, 3]
    assert [message.offset for message in group.read(plan_of((0, 1, 4)))] == [2, 3]


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
def test_an_offset_outside_the_log_is_not_taken_for_another(group: Group, offset: int) -> None:
    group.produce(0, *numbered(6))
    group.delete_before(0, 4)
    member = sole_member(group)
    member.consumer.start(0, offset)
    poll_until(group, member, reached=lambda: "unreadable 0" in member.calls)
    assert member.fetched == []


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


def test_the_watermarks_follow_what_is_produced_and_deleted(group: Group) -> None:
    group.produce(0, *numbered(5))
    member = sole_member(group)
    assert member.consumer.watermarks(0) == (0, 5)
    group.delete_before(0, 3)
    assert member.consumer.watermarks(0) == (3, 5)
    assert member.consumer.watermarks(1) == (0, 0)


def test_what_retention_deletes_under_a_reader_is_not_skipped(group: Group) -> None:
    group.produce(0, *numbered(3))
    member = sole_member(group)
    member.consumer.start(0, 0)
    member.consumer.start(1, 0)
    poll_until(group, member, reached=lambda: member.offsets(0) == [0, 1, 2])
    member.consumer.pause([0])
    group.produce(0, *numbered(4))
    group.delete_before(0, 5)
    member.consumer.resume([0])
    poll_until(group, member, reached=lambda: "unreadable 0" in member.calls)
    group.produce(1, b"goes on")
    poll_until(group, member, reached=lambda: member.offsets(1) == [0])
    assert member.offsets(0) == [0, 1, 2]
    assert member.calls == ["assigned", "unreadable 0"]


def test_a_topic_that_was_created_again_has_another_id(group: Group) -> None:
    member = sole_member(group)
    before = member.consumer.topic_id()
    assert member.consumer.topic_id() == before
    group.recreate()
    assert member.consumer.topic_id() != before


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
