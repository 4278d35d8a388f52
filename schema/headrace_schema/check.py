"""Compares a server's tables and views with what the migrations make: the drift check.

Looked at: columns, types, defaults, codecs, skip indexes, engine, partition, ORDER BY, settings,
queries of views. Left to the operator, and so not compared: TTLs (`headrace retention`), tiers,
the order of columns, and whatever was added that no insert is asked for (computed columns, further
indexes, further settings). 18.16 has no codecs and indexes, and cannot format a query: views are
compared by their columns there.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from headrace_schema.connection import Connection
from headrace_schema.expected import Expected, codecs, declarations, expected
from headrace_schema.model import described
from headrace_schema.render import Deployment, migrations, quoted

# Set by `headrace retention`.
OPERATED = ("ttl_only_drop_parts", "storage_policy")
_REBUILD = (
    "-- cannot be changed in place: create the table anew under another name, INSERT SELECT the "
    "days that are still needed, then exchange the two in a quiet hour"
)


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as this release has it."""

    table: str
    aspect: str
    """table, column, default, codec, index, engine, partition, order, setting, view"""
    subject: str
    """The column, index or setting; else empty."""
    expected: str
    """Empty for what this release does not know."""
    found: str
    """Empty for what is missing."""
    mend: str
    """The statement that makes it as expected, or a comment that says what to do."""

    def __str__(self) -> str:
        name = f"{self.table}.{self.subject}" if self.aspect == "column" else self.table
        if self.aspect not in ("table", "column"):
            name += f", {self.aspect}" + (f" {self.subject}" if self.subject else "")
        if not self.found:
            return f"{name}: missing" + (f", expected {self.expected}" if self.expected else "")
        if not self.expected:
            return f"{name}: {self.found}, which this release does not know"
        return f"{name}: {self.found}, expected {self.expected}"


Line = tuple[str, str, str]


def describe(connection: Connection, deployment: Deployment, table: str) -> list[Line]:
    """(column, type, default kind) lines of DESCRIBE TABLE; none for a missing table."""
    return [
        (name, kind, default) for name, kind, default, *_ in _lines(connection, deployment, table)
    ]


def differences(connection: Connection, deployment: Deployment) -> list[Difference]:
    """Every way in which a replica differs from this release, in the order of migrations.

    Raises Unreachable, Refused.
    """
    last = migrations(deployment)[-1].number
    found: list[Difference] = []
    for one in expected(deployment):
        lines = _lines(connection, deployment, one.name)
        if not lines:
            found.append(Difference(one.name, "table", "", "", "", f"{one.create};"))
            continue
        look = _Look(connection, deployment, one, last)
        found += look.columns(lines)
        if one.kind in ("rows", "distributed"):
            found += look.storage()
        if deployment.dialect == "modern":
            found += look.defaults(lines)
            found += look.codecs(lines) if one.kind == "rows" else []
            found += look.indexes() if one.kind == "rows" else []
            found += look.query() if one.select else []
    return found


