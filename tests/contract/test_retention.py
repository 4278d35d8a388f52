"""`headrace retention` on a real server of each dialect: old days go, everything else stays."""

import argparse
import io
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from headrace_schema.retention_cli import add_retention_parser, run_retention
from support.chdb_front import chdb_front
from support.kept_database import DAY_S, NANO, KeptDatabase, eventually
from support.schema_server import MigrateSettings, SchemaServer, create_tables, migrate


@pytest.fixture
def kept(server: SchemaServer) -> Iterator[KeptDatabase]:
    found = KeptDatabase(server)
    assert migrate(found.settings, "apply")[0] == 0
    yield found
    with server.client() as client:
        client.execute(f"DROP DATABASE {found.database}")


def limits(shown: Any) -> dict[str, int | None]:
    (tables,) = shown.values()
    return {one["table"]: one["days"] for one in tables}


def test_old_days_go_and_other_signals_stay(kept: KeptDatabase) -> None:
    kept.store("otel_traces", 1, 30)
    kept.store("otel_logs", 30)
    code, planned = kept.retention("set", "--traces", "7d")
    assert (code, planned["done"]) == (1, False)
    assert kept.days_of("otel_traces") == [30, 1], "nothing is done without --yes"
    assert any(one["deletes"] for one in planned["steps"])

    code, done = kept.retention("set", "--traces", "7d", "--yes")
    assert (code, done["done"]) == (0, True)
    # Parts written before there was a TTL go as well, in the background.
    eventually(lambda: kept.days_of("otel_traces") == [1])
    assert kept.days_of("otel_logs") == [30]


def with_contents(kept: KeptDatabase, table: str) -> dict[int, int]:
    """Rows that still have contents, by how many days ago they are."""
    legacy = kept.server.dialect == "legacy"
    day = "toDate(intDiv(Timestamp, 1000000000))" if legacy else "toDate(Timestamp)"
    values = "ContentAttributes.Value" if legacy else "mapValues(ContentAttributes)"
    with kept.server.client() as client:
        rows = client.execute(
            f"SELECT toRelativeDayNum(today()) - toRelativeDayNum({day}) AS d, "
            f"sum(arrayExists(text -> text = 'hello', {values})) "
            f"FROM {kept.database}.{table} GROUP BY d"
        )
    return {int(days): int(found) for days, found in rows}


def store_contents(kept: KeptDatabase, table: str, *days_ago: int) -> None:
    legacy = kept.server.dialect == "legacy"
    columns = "ContentAttributes.Key, ContentAttributes.Value" if legacy else "ContentAttributes"
    value = "['gen_ai.prompt'], ['hello']" if legacy else "map('gen_ai.prompt', 'hello')"
    now = int(time.time())
    with kept.server.client() as client:
        for days in days_ago:
            at = f"toInt64({(now - days * DAY_S) * NANO})"
            moment = at if legacy else f"fromUnixTimestamp64Nano({at})"
            client.execute(
                f"INSERT INTO {kept.database}.{table} (Timestamp, TraceId, {columns}) "
                f"SELECT {moment}, toString(number), {value} FROM system.numbers LIMIT 3"
            )


@pytest.mark.parametrize("table", ["otel_traces", "otel_logs"])
def test_contents_go_before_their_spans(kept: KeptDatabase, table: str) -> None:
    """The short retention of prompts is true: the row stays, its texts do not."""
    if kept.server.dialect == "modern":
        with kept.server.client() as client:
            client.execute(
                f"ALTER TABLE {kept.database}.{table} MODIFY SETTING merge_with_ttl_timeout = 0"
            )
    store_contents(kept, table, 1, 5, 30)
    assert with_contents(kept, table) == {1: 3, 5: 3, 30: 3}
    limits_asked = ("--traces", "7d", "--logs", "7d", "--content", "3d")
    code, planned = kept.retention("set", *limits_asked)
    column = f"{table}.ContentAttributes"
    assert code == 1
    assert [one["deletes"] for one in planned["steps"] if one["table"] == column and one["deletes"]]
    assert kept.retention("set", *limits_asked, "--yes")[0] == 0
    eventually(lambda: with_contents(kept, table) == {1: 3, 5: 0})
    assert kept.retention("set", *limits_asked)[1]["steps"] == [], "asked again"
    assert migrate(kept.settings, "check")[0] == 0, "retention is no drift"
    shown = limits(kept.retention("show")[1])
    assert shown[column] == 3
    if kept.server.dialect == "legacy":
        return
    # What comes late and old loses its texts as well, without anybody asking.
    store_contents(kept, table, 4, 2)
    eventually(lambda: with_contents(kept, table) == {1: 3, 2: 3, 4: 0, 5: 0})
    store_contents(kept, table, 9)
    eventually(lambda: 9 not in with_contents(kept, table))


