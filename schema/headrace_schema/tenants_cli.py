"""`headrace tenants`: list, grant, revoke."""

import argparse
from collections.abc import Iterator, Sequence
from typing import Any, TextIO

from headrace_schema.command import (
    FAILED,
    OK,
    UNREACHABLE,
    Actions,
    Answer,
    MigrateSettings,
    Tables,
    run,
)
from headrace_schema.connection import Connect, Connection
from headrace_schema.render import Deployment
from headrace_schema.tenants import (
    NOTHING,
    grant,
    lift,
    limited_tables,
    limits_of,
    rows_by_tenant,
)

EXAMPLES = """examples:
  headrace tenants list                               tenants of the last day, and who is limited
  headrace tenants grant acme --user acme_reader      what it would do
  headrace tenants grant acme --user acme_reader --yes
  headrace tenants revoke --user acme_reader --yes    that user sees no row any more
  headrace tenants revoke --user acme_reader --lift --yes   ... sees all rows again
"""
NOT_IN_LEGACY = (
    "ClickHouse 18.16 has no row policies, and takes no notice of filters in users.xml: "
    "use 24.8 or later, or a database for each tenant (docs/guardrails.md)"
)


def add_tenants_parser(
    subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]",
    parents: Sequence[argparse.ArgumentParser] = (),
) -> argparse.ArgumentParser:
    """Add `tenants` with its actions."""
    actions = Actions(
        subparsers, "tenants", parents,
        says="whose rows there are, and which user sees whose", examples=EXAMPLES,
    )  # fmt: skip
    changes = argparse.ArgumentParser(add_help=False)
    changes.add_argument("--user", required=True, help="an existing ClickHouse user")
    changes.add_argument("--yes", action="store_true", help="do it; without, only say what it does")
    listed = actions.add("list", says="tenants and limits; 1 when a limit leaves out a table")
    listed.add_argument("--hours", type=int, default=24, help="rows of so many hours (default 24)")
    granted = actions.add("grant", changes, says="let a user see these tenants' rows and no others")
    granted.add_argument("tenants", nargs="+", metavar="TENANT", help="replaces an earlier list")
    revoked = actions.add("revoke", changes, says="let a user see no row at all")
    revoked.add_argument("--lift", action="store_true", help="let it see all rows instead")
    return actions.parser


def run_tenants(
    args: argparse.Namespace,
    settings: MigrateSettings,
    connect: Connect | None = None,
    out: TextIO | None = None,
) -> int:
    """Run the action. Returns the exit code: 0 done; 1 refused, not done without --yes, or a limit
    leaves out a table; 2 usage; 3 a replica is unreachable."""
    answer = Answer("tenants", args, out)
    return answer.guard(_Command(args, Tables(settings, connect), answer).run)


class _Command:
    """One run of `headrace tenants`."""

    def __init__(self, args: argparse.Namespace, tables: Tables, answer: Answer) -> None:
        self._args = args
        self._tables = tables
        self._answer = answer

    def run(self) -> int:
        with self._tables as tables:
            # A replica that is left out would show all rows.
            tables.require(every=True)
            deployment = tables.deployment()
            if deployment.dialect == "legacy":
                return self._answer.fail(FAILED, NOT_IN_LEGACY)
            if self._args.tenants_action == "list":
                return self._list(deployment)
            return self._change(deployment)

    def _list(self, deployment: Deployment) -> int:
        counting = rows_by_tenant(deployment, self._args.hours)

        def read(connection: Connection) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
            return connection.execute(counting), connection.execute(limits_of(deployment.database))

        rows, limits = self._tables.ask(read)
        gaps = _gaps(deployment, limits)
        document = {
            "rows": [{"tenant": t, "table": table, "rows": n} for t, table, n in rows],
            "limits": [{"user": u, "table": table, "sees": sees} for u, table, sees in limits],
            "gaps": gaps,
        }
        lines = [
            f"{tenant or '(none)':24} {table:36} {count:>15,} rows" for tenant, table, count in rows
        ]
        self._answer.give(document, [*lines, *_limit_lines(limits, gaps)])
        return FAILED if gaps else OK

    def _change(self, deployment: Deployment) -> int:
        args, tables = self._args, self._tables
        if args.tenants_action == "revoke" and args.lift:
            statements = lift(deployment, args.user)
        else:
            tenants = args.tenants if args.tenants_action == "grant" else []
            statements = grant(deployment, args.user, tenants)
        if args.yes:
            tables.ask_each(run(*statements))
            if tables.fleet.unreachable:
                gone = ", ".join(tables.unreachable())
                return self._answer.fail(UNREACHABLE, f"{gone}: run it again when it is back")
        lines = [f"{sql};" for sql in statements]
        if not args.yes:
            lines.append("-- nothing was done: add --yes, or run these on every replica")
        self._answer.give({"done": args.yes, "statements": statements}, lines)
        return OK if args.yes else FAILED


def _gaps(deployment: Deployment, limits: Sequence[tuple[Any, ...]]) -> dict[str, list[str]]:
    """Limited user → tables where nothing limits it: those that came after its grant."""
    tables = {name for name, _ in limited_tables(deployment)}
    users = {user for user, _, _ in limits}
    missing = {user: tables - {table for u, table, _ in limits if u == user} for user in users}
    return {user: sorted(names) for user, names in sorted(missing.items()) if names}


def _limit_lines(limits: Sequence[tuple[Any, ...]], gaps: dict[str, list[str]]) -> Iterator[str]:
    if not limits:
        yield "no user is limited to a tenant"
    for user in sorted({user for user, _, _ in limits}):
        seen = sorted({sees for u, _, sees in limits if u == user} - {NOTHING})
        yield f"user {user} sees {' or '.join(seen) or 'no rows'}"
    for user, tables in gaps.items():
        yield f"nothing limits user {user} in {', '.join(tables)}: grant again"
