"""The kernel and the reference build the same blocks, byte by byte, from honest requests."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headrace_writer.core.block import Signal
from support.decoders import (
    KERNEL,
    REFERENCE,
    SIGNALS,
    assert_equal,
    decode,
    layouts_of,
)
from support.native_frames import decompress
from support.native_read import read_block

from .headers import layouts
from .strategies import payloads

SLOW = settings(
    deadline=None,
    max_examples=150,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
shard_counts = st.sampled_from([1, 2, 3, 7])


@pytest.mark.parametrize("signal", SIGNALS)
@SLOW
@given(data=st.data(), shards=shard_counts)
def test_blocks_are_equal(signal: Signal, data: Any, shards: int) -> None:
    batch = data.draw(payloads(signal))
    result = assert_equal(signal, data.draw(layouts(signal)), batch, shards)
    assert result.rejections == []


@pytest.mark.parametrize("dialect", ["modern", "legacy"])
@pytest.mark.parametrize("signal", SIGNALS)
@settings(SLOW, max_examples=40)
@given(data=st.data())
def test_frames_hold_the_plain_body(signal: Signal, dialect: Any, data: Any) -> None:
    batch = data.draw(payloads(signal))
    headers = layouts_of(signal, dialect)
    plain = decode(REFERENCE, signal, headers, batch)
    for backend in (KERNEL, REFERENCE):
        packed = decode(backend, signal, headers, batch, compression="lz4")
        assert [decompress(block.body) for block in packed.blocks] == [
            block.body for block in plain.blocks
        ]
        assert [block.raw_bytes for block in packed.blocks] == [
            len(block.body) for block in plain.blocks
        ]


@pytest.mark.parametrize("signal", SIGNALS)
@settings(SLOW, max_examples=40)
@given(data=st.data(), shards=shard_counts)
def test_a_builder_remembers_nothing(signal: Signal, data: Any, shards: int) -> None:
    """A batch after another one gives the blocks that it gives alone."""
    headers = data.draw(layouts(signal))
    first, second = data.draw(payloads(signal)), data.draw(payloads(signal))
    for backend in (KERNEL, REFERENCE):
        builder = backend.builder(signal, headers, shards, "none")
        for batch in (first, second):
            builder.append_many(batch)
            ids = {target: 5 for target, _ in builder.pending()}
            blocks = builder.finish(ids)
        alone = backend.builder(signal, headers, shards, "none")
        alone.append_many(second)
        assert blocks == alone.finish({target: 5 for target, _ in alone.pending()})


@pytest.mark.parametrize("dialect", ["modern", "legacy"])
@pytest.mark.parametrize("signal", SIGNALS)
@settings(SLOW, max_examples=40)
@given(data=st.data())
def test_the_driver_reads_what_the_kernel_writes(signal: Signal, dialect: Any, data: Any) -> None:
    """clickhouse-driver finds every column and row, and the end of the block where it is."""
    headers = layouts_of(signal, dialect)
    # Times the driver can show: it makes datetimes out of them.
    for block in decode(KERNEL, signal, _readable(headers), data.draw(payloads(signal))).blocks:
        columns = read_block(block.body)
        assert list(columns) == [name for name, _ in headers[block.target.table]]
        assert {len(values) for values in columns.values()} == {block.rows}
        assert set(columns["IngestId"]) == {block.ingest_id}


def _readable(headers: Any) -> Any:
    return {
        table: [(name, kind.replace("DateTime64(9)", "Int64")) for name, kind in header]
        for table, header in headers.items()
    }
