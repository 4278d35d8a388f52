"""A block's body read back by clickhouse-driver, the library that writers send it with."""

from io import BytesIO
from typing import Any

from clickhouse_driver.block import ColumnOrientedBlock
from clickhouse_driver.bufferedreader import BufferedReader
from clickhouse_driver.context import Context
from clickhouse_driver.streams.native import BlockInputStream

REVISION = 54453
"""The last protocol revision without a flag for custom serialization in front of each column."""


class _Server:
    used_revision = REVISION
    timezone = "UTC"

    @staticmethod
    def get_timezone() -> str:
        return "UTC"


class _Reader(BufferedReader):  # type: ignore[misc]
    """The driver's reader over bytes in memory."""

    def __init__(self, data: bytes) -> None:
        super().__init__(1 << 16)
        self._stream = BytesIO(data)

    def read_into_buffer(self) -> None:
        chunk = self._stream.read(1 << 16)
        self.buffer[: len(chunk)] = chunk
        self.current_buffer_size = len(chunk)
        if not chunk:
            raise EOFError("the block is cut off")


def read_block(body: bytes) -> dict[str, list[Any]]:
    """Column name → values. The body must end where the block does."""
    context = Context()
    context.server_info = _Server()
    context.settings = {"strings_as_bytes": False}
    context.client_settings = {
        "strings_as_bytes": True,
        "strings_encoding": "utf-8",
        "use_numpy": False,
        "input_format_null_as_default": False,
        "namedtuple_as_json": True,
        "server_side_params": False,
    }
    reader = _Reader(body + b"END")
    block: ColumnOrientedBlock = BlockInputStream(reader, context).read()
    assert reader.read(3) == b"END", "the body goes on behind its block"
    names = [name for name, _ in block.columns_with_types]
    return {name: list(values) for name, values in zip(names, block.data, strict=True)}
