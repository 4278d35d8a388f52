"""A downstream tool: it knows the tables and the queries of docs/queries.md, nothing else."""

import re
from pathlib import Path
from typing import Any

from clickhouse_driver import Client

from headrace_schema.columns import TABLES
from headrace_schema.model import Dialect, flattened

PAGE = Path(__file__).resolve().parents[2] / "docs" / "queries.md"
_BLOCK = re.compile(r"<!-- query: (\w+) (modern|legacy|both) -->\n```sql\n(.*?)\n```", re.DOTALL)

Row = tuple[Any, ...]


def queries(dialect: Dialect) -> dict[str, str]:
    """Name → SQL, as the page has them."""
    return {
        name: sql
        for name, form, sql in _BLOCK.findall(PAGE.read_text())
        if form in (dialect, "both")
    }


def unnamed_blocks() -> int:
    """How many blocks of SQL have no name, so that nothing runs them."""
    text = PAGE.read_text()
    return text.count("```sql") - len(_BLOCK.findall(text))


def asked(*tests: Path) -> set[str]:
    """The queries that these test modules ask a reader for, by name."""
    return {name for test in tests for name in re.findall(r'reader\(\s*"(\w+)"', test.read_text())}


class Reader:
    """Runs named queries on one server, and reads whole tables of it."""

    def __init__(self, client: Client, dialect: Dialect) -> None:
        self._client = client
        self._dialect: Dialect = dialect
        self._queries = queries(dialect)

    def __call__(self, name: str, **parameters: object) -> list[Row]:
        """The rows of the query of that name."""
        rows: list[Row] = self._client.execute(self._queries[name], parameters)
        return rows

    def table(self, table: str, service: str) -> list[dict[str, Any]]:
        """All rows of a service, alike in both dialects: times are nanoseconds since 1970,
        attributes are dictionaries, the parts of Events and the like are lists."""
        parts = [
            part
            for column in TABLES[table].columns
            if not column.materialized and column.is_in(self._dialect)
            for part in flattened(column, self._dialect)
        ]
        rows = self._client.execute(
            f"SELECT {', '.join(_selected(*part) for part in parts)} FROM {table} "
            "WHERE ServiceName = %(service)s",
            {"service": service},
        )
        names = [name for name, _ in parts]
        return [_joined(dict(zip(names, row, strict=True))) for row in rows]


def _selected(name: str, kind: str) -> str:
    """A column as clickhouse-driver reads it without loss."""
    match kind:
        case "DateTime64(9)":
            return f"toUnixTimestamp64Nano(`{name}`)"
        case "Array(DateTime64(9))":
            return f"arrayMap(t -> toUnixTimestamp64Nano(t), `{name}`)"
        case "Array(LowCardinality(String))":
            # The driver loses its place when 18.16 sends such arrays and all of them are empty.
            return f"arrayMap(s -> toString(s), `{name}`)"
    return f"`{name}`"


def _joined(row: dict[str, Any]) -> dict[str, Any]:
    """The row with each legacy pair X.Key, X.Value (N.XKey, N.XValue within Nested) as one X."""
    joined = dict(row)
    for name in [name for name in row if name.endswith("Key")]:
        stem = name.removesuffix("Key")
        keys, values = joined.pop(name), joined.pop(f"{stem}Value")
        if stem.endswith("."):
            joined[stem[:-1]] = dict(zip(keys, values, strict=True))
        else:
            joined[stem] = [
                dict(zip(*pair, strict=True)) for pair in zip(keys, values, strict=True)
            ]
    return joined
