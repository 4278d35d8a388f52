"""Both decoders behind one door, for tests that hold them equal.

The kernel must be installed: without it these tests fail, they do not skip.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from headrace_schema.columns import TABLES_BY_SIGNAL, Dialect, insert_layout
from headrace_writer.core.block import (
    Block,
    BlockBuilder,
    Compression,
    DecoderBackend,
    Layout,
    Signal,
    Target,
)
from headrace_writer.core.decode import native_backend
from headrace_writer.core.decode_reference import ReferenceBackend

Layouts = Mapping[str, Layout]

KERNEL: DecoderBackend = native_backend()
REFERENCE: DecoderBackend = ReferenceBackend()

SIGNALS: tuple[Signal, ...] = ("traces", "logs", "metrics")


class Result(NamedTuple):
    """All that a decoder says about a list of payloads."""

    rejections: list[tuple[int, str]]
    pending: list[tuple[Target, int]]
    blocks: list[Block]
    replaced_utf8: int


def layouts_of(signal: Signal, dialect: Dialect) -> dict[str, Layout]:
    """The INSERT headers of a signal's tables, as servers of a dialect give them."""
    return {table: insert_layout(table, dialect) for table in TABLES_BY_SIGNAL[signal]}


def ingest_ids(targets: Iterable[Target]) -> dict[Target, int]:
    """An IngestId for each target; they use all 64 bits."""
    return {target: (1 << 64) - 1 - i for i, target in enumerate(targets)}


def decode(
    backend: DecoderBackend,
    signal: Signal,
    layouts: Layouts,
    payloads: Sequence[bytes],
    shards: int = 1,
    compression: Compression = "none",
) -> Result:
    """One batch through a fresh builder."""
    return run(backend.builder(signal, layouts, shards, compression), payloads)


def run(builder: BlockBuilder, payloads: Sequence[bytes]) -> Result:
    """One batch through a builder, which must be empty before and is after."""
    rejections = [(r.index, r.reason) for r in builder.append_many(payloads)]
    pending = builder.pending()
    assert builder.rows == sum(rows for _, rows in pending)
    assert (builder.nbytes > 0) == (builder.rows > 0)
    blocks = builder.finish(ingest_ids(target for target, _ in pending))
    assert (builder.rows, builder.nbytes, builder.pending()) == (0, 0, [])
    return Result(rejections, pending, blocks, builder.replaced_utf8)


def assert_equal(
    signal: Signal, layouts: Layouts, payloads: Sequence[bytes], shards: int = 1
) -> Result:
    """Both decoders say the same, byte by byte, but for the count of repaired strings."""
    by_reference = decode(REFERENCE, signal, layouts, payloads, shards)
    by_kernel = decode(KERNEL, signal, layouts, payloads, shards)
    assert by_kernel.rejections == by_reference.rejections
    assert by_kernel.pending == by_reference.pending
    for ours, theirs in zip(by_kernel.blocks, by_reference.blocks, strict=True):
        assert ours == theirs, _difference(ours, theirs)
    return by_reference


def _difference(ours: Block, theirs: Block) -> str:
    at = next(
        (i for i, (a, b) in enumerate(zip(ours.body, theirs.body, strict=False)) if a != b),
        min(len(ours.body), len(theirs.body)),
    )
    around = slice(max(0, at - 200), at + 80)
    return (
        f"{theirs.target}: bodies differ from byte {at} on\n"
        f"kernel:    {ours.body[around]!r}\nreference: {theirs.body[around]!r}"
    )