def test_contents_alone_may_get_a_limit(modern: SchemaServer) -> None:
    kept = KeptDatabase(modern, "kept_contents")
    assert migrate(kept.settings, "apply")[0] == 0
    store_contents(kept, "otel_traces", 1, 5)
    assert kept.retention("set", "--content", "3d", "--yes")[0] == 0
    eventually(lambda: with_contents(kept, "otel_traces") == {1: 3, 5: 0})
    shown = limits(kept.retention("show")[1])
    assert (shown["otel_traces"], shown["otel_traces.ContentAttributes"]) == (None, 3)
    # Spans get their limit later: then they go by whole days.
    assert kept.retention("set", "--traces", "4d", "--yes")[0] == 0
    eventually(lambda: with_contents(kept, "otel_traces") == {1: 3})
    with modern.client() as client:
        client.execute("DROP DATABASE kept_contents")


def test_a_service_may_be_kept_longer_or_shorter(modern: SchemaServer) -> None:
    kept = KeptDatabase(modern, "kept_services")
    assert migrate(kept.settings, "apply")[0] == 0
    with modern.client() as client:
        for table in ("otel_traces", "otel_logs", "otel_traces_trace_id_ts"):
            # By default a partition is looked at for expired rows once in four hours.
            client.execute(
                f"ALTER TABLE kept_services.{table} MODIFY SETTING merge_with_ttl_timeout = 0"
            )
    kept.store_spans(3, "checkout", "noisy", "web")
    kept.store_spans(10, "checkout", "noisy", "web")
    kept.store_spans(40, "checkout", "noisy", "web")
    asked = ("--traces", "7d", "--service", "checkout=30d", "--service", "noisy=1d")
    assert kept.retention("set", *asked, "--logs", "14d", "--metrics", "30d", "--yes")[0] == 0
    spans = [("checkout", 3), ("checkout", 10), ("web", 3)]
    eventually(lambda: kept.services_of("otel_traces") == spans)
    logs = [("checkout", 3), ("checkout", 10), ("web", 3), ("web", 10)]
    eventually(lambda: kept.services_of("otel_logs") == logs)
    with modern.client() as client:
        # Kept for the longest: the spans that are found by it are.
        lookup = "SELECT count() FROM kept_services.otel_traces_trace_id_ts"
        eventually(lambda: client.execute(lookup) == [(2,)])
    _, shown = kept.retention("show")
    (tables,) = shown.values()
    found = {one["table"]: one for one in tables}
    assert found["otel_logs"]["services"] == {"checkout": 30, "noisy": 1}
    assert found["otel_logs"]["days"] == 14

    # Asked again: nothing to do. Taken back: the rule of all.
    assert kept.retention("set", *asked)[1]["steps"] == []
    back = ("--service", "checkout=default", "--service", "noisy=default", "--yes")
    assert kept.retention("set", *back)[0] == 0
    eventually(lambda: kept.services_of("otel_traces") == [("checkout", 3), ("web", 3)])
    assert migrate(kept.settings, "check")[0] == 0, "retention is no drift"
    with modern.client() as client:
        client.execute("DROP DATABASE kept_services")


def test_a_tenant_may_be_kept_longer(modern: SchemaServer) -> None:
    """Where service and tenant name a row, it stays for the longer time."""
    kept = KeptDatabase(modern, "kept_tenants")
    assert migrate(kept.settings, "apply")[0] == 0
    with modern.client() as client:
        for days in (3, 10):
            client.execute(
                "INSERT INTO kept_tenants.otel_logs (Timestamp, ServiceName, Tenant) SELECT "
                f"now() - toIntervalDay({days}), arrayJoin(['noisy', 'web']), 'acme' UNION ALL "
                f"SELECT now() - toIntervalDay({days}), arrayJoin(['noisy', 'web']), ''"
            )
    limits = ("--traces", "7d", "--metrics", "7d", "--logs", "7d")
    overrides = ("--service", "noisy=1d", "--tenant", "acme=30d")
    assert kept.retention("set", *limits, *overrides, "--yes")[0] == 0
    left = [("noisy", 3), ("noisy", 10), ("web", 3), ("web", 3), ("web", 10)]
    eventually(lambda: kept.services_of("otel_logs") == left)
    with modern.client() as client:
        assert client.execute("SELECT count() FROM kept_tenants.otel_logs WHERE Tenant = ''") == [
            (1,)
        ]
        client.execute("DROP DATABASE kept_tenants")


def test_an_override_needs_a_limit_to_override(modern: SchemaServer) -> None:
    kept = KeptDatabase(modern, "kept_nothing")
    assert migrate(kept.settings, "apply")[0] == 0
    code, said = kept.retention("set", "--traces", "7d", "--service", "checkout=30d", "--yes")
    assert code == 1
    assert "otel_metrics_gauge has no limit yet: give --metrics as well" in said["error"]
    assert set(limits(kept.retention("show")[1]).values()) == {None}, "nothing is half done"
    with modern.client() as client:
        client.execute("DROP DATABASE kept_nothing")


