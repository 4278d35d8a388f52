"""The native decoder of headrace: OTLP export requests into finished ClickHouse blocks.

`builder` makes an object with the methods of `headrace_writer.core.block.BlockBuilder`, which
holds the contract; `headrace_writer.core.decode` turns its plain tuples into the writer's types.
"""

from headrace_kernel._kernel import (
    BlockBuilder,
    LayoutError,
    __version__,
    builder,
    city_hash_64,
    city_hash_128,
    sip_hash_128,
)

__all__ = [
    "BlockBuilder",
    "LayoutError",
    "__version__",
    "builder",
    "city_hash_64",
    "city_hash_128",
    "sip_hash_128",
]
