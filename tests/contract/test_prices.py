"""`headrace prices` on both servers, and what calls cost with what it stored."""

import argparse
import io
import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from headrace_schema.prices import HEADER, choose
from headrace_schema.prices_cli import add_prices_parser, read, run_prices
from headrace_schema.render import Deployment
from support.genai_world import World, world
from support.schema_server import CONNECT, SchemaServer


@pytest.fixture(scope="module")
def filled(server: SchemaServer) -> Iterator[World]:
    with world(server, f"prices_{server.dialect}") as made:
        yield made


def prices(made: World | None, *argv: str) -> tuple[int, Any]:
    """Exit code and JSON of one run."""
    parser = argparse.ArgumentParser()
    add_prices_parser(parser.add_subparsers())
    out = io.StringIO()
    settings = (made or World(SchemaServer(9, Deployment("embedded", "modern")), "otel")).settings
    code = run_prices(parser.parse_args(["prices", *argv, "--json"]), settings, out=out)
    return code, json.loads(out.getvalue())


def test_the_shipped_list_is_stored_once(filled: World) -> None:
    code, first = prices(filled, "import")
    assert code == 0, first
    # The world's own prices went up to version 2.
    assert (first["version"], first["written"] > 500) == (3, True)
    assert prices(filled, "import") == (0, {"written": 0, "version": None})
    code, listed = prices(filled, "list")
    assert code == 0
    assert {"provider": "", "model": "claude-haiku-4-5*", "input": "1"}.items() <= next(
        one for one in listed if one["model"] == "claude-haiku-4-5*"
    ).items()


def test_a_list_of_ones_own_round_trips(filled: World, tmp_path: Path) -> None:
    _, listed = prices(filled, "list")
    file = tmp_path / "ours.csv"
    lines = [",".join(one[name] for name in HEADER) for one in listed]
    file.write_text("\n".join(["# ours", ",".join(HEADER), *lines]))
    assert prices(None, "check", str(file)) == (0, {"offers": len(listed)})
    assert prices(filled, "import", str(file))[1]["written"] == 0


def test_every_call_is_priced_by_the_offer_that_choose_names(filled: World) -> None:
    """The view and the command rank alike."""
    connection = CONNECT(filled.server.node)
    stored = read(connection, Deployment("embedded", filled.server.dialect, filled.database))
    connection.close()
    rows = filled.rows(
        "SELECT Provider, BilledModel, toDate(Time) AS day, any(PriceVersion), any(Currency), "
        "uniqExact(PriceVersion) FROM genai_span_costs GROUP BY Provider, BilledModel, day"
    )
    assert {row[1] for row in rows} >= {"gpt-5-mini", "gpt-5-mini-2025-08-07", "gpt-5", "mystery-1"}
    for provider, model, day, version, currency, versions in rows:
        chosen = choose(stored, provider, model, day)
        wanted = (chosen.version, chosen.currency) if chosen else (0, "")
        assert ((version, currency), versions) == (wanted, 1), model


def test_a_new_price_counts_from_its_day_and_the_old_one_is_kept(filled: World) -> None:
    def spent() -> Any:
        sql = "SELECT sum(Cost) FROM genai_span_costs WHERE toDate(Time) = '2026-09-{}'"
        return [filled.rows(sql.format(day))[0][0] for day in (21, 22)]

    before = spent()
    code, said = prices(
        filled, "set", "gpt-5-mini", "--provider", "openai", "--input", "2", "--output", "20",
        "--from", "2026-09-22",
    )  # fmt: skip
    assert (code, said["written"]) == (0, 1)
    assert spent() == [before[0], 5 * 1_000 * Decimal("0.000002")]
    code, shown = prices(filled, "show", "gpt-5-mini", "--provider", "openai", "--on", "2026-09-22")
    assert (code, shown["input"], shown["cached"], shown["reasoning"]) == (0, "2", "2", "20")
    assert shown["version"] == str(said["version"])


def test_unknown_models_fail_the_check(filled: World) -> None:
    days = ("unknown", "--days", "36500")
    code, found = prices(filled, *days)
    assert (code, [one["model"] for one in found]) == (1, ["mystery-1"])
    assert prices(filled, "show", "mystery-1")[0] == 1
    assert prices(filled, "set", "mystery-*", "--input", "1", "--output", "1")[0] == 0
    # From today on: calls of September still have none.
    assert prices(filled, *days)[0] == 1
    argv = ("set", "mystery-*", "--input", "1", "--output", "1", "--from", "2026-01-01")
    assert prices(filled, *argv)[0] == 0
    assert prices(filled, *days) == (0, [])


def test_a_wrong_list_names_the_line(tmp_path: Path) -> None:
    file = tmp_path / "wrong.csv"
    good = ",gpt-5,2026-01-01,USD,1,1,1,1,1"
    for line, said in (
        (",gpt-5,2026-01-01,USD,1,1,1,1", "line 2: 8 columns"),
        (",gpt-5,yesterday,USD,1,1,1,1,1", "line 2: 'yesterday' is no day"),
        (",gpt-5,1969-01-01,USD,1,1,1,1,1", "line 2: 1969-01-01 is no day that ClickHouse"),
        (",gpt-5,2026-01-01,dollars,1,1,1,1,1", "line 2: 'dollars' is no currency"),
        (",gpt 5,2026-01-01,USD,1,1,1,1,1", "line 2: 'gpt 5' is no model"),
        (",gpt-5,2026-01-01,USD,-1,1,1,1,1", "line 2: -1 is no price"),
        (",gpt-5,2026-01-01,USD,1,1,1,1,0.0000001", "line 2: 0.0000001 is no price"),
        (",gpt-5,2026-01-01,USD,free,1,1,1,1", "line 2: 'free' is no price"),
        (good, "line 2: the same offer is on line 1"),
    ):
        file.write_text(f"{good}\n{line}\n")
        code, answer = prices(None, "check", str(file))
        assert (code, answer["error"][: len(said)]) == (1, said)


def test_usage_and_silence_have_their_exit_codes(tmp_path: Path) -> None:
    assert prices(None, "import", str(tmp_path / "none.csv"))[0] == 2
    assert prices(None, "set", "gpt 5", "--input", "1", "--output", "1")[0] == 2
    assert prices(None, "list")[0] == 3
