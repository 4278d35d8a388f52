"""The cluster's description: overrides, bounds, ports, and what is rendered from it."""

import configparser
import itertools
import subprocess
import time
import xml.etree.ElementTree as ET
from pathlib import Path

import psutil
import pytest

from headrace_native import diagnose, render
from headrace_native.errors import UsageError
from headrace_native.layout import DAILY, KEEP, Layout
from headrace_native.spec import BOUNDS, OVERRIDES, load

LARGEST = {
    "BROKERS": "9",
    "SHARDS": "8",
    "REPLICAS": "4",
    "GATEWAYS": "16",
    "WRITERS_TRACES": "16",
    "WRITERS_METRICS": "16",
    "WRITERS_LOGS": "16",
}


def layout(**environ: str) -> Layout:
    return Layout(load(environ))


def all_ports(cluster: Layout) -> list[int]:
    return [port for each in cluster.components.values() for port in each.ports.values()]


@pytest.mark.parametrize("environ", [{}, LARGEST])
def test_no_two_components_share_a_port(environ: dict[str, str]) -> None:
    ports = all_ports(layout(**environ))
    assert len(ports) == len(set(ports))


def test_the_tests_offset_stays_below_outgoing_ports() -> None:
    moved = layout(HEADRACE_PORT_OFFSET="20000")
    assert max(all_ports(moved)) < 32_768


def test_an_offset_moves_every_port() -> None:
    plain, moved = layout(), layout(HEADRACE_PORT_OFFSET="7")
    pairs = itertools.zip_longest(all_ports(plain), all_ports(moved))
    assert all(before + 7 == after for before, after in pairs)


@pytest.mark.parametrize(
    ("brokers", "copies", "needed"), [(1, 1, 1), (2, 2, 1), (3, 3, 2), (5, 3, 2)]
)
def test_replication_follows_the_brokers(brokers: int, copies: int, needed: int) -> None:
    spec = load({"BROKERS": str(brokers)})
    assert (spec.replication, spec.min_insync) == (copies, needed)


@pytest.mark.parametrize(("variable", "place"), OVERRIDES.items())
def test_every_override_is_refused_by_its_name(variable: str, place: tuple[str, str]) -> None:
    bad = "UPPER CASE" if place == ("cluster", "name") else "many"
    with pytest.raises(UsageError, match=variable if bad == "many" else "cluster name"):
        load({variable: bad})


@pytest.mark.parametrize(("place", "bounds"), BOUNDS.items())
def test_bounds_hold(place: tuple[str, str], bounds: tuple[int, int]) -> None:
    variable = next(name for name, target in OVERRIDES.items() if target == place)
    load({variable: str(bounds[1])})
    with pytest.raises(UsageError, match=r"must be between"):
        load({variable: str(bounds[1] + 1)})


def test_an_empty_override_is_none() -> None:
    assert load({"BROKERS": "", "SHARDS": " "}).shape == load({}).shape


def test_writers_are_numbered_per_signal() -> None:
    names = [each.name for each in layout(WRITERS_TRACES="2", WRITERS_LOGS="0").writers]
    assert names == ["writer-traces", "writer-traces-2", "writer-metrics"]


def test_writers_know_every_replica_of_every_shard() -> None:
    environment = layout().components["writer-traces"].environment
    assert environment["HEADRACE_CLICKHOUSE_SHARDS"] == (
        "127.0.0.1:9000,127.0.0.1:9001;127.0.0.1:9002,127.0.0.1:9003"
    )
    assert environment["HEADRACE_SIGNALS"] == "traces"


def test_rendered_files_are_what_their_readers_parse() -> None:
    files = render.render(layout(**LARGEST))
    xml = [text for path, text in files.items() if path.suffix == ".xml"]
    assert len(xml) == 8 * 4 + 1
    for text in xml:
        assert ET.fromstring(text).tag == "yandex"
    programs = configparser.RawConfigParser(strict=True)
    programs.read_string(next(t for path, t in files.items() if path.name == "supervisord.conf"))
    sections = [each for each in programs.sections() if each.startswith("program:")]
    assert len(sections) == len(layout(**LARGEST).components)


