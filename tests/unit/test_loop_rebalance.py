"""The consume loop when partitions move: revoked, lost, inherited from the dead, left at a stop."""

import pytest

from headrace_writer.core.delivery_plan import decode_plan
from support.loop_world import AGE_S, TABLE, World


@pytest.fixture
def world() -> World:
    return World()


def test_a_revoke_finishes_the_batch_and_commits_its_end(world: World) -> None:
    world.produce(0)
    world.produce(1)
    writer = world.writer(0, 1)
    writer.store_what_is_there()
    writer.member.revoke(1)
    writer.turns()
    assert world.broker.committed[1] == (1, "")
    assert writer.loop.ownership.held == {0}


def test_a_revoke_that_cannot_finish_leaves_the_plan_to_the_next_owner(world: World) -> None:
    world.produce(0)
    writer = world.writer(0)
    writer.turns()
    writer.executor.held = True
    world.clock.sleep(AGE_S)
    writer.loop.turn()
    writer.member.revoke(0)
    writer.loop.turn()
    assert decode_plan(world.broker.committed[0][1]) is not None
    heir = world.writer(0)
    heir.turns()
    assert world.shards.rows(TABLE) == 4
    writer.executor.release()
    writer.turns()
    assert world.shards.rows(TABLE) == 4, "the late insert is the same block"


def test_a_lost_partition_is_never_committed(world: World) -> None:
    world.produce(0)
    writer = world.writer(0)
    writer.store_what_is_there()
    before = dict(world.broker.committed)
    writer.member.lose(0)
    world.clock.sleep(60)
    writer.turns(5)
    assert world.broker.committed == before


def test_a_writer_that_died_after_its_plan_is_finished_by_the_next(world: World) -> None:
    world.produce(0)
    world.produce(1)
    dead = world.writer(0, 1)
    dead.turns()
    dead.executor.held = True
    world.clock.sleep(AGE_S)
    dead.turns()
    for replays in (1, 0):
        heir = world.writer(0, 1)
        heir.store_what_is_there()
        world.clock.sleep(10)
        heir.turns()
        assert heir.metric("plan_replays_total", signal="traces") == replays
    assert world.shards.rows(TABLE) == 8
    assert world.offsets() == {0: 1, 1: 1}


def test_what_does_not_end_within_the_drain_deadline_is_left_as_planned(world: World) -> None:
    writer = world.writer(0)
    writer.turns()
    world.produce(0)
    writer.turns()
    world.clock.sleep(AGE_S)
    writer.executor.held = True
    polled = iter([False, True])
    writer.loop.run(lambda: next(polled))
    assert writer.loop.given_up
    assert writer.member.closed
    offset, plan = world.broker.committed[0]
    assert offset == 0
    assert decode_plan(plan) is not None, "whoever comes next finds it"


def test_stopping_stores_and_commits_what_was_fetched(world: World) -> None:
    writer = world.writer(0)
    writer.turns()
    world.produce(0)
    polled = iter([False, False, True])
    writer.loop.run(lambda: next(polled))
    assert world.shards.rows(TABLE) == 4
    assert world.broker.committed[0] == (1, "")
    assert writer.member.closed
