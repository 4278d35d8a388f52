"""From messages to a plan: decoding a batch, and building its blocks again from the plan."""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from clickhouse_cityhash.cityhash import CityHash64

from headrace_writer.core.backlog import Message
from headrace_writer.core.block import Block, BlockBuilder, NewBuilder, Target
from headrace_writer.core.delivery import Encoding
from headrace_writer.core.delivery_plan import Plan, Range
from headrace_writer.core.pieces import cut, piece_blocks
from headrace_writer.errors import Poison

# Messages are decoded in slices of about this many payload bytes, so that a batch can be closed
# between them. The smallest record takes two bytes: 1 MiB holds at most 524,288 rows.
SLICE_BYTES = 1 << 20

# Below the 1,048,449 rows at which a server cuts a block in two, less one slice of smallest rows.
MAX_BATCH_ROWS = 500_000

MASK = (1 << 64) - 1

# A block is one insert. Servers take a good deal more; what is inserted at once has to be held in
# memory at both ends, by every replica.
MAX_BLOCK_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class BadMessage:
    """A message that the decoder rejected, or the server for one block's sake."""

    message: Message
    reason: str
    detail: str
    target: Target | None = None
    """The block that went without it; None when no record of it is stored anywhere."""
    records: tuple[int, int] | None = None
    """Its records [first, end) of which that block would hold some; None for all."""


class BlockLimits(NamedTuple):
    """How large a new batch's blocks may grow."""

    rows: int = MAX_BATCH_ROWS
    """Of all blocks; the last slice of messages may exceed them."""
    bytes: int = MAX_BLOCK_BYTES
    """Of each block's body, before compression."""


NEW_BATCH = BlockLimits()
# What is planned is built as it was planned, also under rules or encoders that make larger blocks
# of it.
UNLIMITED = BlockLimits(sys.maxsize, sys.maxsize)


@dataclass(frozen=True, slots=True)
class Origin:
    """What a plan says besides the messages themselves, and where it ends."""

    topic_id: str
    shards: int
    fingerprint: str
    limits: BlockLimits = NEW_BATCH

    @property
    def encoding(self) -> Encoding:
        """What decides whether an older plan can be built as it was."""
        return Encoding(self.fingerprint, self.shards)


@dataclass(slots=True)
class Decoded:
    """A batch whose blocks wait for their IngestIds."""

    plan: Plan
    builder: BlockBuilder
    bad: list[BadMessage]
    messages: list[Message]
    repaired: int = 0
    """Strings whose invalid UTF-8 was replaced."""
    acted: list[int] = field(default_factory=list)
    """What each guardrail did, in the order of the signal's rules."""


def payload_hash(messages: Sequence[Message]) -> int:
    """64 bits over offsets and payloads in order; CityHash64 per payload."""
    digest = len(messages)
    for message in messages:
        digest = (digest * 0x9E3779B97F4A7C15 + CityHash64(message.value)) & MASK
        digest = (digest ^ (message.offset << 7) ^ message.partition) & MASK
    return digest


def append(
    builder: BlockBuilder, messages: Sequence[Message], limits: BlockLimits = UNLIMITED
) -> tuple[int, list[BadMessage]]:
    """Decode messages in order up to `limits`. Returns how many were taken, and the bad ones."""
    bad: list[BadMessage] = []
    taken = 0
    while taken < len(messages) and builder.rows < limits.rows:
        end = taken
        nbytes = 0
        while end < len(messages) and (end == taken or nbytes < SLICE_BYTES):
            nbytes += len(messages[end].value)
            end += 1
        part = messages[taken:end]
        named = any(message.tenant for message in part)
        fitted, rejections = builder.append_within(
            [message.value for message in part],
            [message.tenant for message in part] if named else [],
            limits.bytes,
        )
        bad.extend(BadMessage(part[i], reason, detail) for i, reason, detail in rejections)
        taken += fitted
        if fitted < len(part):
            break
    return taken, bad


def decode(
    messages: Sequence[Message],
    positions: Mapping[int, int],
    origin: Origin,
    builder: BlockBuilder,
    planned_at_ms: int,
) -> tuple[Decoded, list[Message]]:
    """Decode a batch (ordered by partition and offset) and plan it.

    `positions` is where each partition's range starts: offsets between it and the first message
    hold nothing (compaction, transaction markers). Returns the batch and the messages that did not
    fit into its limits: all of them where a block cannot hold the first one, which `decode_alone`
    takes.
    """
    repaired, counts = builder.replaced_utf8, builder.rule_counts
    taken, bad = append(builder, messages, origin.limits)
    used = list(messages[:taken])
    plan = replace(
        _plan_of(used, positions, origin, planned_at_ms),
        rows=dict(builder.pending()),
        rejected=len(bad),
    )
    acted = [now - before for now, before in zip(builder.rule_counts, counts, strict=True)]
    decoded = Decoded(plan, builder, bad, used, builder.replaced_utf8 - repaired, acted)
    return decoded, list(messages[taken:])


