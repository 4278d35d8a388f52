"""`headrace tenants` on a cluster: whose limits are whole, and that no replica is left out."""

import io
from typing import Any

import pytest

from headrace_schema.connection import Node, Unreachable
from headrace_schema.render import Deployment
from headrace_schema.tenants import limited_tables
from headrace_schema.tenants_cli import add_tenants_parser, run_tenants
from support.schema_command import answer, parsed
from support.schema_server import MigrateSettings

CLUSTER = Deployment("cluster", "modern")
SETTINGS = MigrateSettings(
    [[("host", 9001), ("host", 9002)], [("host", 9003)]], clickhouse_topology="cluster"
)
SEES = "Tenant IN ('acme')"


class Replicas:
    """A Connect; every replica knows the same limits and notes what it is told."""

    def __init__(self, limits: list[tuple[str, str, str]], silent: int = 0) -> None:
        self.limits = limits
        self.silent = silent
        self.told: dict[int, list[str]] = {}

    def __call__(self, node: Node) -> "Replica":
        if node.port == self.silent:
            msg = "connection refused"
            raise Unreachable(msg)
        return Replica(self, self.told.setdefault(node.port, []))


class Replica:
    def __init__(self, of: Replicas, told: list[str]) -> None:
        self._of = of
        self._told = told

    def execute(self, sql: str) -> list[tuple[Any, ...]]:
        if sql == "SELECT version()":
            return [("26.9.2.1",)]
        if "system.row_policies" in sql:
            return list(self._of.limits)
        if sql.startswith("SELECT Tenant"):
            return [("acme", "otel_traces", 1234), ("", "otel_logs", 5)]
        self._told.append(sql)
        return []

    def close(self) -> None:
        """Nothing is held."""


def whole(user: str) -> list[tuple[str, str, str]]:
    """The limits that `grant` makes, as the server lists them."""
    return [(user, name, SEES if has else "0") for name, has in limited_tables(CLUSTER)]


def tenants(replicas: Replicas, *argv: str) -> tuple[int, Any]:
    return answer(add_tenants_parser, run_tenants, SETTINGS, "tenants", *argv, connect=replicas)


def test_a_limit_that_leaves_out_a_table_is_named() -> None:
    """As after an upgrade that brought the table."""
    gone = {"genai_usage_1m", "genai_usage_1m_local"}
    part = [one for one in whole("old_reader") if one[1] not in gone]
    code, said = tenants(Replicas([*part, *whole("reader")]), "list")
    assert code == 1
    assert said["gaps"] == {"old_reader": sorted(gone)}
    assert tenants(Replicas(whole("reader")), "list")[0] == 0


def test_the_list_says_whose_rows_and_who_sees_what() -> None:
    limits = [*whole("reader"), *((user, name, "0") for user, name, _ in whole("nobody"))]
    out = io.StringIO()
    args = parsed(add_tenants_parser, "tenants", "list")
    assert run_tenants(args, SETTINGS, connect=Replicas(limits), out=out) == 0
    assert [" ".join(line.split()) for line in out.getvalue().splitlines()] == [
        "acme otel_traces 1,234 rows",
        "(none) otel_logs 5 rows",
        "user nobody sees no rows",
        f"user reader sees {SEES}",
    ]


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (("grant", "acme", "--user", "reader"), "CREATE ROW POLICY"),
        (("revoke", "--user", "reader"), "CREATE ROW POLICY"),
        (("revoke", "--user", "reader", "--lift"), "DROP ROW POLICY"),
    ],
)
def test_every_replica_is_told_the_same(argv: tuple[str, ...], told: str) -> None:
    replicas = Replicas([])
    assert tenants(replicas, *argv)[0] == 1
    assert not any(replicas.told.values()), "nothing without --yes"
    assert tenants(replicas, *argv, "--yes")[0] == 0
    assert len(replicas.told) == 3
    first, *others = replicas.told.values()
    assert others == [first, first]
    assert all(sql.startswith(told) for sql in first)


def test_nothing_is_done_while_a_replica_is_down() -> None:
    replicas = Replicas([], silent=9002)
    code, said = tenants(replicas, "grant", "acme", "--user", "reader", "--yes")
    assert code == 3
    assert "every replica is needed: host:9002: connection refused" in said["error"]
    assert not any(replicas.told.values())


def test_a_user_that_sql_would_need_quotes_for_is_refused() -> None:
    code, said = tenants(Replicas([]), "grant", "acme", "--user", "a b")
    assert code == 2
    assert "use letters, digits and _ only" in said["error"]
