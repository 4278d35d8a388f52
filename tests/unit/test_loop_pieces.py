"""The consume loop and messages that no single block may hold."""

import re
from itertools import count
from math import inf

import pytest

from headrace_writer.core.batch import BlockLimits
from headrace_writer.core.block import Block
from headrace_writer.core.decode_reference import ReferenceBackend
from headrace_writer.core.delivery_plan import decode_plan
from headrace_writer.core.request_records import RequestRecords
from headrace_writer.core.salvage import narrow
from headrace_writer.errors import Poison
from support import builders
from support.decoders import ingest_ids
from support.loop_world import LAYOUTS, TABLE, World, Writer

LIMIT = 20_000
SPANS = 150
NUMBERS = count(1)


class Crash(Exception):
    """The process ends."""


@pytest.fixture
def world() -> World:
    world = World()
    world.limits = BlockLimits(bytes=LIMIT)
    return world


def produce_large(world: World, *, spans: int = SPANS, text: int = 500) -> None:
    made = [
        builders.span(
            f"span-{n}-", trace_id=next(NUMBERS).to_bytes(16), attributes={"text": f"{n:0{text}}"}
        )
        for n in range(spans)
    ]
    world.broker.produce(0, builders.traces(*made).SerializeToString(), 1_000_000)


def blocks(world: World) -> list[Block]:
    return [block for shard in world.shards.shards for block in shard.blocks.values()]


def settle(world: World, writer: Writer) -> None:
    for _ in range(4):
        writer.store_what_is_there()
    world.clock.sleep(10)
    writer.turns()


def crash_at_insert(world: World, number: float) -> None:
    """The writer dies instead of its insert of that number, counted from 1 over all shards."""
    inserts = count(1)

    def refuses(_block: Block) -> bool:
        if next(inserts) >= number:
            raise Crash
        return False

    for shard in world.shards.shards:
        shard.refuses = refuses


def test_a_large_message_is_stored_in_pieces_and_its_neighbours_beside_it(world: World) -> None:
    world.produce(0)
    produce_large(world)
    world.produce(0)
    settle(world, world.writer(0))
    assert world.shards.rows(TABLE) == 4 + SPANS + 4
    assert max(block.raw_bytes for block in blocks(world)) <= LIMIT
    assert len({block.target.piece for block in blocks(world)}) > 3
    assert world.ledger.ranges == {(0, n, n + 1): True for n in range(3)}
    assert world.broker.committed[0] == (3, "")
    assert world.dead_letters.sent == []


@pytest.mark.parametrize("number", [1, 2, 4, 7])
@pytest.mark.parametrize("limit", [LIMIT, 2 * LIMIT, 64 << 20])
def test_whoever_finishes_it_cuts_where_it_was_planned(
    world: World, number: int, limit: int
) -> None:
    """The next owner may have another limit: nothing is lost, doubled, or larger than planned."""
    produce_large(world)
    crash_at_insert(world, number)
    with pytest.raises(Crash):
        world.writer(0).store_what_is_there()
    assert len(blocks(world)) == number - 1
    plan = decode_plan(world.broker.committed[0][1])
    assert plan is not None
    crash_at_insert(world, inf)
    world.limits = BlockLimits(bytes=limit)
    settle(world, world.writer(0))
    assert world.shards.rows(TABLE) == SPANS
    assert {b.ingest_id: b.rows for b in blocks(world)} == {
        plan.ingest_id(target): rows for target, rows in plan.rows.items()
    }
    assert world.ledger.ranges == {(0, 0, 1): True}
    assert world.broker.committed[0] == (1, "")


def test_a_record_larger_than_a_block_is_a_dead_letter_whoever_sends_it_there(world: World) -> None:
    world.produce(0)
    produce_large(world, spans=3, text=LIMIT)
    world.produce(0)
    writer = world.writer(0)
    writer.store_what_is_there()
    writer.executor.held = True
    writer.store_what_is_there()
    plan = decode_plan(world.broker.committed[0][1])
    assert plan is not None
    assert (plan.rows, plan.unfit_bytes) == ({}, LIMIT)
    world.limits = BlockLimits(bytes=64 << 20)
    settle(world, world.writer(0))
    assert world.shards.rows(TABLE) == 8, "the plan has no row of it, whatever the next limit"
    (bad,) = world.dead_letters.sent
    assert (bad.message.offset, bad.reason, bad.target) == (1, "too_large", None)
    assert f"block_max_bytes ({LIMIT})" in bad.detail
    assert world.broker.committed[0] == (3, "")


def test_of_a_large_message_only_the_refused_piece_is_missing(world: World) -> None:
    produce_large(world)
    refusals = count(1)

    def refuses(_block: Block) -> bool:
        if next(refusals) == 2:
            raise Poison("clickhouse_469", "Constraint `c` is violated at row 3. Expression")
        return False

    world.shards[1].refuses = refuses
    settle(world, world.writer(0))
    (bad,) = world.dead_letters.sent
    assert bad.target is not None
    assert bad.records is not None
    builder = ReferenceBackend().builder("traces", LAYOUTS, 2, "none")
    missing = narrow(
        "traces",
        RequestRecords("traces", bad.message.value).request(*bad.records),
        bad.target,
        lambda: ReferenceBackend().builder("traces", LAYOUTS, 2, "none"),
    )
    builder.append_many([missing])
    ((_, rows),) = builder.pending()
    assert world.shards.rows(TABLE) == SPANS - rows
    (block,) = builder.finish(ingest_ids(target for target, _ in builder.pending()))
    stored = set().union(*map(names_in, blocks(world)))
    assert len(names_in(block)) == rows
    assert names_in(block).isdisjoint(stored), "a replay of the letter doubles nothing"


def names_in(block: Block) -> set[str]:
    """The span names, which are unlike anything else in a block."""
    return {name.decode() for name in re.findall(rb"span-\d+-", block.body)}
