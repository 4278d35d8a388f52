"""The consume loop when the number of shards changes between a plan and its end.

An old plan is finished on as many shards as it names; the next batch goes to all that there are.
"""

from collections.abc import Iterable

import pytest

from headrace_writer.core.delivery_plan import Plan, decode_plan
from support.loop_world import AGE_S, LAYOUTS, TABLE, World
from support.memory_shards import MemoryShards

SPANS = 24


def left_plan(world: World, *partitions: int) -> Plan:
    """One that its writer committed and then died of."""
    dead = world.writer(*partitions)
    dead.turns()
    dead.executor.held = True
    world.clock.sleep(AGE_S)
    dead.turns()
    return plan_of(world, partitions[0])


def plan_of(world: World, partition: int) -> Plan:
    plan = decode_plan(world.broker.committed[partition][1])
    assert plan is not None
    return plan


def rows_per_shard(world: World) -> list[int]:
    return [sum(block.rows for block in shard.blocks.values()) for shard in world.shards.shards]


def planned(plan: Plan, shards: int) -> list[int]:
    """Rows of the plan's blocks per shard."""
    rows = [0] * shards
    for target, count in plan.rows.items():
        rows[target.shard] += count
    return rows


def ingest_ids(world: World) -> set[int]:
    return {number for shard in world.shards.shards for _, number in shard.blocks}


@pytest.mark.parametrize("stored", [(), (1,), (0, 1)])
def test_a_plan_from_before_a_shard_came_is_finished_as_it_was_made(stored: Iterable[int]) -> None:
    """Whether its last owner had stored nothing of it, one block, or both."""
    world = World()
    for partition in (0, 1):
        world.produce(partition, SPANS)
    plan = left_plan(world, 0, 1)
    assert (plan.shards, min(planned(plan, 2)) > 0) == (2, True)
    finished = finished_elsewhere(plan, world)
    for number in stored:
        for (table, _), block in finished[number].blocks.items():
            world.shards[number].insert(table, LAYOUTS["otel_traces"], block)
    world.add_shard()
    heir = world.writer(0, 1)
    heir.turns()
    assert rows_per_shard(world) == [*planned(plan, 2), 0]
    assert ingest_ids(world) == {plan.ingest_id(target) for target in plan.rows}
    world.produce(0, SPANS)
    heir.store_what_is_there()
    after = plan_of(world, 0)
    assert (after.shards, after.starts) == (3, {0: 1})
    total = [old + new for old, new in zip([*planned(plan, 2), 0], planned(after, 3), strict=True)]
    assert rows_per_shard(world) == total
    assert world.shards.rows(TABLE) == sum(total)
    assert min(planned(after, 3)) > 0
    assert sum(total) == 3 * SPANS
    assert set(world.ledger.ranges) == {(0, 0, 1), (1, 0, 1), (0, 1, 2)}


def finished_elsewhere(plan: Plan, world: World) -> MemoryShards:
    """The plan's blocks as a writer of its time stores them."""
    other = World(broker=world.broker, shards=MemoryShards(plan.shards))
    other.writer(*plan.partitions).turns()
    assert other.shards.rows(TABLE) == sum(plan.rows.values())
    return other.shards


def test_a_late_insert_of_a_writer_with_fewer_shards_is_the_same_block() -> None:
    world = World()
    world.produce(0, SPANS)
    frozen = world.writer(0)
    frozen.turns()
    frozen.executor.held = True
    world.clock.sleep(AGE_S)
    frozen.turns()
    for _ in ("build", "expired"):
        frozen.executor.release()
        frozen.executor.held = True
        frozen.loop.turn()
    world.add_shard()
    heir = world.writer(0)
    heir.turns()
    before = rows_per_shard(world)
    assert sum(before) == SPANS
    frozen.executor.release()
    frozen.turns()
    assert world.shards[0].inserts > len(world.shards[0].blocks), "it came late"
    assert rows_per_shard(world) == before
    assert world.shards.rows(TABLE) == SPANS


def test_plans_of_the_same_messages_on_different_shards_are_not_one_batch() -> None:
    """Both were refused for one partition, so nobody inserted either: both are void."""
    world = World()
    for partition in (0, 1):
        world.produce(partition, SPANS)
    older = left_plan(world, 0, 1)
    world.broker.committed.clear()
    world.add_shard()
    newer = left_plan(world, 0, 1)
    assert (older.ranges, older.shards) == (newer.ranges, newer.shards - 1)
    world.broker.committed.update({0: (0, newer.encode()), 1: (0, older.encode())})
    for partition in (0, 1):
        writer = world.writer(partition)
        writer.store_what_is_there()
        assert writer.loop.ownership.stopped == {}
        assert world.shards.rows(TABLE) == (partition + 1) * SPANS


def test_a_plan_for_a_shard_that_is_gone_stops_its_partitions_alone() -> None:
    world = World(shards=MemoryShards(3))
    for partition in (0, 1, 2):
        world.produce(partition, SPANS)
    plan = left_plan(world, 0, 1)
    assert min(planned(plan, 3)) > 0
    short = world.writer(0, 1, 2, shards=2)
    short.store_what_is_there()
    assert set(short.loop.ownership.stopped) == {0, 1}
    assert "planned on 3 shards, and clickhouse_shards names 2" in short.loop.ownership.stopped[0]
    assert world.shards.rows(TABLE) == SPANS, "partition 2 goes on"
    assert plan_of(world, 0) == plan_of(world, 1) == plan, "and the plan waits"
    short.member.revoke(0, 1)
    short.turns()
    long = world.writer(0, 1)
    long.turns()
    assert world.shards.rows(TABLE) == 3 * SPANS
    assert planned(plan, 3)[2] == rows_per_shard(world)[2]


def test_a_plan_without_rows_on_the_shard_that_is_gone_is_finished() -> None:
    world = World(shards=MemoryShards(3))
    numbers = range(len(world.broker.logs))
    for partition in numbers:
        world.produce(partition, spans=1)
    plans = {partition: left_plan(world, partition) for partition in numbers}
    reached = {p for p, plan in plans.items() if all(t.shard < 2 for t in plan.rows)}
    assert 0 < len(reached) < len(plans)
    short = world.writer(*numbers, shards=2)
    short.turns()
    assert set(short.loop.ownership.stopped) == set(plans) - reached
    assert ingest_ids(world) == {plans[p].ingest_id(t) for p in reached for t in plans[p].rows}