def test_18_16_says_what_it_cannot(legacy: SchemaServer) -> None:
    kept = KeptDatabase(legacy, "kept_whole")
    assert migrate(kept.settings, "apply")[0] == 0
    code, said = kept.retention("set", "--service", "checkout=30d", "--yes")
    assert code == 1
    assert "18.16 drops whole days only" in said["error"]
    with legacy.client() as client:
        client.execute("DROP DATABASE kept_whole")


TIERS = """<clickhouse><storage_configuration>
  <disks><cold><type>local</type><path>{cold}/</path></cold></disks>
  <policies><tiered><volumes>
    <default><disk>default</disk></default>
    <cold><disk>cold</disk></cold>
  </volumes></tiered></policies>
</storage_configuration></clickhouse>"""


def test_old_parts_move_to_the_cold_volume(tmp_path: Path) -> None:
    (tmp_path / "cold").mkdir()
    config = tmp_path / "tiers.xml"
    config.write_text(TIERS.format(cold=tmp_path / "cold"))
    with chdb_front(tmp_path / "server", config) as port:
        server = create_tables(port, "embedded", "modern")
        kept = KeptDatabase(server, "otel")
        kept.store("otel_traces", 1, 5)
        code, said = kept.retention("set", "--traces", "7d", "--move-after", "traces=2d:cold")
        assert code == 1
        assert "storage policy 'default' has no volume 'cold'" in said["error"]
        move = ("--move-after", "traces=2d:cold", "--storage-policy", "tiered")
        assert kept.retention("set", "--traces", "7d", *move, "--yes")[0] == 0

        def disks() -> set[tuple[str, int]]:
            with server.client() as client:
                rows = client.execute(
                    "SELECT disk_name, toRelativeDayNum(today()) - toRelativeDayNum(min_time) "
                    "FROM system.parts WHERE active AND table = 'otel_traces'"
                )
            return {(str(disk), int(days)) for disk, days in rows}

        eventually(lambda: {disk for disk, _ in disks()} == {"default", "cold"})
        kept.store("otel_traces", 3)
        eventually(lambda: [disk for disk, _ in disks()].count("cold") >= 1)
        assert kept.days_of("otel_traces") == [5, 3, 1]
        _, shown = kept.retention("show")
        (tables,) = shown.values()
        assert [one["move"] for one in tables if one["table"] == "otel_traces"] == [[2, "cold"]]
        assert kept.retention("set", *move)[1]["steps"] == []


def test_asking_again_has_nothing_to_do(kept: KeptDatabase) -> None:
    kept.store("otel_traces", 1, 30)
    assert kept.retention("set", "--traces", "7d", "--logs", "3d", "--yes")[0] == 0
    code, again = kept.retention("set", "--traces", "7d", "--logs", "3d")
    assert (code, again["steps"]) == (0, [])


def test_show_says_limits_and_oldest_days(kept: KeptDatabase) -> None:
    kept.store("otel_logs", 2)
    kept.retention("set", "--traces", "9d", "--yes")
    code, shown = kept.retention("show")
    assert code == 0
    assert limits(shown)["otel_traces"] == limits(shown)["otel_traces_trace_id_ts"] == 9
    assert limits(shown)["otel_logs"] is None
    (tables,) = shown.values()
    (logs,) = (one for one in tables if one["table"] == "otel_logs")
    assert logs["oldest"] is not None
    assert logs["bytes"] > 0


def test_the_ledger_is_never_touched(kept: KeptDatabase) -> None:
    _, done = kept.retention("set", "--traces", "1d", "--metrics", "1d", "--logs", "1d", "--yes")
    assert not [one for one in done["steps"] if "ledger" in one["sql"]]


@pytest.mark.parametrize(("argv", "code"), [(("set",), 2), (("set", "--traces", "7d", "--yes"), 3)])
def test_usage_and_silence_have_their_exit_codes(argv: tuple[str, ...], code: int) -> None:
    nobody = MigrateSettings([[("127.0.0.1", 9)]])
    parser = argparse.ArgumentParser()
    add_retention_parser(parser.add_subparsers())
    args = parser.parse_args(["retention", *argv, "--json"])
    assert run_retention(args, nobody, out=io.StringIO()) == code


@pytest.mark.parametrize("text", ["7", "0d", "7h", "-1d", "4000d"])
def test_a_retention_is_a_number_of_days(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    add_retention_parser(parser.add_subparsers())
    with pytest.raises(SystemExit):
        parser.parse_args(["retention", "set", f"--traces={text}"])
    assert "write 7d" in capsys.readouterr().err
