"""`headrace tenants`: list, grant, revoke."""

import argparse
import json
import logging
import sys
from collections.abc import Sequence
from typing import Any, TextIO, cast, get_args

from headrace_schema.cli import FAILED, OK, UNREACHABLE, USAGE, MigrateSettings
from headrace_schema.connection import Connect, Connection, Node, driver_connect
from headrace_schema.model import Dialect
from headrace_schema.render import Deployment, MigrationError, Topology
from headrace_schema.runner import Fleet, MigrationRefused, detect_dialect, versions
from headrace_schema.tenants import grant, lift, limits_of, rows_by_tenant

EXAMPLES = """examples:
  headrace tenants list                               tenants of the last day, and who is limited
  headrace tenants grant acme --user acme_reader      what it would do
  headrace tenants grant acme --user acme_reader --yes
  headrace tenants revoke --user acme_reader --yes    that user sees no row any more
  headrace tenants revoke --user acme_reader --lift --yes   ... sees all rows again
"""


def add_tenants_parser(
    subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]",
    parents: Sequence[argparse.ArgumentParser] = (),
) -> argparse.ArgumentParser:
    """Add `tenants` with its actions."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "tenants",
        help="whose rows there are, and which user sees whose",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--json", action="store_true", help="print JSON instead of text")
    changes = argparse.ArgumentParser(add_help=False)
    changes.add_argument("--user", required=True, help="an existing ClickHouse user")
    changes.add_argument("--yes", action="store_true", help="do it; without, only say what it does")
    actions = parser.add_subparsers(dest="tenants_action", required=True, metavar="ACTION")
    listed = actions.add_parser("list", parents=[*parents, shared], help="tenants and limits")
    listed.add_argument("--hours", type=int, default=24, help="rows of so many hours (default 24)")
    granted = actions.add_parser(
        "grant",
        parents=[*parents, shared, changes],
        help="let a user see these tenants' rows and no others",
    )
    granted.add_argument("tenants", nargs="+", metavar="TENANT", help="replaces an earlier list")
    revoked = actions.add_parser(
        "revoke", parents=[*parents, shared, changes], help="let a user see no row at all"
    )
    revoked.add_argument("--lift", action="store_true", help="let it see all rows instead")
    return parser


def run_tenants(
    args: argparse.Namespace,
    settings: MigrateSettings,
    connect: Connect | None = None,
    out: TextIO | None = None,
) -> int:
    """Run the action. Returns the exit code: 0 done; 1 refused, or not done without --yes;
    2 usage; 3 a replica is unreachable."""
    logging.getLogger("clickhouse_driver").setLevel(logging.CRITICAL)
    nodes = [
        Node(shard, replica, host, port)
        for shard, replicas in enumerate(settings.clickhouse_shards, start=1)
        for replica, (host, port) in enumerate(replicas, start=1)
    ]
    open_one = connect or driver_connect(
        settings.clickhouse_user, settings.clickhouse_password, **settings.clickhouse_tls
    )
    command = _Command(args, settings, Fleet(nodes, open_one), out or sys.stdout)
    try:
        return command.run()
    except MigrationError as error:
        return command.fail(USAGE, str(error))
    except MigrationRefused as error:
        return command.fail(FAILED, str(error))


class _Command:
    """One run of `headrace tenants`."""

    def __init__(
        self, args: argparse.Namespace, settings: MigrateSettings, fleet: Fleet, out: TextIO
    ) -> None:
        self._args = args
        self._settings = settings
        self._fleet = fleet
        self._out = out

    def run(self) -> int:
        with self._fleet:
            if self._fleet.unreachable:
                # A replica that is left out would show all rows.
                missing = "; ".join(f"{n}: {why}" for n, why in self._fleet.unreachable.items())
                return self.fail(UNREACHABLE, f"every replica is needed: {missing}")
            deployment = self._deployment()
            if deployment.dialect == "legacy":
                return self.fail(FAILED, "ClickHouse 18.16 has no row policies: use 24.8 or later")
            if self._args.tenants_action == "list":
                return self._list(deployment)
            return self._change(deployment)

    def fail(self, code: int, message: str) -> int:
        if self._args.json:
            self._print({"error": message})
        else:
            sys.stderr.write(f"headrace tenants: {message}\n")
        return code

    def _deployment(self) -> Deployment:
        settings = self._settings
        dialect = settings.clickhouse_dialect
        if dialect == "auto":
            dialect = detect_dialect(versions(self._fleet))
        if settings.clickhouse_topology not in get_args(Topology):
            msg = f"clickhouse_topology is {settings.clickhouse_topology!r}"
            raise MigrationError(msg)
        return Deployment(
            cast("Topology", settings.clickhouse_topology),
            cast("Dialect", dialect),
            settings.clickhouse_database,
            settings.clickhouse_cluster,
        )

    def _list(self, deployment: Deployment) -> int:
        rows: list[tuple[Any, ...]] = []
        limits: list[tuple[Any, ...]] = []

        def read(connection: Connection) -> None:
            rows.extend(connection.execute(rows_by_tenant(deployment, self._args.hours)))
            limits.extend(connection.execute(limits_of(deployment.database)))

        self._fleet.attempt(next(self._fleet.reachable()), read)
        if self._args.json:
            counted = [{"tenant": t, "table": table, "rows": n} for t, table, n in rows]
            limited = [{"user": u, "table": table, "sees": sees} for u, table, sees in limits]
            self._print({"rows": counted, "limits": limited})
            return OK
        for tenant, table, count in rows:
            self._line(f"{tenant or '(none)':24} {table:36} {count:>15,} rows")
        for user, sees in sorted({(user, sees) for user, _, sees in limits}):
            self._line(f"user {user} sees {'no rows' if sees == '0' else sees}")
        if not limits:
            self._line("no user is limited to a tenant")
        return OK

    def _change(self, deployment: Deployment) -> int:
        if self._args.tenants_action == "grant":
            statements = grant(deployment, self._args.user, self._args.tenants)
        elif self._args.lift:
            statements = lift(deployment, self._args.user)
        else:
            statements = grant(deployment, self._args.user, [])
        if self._args.yes:
            for node in self._fleet.nodes:
                self._fleet.attempt(node, _execute(statements))
            if self._fleet.unreachable:
                gone = ", ".join(map(str, self._fleet.unreachable))
                return self.fail(UNREACHABLE, f"{gone}: run it again when it is back")
        if self._args.json:
            self._print({"done": self._args.yes, "statements": statements})
        else:
            for sql in statements:
                self._line(f"{sql};")
            if not self._args.yes:
                self._line("-- nothing was done: add --yes, or run these on every replica")
        return OK if self._args.yes else FAILED

    def _line(self, text: str) -> None:
        self._out.write(f"{text}\n")

    def _print(self, document: Any) -> None:
        self._line(json.dumps(document, indent=2))


def _execute(statements: Sequence[str]) -> Any:
    def execute(connection: Connection) -> None:
        for sql in statements:
            connection.execute(sql)

    return execute
