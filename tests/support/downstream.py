"""A downstream tool: it knows the tables and the queries of docs/queries.md, nothing else."""

import re
from pathlib import Path
from typing import Any

from clickhouse_driver import Client

from headrace_schema.model import Dialect

PAGE = Path(__file__).resolve().parents[2] / "docs" / "queries.md"
_BLOCK = re.compile(r"<!-- query: (\w+) (modern|legacy) -->\n```sql\n(.*?)\n```", re.DOTALL)

Row = tuple[Any, ...]


def queries(dialect: Dialect) -> dict[str, str]:
    """Name → SQL, as the page has them."""
    return {name: sql for name, form, sql in _BLOCK.findall(PAGE.read_text()) if form == dialect}


def sql_blocks() -> int:
    """How many blocks of SQL the page has, named or not."""
    return PAGE.read_text().count("```sql")


class Reader:
    """Runs named queries on one server."""

    def __init__(self, client: Client, dialect: Dialect) -> None:
        self._client = client
        self._queries = queries(dialect)
        self.ran: set[str] = set()

    def __call__(self, name: str, **parameters: object) -> list[Row]:
        """The rows of the query of that name."""
        self.ran.add(name)
        rows: list[Row] = self._client.execute(self._queries[name], parameters)
        return rows
