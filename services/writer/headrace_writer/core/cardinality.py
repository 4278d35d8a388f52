"""Which attributes cost most: the queries that find out, and the guardrail that would help.

Queries read a bounded sample: some of the blocks of the time asked for (all rows of a block have
one IngestId), or as many rows as are wanted.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from headrace_schema.columns import TABLES, TABLES_BY_SIGNAL
from headrace_schema.model import ATTRIBUTES, Dialect
from headrace_writer.core.block import Signal
from headrace_writer.core.guardrails import Place

# Values of this length are texts, of which a beginning is usually enough.
LONG_VALUE_BYTES = 512
# Distinct values in a sample, and per use, from which on a key looks like an id.
MANY_VALUES = 1_000
EACH_ITS_OWN = 0.1
# A share of the table's attribute bytes that is worth a rule.
LARGE_SHARE = 0.05

PLACES: dict[str, Place] = {
    "ResourceAttributes": "resource",
    "ScopeAttributes": "scope",
    "SpanAttributes": "span",
    "LogAttributes": "log",
    "Attributes": "point",
    "ContentAttributes": "span",
}


@dataclass(frozen=True, slots=True)
class Source:
    """One attribute column of a table."""

    signal: Signal
    table: str
    column: str

    @property
    def place(self) -> Place:
        # Rules apply before contents are taken out of the record's attributes.
        is_content = self.column == "ContentAttributes" and self.signal == "logs"
        return "log" if is_content else PLACES[self.column]


def sources(tables: Sequence[str] = ()) -> list[Source]:
    """The attribute columns of the tables given, or of all."""
    return [
        Source(signal, table, column.name)  # type: ignore[arg-type]
        for signal, names in TABLES_BY_SIGNAL.items()
        for table in names
        if not tables or table in tables
        for column in TABLES[table].columns
        if column.type == ATTRIBUTES
    ]


@dataclass(frozen=True, slots=True)
class Window:
    """What a look is about."""

    dialect: Dialect
    since_s: int
    """Seconds since 1970."""
    sample_rows: int


@dataclass(frozen=True, slots=True)
class Extent:
    """Rows and blocks of a table in the window."""

    rows: int
    blocks: int

    def every(self, sample_rows: int) -> int:
        """Read each block of so many; 1 where that would leave too few of them."""
        step = max(1, self.rows // sample_rows)
        return step if self.blocks >= 8 * step else 1


def _since(table: str, window: Window) -> str:
    time = TABLES[table].time
    if window.dialect == "legacy":
        return f"{time} >= {window.since_s * 1_000_000_000}"
    return f"{time} >= toDateTime({window.since_s})"


def extent_query(table: str, window: Window) -> str:
    """(rows, blocks)."""
    return f"SELECT count(), uniq(IngestId) FROM {table} WHERE {_since(table, window)}"  # noqa: S608


def keys_query(source: Source, window: Window, every: int) -> str:
    """(key, uses, distinct values, bytes of keys and values) in the sample, dearest first; and
    the sample's rows as a first line under the key NULL of no attribute is not needed: see
    `sampled_query`."""
    column = source.column
    if window.dialect == "legacy":
        keys, values = f"{column}.Key", f"{column}.Value"
        inner = f"{keys} AS keys, {values} AS vals"
    else:
        inner = f"mapKeys({column}) AS keys, mapValues({column}) AS vals"
    return (
        "SELECT key, count() AS uses, uniq(value) AS distinct, "  # noqa: S608 (our names)
        "sum(length(value)) AS value_bytes, sum(length(key)) AS key_bytes "
        f"FROM (SELECT {inner} FROM {source.table} WHERE {_sampled(source.table, window, every)}) "
        "ARRAY JOIN keys AS key, vals AS value GROUP BY key ORDER BY value_bytes DESC LIMIT 10000"
    )


def sampled_query(table: str, window: Window, every: int) -> str:
    """(rows of the sample,)."""
    sample = _sampled(table, window, every)
    return f"SELECT count() FROM (SELECT IngestId FROM {table} WHERE {sample})"  # noqa: S608


def _sampled(table: str, window: Window, every: int) -> str:
    picked = f" AND intHash64(IngestId) % {every} = 0" if every > 1 else ""
    return f"{_since(table, window)}{picked} LIMIT {window.sample_rows}"


def disk_query(local_table: str) -> str:
    """(column, bytes on disk, bytes in memory) of one replica; both are 0 for compact parts."""
    return (
        "SELECT column, sum(column_data_compressed_bytes), sum(column_data_uncompressed_bytes) "  # noqa: S608
        f"FROM system.parts_columns WHERE active AND database = currentDatabase() "
        f"AND table = '{local_table}' GROUP BY column"
    )


def table_disk_query(local_table: str) -> str:
    """(bytes on disk, bytes in memory) of one replica's table."""
    return (
        "SELECT sum(data_compressed_bytes), sum(data_uncompressed_bytes) FROM system.parts "  # noqa: S608
        f"WHERE active AND database = currentDatabase() AND table = '{local_table}'"
    )


@dataclass(frozen=True, slots=True)
class KeyCost:
    """One attribute key of one column."""

    source: Source
    key: str
    uses: int
    """In the sample."""
    distinct: int
    """Values in the sample."""
    value_bytes: int
    """Of the sample, before compression."""
    share: float
    """Of all attribute bytes of the column."""
    disk_bytes: int
    """Estimate for the whole window: the key's bytes, at the column's compression."""

    @property
    def rule(self) -> str:
        """The guardrail that would help, as TOML; empty where none is called for."""
        name = f"{self.source.signal}-{self.key}".replace("_", "-")
        head = f'[[rule]]\nid = "{_plain(name)}"\n'
        scope = f'keys = [{_toml(self.key)}]\nsignals = ["{self.source.signal}"]\n'
        scope += f'on = ["{self.source.place}"]\n'
        if self.value_bytes > LONG_VALUE_BYTES * self.uses and self.share >= LARGE_SHARE:
            return f'{head}action = "truncate"\nmax_bytes = {LONG_VALUE_BYTES}\n{scope}'
        as_an_id = self.distinct >= MANY_VALUES and self.distinct >= EACH_ITS_OWN * self.uses
        # Each value of a point's attribute is a series of its own; elsewhere only bytes count.
        if as_an_id and (self.source.place == "point" or self.share >= LARGE_SHARE):
            return f'{head}action = "drop"\n{scope}'
        return ""


def _plain(name: str) -> str:
    return "".join(c if c.isascii() and (c.isalnum() or c in ".-") else "-" for c in name)[:64]


def _toml(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in escaped) + '"'


@dataclass(frozen=True, slots=True)
class Sample:
    """What was read of one column."""

    source: Source
    rows: int
    """Of the window."""
    sampled: int
    compression: float
    """Bytes on disk per byte in memory."""
    keys: Sequence[tuple[str, int, int, int, int]]
    """As `keys_query` gives them."""


def costs(sample: Sample) -> list[KeyCost]:
    """The keys of a column, dearest first."""
    total = sum(value + key for *_, value, key in sample.keys) or 1
    scale = sample.rows / max(1, sample.sampled) * sample.compression
    return [
        KeyCost(
            source=sample.source,
            key=key,
            uses=uses,
            distinct=distinct,
            value_bytes=values,
            share=values / total,
            disk_bytes=int(values * scale),
        )
        for key, uses, distinct, values, _ in sample.keys
    ]
