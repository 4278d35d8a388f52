"""How long was chosen on 18.16, which has no TTL to say it: a table of its own on each replica.

As the ledger of migrations it is not replicated: what a replica that was down has missed, the next
run tells it.
"""

from dataclasses import dataclass

from headrace_schema.connection import Connection

CHOICES = "headrace_retention"


@dataclass(frozen=True, slots=True)
class Choice:
    """What `headrace retention set` was told for a signal, and when (ms since 1970)."""

    days: int
    at_ms: int


def choices(connection: Connection, database: str) -> dict[str, Choice]:
    """The latest by signal, as this replica knows them."""
    if not connection.execute(f"EXISTS TABLE {database}.{CHOICES}")[0][0]:
        return {}
    rows = connection.execute(
        # Deployment lets no name through that would need quotes.
        f"SELECT signal, argMax(days, at_ms), max(at_ms) FROM {database}.{CHOICES} "  # noqa: S608
        "GROUP BY signal"
    )
    return {str(signal): Choice(int(days), int(at_ms)) for signal, days, at_ms in rows}


def noting(database: str, signal: str, choice: Choice) -> tuple[str, str]:
    """The statements that write one down."""
    return (
        f"CREATE TABLE IF NOT EXISTS {database}.{CHOICES} (signal String, days UInt32, "
        "at_ms UInt64) ENGINE = MergeTree ORDER BY (signal, at_ms)",
        f"INSERT INTO {database}.{CHOICES} SELECT '{signal}', toUInt32({choice.days}), "
        f"toUInt64({choice.at_ms})",
    )
