"""`headrace retention` on a real server of each dialect: old days go, everything else stays."""

import argparse
import io
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from headrace_schema.retention_cli import add_retention_parser, run_retention
from support.schema_server import MigrateSettings, SchemaServer, migrate

DAY_S = 86_400
NANO = 10**9


class Tenant:
    """A database of its own on the server."""

    def __init__(self, server: SchemaServer) -> None:
        self.server = server
        self.database = f"kept_{server.dialect}"
        self.settings = MigrateSettings(
            [[("127.0.0.1", server.port)]], clickhouse_database=self.database
        )

    def retention(self, *argv: str) -> tuple[int, Any]:
        """Exit code and JSON of one run."""
        parser = argparse.ArgumentParser()
        add_retention_parser(parser.add_subparsers())
        out = io.StringIO()
        args = parser.parse_args(["retention", *argv, "--json"])
        code = run_retention(args, self.settings, out=out)
        return code, json.loads(out.getvalue())

    def days_of(self, table: str) -> list[int]:
        """How many days ago the rows of a table are, oldest first."""
        legacy = self.server.dialect == "legacy"
        day = "toDate(intDiv(Timestamp, 1000000000))" if legacy else "toDate(Timestamp)"
        with self.server.client() as client:
            rows = client.execute(
                f"SELECT toRelativeDayNum(today()) - toRelativeDayNum({day}) AS d "
                f"FROM {self.database}.{table} ORDER BY d DESC"
            )
        return [int(row[0]) for row in rows]

    def store(self, table: str, *days_ago: int) -> None:
        now = int(time.time())
        with self.server.client() as client:
            for days in days_ago:
                at = (now - days * DAY_S) * NANO
                value = f"toInt64({at})" if self.server.dialect == "legacy" else (
                    f"fromUnixTimestamp64Nano(toInt64({at}))"
                )  # fmt: skip
                client.execute(f"INSERT INTO {self.database}.{table} (Timestamp) SELECT {value}")


@pytest.fixture
def tenant(server: SchemaServer) -> Iterator[Tenant]:
    found = Tenant(server)
    assert migrate(found.settings, "apply")[0] == 0
    yield found
    with server.client() as client:
        client.execute(f"DROP DATABASE {found.database}")


def limits(shown: Any) -> dict[str, int | None]:
    (tables,) = shown.values()
    return {one["table"]: one["days"] for one in tables}


def test_old_days_go_and_other_signals_stay(tenant: Tenant) -> None:
    tenant.store("otel_traces", 1, 30)
    tenant.store("otel_logs", 30)
    code, planned = tenant.retention("set", "--traces", "7d")
    assert (code, planned["done"]) == (1, False)
    assert tenant.days_of("otel_traces") == [30, 1], "nothing is done without --yes"
    assert any(one["deletes"] for one in planned["steps"])

    code, done = tenant.retention("set", "--traces", "7d", "--yes")
    assert (code, done["done"]) == (0, True)
    if tenant.server.dialect == "modern":
        # A TTL acts when parts merge.
        with tenant.server.client() as client:
            client.execute(f"OPTIMIZE TABLE {tenant.database}.otel_traces FINAL")
    assert tenant.days_of("otel_traces") == [1]
    assert tenant.days_of("otel_logs") == [30]


def test_asking_again_has_nothing_to_do(tenant: Tenant) -> None:
    tenant.store("otel_traces", 1, 30)
    assert tenant.retention("set", "--traces", "7d", "--logs", "3d", "--yes")[0] == 0
    code, again = tenant.retention("set", "--traces", "7d", "--logs", "3d")
    assert (code, again["steps"]) == (0, [])


def test_show_says_limits_and_oldest_days(tenant: Tenant) -> None:
    tenant.store("otel_logs", 2)
    tenant.retention("set", "--traces", "9d", "--yes")
    code, shown = tenant.retention("show")
    assert code == 0
    expected = 9 if tenant.server.dialect == "modern" else None
    assert limits(shown)["otel_traces"] == limits(shown)["otel_traces_trace_id_ts"] == expected
    assert limits(shown)["otel_logs"] is None
    (tables,) = shown.values()
    (logs,) = (one for one in tables if one["table"] == "otel_logs")
    assert logs["oldest"] is not None
    assert logs["bytes"] > 0


def test_the_ledger_is_never_touched(tenant: Tenant) -> None:
    _, done = tenant.retention("set", "--traces", "1d", "--metrics", "1d", "--logs", "1d", "--yes")
    assert not [one for one in done["steps"] if "ledger" in one["sql"]]


@pytest.mark.parametrize(("argv", "code"), [(("set",), 2), (("set", "--traces", "7d", "--yes"), 3)])
def test_usage_and_silence_have_their_exit_codes(argv: tuple[str, ...], code: int) -> None:
    nobody = MigrateSettings([[("127.0.0.1", 9)]])
    parser = argparse.ArgumentParser()
    add_retention_parser(parser.add_subparsers())
    args = parser.parse_args(["retention", *argv, "--json"])
    assert run_retention(args, nobody, out=io.StringIO()) == code


@pytest.mark.parametrize("text", ["7", "0d", "7h", "-1d"])
def test_a_retention_is_a_number_of_days(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    add_retention_parser(parser.add_subparsers())
    with pytest.raises(SystemExit):
        parser.parse_args(["retention", "set", f"--traces={text}"])
    assert "write 7d" in capsys.readouterr().err
