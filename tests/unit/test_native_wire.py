"""The test server's reading of blocks, against clickhouse-driver's writing of them."""

import random
from types import SimpleNamespace
from typing import Any

import pytest
from clickhouse_driver import Client
from clickhouse_driver.block import RowOrientedBlock
from clickhouse_driver.bufferedwriter import BufferedSocketWriter
from clickhouse_driver.streams.native import BlockOutputStream

from support.native_block import Kind, parse, read_plain_block
from support.native_server import REVISION
from support.native_wire import (
    BLOCK_INFO,
    Input,
    ReceivedBlock,
    WireError,
    compress,
    read_compressed_block,
    string,
    varint,
)

COLUMNS: list[tuple[str, str, Any]] = [
    ("id", "UInt64", 7),
    ("name", "String", "señor"),
    ("label", "LowCardinality(String)", "a"),
    ("maybe", "Nullable(String)", None),
    ("label?", "LowCardinality(Nullable(String))", None),
    ("fixed", "FixedString(4)", "abcd"),
    ("at", "DateTime64(9, 'UTC')", 1_700_000_000_500_000_000),
    ("N.map", "Array(Map(LowCardinality(String), String))", [{"k": "v"}, {}]),
    ("N.deep", "Array(Array(LowCardinality(String)))", [["x", "y"], []]),
    ("pair", "Tuple(a UInt8, b Array(String))", (1, ["p"])),
    ("flag", "Bool", True),
    ("id128", "UUID", "9f0e7c2a-3c59-4a5e-9d3a-0d5a7c0b1e2f"),
    ("kind", "Enum8('a' = 1, 'b, c' = 2)", "b, c"),
]
EMPTY_BLOCK = BLOCK_INFO + b"\x00\x00"


class Sink:
    """Takes what the driver would send."""

    def __init__(self) -> None:
        self.data = bytearray()

    def sendall(self, data: bytes) -> None:
        self.data += data


def written(rows: int) -> bytes:
    """A block of `rows` equal rows as clickhouse-driver sends it, BlockInfo first."""
    context = Client("nowhere").connection.context
    context.server_info = SimpleNamespace(used_revision=REVISION)
    sink = Sink()
    out = BufferedSocketWriter(sink, 1 << 20)
    row = [value for _, _, value in COLUMNS]
    header = [(name, kind) for name, kind, _ in COLUMNS]
    BlockOutputStream(out, context).write(RowOrientedBlock(header, [row] * rows))
    return bytes(sink.data)


@pytest.mark.parametrize("rows", [1, 3, 300])
def test_a_plain_block_ends_where_it_ends(rows: int) -> None:
    body = written(rows)
    source = Input(data=body + b"the next packet")
    block = read_plain_block(source)
    assert block == ReceivedBlock(len(COLUMNS), rows, body[8:], len(body) - 8)
    assert source.read(15) == b"the next packet"


@pytest.mark.parametrize("rows", [1, 300])
def test_a_compressed_block_ends_where_the_next_data_packet_begins(rows: int) -> None:
    body = written(rows)
    wire = compress(body)
    source = Input(data=wire + b"\x02\x00" + compress(EMPTY_BLOCK))
    block = read_compressed_block(source)
    assert block == ReceivedBlock(len(COLUMNS), rows, body[8:], len(wire))
    assert source.read(2) == b"\x02\x00"
    assert read_compressed_block(source).columns == 0


def test_a_block_of_several_frames() -> None:
    noise = random.Random(5).randbytes(2_500_000)
    native = varint(1) + varint(1) + string("blob") + string("String") + string(noise)
    wire = compress(BLOCK_INFO + native)
    source = Input(data=wire + b"\x02\x00" + compress(EMPTY_BLOCK))
    assert read_compressed_block(source) == ReceivedBlock(1, 1, native, len(wire))


def test_a_header_without_rows_has_no_column_data() -> None:
    native = varint(1) + varint(0) + string("label") + string("LowCardinality(String)")
    block = read_plain_block(Input(data=BLOCK_INFO + native))
    assert block == ReceivedBlock(1, 0, native, len(native))


def test_an_empty_block_is_complete_without_anything_after_it() -> None:
    assert read_compressed_block(Input(data=compress(EMPTY_BLOCK))).columns == 0
    assert read_plain_block(Input(data=EMPTY_BLOCK)).columns == 0


def test_a_flipped_bit_is_noticed() -> None:
    wire = bytearray(compress(written(2)))
    wire[40] ^= 1
    with pytest.raises(WireError, match="checksum"):
        read_compressed_block(Input(data=bytes(wire)))


def test_a_frame_of_unknown_method_is_refused() -> None:
    wire = bytearray(compress(written(2)))
    wire[16] = 0x55
    with pytest.raises(WireError, match="method 0x55"):
        read_compressed_block(Input(data=bytes(wire)))


@pytest.mark.parametrize("cut", [1, 9, 30, 100])
def test_a_client_that_leaves_early_is_an_end_of_file(cut: int) -> None:
    with pytest.raises(EOFError):
        read_plain_block(Input(data=written(3)[:cut]))


@pytest.mark.parametrize("value", [0, 1, 127, 128, 300, 2**32, 2**63])
def test_varints_return(value: int) -> None:
    assert Input(data=varint(value)).varint() == value


def test_an_endless_varint_is_refused() -> None:
    with pytest.raises(WireError, match="more than 10"):
        Input(data=b"\xff" * 11).varint()


def test_types_are_parsed_to_any_depth() -> None:
    text = Kind("String")
    label = Kind("LowCardinality", (text,))
    assert parse("Array(Map(LowCardinality(String), Array(String)))") == Kind(
        "Array", (Kind("Map", (label, Kind("Array", (text,)))),)
    )
    assert parse("Tuple(a UInt8, `b.c` String)").arguments == (Kind("UInt8", width=1), text)
    with pytest.raises(WireError, match="AggregateFunction"):
        parse("AggregateFunction(sum, UInt8)")
