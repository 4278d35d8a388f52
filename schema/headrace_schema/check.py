"""Compares a server's tables with columns.py: the same names, types and default kinds?"""

from collections.abc import Iterator
from dataclasses import dataclass

from headrace_schema.columns import tables_of, views_of
from headrace_schema.connection import Connection
from headrace_schema.model import Column, described
from headrace_schema.render import Deployment


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as columns.py says; `found` and `expected` are types, or empty."""

    table: str
    column: str
    expected: str
    found: str

    def __str__(self) -> str:
        if not self.column:
            return f"{self.table}: the table is missing"
        if not self.found:
            return f"{self.table}.{self.column}: missing, expected {self.expected}"
        if not self.expected:
            return f"{self.table}.{self.column}: {self.found}, which this release does not know"
        return f"{self.table}.{self.column}: {self.found}, expected {self.expected}"


def expected_tables(deployment: Deployment) -> Iterator[tuple[str, tuple[Column, ...]]]:
    """(name without database, columns) of every table and view of a deployment."""
    for table in tables_of(deployment.dialect).values():
        if deployment.topology == "cluster" and not table.everywhere:
            yield f"{table.name}_local", table.columns
        yield table.name, table.columns
    yield from views_of(deployment.dialect).items()


def describe(
    connection: Connection, deployment: Deployment, table: str
) -> list[tuple[str, str, str]]:
    """(column, type, default kind) lines of DESCRIBE TABLE; none for a missing table."""
    name = f"{deployment.database}.{table}"
    if not connection.execute(f"EXISTS TABLE {name}")[0][0]:
        return []
    rows = connection.execute(f"DESCRIBE TABLE {name}")
    return [(name, kind, default) for name, kind, default, *_ in rows]


def differences(connection: Connection, deployment: Deployment) -> list[Difference]:
    """Every way in which a replica's tables differ from columns.py.

    The order of columns does not count, because inserts and queries name them; nor do columns
    that somebody added and the server computes (MATERIALIZED, ALIAS), because no insert is
    asked for them.
    """
    found: list[Difference] = []
    for table, columns in expected_tables(deployment):
        lines = describe(connection, deployment, table)
        actual = {name: (kind, default) for name, kind, default in lines}
        if not actual:
            found.append(Difference(table, "", "", ""))
            continue
        wanted = {n: (kind, default) for n, kind, default in described(columns, deployment.dialect)}
        for name, line in wanted.items():
            if actual.get(name) != line:
                is_there = name in actual
                found.append(
                    Difference(table, name, _text(line), _text(actual[name]) if is_there else "")
                )
        for name, line in actual.items():
            if name not in wanted and line[1] not in ("MATERIALIZED", "ALIAS"):
                found.append(Difference(table, name, "", _text(line)))
    return found


def _text(line: tuple[str, str]) -> str:
    return " ".join(line).strip()
