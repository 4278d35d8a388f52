"""What a column and a table are, and how the modern dialect becomes the legacy one.

Types are ClickHouse types of the `modern` dialect (server 24.8 or later). The `legacy` dialect
(server 18.16) follows from them by the rules of `legacy_type` and `flattened`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Dialect = Literal["modern", "legacy"]

STRING = "String"
LABEL = "LowCardinality(String)"
ATTRIBUTES = "Map(LowCardinality(String), String)"
TIME = "DateTime64(9)"

ZSTD = "ZSTD(1)"
# For values that grow from row to row: times, and counts that never fall.
DELTA = "Delta, ZSTD(1)"


@dataclass(frozen=True, slots=True)
class Column:
    """One column as the modern dialect declares it."""

    name: str
    type: str = ""
    codec: str = ZSTD
    """As the table was created; empty: the server's default."""
    fields: tuple[tuple[str, str], ...] = ()
    """(name, type) of the parts of a Nested column, whose own `type` is empty."""
    materialized: str = ""
    """The expression of a column that the server computes: it is in no INSERT header. Such
    columns exist in the modern dialect only."""
    legacy: str = ""
    """Its type in the legacy dialect, where that does not follow from `type`."""
    since: int = 1
    """The migration that brings the column. It freezes what earlier migrations render to."""
    recoded: tuple[tuple[int, str], ...] = ()
    """(migration, codec) of each later change, oldest first."""
    modern: bool = False
    """Whether the legacy dialect does without it (on 18.16 every row would pay for it)."""

    def codec_at(self, migration: int) -> str:
        """The codec once that migration is applied."""
        return next((codec for at, codec in reversed(self.recoded) if at <= migration), self.codec)

    def is_in(self, dialect: Dialect) -> bool:
        """Whether a dialect has the column."""
        return dialect == "modern" or not (self.materialized or self.modern)


@dataclass(frozen=True, slots=True)
class Index:
    """A skip index; modern dialect only."""

    name: str
    declaration: str
    """Expression, TYPE and GRANULARITY."""
    since: int = 1
    dropped: int | None = None
    """The migration that drops it, because no query got faster by it."""

    def at(self, migration: int) -> bool:
        """Whether the table has it once that migration is applied."""
        return self.since <= migration and (self.dropped is None or migration < self.dropped)


@dataclass(frozen=True, slots=True)
class Table:
    """One table under its plain name (see `migrations` for what a topology makes of it)."""

    name: str
    columns: tuple[Column, ...]
    time: str
    """The column whose day is the partition; empty for a table that is not cut."""
    order_by: tuple[str, ...]
    """Expressions. In braces, `{Timestamp}` is that time in whole seconds or finer, as time
    functions take it, and `{Attributes}` is a map as hash functions take it; both spell
    differently in the two dialects."""
    indexes: tuple[Index, ...] = ()
    engine: str = "MergeTree"
    """Of the MergeTree family, without `Replicated`."""
    dialects: tuple[Dialect, ...] = ("modern", "legacy")
    """Where it is a table; the other dialect may have a view of its name."""
    everywhere: bool = False
    """Small, and the same on every replica of every shard; no Distributed table spans it."""
    keyed: tuple[tuple[int, str], ...] = ()
    """(migration, column) of each later addition to the end of ORDER BY; the primary key stays."""
    kept_as: str = ""
    """Whose retention the rows have: traces, metrics, logs, content or rollups; empty: for
    ever."""

    def order_at(self, migration: int) -> tuple[str, ...]:
        """ORDER BY once that migration is applied."""
        return (*self.order_by, *(column for at, column in self.keyed if at <= migration))


def legacy_type(modern: str) -> str:
    """The type that holds the same values on server 18.16.

    Times become Int64 nanoseconds since 1970, because DateTime64 came in 2019; Bool becomes
    UInt8; a SimpleAggregateFunction becomes the type that it adds up. Maps have no single type
    there: see `flattened`.
    """
    modern = re.sub(r"SimpleAggregateFunction\(\w+, (\w+)\)", r"\1", modern)
    return re.sub(r"\bBool\b", "UInt8", modern.replace("DateTime64(9)", "Int64"))


def flattened(column: Column, dialect: Dialect) -> list[tuple[str, str]]:
    """(name, type) of what a server makes of one column, as DESCRIBE and INSERT headers show it.

    A Nested column is one array per part. In the legacy dialect a map is a Nested pair
    `X.Key`, `X.Value`, and a map inside Nested `N` becomes `N.XKey`, `N.XValue`, arrays of
    arrays, because Nested does not nest.
    """
    if column.fields:
        return [
            (f"{column.name}.{name}", f"Array({kind})")
            for name, kind in nested_fields(column, dialect)
        ]
    if dialect == "modern":
        return [(column.name, column.type)]
    if column.type == ATTRIBUTES:
        return [
            (f"{column.name}.Key", f"Array({LABEL})"),
            (f"{column.name}.Value", f"Array({STRING})"),
        ]
    return [(column.name, column.legacy or legacy_type(column.type))]


def nested_fields(column: Column, dialect: Dialect) -> list[tuple[str, str]]:
    """(name, type) of the parts of a Nested column as its declaration spells them."""
    if dialect == "modern":
        return list(column.fields)
    parts: list[tuple[str, str]] = []
    for name, kind in column.fields:
        if kind == ATTRIBUTES:
            parts += [(f"{name}Key", "Array(String)"), (f"{name}Value", "Array(String)")]
        else:
            parts.append((name, legacy_type(kind)))
    return parts


def described(columns: Sequence[Column], dialect: Dialect) -> list[tuple[str, str, str]]:
    """(name, type, default kind) of each line that DESCRIBE TABLE gives, in order."""
    return [
        (name, kind, "MATERIALIZED" if column.materialized else "")
        for column in columns
        if column.is_in(dialect)
        for name, kind in flattened(column, dialect)
    ]
