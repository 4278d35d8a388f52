"""The consume loop against Kafka and ClickHouse in memory: order of effects, faults."""

import pytest

from headrace_writer.core.backlog import Message
from headrace_writer.core.batch import rows_by_message
from headrace_writer.core.block import Block, Target
from headrace_writer.core.decode_reference import ReferenceBackend
from headrace_writer.core.delivery_effects import CommitResult
from headrace_writer.core.delivery_plan import decode_plan
from headrace_writer.core.guardrails import Rule, Treatment
from headrace_writer.errors import Poison
from headrace_writer.shell.loop import (
    CATCH_UP_WITHIN_S,
    POLL_BYTES,
    POLL_MESSAGES,
    at_once,
)
from support.loop_world import AGE_S, LAYOUTS, TABLE, World


@pytest.fixture
def world() -> World:
    return World()


def test_records_are_stored_and_then_committed(world: World) -> None:
    for partition in (0, 1, 1):
        world.produce(partition)
    writer = world.writer(0, 1, 2)
    writer.store_what_is_there()
    assert world.shards.rows(TABLE) == 12
    assert world.offsets() == {0: 0, 1: 0}, "only the plan, at the start"
    world.clock.sleep(10)
    writer.turns()
    assert world.broker.committed == {0: (1, ""), 1: (2, "")}
    assert world.ledger.ranges == {(0, 0, 1): True, (1, 0, 2): True}
    assert writer.metric("rows_inserted_total", signal="traces", table="otel_traces") == 12
    assert writer.metric("stored_rows_total", signal="traces") == 12


def test_under_load_each_batch_costs_one_commit(world: World) -> None:
    writer = world.writer(0)
    for _ in range(5):
        world.produce(0)
        writer.store_what_is_there()
    assert len(world.broker.commits) == 5
    plans = [decode_plan(commit[0][1]) for commit in world.broker.commits]
    assert [plan.starts[0] for plan in plans if plan] == [0, 1, 2, 3, 4]


def test_batch_after_batch_is_built_in_the_same_buffers(world: World) -> None:
    writer = world.writer(0)
    for _ in range(3):
        world.produce(0)
        writer.store_what_is_there()
    assert world.shards.rows(TABLE) == 12
    assert writer.builders_made == 1


def test_guardrails_change_between_two_batches(world: World) -> None:
    """A batch whose plan is on its way is finished under the rules that it was decoded with."""
    writer = world.writer(0)
    drop = Treatment((Rule("no-service", "drop", ("service.name",)),))
    world.produce(0)
    writer.turns()
    world.clock.sleep(AGE_S)
    writer.executor.held = True
    writer.turns()
    world.treatment = drop
    world.produce(0)
    writer.turns()
    assert len(world.broker.commits) == 1
    assert writer.builders_made == 1
    writer.executor.release()
    writer.store_what_is_there()
    assert world.shards.rows(TABLE) == 8
    assert writer.builders_made == 2
    labels = {"signal": "traces", "rule": "no-service", "action": "drop"}
    assert writer.metric("guardrail_actions_total", **labels) == 1


def test_rows_of_a_refused_block_do_not_get_into_the_next_batch(world: World) -> None:
    refusals = iter([True])
    for shard in (world.shards[0], world.shards[1]):
        shard.refuses = lambda _block: next(refusals, False)
    writer = world.writer(0)
    for _ in range(2):
        world.produce(0, spans=8)
        writer.store_what_is_there()
    (refused,) = world.dead_letters.sent
    assert refused.target is not None
    gone = rows_per_message(world, refused.target.shard)[0]
    assert world.shards.rows(TABLE) == 16 - gone


def test_large_messages_are_fetched_a_few_at_a_time() -> None:
    def of_size(nbytes: int) -> list[Message]:
        return [Message(0, offset, 0, None, bytes(nbytes)) for offset in range(2)]

    assert at_once(of_size(1 << 20)) == POLL_BYTES // (1 << 20) + 1
    assert at_once(of_size(100)) == at_once(of_size(0)) == POLL_MESSAGES
    assert at_once(of_size(2 * POLL_BYTES)) == 1
    assert at_once([]) == 0


def test_the_plan_is_committed_before_the_first_insert(world: World) -> None:
    world.produce(0)
    writer = world.writer(0)
    writer.turns()
    writer.executor.held = True
    world.clock.sleep(AGE_S)
    writer.turns()
    assert world.shards.rows(TABLE) == 0
    assert decode_plan(world.broker.committed[0][1]) is not None


def test_nothing_is_inserted_when_the_plan_is_refused(world: World) -> None:
    world.produce(0)
    writer = world.writer(0)
    writer.turns()
    writer.member.answers = [CommitResult.FENCED]
    world.clock.sleep(AGE_S)
    writer.loop.turn()
    assert world.shards.rows(TABLE) == 0
    writer.store_what_is_there()
    assert world.shards.rows(TABLE) == 4, "recovered and delivered again"


def test_an_unanswered_commit_is_repeated_until_answered(world: World) -> None:
    world.produce(0)
    writer = world.writer(0)
    writer.turns()
    writer.member.answers = [CommitResult.UNKNOWN, CommitResult.UNKNOWN]
    world.clock.sleep(AGE_S)
    writer.turns()
    assert world.shards.rows(TABLE) == 4
    assert len(world.broker.commits) == 1


def test_the_next_batch_is_fetched_while_one_is_inserted(world: World) -> None:
    world.produce(0)
    writer = world.writer(0)
    writer.turns()
    writer.executor.held = True
    world.clock.sleep(AGE_S)
    writer.loop.turn()
    world.produce(0)
    writer.turns()
    assert writer.metric("messages_fetched_total", signal="traces") == 2
    assert world.shards.rows(TABLE) == 0