def test_remote_servers_list_the_shards() -> None:
    files = render.render(layout())
    text = next(t for path, t in files.items() if path.name == "clickhouse-2-1.xml")
    shards = ET.fromstring(text).findall("./remote_servers/headrace/shard")
    ports = [[each.findtext("port") for each in shard.findall("replica")] for shard in shards]
    assert ports == [["9000", "9001"], ["9002", "9003"]]
    assert ET.fromstring(text).findtext("./macros/shard") == "2"


def test_special_characters_survive_supervisords_syntax() -> None:
    assert render.ini('50% of "it"') == '50%% of \\"it\\"'
    assert render.ini_word("/libs/*") == '"/libs/*"'
    assert render.ini_word("-Xmx512m") == "-Xmx512m"


def test_written_files_tell_what_changed(tmp_path: Path) -> None:
    one, two = tmp_path / "a" / "one", tmp_path / "two"
    assert render.write({one: "1", two: "2"}) == set()
    assert render.write({one: "1", two: "3"}) == {two}


def test_a_token_reaches_only_the_gateways() -> None:
    guarded = Layout(load({}), token="secret")
    holders = {
        name for name, each in guarded.components.items() if "secret" in each.environment.values()
    }
    assert holders == {"gateway-1", "gateway-2"}
    assert "auth-bearer.yaml" in " ".join(guarded.components["gateway-1"].command)


@pytest.mark.parametrize(
    ("log", "cause"),
    [
        ("java.net.BindException: Address already in use", "port"),
        ("java.lang.OutOfMemoryError: Java heap space", "memory"),
        ("write failed: No space left on device", "disk"),
        ("Could not find or load main class kafka.Kafka", "jars"),
        ("all is well", ""),
    ],
)
def test_a_log_names_its_cause(log: str, cause: str) -> None:
    told = diagnose.likely_cause(log)
    assert cause in told
    assert bool(told) == bool(cause)


def test_the_tail_of_a_log_is_short_and_safe(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    assert diagnose.tail(log) == "    (no log)"
    log.write_bytes(b"\xff\n" * 500_000 + b"last")
    lines = diagnose.tail(log).splitlines()
    assert len(lines) == diagnose.TAIL_LINES
    assert lines[-1] == "    last"


def test_writers_trace_through_the_gateways_unless_told_otherwise() -> None:
    def endpoint(cluster: Layout) -> str | None:
        return cluster.writer_environment.get("HEADRACE_TRACE_ENDPOINT")

    assert endpoint(layout()) == "127.0.0.1:4317"
    assert endpoint(layout(TRACE_EVERY_S="0")) is None
    assert endpoint(Layout(load({}), token="secret")) is None, "they have no token"


def test_days_that_are_over_are_dropped_daily_unless_told_otherwise() -> None:
    daily = layout().components["retention"]
    assert daily.command[2:] == KEEP
    for variable in ("RETENTION", "MIGRATE"):
        assert "retention" not in layout(**{variable: "0"}).components


def test_daily_runs_a_day_later_and_ends(tmp_path: Path) -> None:
    sleep = tmp_path / "sleep"
    sleep.write_text(f"#!/bin/sh\necho $1 >{tmp_path}/slept\n")
    sleep.chmod(0o755)
    command = ["/bin/sh", str(DAILY), "/usr/bin/touch", str(tmp_path / "ran")]
    subprocess.run(command, check=True, env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, timeout=30)
    assert (tmp_path / "slept").read_text() == "86400\n"
    assert (tmp_path / "ran").exists()


def test_daily_that_is_stopped_takes_its_sleep_along(tmp_path: Path) -> None:
    (tmp_path / "sleep").write_text(f"#!/bin/sh\necho $$ >{tmp_path}/pid\nexec /bin/sleep 60\n")
    (tmp_path / "sleep").chmod(0o755)
    waiting = subprocess.Popen(
        ["/bin/sh", str(DAILY), "/usr/bin/touch", str(tmp_path / "ran")],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
    )
    pid = tmp_path / "pid"
    deadline = time.monotonic() + 30
    while not (pid.exists() and pid.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    waiting.terminate()
    assert waiting.wait(30) == 0
    asleep = int(pid.read_text())
    while psutil.pid_exists(asleep) and psutil.Process(asleep).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, "its sleep is left over"
        time.sleep(0.02)
    assert not (tmp_path / "ran").exists()
