"""The consume loop where the log is not as it was: retention, truncation, another topic, gaps."""

import pytest

from headrace_writer.errors import Fatal
from support.loop_world import AGE_S, TABLE, World, produce_while_held


@pytest.fixture
def world() -> World:
    return World()


def test_offsets_that_were_reset_double_nothing(world: World) -> None:
    world.produce(0)
    first = world.writer(0)
    first.store_what_is_there()
    world.broker.committed[0] = (0, "")
    world.produce(0)
    second = world.writer(0)
    second.store_what_is_there()
    assert world.shards.rows(TABLE) == 8


def test_messages_deleted_before_they_were_read_stop_the_partition(world: World) -> None:
    world.produce(0)
    world.produce(0)
    world.broker.committed[0] = (0, "")
    world.broker.delete_before(0, 1)
    writer = world.writer(0, 1)
    world.produce(1)
    writer.store_what_is_there()
    assert "deleted offsets [0, 1)" in writer.loop.ownership.stopped[0]
    assert world.shards.rows(TABLE) == 4, "the other partition goes on"
    assert writer.metric("partitions_stopped", signal="traces") == 1


def test_what_retention_deletes_under_a_running_writer_is_not_passed_over(world: World) -> None:
    """What was read before is stored and committed first; then the partition says what is gone."""
    writer = world.writer(0, 1, max_bytes=600)
    produce_while_held(world, writer, AGE_S)
    fetched = int(writer.metric("messages_fetched_total", signal="traces"))
    world.broker.delete_before(0, 19)
    writer.executor.release()
    for _ in range(30):
        writer.store_what_is_there()
    assert f"deleted offsets [{fetched}, 19)" in writer.loop.ownership.stopped[0]
    assert world.shards.rows(TABLE) == 4 * fetched
    assert world.offsets()[0] == fetched
    assert max(end for partition, _, end in world.ledger.ranges if partition == 0) == fetched
    world.produce(1)
    writer.store_what_is_there()
    assert world.shards.rows(TABLE) == 4 * fetched + 4, "the other partition goes on"


def test_a_log_that_was_cut_off_and_written_anew_stops_the_partition(world: World) -> None:
    """As after an unclean election: offsets that were stored hold other messages now."""
    for _ in range(3):
        world.produce(0)
    writer = world.writer(0)
    writer.store_what_is_there()
    world.broker.truncate(0, 1)
    world.produce(0, spans=2)
    writer.store_what_is_there()
    world.clock.sleep(10)
    writer.turns()
    assert "the log ends at 2, and it was read up to 3" in writer.loop.ownership.stopped[0]
    assert world.offsets() == {0: 3}


@pytest.mark.parametrize("told", [False, True], ids=["goes on fetching", "is assigned the new one"])
def test_a_topic_created_again_under_a_writer_ends_it(world: World, told: bool) -> None:
    for _ in range(3):
        world.produce(0)
    writer = world.writer(0)
    writer.store_what_is_there()
    world.clock.sleep(10)
    writer.turns()
    world.broker.recreate()
    if told:
        writer.member.lose(0)
        writer.member.assign(0)
    world.produce(0, spans=2)
    with pytest.raises(Fatal, match="created again under this writer"):
        writer.turns()
    world.writer(0).store_what_is_there()
    assert world.shards.rows(TABLE) == 12 + 2


def test_a_plan_of_another_topic_of_this_name_stops_the_partition(world: World) -> None:
    world.produce(0)
    dead = world.writer(0)
    dead.turns()
    dead.executor.held = True
    world.clock.sleep(AGE_S)
    dead.turns()
    planned = dict(world.broker.committed)
    world.broker.recreate()
    world.broker.committed.update(planned)
    world.produce(0)
    writer = world.writer(0)
    writer.store_what_is_there()
    assert "planned on another topic of this name" in writer.loop.ownership.stopped[0]
    assert world.shards.rows(TABLE) == 0
    assert world.broker.committed == planned


def test_what_was_queued_before_a_seek_is_not_taken_for_what_follows(world: World) -> None:
    for _ in range(3):
        world.produce(0)
    world.broker.committed[0] = (1, "")
    writer = world.writer(0)
    writer.turns(1)
    writer.member.start(0, 2)
    writer.store_what_is_there()
    assert world.shards.rows(TABLE) == 8, "offsets 1 and 2, each once"
    assert set(world.ledger.ranges) == {(0, 1, 3)}


def test_messages_behind_the_end_of_a_transaction_are_stored(world: World) -> None:
    world.produce(0)
    world.broker.mark(0)
    for _ in range(5):
        world.produce(0)
    writer = world.writer(0)
    writer.turns(6)
    writer.store_what_is_there()
    assert world.shards.rows(TABLE) == 24
    assert set(world.ledger.ranges) == {(0, 0, 7)}
