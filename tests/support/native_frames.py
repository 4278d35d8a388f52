"""ClickHouse's compressed frames, taken apart and checked.

A frame is a CityHash128 (v1.0.2, 16 bytes) over all that follows, the method byte, UInt32 size of
the frame without the checksum, UInt32 size of the data, the data.
Source: src/Compression/CompressedReadBufferBase.cpp.
"""

import struct

import lz4.block
from clickhouse_cityhash.cityhash import CityHash128

LZ4 = 0x82
MAX_DATA = 1 << 20
"""What our own frames may hold, uncompressed."""


def decompress(body: bytes) -> bytes:
    """The data of a run of frames; a wrong checksum, size or method is an AssertionError."""
    out = []
    while body:
        checksum, header = body[:16], body[16:25]
        method, size, data_size = struct.unpack("<BII", header)
        assert method == LZ4, f"method {method:#x}"
        assert 9 <= size <= len(body) - 16, f"frame of {size} bytes in {len(body)}"
        assert 0 < data_size <= MAX_DATA, f"{data_size} bytes in one frame"
        frame, body = body[16 : 16 + size], body[16 + size :]
        # The library's 128-bit number has the low half on top; the frame has it first.
        low, high = struct.unpack("<QQ", checksum)
        assert CityHash128(frame) == low << 64 | high, "checksum"
        data = lz4.block.decompress(frame[9:], uncompressed_size=data_size)
        assert len(data) == data_size
        assert not body or data_size == MAX_DATA, "only the last frame may be short"
        out.append(data)
    return b"".join(out)
