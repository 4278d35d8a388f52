"""Migration files, and the SQL they become for one deployment.

A file `migrations/NNNN_verb_noun.sql` holds statements, each ended by `;` at the end of a line,
under headings that say where they run:

    -- LOCAL        every replica, on its own tables
    -- DISTRIBUTED  every replica of topology `cluster`: the tables that span the shards
    -- VIEW         every replica, over the plain names

A heading may name the only dialect that it is for: `-- VIEW legacy`.

Words in braces depend on the deployment; `Renderer` lists them. What was applied once must stay
what it was: a change is a new file, and a new column carries its number as `Column.since`.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Literal, get_args

from headrace_schema import genai, genai_tables
from headrace_schema.columns import TABLES
from headrace_schema.model import (
    ATTRIBUTES,
    Column,
    Dialect,
    Table,
    flattened,
    legacy_type,
    nested_fields,
)

Topology = Literal["embedded", "cluster"]
Section = Literal["LOCAL", "DISTRIBUTED", "VIEW"]
SECTIONS: tuple[Section, ...] = get_args(Section)

# A repeated block must find the number of its first insert. 12 partitions × 1 block/s × 3,600 s,
# twice: a writer gives up on a plan after a quarter of an hour, so this outlives it by far.
DEDUPLICATION_WINDOW_BLOCKS = 86_400
DEDUPLICATION_WINDOW_S = 86_400
# A number past all migrations: every column is there.
LATEST = 10_000


class MigrationError(Exception):
    """A migration file, or what is to be made of it, is wrong; the text says where."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """What the SQL depends on. Raises MigrationError for names that SQL would need quotes for."""

    topology: Topology
    dialect: Dialect
    database: str = "otel"
    cluster: str = "headrace"

    def __post_init__(self) -> None:
        for what, name in (("database", self.database), ("cluster", self.cluster)):
            if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
                msg = f"{what} {name!r}: use letters, digits and _ only"
                raise MigrationError(msg)

    def __str__(self) -> str:
        return f"{self.topology}/{self.dialect}"


@dataclass(frozen=True, slots=True)
class Migration:
    """One migration rendered for one deployment."""

    number: int
    name: str
    statements: tuple[tuple[Section, str], ...]
    """In file order, without comments and without the closing semicolon."""

    @property
    def checksum(self) -> str:
        """SHA-256 (hex) of the statements; comments and white space do not count."""
        text = "\n".join(f"{section} {' '.join(sql.split())}" for section, sql in self.statements)
        return hashlib.sha256(text.encode()).hexdigest()

    def __str__(self) -> str:
        return f"{self.number:04d}_{self.name}"


def migrations(deployment: Deployment) -> tuple[Migration, ...]:
    """All migrations of this release, rendered, in order."""
    folder = resources.files(__package__) / "migrations"
    files = {
        entry.name: entry.read_text(encoding="utf-8")
        for entry in folder.iterdir()
        if entry.name.endswith(".sql")
    }
    return render(files, deployment)


def render(files: Mapping[str, str], deployment: Deployment) -> tuple[Migration, ...]:
    """Render migration files, given by name. Raises MigrationError for a malformed set."""
    rendered: list[Migration] = []
    for expected, file in enumerate(sorted(files), start=1):
        match = re.fullmatch(r"(\d{4})_([a-z0-9]+(?:_[a-z0-9]+)+)\.sql", file)
        if match is None:
            msg = f"{file}: a migration is named NNNN_verb_noun.sql"
            raise MigrationError(msg)
        number = int(match[1])
        if number != expected:
            msg = f"{file}: the next number is {expected:04d}; numbers have no gaps or twins"
            raise MigrationError(msg)
        renderer = Renderer(deployment, number)
        try:
            statements = tuple(
                (section, filled)
                for section, sql in _statements(files[file], deployment.dialect)
                if section != "DISTRIBUTED" or deployment.topology == "cluster"
                # A change that this dialect does not know is no statement.
                if (filled := renderer.fill(sql))
            )
        except MigrationError as error:
            msg = f"{file}: {error}"
            raise MigrationError(msg) from error
        rendered.append(Migration(number, match[2], statements))
    return tuple(rendered)


def fill(sql: str, deployment: Deployment) -> str:
    """A statement outside of migrations, with the words in braces of this release."""
    return Renderer(deployment, LATEST).fill(sql)


def _statements(text: str, dialect: Dialect) -> Iterator[tuple[Section, str]]:
    """Split a file at its headings and semicolons; comments are dropped, and so is what is for
    another dialect."""
    section: Section | None = None
    wanted = True
    lines: list[str] = []
    for line in text.splitlines():
        if line.startswith("--"):
            heading, _, only = line[2:].strip().partition(" ")
            for known in SECTIONS:
                if heading == known and only in ("", *get_args(Dialect)):
                    section = _next_section(section, known)
                    wanted = only in ("", dialect)
        elif line.strip() or lines:
            lines.append(line)
            if line.rstrip().endswith(";"):
                if section is None:
                    msg = f"a statement before any of the headings {', '.join(SECTIONS)}"
                    raise MigrationError(msg)
                if wanted:
                    yield section, "\n".join(lines).rstrip().removesuffix(";")
                lines = []
    if lines:
        msg = f"the statement starting {lines[0]!r} is not ended by ;"
        raise MigrationError(msg)


def _next_section(before: Section | None, heading: Section) -> Section:
    # The runner finishes a section on all replicas before it starts the next one anywhere.
    if before is not None and SECTIONS.index(heading) < SECTIONS.index(before):
        msg = f"section {heading} after {before}; the order is {', '.join(SECTIONS)}"
        raise MigrationError(msg)
    return heading


class Renderer:
    """Fills the words in braces: `{word}` or `{word:argument}`, one method per word."""

    def __init__(self, deployment: Deployment, number: int) -> None:
        self._of = deployment
        self._legacy = deployment.dialect == "legacy"
        self._cluster = deployment.topology == "cluster"
        self._number = number

    def fill(self, sql: str) -> str:
        return re.sub(r"\{(\w+)(?::([^{}]+))?\}", self._word, sql)

    def _word(self, match: re.Match[str]) -> str:
        word, argument = match.groups()
        filled = self._plain(word) if argument is None else self._filled(word, argument)
        if filled is None:
            msg = f"{match[0]} means nothing here"
            raise MigrationError(msg)
        return filled

    def _plain(self, word: str) -> str | None:
        if word in ("database", "cluster"):
            return self._of.database if word == "database" else self._of.cluster
        if word == "settings":
            return self._settings()
        if word == "called":
            # Who was called is quickest read from the rollup, which legacy servers do not have.
            return self._table("genai_spans" if self._legacy else "genai_usage_1m")
        return genai.expression(genai.EVENT, self._of.dialect) if word == "event" else None

    def _filled(self, word: str, argument: str) -> str | None:
        if word in ("spans", "usage", "content", "costs"):
            return self._select(word, argument)
        if word in (
            *("columns", "engine", "day", "order", "primary"),
            *("change_local", "change_distributed"),
        ):
            table = TABLES.get(argument)
            if table is None:
                msg = f"{{{word}:{argument}}}: no table {argument} in columns.py"
                raise MigrationError(msg)
            return str(getattr(self, f"_{word}")(table))
        if word == "genai":
            return genai.expression(argument, self._of.dialect)
        if word in ("local", "table", "seconds", "map", "type", "drop_view"):
            return str(getattr(self, f"_{word}")(argument))
        return None

    def _select(self, word: str, argument: str) -> str:
        """The SELECT of a view for LLM operations. The argument ends in `local NAME` or
        `table NAME`, where it reads, as the words of those names have it."""
        *before, kind, name = argument.split()
        source = self._local(name) if kind == "local" else self._table(name)
        match word:
            case "spans":
                return genai.spans_select(source, self._of.dialect, self._number)
            case "usage":
                return genai_tables.usage_select(source, self._of.dialect, at=self._number)
            case "content":
                return genai_tables.content_select(
                    before[0], source, self._of.dialect, self._number
                )
        columns = genai_tables.costed(name, self._of.dialect, self._number)
        return genai_tables.costs_select(source, name, columns, self._table("genai_model_prices"))

    def _table(self, name: str) -> str:
        """The plain name, with its database."""
        return f"{self._of.database}.{name}"

    def _local(self, name: str) -> str:
        """The table that holds the rows: `<name>_local` where a Distributed one spans it."""
        return f"{self._table(name)}_local" if self._cluster else self._table(name)

    def _drop_view(self, name: str) -> str:
        """18.16 knows DROP TABLE only; the comment tells `danger` what it drops."""
        if self._legacy:
            return f"DROP TABLE IF EXISTS {self._table(name)} /* a view */"
        return f"DROP VIEW IF EXISTS {self._table(name)}"

    def _columns(self, table: Table) -> str:
        """The column list with codecs and indexes, as of this migration."""
        columns = [column for column in table.columns if column.since <= self._number]
        lines = [line for column in columns if (line := self.column_line(column))]
        if not self._legacy:
            present = [index for index in table.indexes if index.at(self._number)]
            lines += [f"INDEX {index.name} {index.declaration}" for index in present]
        return "(\n" + ",\n".join(f"    {line}" for line in lines) + "\n)"

    def column_line(self, column: Column) -> str:
        """The column's declaration as of this migration; empty where the dialect lacks it."""
        if self._legacy:
            return _legacy_line(column) if column.is_in("legacy") else ""
        return _modern_line(column, column.codec_at(self._number))

    def _change_local(self, table: Table) -> str:
        """ALTER of the table with the rows by all that columns.py has for this migration."""
        changes = self._new_columns(table)
        if not self._legacy:
            changes += [
                f"MODIFY COLUMN {quoted(name)} CODEC({codec})"
                for column in table.columns
                for at, codec in column.recoded
                if at == self._number
                for name, _ in flattened(column, "modern")
            ]
            changes += [
                f"DROP INDEX IF EXISTS {index.name}"
                for index in table.indexes
                if index.dropped == self._number
            ]
            changes += [
                f"ADD INDEX IF NOT EXISTS {index.name} {index.declaration}"
                for index in table.indexes
                if index.since == self._number
            ]
            if any(at == self._number for at, _ in table.keyed):
                # Only columns that the same statement adds may join a key.
                changes.append(f"MODIFY ORDER BY {self._order(table)}")
        return _alter(self._local(table.name), changes)

    def _change_distributed(self, table: Table) -> str:
        """The same for the table that spans the shards: it has columns only."""
        return _alter(self._table(table.name), self._new_columns(table))

    def _new_columns(self, table: Table) -> list[str]:
        new = [one for one in table.columns if one.since == self._number]
        lines = [line for one in new for line in self._added(one)]
        # 18.16 lacks IF NOT EXISTS; the runner takes its refusal of a twin for done.
        unless = "" if self._legacy else "IF NOT EXISTS "
        return [f"ADD COLUMN {unless}{line}" for line in lines if line]

    def _added(self, column: Column) -> list[str]:
        """The column as ADD COLUMN takes it: 18.16 adds the arrays of a pair one by one."""
        if self._legacy and column.is_in("legacy") and column.type == ATTRIBUTES:
            return [f"{name} {kind}" for name, kind in flattened(column, "legacy")]
        return [self.column_line(column)]

    def _engine(self, table: Table) -> str:
        if not self._cluster:
            return table.engine
        # {cluster}, {shard} and {replica} are macros of the server's configuration.
        place, replica = "{shard}", "{replica}"
        if table.everywhere:
            place, replica = "all", "{shard}-{replica}"
        path = f"/clickhouse/tables/{{cluster}}/{place}/{self._of.database}/{table.name}"
        return f"Replicated{table.engine}('{path}', '{replica}')"

    def _day(self, table: Table) -> str:
        """The partition: the day of the table's time."""
        if not table.time:
            return "tuple()"
        return f"toDate({self._time(_column(table, table.time))})"

    def _order(self, table: Table) -> str:
        def key(match: re.Match[str]) -> str:
            column = _column(table, match[1])
            if column.type == ATTRIBUTES:
                return ", ".join(name for name, _ in flattened(column, self._of.dialect))
            return self._time(column)

        keys = ", ".join(table.order_at(self._number))
        return "(" + re.sub(r"\{(\w+)\}", key, keys) + ")"

    def _primary(self, table: Table) -> str:
        """The primary key of a table that was created with this ORDER BY and got more later."""
        return Renderer(self._of, 0)._order(table)

    def _time(self, column: Column) -> str:
        """The column as time functions take it."""
        if self._legacy and legacy_type(column.type) != column.type:
            return self._seconds(column.name)
        return column.name

    def _settings(self) -> str:
        settings = ["index_granularity = 8192"]
        if not self._legacy:
            settings.append("ttl_only_drop_parts = 1")
        if self._cluster:
            settings.append(f"replicated_deduplication_window = {DEDUPLICATION_WINDOW_BLOCKS}")
            settings.append(f"replicated_deduplication_window_seconds = {DEDUPLICATION_WINDOW_S}")
        elif not self._legacy:
            settings.append(f"non_replicated_deduplication_window = {DEDUPLICATION_WINDOW_BLOCKS}")
        return ", ".join(settings)

    def _seconds(self, expression: str) -> str:
        """A nanosecond time as DateTime."""
        if self._legacy:
            expression = f"intDiv({expression}, 1000000000)"
        return f"toDateTime({expression})"

    def _map(self, name: str) -> str:
        """A map column in a SELECT list: the two arrays of a Nested pair in the legacy dialect."""
        return ",\n    ".join(n for n, _ in flattened(Column(name, ATTRIBUTES), self._of.dialect))

    def _type(self, modern: str) -> str:
        return legacy_type(modern) if self._legacy else modern


def _column(table: Table, name: str) -> Column:
    return next(column for column in table.columns if column.name == name)


def _nested(parts: Iterable[tuple[str, str]]) -> str:
    inner = ", ".join(f"{name} {kind}" for name, kind in parts)
    return f"Nested({inner})"


def _alter(table: str, changes: list[str]) -> str:
    if not changes:
        return ""
    return f"ALTER TABLE {table}\n" + ",\n".join(f"    {change}" for change in changes)


def quoted(name: str) -> str:
    """A column's name in SQL."""
    return name if name.isidentifier() else f"`{name}`"


def _modern_line(column: Column, codec: str) -> str:
    name = quoted(column.name)
    kind = _nested(column.fields) if column.fields else column.type
    default = f" MATERIALIZED {column.materialized}" if column.materialized else ""
    return f"{name} {kind}{default}" + (f" CODEC({codec})" if codec else "")


def _legacy_line(column: Column) -> str:
    if column.type == ATTRIBUTES:
        return f"{column.name} {_nested([('Key', 'LowCardinality(String)'), ('Value', 'String')])}"
    if column.fields:
        return f"{column.name} {_nested(nested_fields(column, 'legacy'))}"
    return f"{column.name} {legacy_type(column.type)}"