class _Look:
    """One table of one replica held against what is expected of it."""

    def __init__(
        self, connection: Connection, deployment: Deployment, one: Expected, last: int
    ) -> None:
        self._connection = connection
        self._deployment = deployment
        self._one = one
        self._last = last
        self._where = f"database = '{deployment.database}' AND {{}} = '{one.name}'"
        self._full = f"{deployment.database}.{one.name}"

    def columns(self, lines: list[tuple[str, ...]]) -> Iterator[Difference]:
        """Names, types and default kinds."""
        if not self._one.columns:
            return
        actual = {name: (kind, default) for name, kind, default, *_ in lines}
        dialect = self._deployment.dialect
        wanted = {n: (kind, default) for n, kind, default in described(self._one.columns, dialect)}
        adding = declarations(self._one, self._deployment, self._last)
        view = self._one.kind in ("view", "materialized view")
        for name, line in wanted.items():
            if actual.get(name) == line:
                continue
            there = _text(actual[name]) if name in actual else ""
            if view:
                mend = self._replace_view()
            elif there:
                mend = f"ALTER TABLE {self._full} MODIFY COLUMN {quoted(name)} {line[0]};"
                if self._one.kind == "rows":
                    mend += "  -- rewrites the column; writers must fit both types meanwhile"
            else:
                mend = f"ALTER TABLE {self._full} ADD COLUMN {adding[name]};"
            yield self._differs("column", name, (_text(line), there), mend)
        for name, line in actual.items():
            if name not in wanted and line[1] not in ("MATERIALIZED", "ALIAS"):
                mend = (
                    f"-- if nobody needs it: ALTER TABLE {self._full} DROP COLUMN {quoted(name)};"
                )
                yield self._differs("column", name, ("", _text(line)), mend)

    def defaults(self, lines: list[tuple[str, ...]]) -> Iterator[Difference]:
        """Expressions of columns that the server computes, both as it formats them."""
        actual = {name: expression for name, _, _, expression, *_ in lines}
        for column in self._one.columns:
            wanted, there = column.materialized, actual.get(column.name)
            if not wanted or there is None or _squeezed(wanted) == _squeezed(there):
                continue
            texts = ", ".join(
                f"formatQuerySingleLine('SELECT {_escaped(t)}')" for t in (wanted, there)
            )
            (row,) = self._connection.execute(f"SELECT {texts}")
            if row[0] != row[1]:
                name = quoted(column.name)
                mend = f"ALTER TABLE {self._full} MODIFY COLUMN {name} MATERIALIZED {wanted};"
                yield self._differs("default", column.name, (wanted, there), mend)

    def codecs(self, lines: list[tuple[str, ...]]) -> Iterator[Difference]:
        """Of stored columns; empty is the server's default."""
        actual = {name: (rest[2] if len(rest) > 2 else "") for name, _, _, *rest in lines}
        for name, codec in codecs(self._one, self._last).items():
            if name in actual and (found := _plain_codec(actual[name])) != codec:
                mend = f"ALTER TABLE {self._full} MODIFY COLUMN {quoted(name)} CODEC({codec});"
                yield self._differs("codec", name, (codec, found or "the server's default"), mend)

    def indexes(self) -> Iterator[Difference]:
        """Those of this release."""
        rows = self._connection.execute(
            "SELECT name, expr, type_full, granularity FROM system.data_skipping_indices "  # noqa: S608
            f"WHERE {self._where.format('table')}"
        )
        actual = {name: f"{expr} TYPE {kind} GRANULARITY {n}" for name, expr, kind, n in rows}
        for index in self._one.indexes:
            there = actual.get(index.name, "")
            if _squeezed(there) == _squeezed(index.declaration):
                continue
            mend = f"ALTER TABLE {self._full} ADD INDEX {index.name} {index.declaration};"
            if there:
                mend = f"ALTER TABLE {self._full} DROP INDEX {index.name};\n{mend}"
            yield self._differs("index", index.name, (index.declaration, there), mend)

    def storage(self) -> Iterator[Difference]:
        """Engine, keys and settings."""
        (row,) = self._connection.execute(
            "SELECT engine_full, partition_key, sorting_key FROM system.tables "  # noqa: S608
            f"WHERE {self._where.format('name')}"
        )
        full, partition, order = (str(value) for value in row)
        engine = re.split(r" (?:PARTITION BY|PRIMARY KEY|ORDER BY|TTL|SETTINGS) ", full)[0]
        for aspect, wanted, there in (
            ("engine", self._one.engine, engine),
            ("partition", self._one.partition_by, partition),
            ("order", self._one.order_by, order),
        ):
            if wanted and _squeezed(wanted) != _squeezed(there):
                mend = _REBUILD
                if self._one.kind == "distributed":
                    mend = f"DROP TABLE {self._full};  -- it holds no rows\n{self._one.create};"
                yield self._differs(aspect, "", (wanted, there), mend)
        actual = dict(re.findall(r"(\w+) = ([^,\s]+)", full.partition(" SETTINGS ")[2]))
        for name, wanted in self._one.settings.items():
            if name not in OPERATED and actual.get(name) != wanted:
                mend = f"ALTER TABLE {self._full} MODIFY SETTING {name} = {wanted};"
                if name == "index_granularity":
                    mend = _REBUILD
                there = actual.get(name, "the server's default")
                yield self._differs("setting", name, (wanted, there), mend)

    def query(self) -> Iterator[Difference]:
        """The query of a view, both as the server formats it."""
        escaped = _escaped(self._one.select)
        (row,) = self._connection.execute(
            f"SELECT formatQuerySingleLine('{escaped}'), formatQuerySingleLine(as_select), "  # noqa: S608
            f"create_table_query FROM system.tables WHERE {self._where.format('name')}"
        )
        wanted, there, create = (str(value) for value in row)
        if wanted != there:
            yield self._differs("view", "", (wanted, there), self._replace_view())
        target = f"{self._deployment.database}.{self._one.target}"
        if self._one.target and f" TO {target} " not in create.replace("`", ""):
            mend = f"DROP VIEW {self._full};\n{self._one.create};  -- rows between are missed"
            yield self._differs("view", "", (f"TO {target}", "another table"), mend)

    def _replace_view(self) -> str:
        if self._one.kind == "materialized view":
            return f"ALTER TABLE {self._full} MODIFY QUERY\n{self._one.select};"
        if self._deployment.dialect == "legacy":
            return f"DROP TABLE {self._full};\n{self._one.create};"
        return f"CREATE OR REPLACE VIEW {self._full} AS\n{self._one.select};"

    def _differs(
        self, aspect: str, subject: str, wanted_found: tuple[str, str], mend: str
    ) -> Difference:
        return Difference(self._one.name, aspect, subject, *wanted_found, mend)


def _lines(connection: Connection, deployment: Deployment, table: str) -> list[tuple[str, ...]]:
    """(column, type, default kind, default, comment, codec, …) as the server has them."""
    name = f"{deployment.database}.{table}"
    if not connection.execute(f"EXISTS TABLE {name}")[0][0]:
        return []
    return [tuple(row) for row in connection.execute(f"DESCRIBE TABLE {name}")]


def by_table(found: list[Difference]) -> Mapping[str, list[Difference]]:
    """The differences of each table, in order."""
    tables: dict[str, list[Difference]] = {}
    for one in found:
        tables.setdefault(one.table, []).append(one)
    return tables


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "\\'")


def _text(line: tuple[str, str]) -> str:
    return " ".join(line).strip()


def _squeezed(text: str) -> str:
    """Without white space, quotes of names, and the parentheses around a key."""
    plain = re.sub(r"[\s'`]", "", text)
    return plain[1:-1] if plain.startswith("(") and plain.endswith(")") else plain


def _plain_codec(text: str) -> str:
    """`Delta(8), ZSTD(1)` as columns.py writes it: Delta."""
    return re.sub(r"\b(Delta|DoubleDelta|Gorilla)\(\d+\)", r"\1", text)