def decode_alone(
    message: Message, position: int, origin: Origin, new_builder: NewBuilder, planned_at_ms: int
) -> Decoded:
    """As `decode`, for a message that a block cannot hold: cut into pieces, or refused."""
    plan = _plan_of([message], {message.partition: position}, origin, planned_at_ms)
    limit = origin.limits.bytes
    try:
        done = cut(message, limit, new_builder)
    except Poison as poison:
        plan = replace(plan, rejected=1, unfit_bytes=limit)
        bad = [BadMessage(message, poison.reason, poison.detail)]
        return Decoded(plan, new_builder(), bad, [message])
    plan = replace(plan, rows=done.rows, cuts=done.records)
    return Decoded(plan, new_builder(), [], [message], done.repaired, done.acted)


def decode_again(plan: Plan, messages: Sequence[Message], new_builder: NewBuilder) -> Decoded:
    """A planned batch whose messages were read again. What each of them becomes, the plan says."""
    builder = new_builder()
    bad: list[BadMessage] = []
    if plan.unfit_bytes:
        detail = f"it does not fit into blocks of block_max_bytes ({plan.unfit_bytes})"
        bad = [BadMessage(messages[-1], "too_large", f"{detail}: raise block_max_bytes")]
    elif not plan.cuts:
        _, bad = append(builder, messages)
    return Decoded(plan, builder, bad, list(messages))


def _plan_of(
    messages: Sequence[Message], positions: Mapping[int, int], origin: Origin, planned_at_ms: int
) -> Plan:
    """A plan without rows."""
    ends = {message.partition: message.offset + 1 for message in messages}
    sizes = dict.fromkeys(ends, 0)
    for message in messages:
        sizes[message.partition] += len(message.value)
    return Plan(
        topic_id=origin.topic_id,
        ranges=tuple(Range(p, positions[p], end) for p, end in sorted(ends.items())),
        shards=origin.shards,
        fingerprint=origin.fingerprint,
        payload_hash=payload_hash(messages),
        planned_at_ms=planned_at_ms,
        rows={},
        sizes=tuple(nbytes for _, nbytes in sorted(sizes.items())),
    )


def blocks_of(plan: Plan, messages: Sequence[Message], new_builder: NewBuilder) -> list[Block]:
    """Build a plan's blocks from its messages; the same bytes every time.

    A block with exclusions is built apart from the others, without the messages it excludes.
    """
    if plan.unfit_bytes:
        return []
    if plan.cuts:
        (message,) = messages
        return piece_blocks(plan, message, new_builder)
    apart = {exclusion.target for exclusion in plan.excluded}
    blocks = _build(plan, messages, new_builder, lambda target: target not in apart)
    for target in sorted(apart):
        left_out = {(e.partition, e.offset) for e in plan.excluded if e.target == target}
        kept = [m for m in messages if m[:2] not in left_out]
        blocks += _build(plan, kept, new_builder, lambda t, only=target: t == only)  # type: ignore[misc]
    return sorted(blocks, key=lambda block: block.target)


def rows_by_message(
    target: Target, messages: Sequence[Message], new_builder: NewBuilder
) -> list[int]:
    """How many rows of one block each message gives, in the block's order.

    Decodes message by message, which is slow: for telling whose row a server refused.
    """
    builder = new_builder()
    counts, before = [], 0
    for message in messages:
        append(builder, [message])
        after = dict(builder.pending()).get(target, 0)
        counts.append(after - before)
        before = after
    return counts


def _build(
    plan: Plan,
    messages: Sequence[Message],
    new_builder: NewBuilder,
    wanted: Callable[[Target], bool],
) -> list[Block]:
    builder = new_builder()
    append(builder, messages)
    return [b for b in finish(plan, builder) if wanted(b.target)]


def finish(plan: Plan, builder: BlockBuilder) -> list[Block]:
    """Close a builder's rows under the plan's IngestIds."""
    return builder.finish({target: plan.ingest_id(target) for target, _ in builder.pending()})
