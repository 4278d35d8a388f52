"""The dbt project of schema/dbt on a current server: builds, tests itself, and grows."""

import os
import subprocess
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from support import builders
from support.genai_world import RESOURCE, World, mini, replica, store, world
from support.schema_server import SchemaServer

ROOT = Path(__file__).resolve().parents[2]
DBT = ROOT / ".cache" / "dbt" / "bin" / "dbt"
# The world is of September 2026, and shall be within sight for years.
LOOKBACK_DAYS = 5_000

pytestmark = pytest.mark.skipif(not DBT.exists(), reason="dbt is not installed: make dbt")


@pytest.fixture(scope="module")
def filled(modern: SchemaServer) -> Iterator[World]:
    with world(modern, "dbt_source") as made:
        yield made
        made.rows("DROP DATABASE IF EXISTS dbt_marts")


def build(made: World, folder: Path) -> str:
    """`dbt build`: models, then their tests. Returns what it printed."""
    variables = f"{{telemetry: {made.database}, lookback_days: {LOOKBACK_DAYS}}}"
    done = subprocess.run(
        [DBT, "build", "--no-use-colors", "--profiles-dir", ".", "--vars", variables,
         "--target-path", folder / "target", "--log-path", folder / "log"],
        cwd=ROOT / "schema" / "dbt", capture_output=True, text=True, check=False, timeout=180,
        env={**os.environ, "HEADRACE_DBT_PORT": str(made.server.port),
             "HEADRACE_DBT_SCHEMA": "dbt_marts"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def sessions(
    made: World, tenant: str = ""
) -> dict[str, tuple[int, int, int, float, Decimal | None, int]]:
    rows = made.rows(
        "SELECT session_id, turns, calls, errors, seconds, cost, unpriced_calls "
        f"FROM dbt_marts.genai_sessions WHERE tenant = '{tenant}'"
    )
    assert len(rows) == len({row[0] for row in rows})
    return {row[0]: row[1:] for row in rows}


def test_marts_are_right_and_follow_the_spans(filled: World, tmp_path: Path) -> None:
    said = build(filled, tmp_path)
    assert "PASS=10 WARN=0 ERROR=0" in said
    first = sessions(filled)
    assert first["s-0"] == (20, 20, 2, 840.3, Decimal("0.0112"), 0)
    assert first["s-run"] == (1, 2, 1, 8.0, Decimal("0.017"), 0)
    assert first["s-seed"] == (4, 4, 1, 181.0, None, 4)
    days = "SELECT toString(day), sum(calls), sum(cost) FROM dbt_marts.genai_daily GROUP BY day"
    wanted = {"2026-09-21": (56, Decimal("0.22615")), "2026-09-22": (5, Decimal("0.0025"))}
    assert {day: rest for day, *rest in filled.rows(days)} == {
        day: list(rest) for day, rest in wanted.items()
    }

    # Two more calls of a session, which cost 0.00056 each; the other sessions stay, and another
    # tenant's session of the same id is another one. The tables are as they were before tenants.
    into = replica(filled.server.port, filled.database)
    for number, tenant in enumerate(("", "acme")):
        resource = {**RESOURCE, **({"tenant.id": tenant} if tenant else {})}
        more = builders.traces(mini(2), mini(3), resource=resource).SerializeToString()
        store(into, "modern", "traces", more, ingest_id=2_000 + number)
    into.close()
    for table in ("genai_sessions", "genai_daily"):
        filled.rows(f"ALTER TABLE dbt_marts.{table} DROP COLUMN tenant")
    assert "PASS=10 WARN=0 ERROR=0" in build(filled, tmp_path)
    assert sessions(filled) == {**first, "s-0": (20, 22, 2, 840.3, Decimal("0.01232"), 0)}
    assert sessions(filled, "acme") == {"s-0": (2, 2, 0, 60.3, Decimal("0.00112"), 0)}
    assert filled.rows(f"{days} ORDER BY day")[0][1] == 60
