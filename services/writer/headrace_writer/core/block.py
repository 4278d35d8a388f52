"""What passes between decoding and inserting: finished blocks, and who builds them.

Both decoders, the Rust kernel (`headrace_kernel`) and the readable oracle
(`core/decode_reference.py`), implement `BlockBuilder`; one parity suite holds them equal.
Nothing here knows Kafka, ClickHouse connections, clocks or settings.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

if TYPE_CHECKING:
    from headrace_writer.core.guardrails import Treatment

Signal = Literal["traces", "metrics", "logs"]
Compression = Literal["lz4", "none"]

# (column name, ClickHouse type), in the order of the server's own INSERT header.
Layout = Sequence[tuple[str, str]]


class Target(NamedTuple):
    """Where a block goes: a table (plain name, without `_local`) on one shard (from 0), and which
    piece of its batch it holds, where that is cut into several."""

    table: str
    shard: int
    piece: int = 0

    @property
    def whole(self) -> "Target":
        """The table on the shard, whatever piece."""
        return self._replace(piece=0)


class Rejection(NamedTuple):
    """One payload that could not be decoded. Its neighbours are untouched.

    `index` is the payload's place in the list given to `append_many`; `reason` is a stable
    code (see docs/architecture.md, "Hostile input"), `detail` is for people.
    """

    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody calls here
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Block:
    """One finished ClickHouse block: exactly one INSERT into one table of one shard.

    `body` is BlockInfo, column count, row count and columns in the Native format, as sent on
    the TCP protocol after the Data packet's table name at protocol revisions
    51903 ≤ revision < 54454 (BlockInfo, no per-column custom-serialization flag). With
    compression `lz4` it is a run of ClickHouse compressed frames (CityHash128 checksum,
    method 0x82, sizes, LZ4 block), else the bare bytes.
    """

    target: Target
    rows: int
    ingest_id: int
    body: bytes
    raw_bytes: int
    """Size of the uncompressed body."""
    min_time_ns: int
    max_time_ns: int
    """Smallest and largest row time (Timestamp or TimeUnix), nanoseconds since the epoch."""


class BlockBuilder(Protocol):
    """Collects OTLP export requests of one signal into one block per table and shard.

    The bytes that `finish` returns depend on nothing but the layouts, the shard count, the
    payloads in the order they were appended, and the IngestIds.
    """

    @property
    def signal(self) -> Signal:
        """Whose requests it takes."""

    @property
    def rows(self) -> int:
        """Rows pending over all targets."""

    @property
    def nbytes(self) -> int:
        """Bytes held by the pending columns, the measure for memory limits."""

    @property
    def replaced_utf8(self) -> int:
        """Strings whose invalid UTF-8 was replaced by U+FFFD since construction."""

    @property
    def rule_counts(self) -> list[int]:
        """What each guardrail did since construction, in the order of the signal's rules."""

    def append_many(self, payloads: Sequence[bytes]) -> list[Rejection]:
        """Decode serialized Export*ServiceRequest messages, in order.

        A rejected payload adds nothing and disturbs nothing; the rest is appended.
        """

    def append_within(
        self, payloads: Sequence[bytes], tenants: Sequence[bytes], max_block_bytes: int
    ) -> tuple[int, list[Rejection]]:
        """As `append_many`, until a block's body would be longer (in bytes, before compression).
        Returns how many payloads were taken: none where a block cannot hold the first one.

        `tenants`: what each payload's message names (UTF-8, or empty); or none at all.
        """

    def pending(self) -> list[tuple[Target, int]]:
        """Targets with rows and their row counts, ordered by (table, shard)."""

    def finish(self, ingest_ids: Mapping[Target, int]) -> list[Block]:
        """Close the pending rows into blocks (ordered by target) and start empty again.

        `ingest_ids` names every pending target; a missing one raises KeyError and keeps
        the pending rows.
        """


NewBuilder = Callable[[], BlockBuilder]


class DecoderBackend(Protocol):
    """A way to make block builders: `native` or `reference`."""

    name: Literal["native", "reference"]

    def builder(
        self,
        signal: Signal,
        layouts: Mapping[str, Layout],
        shards: int,
        compression: Compression = "lz4",
        treatment: "Treatment | None" = None,
    ) -> BlockBuilder:
        """A builder for one signal's tables.

        `treatment`: guardrails, and where the tenant stands. `layouts` maps a plain table name
        to the server's INSERT header for it. Raises
        `headrace_writer.errors.LayoutError` naming table, column, the server's type and the
        types that the field can fill, for an unknown column or a type it cannot fill.
        """
