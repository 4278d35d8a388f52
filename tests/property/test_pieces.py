"""A message that no block may hold, cut into pieces: whatever its records' sizes, no block is too
large, no record is lost or doubled, and whoever builds the blocks again builds the same ones."""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from headrace_writer.core import batch
from headrace_writer.core.backlog import Message
from headrace_writer.core.block import Block, BlockBuilder, DecoderBackend, Signal
from headrace_writer.core.delivery_plan import (
    MAX_PLAN_BYTES,
    Exclusion,
    Plan,
    Range,
    decode_plan,
)
from headrace_writer.core.pieces import MOST_BLOCKS
from headrace_writer.core.reference_native import string
from headrace_writer.core.request_records import RequestRecords
from property.headers import layouts
from property.strategies import payloads
from support import builders as make
from support.decoders import KERNEL, REFERENCE, SIGNALS, ingest_ids, layouts_of

SLOW = settings(deadline=None, suppress_health_check=list(HealthCheck))
SHARDS = 2
# What stands in a block besides its rows, for all tables of a signal: names, types, counts.
SMALLEST_LIMIT = 20_000


def finished(builder: BlockBuilder) -> list[Block]:
    return builder.finish(ingest_ids(target for target, _ in builder.pending()))


@pytest.mark.parametrize("signal", SIGNALS)
@settings(SLOW, max_examples=60)
@given(data=st.data(), seed=st.integers(0, 1 << 32))
def test_requests_of_a_requests_records_give_its_rows(signal: Signal, data: Any, seed: int) -> None:
    """In their order: the blocks are the same bytes."""
    headers = data.draw(layouts(signal))
    rng = random.Random(seed)
    for backend in (KERNEL, REFERENCE):
        whole = backend.builder(signal, headers, SHARDS, "none")
        parts = backend.builder(signal, headers, SHARDS, "none")
        for payload in data.draw(payloads(signal)):
            records = RequestRecords(signal, payload)
            cuts = sorted(rng.randint(0, len(records)) for _ in range(rng.randint(0, 4)))
            ends = [0, *cuts, len(records)]
            assert whole.append_many([payload]) == []
            requests = [records.request(*pair) for pair in pairwise(ends)]
            assert parts.append_many(requests) == []
        assert finished(parts) == finished(whole)


def test_a_replaced_member_of_a_oneof_stays_replaced() -> None:
    """The metric's last member counts, also in a piece that has records of the first one only."""
    gauge = make.gauge(make.number_point(1), make.number_point(2)).SerializeToString()
    total = make.counter(make.number_point(3)).SerializeToString()
    metric = b"\x12" + string(gauge + total)
    payload = b"\x0a" + string(b"\x12" + string(metric))
    records = RequestRecords("metrics", payload)
    assert len(records) == 3
    rows = []
    for number in range(3):
        builder = KERNEL.builder("metrics", layouts_of("metrics", "modern"), 1, "none")
        assert builder.append_many([records.request(number, number + 1)]) == []
        rows.append([(target.table, n) for target, n in builder.pending()])
    assert rows == [[], [], [("otel_metrics_sum", 1)]]


def message_of(
    signal: Signal, sizes: Sequence[int], resource: int, one_shard: bool, rng: random.Random
) -> Message:
    """Records with an attribute of each size under a resource with one."""

    def trace(number: int) -> bytes:
        return bytes([1, *([0] * 11 if one_shard else rng.randbytes(11)), *number.to_bytes(4)])

    about = {"service.name": "s", "host": "h" * resource}
    attributes = [{"text": "x" * size} for size in sizes]
    request: Any
    if signal == "traces":
        request = make.traces(
            *(
                make.span(str(n), attributes=one, trace_id=trace(n))
                for n, one in enumerate(attributes)
            ),
            resource=about,
        )
    elif signal == "logs":
        request = make.logs(
            *(make.log(str(n), attributes=one) for n, one in enumerate(attributes)), resource=about
        )
    else:
        kinds = (make.gauge, make.counter)
        points = [make.number_point(n, attributes=one) for n, one in enumerate(attributes)]
        half = len(points) // 2
        request = make.metrics(
            *(kind(*part) for kind, part in zip(kinds, (points[:half], points[half:]), strict=True)
              if part),
            resource=about,
        )  # fmt: skip
    return Message(3, 41, 0, None, request.SerializeToString())


