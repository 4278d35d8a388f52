"""One message whose rows no single block may hold: cut into pieces, each with blocks of its own.

A piece is a run of the message's records. The plan says how many each has, so that whoever builds
the blocks again cuts at the same places, whatever limits or guardrails are set there. Such a
message is a batch of its own (docs/decisions/0016).
"""

import sys
from dataclasses import dataclass, replace

from headrace_writer.core.backlog import Message
from headrace_writer.core.block import Block, NewBuilder, Target
from headrace_writer.core.delivery_plan import Plan
from headrace_writer.core.request_records import RequestRecords
from headrace_writer.errors import Poison

# Records are tried in so many equal parts: a piece is then at least this nearly full.
CHUNKS = 64
# A plan names each block, and again when the server refuses it or has burnt its IngestId: with
# 16, 36 and 14 bytes for these, and some 300 for the rest, 48 blocks fit into a commit's 4,095.
MOST_BLOCKS = 48


@dataclass(frozen=True, slots=True)
class Cut:
    """How one message is cut."""

    records: tuple[int, ...]
    """Of each piece."""
    rows: dict[Target, int]
    repaired: int
    """Strings repaired, and what each guardrail did; what a resource says, once per piece."""
    acted: list[int]


def cut(message: Message, max_block_bytes: int, new_builder: NewBuilder) -> Cut:
    """Cut a message so that no block's body is longer than `max_block_bytes`.

    Raises Poison("too_large") where a record does not fit alone, or a plan could not name all
    the blocks.
    """
    builder = new_builder()
    records = RequestRecords(builder.signal, message.value)
    step = max(1, -(-len(records) // CHUNKS))
    todo = [(first, min(first + step, len(records))) for first in range(0, len(records), step)]
    todo.reverse()
    sizes: list[int] = []
    rows: dict[Target, int] = {}
    begin, repaired, acted = 0, 0, [0] * len(builder.rule_counts)

    def close(end: int) -> None:
        nonlocal begin, repaired
        of_piece = {target._replace(piece=len(sizes)): n for target, n in builder.pending()}
        rows.update(of_piece)
        sizes.append(end - begin)
        repaired += builder.replaced_utf8
        acted[:] = [sum(pair) for pair in zip(acted, builder.rule_counts, strict=True)]
        begin = end
        if len(rows) > MOST_BLOCKS:
            raise Poison(
                "too_large",
                f"the message needs more than {MOST_BLOCKS} blocks of block_max_bytes "
                f"({max_block_bytes}): raise block_max_bytes",
            )

    while todo:
        first, end = todo.pop()
        request = records.request(first, end)
        taken, _ = builder.append_within([request], [message.tenant], max_block_bytes)
        if taken:
            continue
        if begin < first:
            close(first)
            builder = new_builder()
            todo.append((first, end))
        elif end - first > 1:
            middle = (first + end) // 2
            todo += [(middle, end), (first, middle)]
        else:
            raise Poison(
                "too_large",
                f"record {first} of the message does not fit into a block of block_max_bytes "
                f"({max_block_bytes}): raise block_max_bytes",
            )
    close(len(records))
    return Cut(tuple(sizes), rows, repaired, acted)


def piece_blocks(plan: Plan, message: Message, new_builder: NewBuilder) -> list[Block]:
    """The blocks of a plan with pieces, but for those without the only message they could have."""
    apart = {exclusion.target for exclusion in plan.excluded}
    builder = new_builder()
    records = RequestRecords(builder.signal, message.value)
    blocks = []
    for piece, (first, end) in enumerate(plan.pieces):
        builder.append_within([records.request(first, end)], [message.tenant], sys.maxsize)
        ids = {target: target._replace(piece=piece) for target, _ in builder.pending()}
        finished = builder.finish({target: plan.ingest_id(own) for target, own in ids.items()})
        blocks += [replace(block, target=ids[block.target]) for block in finished]
    return sorted((b for b in blocks if b.target not in apart), key=lambda block: block.target)
