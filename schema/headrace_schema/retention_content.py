"""How long prompts and completions are kept inside of spans and logs: one column's limit.

ContentAttributes has a TTL of its own on modern servers. Clearing a column rewrites its part, so
all rows of a day expire at the same moment, and the part is rewritten once.
`ttl_only_drop_parts = 1` would keep servers before 26.9 from ever doing so (ClickHouse pull request
118428); with 0 rows would go one by one, so those of a day go together as well (`whole_days`). The
legacy dialect clears the column of old days by statement, each time it is asked.
"""

from collections.abc import Iterator
from datetime import date

from headrace_schema.connection import Connection
from headrace_schema.genai import CONTENT_COLUMN
from headrace_schema.retention_rules import Rules, ttl

COLUMN = CONTENT_COLUMN


def column_of(table: str) -> str:
    """How the column of a table is named where limits are listed."""
    return f"{table}.{COLUMN}"


def owner_of(listed: str) -> str | None:
    """The table whose column of contents is listed so; None for a table's own name."""
    table, _, column = listed.partition(".")
    return table if column else None


def live_ttl(connection: Connection, name: str) -> str | None:
    """The column's TTL as the server prints it; empty for none, and on 18.16. None: the table lacks
    the column. `name`: with the database."""
    for line in connection.execute(f"DESCRIBE TABLE {name}"):
        if line[0] == COLUMN:
            # Name, type, default kind and expression, comment, codec, TTL.
            return str(line[6])
        if line[0] == f"{COLUMN}.Value":
            return ""
    return None


def stored_bytes(connection: Connection, database: str, table: str) -> int:
    """What the column takes on disk; small parts, which have one file, are not counted."""
    ((size,),) = connection.execute(
        "SELECT sum(column_bytes_on_disk) FROM system.parts_columns "  # noqa: S608
        f"WHERE active AND database = '{database}' AND table = '{table}' "
        f"AND startsWith(column, '{COLUMN}')"
    )
    return int(size)


def ttl_statements(name: str, rules: Rules, live: str) -> list[str]:
    """What gives the column its limit; nothing where it has it."""
    wanted = ttl(rules, "Timestamp", frozenset(), whole_days=True)
    if wanted == live:
        return []
    return [
        f"ALTER TABLE {name} MODIFY COLUMN {COLUMN} TTL {wanted} "
        "SETTINGS materialize_ttl_after_modify = 0",
        f"ALTER TABLE {name} MATERIALIZE TTL",
    ]


def clear_statements(
    connection: Connection, name: str, first_kept: date
) -> Iterator[tuple[str, date]]:
    """The statement and the day for each day before `first_kept` that still has contents; legacy.

    Keys stay: they say what there was. Nothing else of the day is rewritten.
    """
    day = "toDate(intDiv(Timestamp, 1000000000))"
    rows = connection.execute(
        f"SELECT DISTINCT {day} AS day FROM {name} "  # noqa: S608
        f"WHERE {day} < toDate('{first_kept}') "
        f"AND arrayExists(text -> text != '', {COLUMN}.Value) ORDER BY day"
    )
    for (found,) in rows:
        yield (
            f"ALTER TABLE {name} CLEAR COLUMN {COLUMN}.Value IN PARTITION ID '{found:%Y%m%d}'",
            found,
        )
