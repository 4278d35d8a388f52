from collections.abc import Mapping, Sequence
from typing import Literal, TypeVar, final

__version__: str

_Tiers = tuple[list[tuple[str, str]], list[tuple[float, str]], str | None]
_Rule = tuple[str, list[str], list[str], int, str, _Tiers]

# Keys of a Mapping are invariant, and the writer's Target is a tuple of its own.
_Target = TypeVar("_Target", bound=tuple[str, int])

class LayoutError(ValueError):
    """A table has a column or a type that no encoder fills; the text names both."""

@final
class BlockBuilder:
    """Collects export requests of one signal into one block per table and shard.

    See `headrace_writer.core.block.BlockBuilder` for the contract. Thread-safe; decoding and
    compressing release the GIL.
    """

    @property
    def rows(self) -> int: ...
    @property
    def nbytes(self) -> int: ...
    @property
    def replaced_utf8(self) -> int: ...
    def append_many(self, payloads: Sequence[bytes]) -> list[tuple[int, str, str]]:
        """Decode in order; returns (index, reason, detail) of each rejected payload."""

    @property
    def rule_counts(self) -> list[int]: ...
    def append_within(
        self, payloads: Sequence[bytes], tenants: Sequence[bytes], max_block_bytes: int
    ) -> tuple[int, list[tuple[int, str, str]]]:
        """As `append_many`, until a block's body would be longer, before compression.

        `tenants`: one for each payload, or none. Returns how many payloads were taken, and the
        rejected ones among them.
        """

    def pending(self) -> list[tuple[tuple[str, int], int]]:
        """((table, shard), rows) of each target with rows, ordered by target."""

    def finish(
        self, ingest_ids: Mapping[_Target, int]
    ) -> list[tuple[str, int, int, int, bytes, int, int, int]]:
        """Close the pending rows into blocks, ordered by target.

        Each is (table, shard, rows, ingest_id, body, raw_bytes, min_time_ns, max_time_ns).
        KeyError if a pending target has no id; the rows stay pending then.
        """

def builder(
    signal: Literal["traces", "metrics", "logs"],
    layouts: Mapping[str, Sequence[tuple[str, str]]],
    shards: int,
    compression: Literal["lz4", "none"] = "lz4",
    treatment: tuple[list[_Rule], tuple[int, int], str, list[str]] | None = None,
) -> BlockBuilder:
    """A builder for all tables of a signal, by plain name, with the server's INSERT headers.

    `treatment`: guardrails, the key of their hashes as two little-endian words, the resource
    attribute that names the tenant, and the names of attributes that go to ContentAttributes.

    LayoutError for a column or type it cannot fill, or a missing table; ValueError for another
    wrong argument.
    """

def city_hash_64(data: bytes) -> int:
    """ClickHouse's cityHash64 of one String (CityHash 1.0.2)."""

def city_hash_128(data: bytes) -> bytes:
    """The checksum of a ClickHouse compressed frame: 16 bytes, low word first."""

def sip_hash_128(key: tuple[int, int], data: bytes) -> bytes:
    """SipHash-2-4 with 128 bits of output, under a key of two little-endian words."""
