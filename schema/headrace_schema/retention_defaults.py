"""The usual limits, where nobody has said anything else.

Who has said something is told by the tables: any TTL, also one written by hand, or on 18.16 what
`headrace retention set` noted. That is left as it is. Where nothing was said but rows are older
than the usual limit, somebody has kept them until now: they stay, until a limit is given by name.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from headrace_schema.connection import Connection
from headrace_schema.render import Deployment
from headrace_schema.retention import DEFAULT_DAYS, Kept, kept
from headrace_schema.retention_rules import Change
from headrace_schema.runner import Fleet


@dataclass(frozen=True, slots=True)
class Defaults:
    """What the usual limits come to."""

    changes: Mapping[str, Change]
    """By signal."""
    left: Mapping[str, str]
    """Signal → why it stays without a limit."""


def survey(fleet: Fleet, deployment: Deployment) -> list[Kept]:
    """Every table on every replica that answers: what one lacks, another may know.

    Raises MigrationRefused when a table is missing.
    """
    found: list[Kept] = []

    def read(connection: Connection) -> None:
        found.extend(kept(connection, deployment))

    for node in fleet.reachable():
        fleet.attempt(node, read)
    return found


def defaults(found: Sequence[Kept], signals: Iterable[str], today: date) -> Defaults:
    """What to do for `signals`, given every table on every replica."""
    changes: dict[str, Change] = {}
    left: dict[str, str] = {}
    for signal in signals:
        tables = [one for one in found if one.signal == signal]
        limits = [
            (one.at_ms, one.rules.longest)
            for one in tables
            if one.rules is not None and one.rules.longest is not None
        ]
        if limits:
            # A table that came later, or a replica that was down, follows what the others have: the
            # latest of what was noted, the longest of what TTLs say.
            changes[signal] = Change(max(limits)[1], where_unset=True)
        elif all(one.untouched for one in tables):
            first_kept = today - timedelta(days=DEFAULT_DAYS[signal])
            oldest = min((one.oldest for one in tables if one.oldest), default=first_kept)
            if oldest < first_kept:
                left[signal] = (
                    f"rows since {oldest} are kept without a limit, and nobody has said that they "
                    f"may go: give --{signal}, such as {DEFAULT_DAYS[signal]}d"
                )
            else:
                changes[signal] = Change(DEFAULT_DAYS[signal], where_unset=True)
    return Defaults(changes, left)
