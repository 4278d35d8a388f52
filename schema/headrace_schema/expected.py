"""What a deployment's tables and views look like once every migration is applied.

Columns, codecs and indexes come from columns.py; engines, keys, settings and the queries of views
from the migrations themselves, which are read statement by statement. Values in, values out.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from headrace_schema.columns import tables_of, views_of
from headrace_schema.model import Column, Index, flattened
from headrace_schema.render import Deployment, Migration, Renderer, migrations

Kind = Literal["rows", "distributed", "view", "materialized view"]

_CREATE = re.compile(
    r"CREATE (?P<what>TABLE|OR REPLACE VIEW|VIEW|MATERIALIZED VIEW) (?:IF NOT EXISTS )?"
    r"\w+\.(?P<name>\w+)\s*(?P<rest>.*)",
    re.DOTALL,
)
_DROP = re.compile(r"DROP (?:TABLE|VIEW) (?:IF EXISTS )?\w+\.(?P<name>\w+)")
_ALTER = re.compile(r"ALTER TABLE \w+\.(?P<name>\w+)")
_CLAUSE = re.compile(r"^(ENGINE =|PARTITION BY|PRIMARY KEY|ORDER BY|TTL|SETTINGS) ", re.MULTILINE)
_ORDER = re.compile(r"\bMODIFY ORDER BY (\(.*\))", re.DOTALL)
_QUERY = re.compile(r"\bMODIFY QUERY\s+(.*)", re.DOTALL)
_VIEW = re.compile(r"(?:TO \w+\.(?P<target>\w+)\s+)?AS\s+(?P<select>.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Expected:
    """One table or view, under its name without the database."""

    name: str
    kind: Kind
    create: str
    """The statements that make it: its migration's, and all later ALTERs."""
    engine: str = ""
    partition_by: str = ""
    order_by: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)
    columns: tuple[Column, ...] = ()
    """Empty where only a migration knows the columns."""
    indexes: tuple[Index, ...] = ()
    select: str = ""
    target: str = ""
    """The table that a materialized view fills, without the database."""


def expected(deployment: Deployment) -> tuple[Expected, ...]:
    """Every table and view of this release, in the order in which migrations make them."""
    return after(migrations(deployment), deployment)


def after(applied: Sequence[Migration], deployment: Deployment) -> tuple[Expected, ...]:
    """What there is once these migrations are applied, by columns.py as it is now."""
    last = applied[-1].number if applied else 0
    found: dict[str, Expected] = {}
    for migration in applied:
        for _, sql in migration.statements:
            if dropped := _DROP.match(sql):
                found.pop(dropped["name"], None)
            elif created := _CREATE.match(sql):
                one = _read(created, sql, last, deployment)
                found[one.name] = one
            elif (altered := _ALTER.match(sql)) and altered["name"] in found:
                found[altered["name"]] = _changed(found[altered["name"]], sql)
    return tuple(found.values())


def _changed(one: Expected, sql: str) -> Expected:
    """What an ALTER makes of it; columns and indexes come from columns.py."""
    order, query = _ORDER.search(sql), _QUERY.search(sql)
    return replace(
        one,
        create=f"{one.create};\n{sql}",
        order_by=order[1] if order else one.order_by,
        select=query[1] if query else one.select,
    )


def _read(created: re.Match[str], sql: str, last: int, deployment: Deployment) -> Expected:
    name = created["name"]
    if "VIEW" in created["what"]:
        view = _VIEW.search(created["rest"])
        if view is None:
            msg = f"a view without AS SELECT: {sql}"
            raise ValueError(msg)
        kind: Kind = "materialized view" if "MATERIALIZED" in created["what"] else "view"
        return Expected(
            name,
            kind,
            sql,
            columns=_columns(views_of(deployment.dialect).get(name, ()), last),
            select=view["select"],
            target=view["target"] or "",
        )
    clauses = dict(_clauses(created["rest"]))
    engine = clauses.get("ENGINE =", "")
    kind = "distributed" if engine.startswith("Distributed") else "rows"
    plain = name.removesuffix("_local") if deployment.topology == "cluster" else name
    table = tables_of(deployment.dialect).get(plain)
    return Expected(
        name,
        kind,
        sql,
        engine=engine,
        partition_by=clauses.get("PARTITION BY", ""),
        order_by=clauses.get("ORDER BY", ""),
        settings=_settings(clauses.get("SETTINGS", "")),
        columns=_columns(table.columns, last) if table else (),
        indexes=_indexes(table.indexes, last) if table and kind == "rows" else (),
    )


def _columns(columns: Sequence[Column], last: int) -> tuple[Column, ...]:
    return tuple(column for column in columns if column.since <= last)


def _indexes(indexes: Sequence[Index], last: int) -> tuple[Index, ...]:
    return tuple(index for index in indexes if index.at(last))


def _clauses(rest: str) -> Iterator[tuple[str, str]]:
    """(keyword, text) of each clause of a CREATE TABLE; each starts its line."""
    found = list(_CLAUSE.finditer(rest))
    ends = [match.start() for match in found[1:]] + [len(rest)]
    for match, end in zip(found, ends, strict=True):
        yield match[1], rest[match.end() : end].strip()


def _settings(text: str) -> dict[str, str]:
    pairs = (pair.split("=", 1) for pair in text.split(",") if pair.strip())
    return {name.strip(): value.strip() for name, value in pairs}


def codecs(table: Expected, last: int) -> dict[str, str]:
    """Stored column → codec, of every column that has one."""
    return {
        name: codec
        for column in table.columns
        if (codec := column.codec_at(last))
        for name, _ in flattened(column, "modern")
    }


def declarations(table: Expected, deployment: Deployment, last: int) -> dict[str, str]:
    """Column as DESCRIBE names it → its declaration for ADD COLUMN."""
    renderer = Renderer(deployment, last)
    return {
        name: renderer.column_line(column)
        for column in table.columns
        for name, _ in flattened(column, deployment.dialect)
    }
