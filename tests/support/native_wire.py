"""Bytes of ClickHouse's native protocol, as a server reads and writes them.

Integers are little-endian, a varint is LEB128 (as VarUInt in ClickHouse's src/IO/VarInt.h), a
string is a varint length and its bytes. Compressed data is a run of frames: CityHash128 (16
bytes) over what follows, method byte, UInt32 size of the frame without the checksum, UInt32 size
of the data, the data (src/Compression/CompressedReadBufferBase.cpp).
"""

import socket
import struct
from dataclasses import dataclass

import lz4.block
from clickhouse_cityhash.cityhash import CityHash128

METHOD_NONE = 0x02
METHOD_LZ4 = 0x82
FRAME_HEADER = struct.Struct("<BII")
CHECKSUM_BYTES = 16
# The server's own limit for one frame (DBMS_MAX_COMPRESSED_SIZE).
MAX_FRAME_BYTES = 0x4000_0000
FRAME_DATA_BYTES = 1 << 20
BLOCK_INFO = b"\x01\x00\x02\xff\xff\xff\xff\x00"
"""BlockInfo of every block we send: not overflows, bucket -1."""


class WireError(Exception):
    """The peer sent bytes that are not the protocol; the connection cannot go on."""


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def string(value: str | bytes) -> bytes:
    raw = value.encode() if isinstance(value, str) else value
    return varint(len(raw)) + raw


class Input:
    """Buffered reading from a socket, with looking ahead.

    Every read blocks until it has all its bytes; EOFError when the peer hangs up before that.
    """

    def __init__(self, source: socket.socket | None = None, data: bytes = b"") -> None:
        self._source = source
        self._buffer = bytearray(data)
        self._position = 0

    def peek(self, size: int, skip: int = 0) -> bytes:
        """`size` bytes after the next `skip` bytes, which stay to be read."""
        start = self._position + skip
        missing = start + size - len(self._buffer)
        while missing > 0:
            chunk = self._source.recv(max(missing, 1 << 18)) if self._source else b""
            if not chunk:
                raise EOFError
            self._buffer += chunk
            missing -= len(chunk)
        return bytes(memoryview(self._buffer)[start : start + size])

    def read(self, size: int) -> bytes:
        data = self.peek(size)
        self._position += size
        if self._position > 1 << 20:
            del self._buffer[: self._position]
            self._position = 0
        return data

    def integer(self, size: int, signed: bool = False) -> int:
        return int.from_bytes(self.read(size), "little", signed=signed)

    def varint(self) -> int:
        value = 0
        for shift in range(0, 70, 7):
            byte = self.read(1)[0]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
        msg = "a varint of more than 10 bytes"
        raise WireError(msg)

    def raw_string(self) -> bytes:
        return self.read(self.varint())

    def string(self) -> str:
        return self.raw_string().decode("utf-8", "replace")


class Recording(Input):
    """An Input that keeps what was read through it, so that a parser can cut out a block."""

    def __init__(self, source: Input) -> None:
        super().__init__()
        self._inner = source
        self.bytes = bytearray()

    def read(self, size: int) -> bytes:
        data = self._inner.read(size)
        self.bytes += data
        return data


@dataclass(frozen=True, slots=True)
class ReceivedBlock:
    """One block as a client sent it."""

    columns: int
    rows: int
    native: bytes
    """Column count, row count and columns: the Native format, without BlockInfo."""
    wire_bytes: int
    """Size of the body on the wire."""


def compress(data: bytes) -> bytes:
    """Frames of at most 1 MiB of data each."""
    out = bytearray()
    for start in range(0, len(data), FRAME_DATA_BYTES):
        piece = data[start : start + FRAME_DATA_BYTES]
        packed = lz4.block.compress(piece, store_size=False)
        framed = FRAME_HEADER.pack(METHOD_LZ4, len(packed) + FRAME_HEADER.size, len(piece)) + packed
        out += _checksum(framed) + framed
    return bytes(out)


def read_compressed_block(source: Input) -> ReceivedBlock:
    """One block in frames, which is known to end only by what follows.

    An empty block is one frame. After a block with columns a client always sends another Data
    packet, so the frames end where a Data packet with a valid frame begins; a checksum of 128
    bits tells that from a further frame. So nothing has to be parsed, which keeps a server that
    throws the data away cheap.
    """
    first, wire_bytes = _read_frame(source)
    info, columns, rows = _block_head(first)
    pieces = [first]
    while columns and not _data_packet_follows(source):
        piece, size = _read_frame(source)
        pieces.append(piece)
        wire_bytes += size
    return ReceivedBlock(columns, rows, b"".join(pieces)[info:], wire_bytes)


def _block_head(data: bytes) -> tuple[int, int, int]:
    """(size of BlockInfo, columns, rows) of a block."""
    recording = Recording(Input(data=data))
    read_block_info(recording)
    return len(recording.bytes), recording.varint(), recording.varint()


def read_block_info(source: Input) -> None:
    """Skip BlockInfo: numbered fields up to a 0."""
    sizes = {1: 1, 2: 4}
    while field := source.varint():
        if field not in sizes:
            msg = f"BlockInfo has no field {field}"
            raise WireError(msg)
        source.read(sizes[field])


def _data_packet_follows(source: Input) -> bool:
    data_packet = b"\x02\x00"  # packet type, empty table name
    if source.peek(2) != data_packet:
        return False
    header = source.peek(CHECKSUM_BYTES + FRAME_HEADER.size, skip=2)
    method, size, _ = FRAME_HEADER.unpack_from(header, CHECKSUM_BYTES)
    if method not in (METHOD_NONE, METHOD_LZ4) or not FRAME_HEADER.size <= size <= MAX_FRAME_BYTES:
        return False
    return _checksum(source.peek(size, skip=2 + CHECKSUM_BYTES)) == header[:CHECKSUM_BYTES]


def _read_frame(source: Input) -> tuple[bytes, int]:
    """(data, bytes on the wire) of the next frame, its checksum verified."""
    checksum = source.read(CHECKSUM_BYTES)
    method, size, data_size = FRAME_HEADER.unpack(source.peek(FRAME_HEADER.size))
    if method not in (METHOD_NONE, METHOD_LZ4) or not FRAME_HEADER.size <= size <= MAX_FRAME_BYTES:
        msg = f"a compressed frame with method {method:#x} and size {size}"
        raise WireError(msg)
    framed = source.read(size)
    if _checksum(framed) != checksum:
        msg = "checksum of a compressed frame doesn't match"
        raise WireError(msg)
    data = framed[FRAME_HEADER.size :]
    if method == METHOD_LZ4:
        data = lz4.block.decompress(data, uncompressed_size=data_size)
    if len(data) != data_size:
        msg = f"a frame of {len(data)} bytes that says it has {data_size}"
        raise WireError(msg)
    return data, size + CHECKSUM_BYTES


def _checksum(framed: bytes) -> bytes:
    value: int = CityHash128(framed)
    return struct.pack("<QQ", value >> 64, value & 0xFFFF_FFFF_FFFF_FFFF)
