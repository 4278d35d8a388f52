"""Row policies: a user who sees the rows of some tenants only.

A table gets one permissive policy for everybody, and one restrictive policy for each limited user.
So users without a limit, the writer among them, go on seeing every row whatever the server's
`users_without_row_policies_can_read_rows` says: a writer that did not see its own rows would take
them for lost.

Every table gets them: one without a tenant shows a limited user nothing. Views need none, for they
read as the user who asks; the objects that fill tables do, for they read past the tables' policies.
"""

import re
from collections.abc import Iterable, Iterator, Sequence

from headrace_schema.columns import TABLES, TABLES_BY_SIGNAL
from headrace_schema.expected import expected
from headrace_schema.render import Deployment, MigrationError

EVERYBODY = "headrace_everybody"
LIMIT = "headrace_tenants_of_"
NOTHING = "0"
"""The condition that no row meets."""


def limited_tables(deployment: Deployment) -> Iterator[tuple[str, bool]]:
    """(name without the database, whether it has the column Tenant) of every table, and of every
    materialized view; not those whose rows are the same for all (`genai_prices`)."""
    for one in expected(deployment):
        plain = one.name.removesuffix("_local") if deployment.topology == "cluster" else one.name
        shared = plain in TABLES and TABLES[plain].everywhere
        if one.kind != "view" and not shared:
            yield one.name, any(column.name == "Tenant" for column in one.columns)


def grant(deployment: Deployment, user: str, tenants: Sequence[str]) -> list[str]:
    """Statements that let a user see these tenants' rows and no others; none: no row at all.

    Raises MigrationError for a user whose name SQL would need quotes for.
    """
    _refuse_odd(user)
    of_tenants = f"Tenant IN ({', '.join(map(quoted, tenants))})" if tenants else NOTHING
    statements = []
    for name, has_tenant in limited_tables(deployment):
        table = f"{deployment.database}.{name}"
        seen = of_tenants if has_tenant else NOTHING
        statements += [
            f"CREATE ROW POLICY IF NOT EXISTS {EVERYBODY} ON {table} "
            "AS PERMISSIVE FOR SELECT USING 1 TO ALL",
            f"CREATE ROW POLICY OR REPLACE {LIMIT}{user} ON {table} "
            f"AS RESTRICTIVE FOR SELECT USING {seen} TO {user}",
        ]
    return statements


def lift(deployment: Deployment, user: str) -> list[str]:
    """Statements that let a user see every row again."""
    _refuse_odd(user)
    return [
        f"DROP ROW POLICY IF EXISTS {LIMIT}{user} ON {deployment.database}.{name}"
        for name, _ in limited_tables(deployment)
    ]


def limits_of(database: str) -> str:
    """A query for (user, table, condition) of every limit."""
    return (
        f"SELECT replaceOne(short_name, '{LIMIT}', ''), table, select_filter "  # noqa: S608 (ours)
        f"FROM system.row_policies WHERE database = '{database}' "
        f"AND startsWith(short_name, '{LIMIT}') ORDER BY short_name, table"
    )


def rows_by_tenant(deployment: Deployment, hours: int) -> str:
    """A query for (tenant, table, rows) of the last hours."""
    parts = (
        f"SELECT Tenant, '{table}' AS Of, count() AS Rows FROM {deployment.database}.{table} "  # noqa: S608
        f"WHERE {time} >= now() - INTERVAL {hours} HOUR GROUP BY Tenant"
        for time, table in _timed_tables()
    )
    return " UNION ALL ".join(parts) + " ORDER BY Tenant, Of"


def _timed_tables() -> Iterable[tuple[str, str]]:
    for signal, tables in TABLES_BY_SIGNAL.items():
        for table in tables:
            yield "TimeUnix" if signal == "metrics" else "Timestamp", table


def quoted(text: str) -> str:
    """A string literal."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _refuse_odd(user: str) -> None:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", user):
        msg = f"user {user!r}: use letters, digits and _ only"
        raise MigrationError(msg)
