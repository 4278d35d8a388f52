"""From messages to plans and back to the same blocks."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from headrace_writer.core import batch
from headrace_writer.core.backlog import Message
from headrace_writer.core.block import Block, BlockBuilder, Target
from headrace_writer.core.decode_reference import ReferenceBackend
from headrace_writer.core.delivery_plan import Exclusion, Range
from support import builders
from support.decoders import KERNEL, REFERENCE, layouts_of

ORIGIN = batch.Origin("topic-1", 2, "print")
LAYOUTS = layouts_of("traces", "modern")


def new_builder() -> BlockBuilder:
    return ReferenceBackend().builder("traces", LAYOUTS, 2, "none")


def span_message(partition: int, offset: int, spans: int = 3) -> Message:
    made = [
        builders.span(
            name=f"{partition}/{offset}/{i}", trace_id=bytes([partition, offset, i] * 5 + [1])
        )
        for i in range(spans)
    ]
    return Message(partition, offset, 0, None, builders.traces(*made).SerializeToString())


def planned(messages: Sequence[Message]) -> batch.Decoded:
    starts: dict[int, int] = {}
    for message in messages:
        starts.setdefault(message.partition, message.offset)
    decoded, rest = batch.decode(messages, starts, ORIGIN, new_builder(), 1)
    assert rest == []
    return decoded


def bodies(blocks: Sequence[Block]) -> dict[Target, bytes]:
    return {block.target: block.body for block in blocks}


MESSAGES = [span_message(p, o) for p in (0, 3) for o in (5, 6)]
BROKEN = Message(3, 7, 0, None, b"\xff\xff\xff")


def test_a_plan_says_ranges_rows_and_rejected() -> None:
    plan = planned([*MESSAGES, BROKEN]).plan
    assert plan.ranges == (Range(0, 5, 7), Range(3, 5, 8))
    assert sum(plan.rows.values()) == 12
    assert plan.rejected == 1


def test_a_bad_message_is_named_and_its_neighbours_stay() -> None:
    decoded = planned([MESSAGES[0], BROKEN._replace(partition=0, offset=6), MESSAGES[2]])
    assert [(bad.message[:2], bad.reason) for bad in decoded.bad] == [((0, 6), "malformed")]
    assert sum(decoded.plan.rows.values()) == 6


def test_blocks_built_again_from_the_plan_are_the_same_bytes() -> None:
    decoded = planned(MESSAGES)
    first = batch.finish(decoded.plan, decoded.builder)
    again = batch.blocks_of(decoded.plan, list(MESSAGES), new_builder)
    assert bodies(first) == bodies(again)
    assert len(first) == 2


def test_every_block_carries_the_plans_ingest_id() -> None:
    decoded = planned(MESSAGES)
    for block in batch.finish(decoded.plan, decoded.builder):
        assert block.ingest_id == decoded.plan.ingest_id(block.target)


def test_an_exclusion_leaves_a_message_out_of_one_block_only() -> None:
    plan = planned(MESSAGES).plan
    target = sorted(plan.rows)[0]
    amended = plan.without([Exclusion(target, 0, 5)], {})
    before = bodies(batch.blocks_of(plan, MESSAGES, new_builder))
    after = {b.target: b for b in batch.blocks_of(amended, MESSAGES, new_builder)}
    other = next(t for t in before if t != target)
    assert after[other].body == before[other]
    assert after[target].rows < plan.rows[target]


def test_a_batch_ends_at_its_row_limit_and_returns_the_rest() -> None:
    messages = [span_message(0, offset, spans=10) for offset in range(5)]
    builder = new_builder()
    old, batch.SLICE_BYTES = batch.SLICE_BYTES, 1
    try:
        taken, bad = batch.append(builder, messages, batch.BlockLimits(rows=25))
    finally:
        batch.SLICE_BYTES = old
    assert (taken, bad, builder.rows) == (3, [], 30)


def test_a_record_that_no_block_holds_is_refused_and_its_neighbours_are_stored() -> None:
    """An oversized GenAI attribute closes the batch before it, and is alone in the next one."""
    messages = [span_message(0, offset) for offset in range(5)]
    prompt = builders.span(attributes={"gen_ai.input.messages": "x" * (3 << 20)})
    messages[2] = Message(0, 2, 0, None, builders.traces(prompt).SerializeToString())
    limits = batch.BlockLimits(bytes=1 << 20)
    for backend in (KERNEL, REFERENCE):
        again = partial(backend.builder, "traces", LAYOUTS, 2, "none")
        origin = replace(ORIGIN, limits=limits)
        left, cuts, stored, refused = messages, [], 0, []
        while left:
            first = left[0]
            decoded, left = batch.decode(left, {0: first.offset}, origin, again(), 1)
            if not decoded.messages:
                decoded = batch.decode_alone(first, first.offset, origin, again, 1)
                left = left[1:]
            plan = decoded.plan
            cuts.append(plan.ranges[0][1:])
            blocks = batch.blocks_of(plan, decoded.messages, again)
            assert {block.target: block.rows for block in blocks} == plan.rows
            assert all(block.raw_bytes <= 1 << 20 for block in blocks)
            stored += sum(block.rows for block in blocks)
            refused += decoded.bad
        assert cuts == [(0, 2), (2, 3), (3, 5)]
        assert stored == 4 * 3
        assert [(bad.message.offset, bad.reason) for bad in refused] == [(2, "too_large")]
        assert "block_max_bytes (1048576)" in refused[0].detail


def test_blocks_stay_below_their_limit_when_resources_repeat() -> None:
    """Small messages become large blocks: a resource's attributes repeat in every row."""
    resource = {f"key-{i}": "y" * 100 for i in range(50)}
    messages = []
    for offset in range(40):
        made = [builders.span(trace_id=bytes([offset, i] * 8)) for i in range(1, 20)]
        payload = builders.traces(*made, resource=resource).SerializeToString()
        messages.append(Message(0, offset, 0, None, payload))
    for backend in (KERNEL, REFERENCE):
        builder = backend.builder("traces", LAYOUTS, 2, "none")
        taken, _ = batch.append(builder, messages, batch.BlockLimits(bytes=1 << 20))
        blocks = builder.finish({target: 1 for target, _ in builder.pending()})
        largest = max(block.raw_bytes for block in blocks)
        assert taken < len(messages)
        assert 0.8 * (1 << 20) < largest <= 1 << 20


def test_the_payload_hash_tells_order_offsets_and_bytes_apart() -> None:
    hashes = {
        batch.payload_hash(messages)
        for messages in (
            MESSAGES,
            MESSAGES[:-1],
            [*MESSAGES[:-1], MESSAGES[-1]._replace(offset=9)],
            [*MESSAGES[:-1], MESSAGES[-1]._replace(value=b"")],
            [MESSAGES[1], MESSAGES[0], *MESSAGES[2:]],
        )
    }
    assert len(hashes) == 5
    assert all(0 <= h < 2**64 for h in hashes)