def drawn_sizes(kind: str, limit: int, rng: random.Random) -> list[int]:
    """Of up to 120 records, so that the message takes from nothing to many blocks."""
    count = rng.randint(1, 120)
    match kind:
        case "small":
            return [rng.randrange(300) for _ in range(count)]
        case "alike":
            return [limit // rng.choice([4, 10, 30])] * count
        case "any":
            return [int((limit / 3) ** rng.random()) for _ in range(count)]
    sizes = drawn_sizes("any", limit, rng)
    sizes[rng.randrange(len(sizes))] = rng.choice([limit - 15_000, limit, 2 * limit])
    return sizes


@pytest.mark.parametrize("backend", [KERNEL, REFERENCE], ids=["kernel", "reference"])
@pytest.mark.parametrize("signal", SIGNALS)
@settings(SLOW, max_examples=30)
@given(
    kind=st.sampled_from(["alike", "any", "one too large", "small"]),
    limit=st.sampled_from([SMALLEST_LIMIT, 50_000, 200_000]),
    seed=st.integers(0, 1 << 32),
)
def test_whatever_the_sizes_no_block_exceeds_the_limit(
    backend: DecoderBackend, signal: Signal, kind: str, limit: int, seed: int
) -> None:
    rng = random.Random(seed)
    sizes = drawn_sizes(kind, limit, rng)
    resource = rng.choice([0, 200, 4_000])
    message = message_of(signal, sizes, resource, rng.random() < 0.5, rng)
    headers = layouts_of(signal, "modern" if rng.random() < 0.5 else "legacy")
    new_builder = partial(backend.builder, signal, headers, SHARDS, "none")
    origin = batch.Origin("topic-1", SHARDS, "print", batch.BlockLimits(bytes=limit))
    whole, rest = batch.decode([message], {3: 41}, origin, new_builder(), 1)
    decoded = batch.decode_alone(message, 41, origin, new_builder, 1) if rest else whole
    plan = decode_plan(decoded.plan.encode())
    assert plan == decoded.plan
    event("refused" if plan.unfit_bytes else f"{min(len(plan.cuts), 9)} pieces")
    blocks = batch.blocks_of(plan, [message], new_builder)
    assert all(block.raw_bytes <= limit for block in blocks)
    assert {block.target: block.rows for block in blocks} == plan.rows
    assert all(block.ingest_id == plan.ingest_id(block.target) for block in blocks)
    assert len({block.ingest_id for block in blocks}) == len(blocks)
    if plan.unfit_bytes:
        (bad,) = decoded.bad
        assert (bad.reason, plan.rows, plan.rejected) == ("too_large", {}, 1)
        assert f"block_max_bytes ({limit})" in bad.detail
        assert must_be_refused(message, new_builder, limit)
        (again,) = batch.decode_again(plan, [message], new_builder).bad
        assert again.reason == "too_large"
        assert f"block_max_bytes ({limit})" in again.detail
    else:
        assert rows_of(blocks) == rows_of(batch.blocks_of(uncut(message), [message], new_builder))
        if plan.cuts:
            assert sum(plan.cuts) == len(sizes)
            assert longest_plan(plan) <= MAX_PLAN_BYTES


def uncut(message: Message) -> Plan:
    """The message's plan without a limit."""
    origin = batch.Origin("topic-1", SHARDS, "print", batch.UNLIMITED)
    return batch._plan_of([message], {3: 41}, origin, 1)


def rows_of(blocks: Sequence[Block]) -> Counter[tuple[str, int]]:
    """Rows per table and shard."""
    found: Counter[tuple[str, int]] = Counter()
    for block in blocks:
        found[block.target[:2]] += block.rows
    return found


def must_be_refused(message: Message, new_builder: Any, limit: int) -> bool:
    """Whether a record alone is larger than the limit, or so are more blocks than a plan names."""
    builder = new_builder()
    records = RequestRecords(builder.signal, message.value)
    largest = total = 0
    for number in range(len(records)):
        builder.append_many([records.request(number, number + 1)])
        for block in finished(builder):
            largest = max(largest, block.raw_bytes)
            total += block.raw_bytes
    # A decoder's measure is exact but for what it takes for the heads of a block's columns.
    return largest > limit - 12_000 or total > MOST_BLOCKS / 4 * (limit - 12_000)


def longest_plan(plan: Plan) -> int:
    """Bytes of the plan when the server has refused every block, and burnt it before."""
    refused = [Exclusion(target, 3, 41) for target in plan.rows]
    plan = replace(plan, topic_id="x" * 22, ranges=(Range(3, 10**12, 10**12 + 1),))
    plan = plan.revised(plan.rows).without(refused, dict.fromkeys(plan.rows, 0))
    return len(plan.encode())


@pytest.mark.parametrize("signal", SIGNALS)
def test_a_replay_cuts_where_the_plan_says(signal: Signal) -> None:
    """Under another limit, other guardrails or none at all: whose plan it is decides."""
    message = message_of(signal, [900] * 400, 100, False, random.Random(7))
    headers = layouts_of(signal, "modern")
    new_builder = partial(KERNEL.builder, signal, headers, SHARDS, "lz4")
    plans = []
    for limit in (60_000, 90_000):
        origin = batch.Origin("topic-1", SHARDS, "print", batch.BlockLimits(bytes=limit))
        plans.append(batch.decode_alone(message, 41, origin, new_builder, 1).plan)
    assert len(plans[0].cuts) > len(plans[1].cuts) > 1
    first = batch.blocks_of(plans[0], [message], new_builder)
    assert first == batch.blocks_of(plans[0], [message], new_builder)
    ids = [{plan.ingest_id(target) for target in plan.rows} for plan in plans]
    assert ids[0] & ids[1] == set(), "another cut is another block"


def test_a_refused_piece_is_left_out_and_the_others_stay() -> None:
    message = message_of("traces", [900] * 400, 100, False, random.Random(7))
    new_builder = partial(KERNEL.builder, "traces", layouts_of("traces", "modern"), 2, "none")
    origin = batch.Origin("topic-1", 2, "print", batch.BlockLimits(bytes=60_000))
    plan = batch.decode_alone(message, 41, origin, new_builder, 1).plan
    target = sorted(plan.rows)[3]
    amended = plan.without([Exclusion(target, 3, 41)], {target: 0})
    before = batch.blocks_of(plan, [message], new_builder)
    after = batch.blocks_of(amended, [message], new_builder)
    assert after == [block for block in before if block.target != target]
    assert decode_plan(amended.encode()) == amended
