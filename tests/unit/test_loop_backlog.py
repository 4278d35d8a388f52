"""A loop that fetches faster than it stores: what a full backlog does, and who goes first then."""

import pytest

from headrace_writer.shell.loop import PAUSE_AFTER_S
from support.loop_world import AGE_S, TABLE, World, produce_while_held


@pytest.fixture
def world() -> World:
    return World()


def test_a_full_backlog_pauses_fetching_and_later_resumes(world: World) -> None:
    writer = world.writer(0, max_bytes=600)
    produce_while_held(world, writer, AGE_S)
    assert writer.member.fetching == frozenset()
    assert writer.metric("partitions_paused", signal="traces") == 1
    taken = writer.metric("messages_fetched_total", signal="traces")
    assert taken < 20
    writer.executor.release()
    for _ in range(30):
        writer.store_what_is_there()
    assert writer.member.fetching == {0}
    assert writer.metric("partitions_paused", signal="traces") == 0
    assert world.shards.rows(TABLE) == 80


def test_a_backlog_that_is_full_for_a_moment_takes_nothing_and_pauses_nothing(world: World) -> None:
    """A pause throws away what librdkafka has fetched ahead, and costs half a second."""
    writer = world.writer(0, max_bytes=600)
    produce_while_held(world, writer, PAUSE_AFTER_S / 25)
    assert writer.metric("messages_fetched_total", signal="traces") < 20
    assert writer.member.fetching == {0}
    writer.executor.release()
    for _ in range(30):
        writer.store_what_is_there()
    assert writer.metric("messages_fetched_total", signal="traces") == 20
    assert world.shards.rows(TABLE) == 80


class Metrics:
    """What another signal is doing."""

    def __init__(self) -> None:
        self.late = True
        self.asked = 0

    def waits(self) -> bool:
        self.asked += 1
        return self.late


def test_a_signal_that_is_behind_asks_whether_another_goes_first(world: World) -> None:
    writer = world.writer(0, max_bytes=600)
    writer.loop.precedence = metrics = Metrics()
    produce_while_held(world, writer, 0.01)
    writer.executor.release()
    writer.turns()
    stored = world.shards.rows(TABLE)
    assert 0 < stored < 80
    writer.turns(5)
    assert world.shards.rows(TABLE) == stored, "it waits"
    assert metrics.asked > 5
    metrics.late = False
    for _ in range(30):
        writer.store_what_is_there()
    assert world.shards.rows(TABLE) == 80
    metrics.late, metrics.asked = True, 0
    world.produce(0)
    writer.store_what_is_there()
    assert world.shards.rows(TABLE) == 84, "a signal that is not behind waits for nobody"
    assert metrics.asked == 0


def test_what_waits_for_another_signal_is_stored_at_the_end(world: World) -> None:
    writer = world.writer(0, max_bytes=600)
    writer.loop.precedence = Metrics()
    produce_while_held(world, writer, 0.01)
    writer.executor.release()
    writer.turns()
    fetched = int(writer.metric("messages_fetched_total", signal="traces"))
    writer.loop.run(lambda: True)
    assert world.shards.rows(TABLE) == 4 * fetched


def test_the_backlog_is_told_while_fetching_is_paused_and_ends_with_ownership(world: World) -> None:
    writer = world.writer(0, 1, max_bytes=600)
    produce_while_held(world, writer, AGE_S)
    assert writer.member.fetching == frozenset()
    place = {"signal": "traces", "partition": "0"}
    assert writer.metric("partition_end_offset", **place) == 20
    assert writer.metric("partition_stored_offset", **place) == 0
    writer.executor.release()
    for _ in range(30):
        writer.store_what_is_there()
    assert writer.metric("partition_stored_offset", **place) == 20
    writer.member.revoke(0)
    writer.turns()
    sample = writer.registry.get_sample_value
    for name in ("partition_end_offset", "partition_stored_offset"):
        assert sample(f"headrace_writer_{name}", place) is None
        assert sample(f"headrace_writer_{name}", place | {"partition": "1"}) == 0