def test_the_time_in_kafka_is_that_until_a_message_is_taken(world: World) -> None:
    writer = world.writer(0)
    writer.turns()
    world.produce(0)
    world.clock.sleep(0.5)
    world.produce(0)
    world.clock.sleep(0.25)
    writer.turns()
    world.clock.sleep(AGE_S)  # in the backlog
    writer.turns()
    assert writer.metric("messages_fetched_total", signal="traces") == 2
    assert writer.metric("fetch_delay_seconds_total", signal="traces") == 1.0


def test_catching_up_ends_with_what_waited_at_first(world: World) -> None:
    for _ in range(5):
        world.produce(0)
    writer = world.writer(0, 1, max_bytes=600)
    seen = [writer.loop.catching_up]
    writer.turns()
    seen.append(writer.loop.catching_up)
    for _ in range(10):
        writer.store_what_is_there()
    seen.append(writer.loop.catching_up)
    writer.executor.held = True
    for _ in range(20):
        world.produce(0)
        writer.loop.turn()
    # Only the first time: a fleet that lags stays ready.
    assert [*seen, writer.loop.catching_up] == [False, True, False, False]


def test_who_cannot_catch_up_is_ready_after_two_minutes(world: World) -> None:
    world.produce(0)
    writer = world.writer(0, 1)
    writer.executor.held = True
    writer.turns()
    before = writer.loop.catching_up
    world.clock.sleep(CATCH_UP_WITHIN_S + 1)
    assert (before, writer.loop.catching_up) == (True, False)


def test_a_bad_message_is_dead_lettered_and_its_neighbours_are_stored(world: World) -> None:
    world.produce(0)
    world.broker.produce(0, b"\xff\xff")
    world.produce(0)
    writer = world.writer(0)
    writer.store_what_is_there()
    assert world.shards.rows(TABLE) == 8
    (bad,) = world.dead_letters.sent
    assert (bad.message.partition, bad.message.offset, bad.reason) == (0, 1, "malformed")


def test_a_batch_of_bad_messages_only_still_moves_on(world: World) -> None:
    world.broker.produce(0, b"\xff\xff")
    writer = world.writer(0)
    writer.store_what_is_there()
    world.clock.sleep(10)
    writer.turns()
    assert world.broker.committed[0] == (1, "")
    assert len(world.dead_letters.sent) == 1


def test_a_block_that_the_server_refuses_goes_to_the_dead_letters(world: World) -> None:
    world.produce(0, spans=8)
    world.shards[1].refuses = lambda _block: True
    writer = world.writer(0)
    writer.store_what_is_there()
    world.clock.sleep(10)
    writer.turns()
    assert {bad.reason for bad in world.dead_letters.sent} == {"refused_by_clickhouse"}
    assert world.broker.committed[0] == (1, "")
    assert world.shards.rows(TABLE) < 8


def test_only_the_message_whose_row_is_refused_goes_to_the_dead_letters(world: World) -> None:
    for _ in range(4):
        world.produce(0, spans=8)
    named = iter([11, 2])  # rows of the block as it is at that attempt, from 1

    def refuse(_block: Block) -> bool:
        if (row := next(named, None)) is not None:
            raise Poison("clickhouse_469", f"Constraint `c` is violated at row {row}. Expression")
        return False

    world.shards[1].refuses = refuse
    writer = world.writer(0)
    writer.store_what_is_there()
    world.clock.sleep(10)
    writer.turns()
    assert len(world.dead_letters.sent) == 2
    assert {bad.target for bad in world.dead_letters.sent} == {Target("otel_traces", 1)}
    assert "row 2" in world.dead_letters.sent[0].detail
    assert len({bad.message.offset for bad in world.dead_letters.sent}) == 2
    gone = [bad.message for bad in world.dead_letters.sent]
    kept = [message for message in world.broker.logs[0] if message not in gone]
    assert len(kept) == 2
    whole = rows_per_message(world)
    stored = sum(block.rows for block in world.shards[1].blocks.values())
    assert stored == sum(whole[message.offset] for message in kept)
    assert world.broker.committed[0] == (4, "")


def rows_per_message(world: World, shard: int = 1) -> list[int]:
    """Rows that each message of partition 0 has on a shard."""
    return rows_by_message(
        Target("otel_traces", shard),
        world.broker.logs[0],
        lambda: ReferenceBackend().builder("traces", LAYOUTS, 2, "none"),
    )


def test_a_doubtful_acknowledgement_is_counted(world: World) -> None:
    world.produce(0, spans=8)
    for shard in world.shards.shards:
        shard.unclean = 1
    writer = world.writer(0)
    writer.store_what_is_there()
    assert world.ledger.ranges == {(0, 0, 1): True}
    assert world.shards.rows(TABLE) == 8


def test_an_old_plan_is_counted_before_it_is_inserted(world: World) -> None:
    """Its owner froze; another has stored it, so long ago that ClickHouse forgot."""
    world.produce(0, spans=8)
    frozen = world.writer(0)
    frozen.turns()
    frozen.executor.held = True
    world.clock.sleep(AGE_S)
    frozen.turns()
    world.writer(0).store_what_is_there()
    for shard in world.shards.shards:
        shard.remembers = False
    world.clock.sleep(901)
    frozen.executor.release()
    frozen.turns()
    assert world.shards.rows(TABLE) == 8
    assert world.ledger.ranges == {(0, 0, 1): True}


def test_an_insert_without_answer_is_counted_when_the_window_passes(world: World) -> None:
    world.produce(0, spans=8)
    for shard in world.shards.shards:
        shard.silent = 1
        shard.remembers = False
    writer = world.writer(0)
    writer.store_what_is_there()
    assert world.shards.rows(TABLE) == 8
    assert world.ledger.ranges == {(0, 0, 1): True}
