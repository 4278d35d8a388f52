"""make cluster-up, cluster-status and cluster-down as a person meets them, on a small cluster."""

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import psutil
import pytest

from headrace_native.control import Control
from headrace_native.layout import CACHE, Layout
from headrace_native.spec import ROOT, load
from headrace_native.supervise import Supervisor, leftovers

pytestmark = pytest.mark.integration

# One of each, no writers: boots in a few seconds. Its own ports, beside the session's cluster.
SMALL = {
    "HEADRACE_CLUSTER": "lifecycle",
    "HEADRACE_PORT_OFFSET": "21000",
    "BROKERS": "1",
    "SHARDS": "1",
    "REPLICAS": "1",
    "GATEWAYS": "1",
    "WRITERS_TRACES": "0",
    "WRITERS_METRICS": "0",
    "WRITERS_LOGS": "0",
    "MIGRATE": "0",
}


class Cli:
    """Runs `python -m headrace_native` for the small cluster."""

    def __init__(self) -> None:
        self.layout = Layout(load(SMALL))
        self.control = Control(self.layout)

    def __call__(self, *arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, **SMALL, **changes, "PYTHONPATH": str(ROOT / "deploy" / "native")}
        env["PYTHONFAULTHANDLER"] = "1"
        return subprocess.run(
            [sys.executable, "-m", "headrace_native", *arguments],
            env=env,
            capture_output=True,
            text=True,
            check=False,
            timeout=200,
        )

    def pids(self) -> dict[str, int]:
        return {name: self.control.pid(name) for name in self.layout.components}


@pytest.fixture(scope="module")
def module_cli() -> Iterator[Cli]:
    cli = Cli()
    locks = CACHE / "cluster"
    locks.mkdir(parents=True, exist_ok=True)
    with (locks / "lifecycle.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another test session on this machine takes its turn
        cli("down", "--wipe")
        try:
            yield cli
        finally:
            cli("down", "--wipe")


@pytest.fixture
def cli(module_cli: Cli) -> Cli:
    """The small cluster, down; its data is that of the tests before."""
    module_cli("down")
    return module_cli


@pytest.fixture
def live(module_cli: Cli) -> Cli:
    """The small cluster, up."""
    done = module_cli("up")
    assert done.returncode == 0, done.stdout + done.stderr
    return module_cli


def test_up_tells_where_everything_is(cli: Cli) -> None:
    done = cli("up")
    assert done.returncode == 0, done.stderr
    for wanted in ("127.0.0.1:25317", "127.0.0.1:30092", "cluster-status NAME=lifecycle", "/logs/"):
        assert wanted in done.stdout
    described = json.loads((cli.layout.dir / "cluster.json").read_text())
    assert described["otlp"]["grpc"] == "127.0.0.1:25317"
    assert set(described["components"]) == set(cli.layout.components)


def test_up_twice_changes_nothing(live: Cli) -> None:
    before = live.pids()
    again = live("up")
    assert again.returncode == 0, again.stderr
    assert live.pids() == before


def test_up_after_a_change_restarts_only_what_changed(live: Cli) -> None:
    before = live.pids()
    grown = live("up", GATEWAYS="2")
    assert grown.returncode == 0, grown.stderr
    state = Supervisor(live.layout.socket).states()
    assert state["gateway-2"].pid
    assert state["haproxy"].pid != before["haproxy"], "haproxy does not know the new gateway"
    kept = {name for name, pid in before.items() if state[name].pid == pid}
    assert kept == set(before) - {"haproxy", "prometheus"}
    shrunk = live("up")
    assert shrunk.returncode == 0, shrunk.stderr
    assert set(Supervisor(live.layout.socket).states()) == set(live.layout.components)


def test_a_running_cluster_does_not_move(live: Cli) -> None:
    before = live.pids()
    refused = live("up", HEADRACE_PORT_OFFSET="21001")
    assert refused.returncode == 2
    assert "runs with port offset 21000" in refused.stderr
    assert live.pids() == before


def test_status_of_a_healthy_cluster(live: Cli) -> None:
    shown = live("status")
    assert shown.returncode == 0, shown.stdout
    assert "healthy" in shown.stdout
    data = json.loads(live("status", "--json").stdout)
    assert data["healthy"] is True
    assert {each["name"] for each in data["components"]} == set(live.layout.components)
    assert all(each["ready"] and each["memory_mib"] > 0 for each in data["components"])
    assert {(each["topic"], each["partition"]) for each in data["lag"]} == {
        (topic, partition)
        for topic in ("otlp_spans", "otlp_metrics", "otlp_logs")
        for partition in range(6)
    }


@pytest.mark.parametrize("name", ["gateway-1", "clickhouse-1-1", "kafka-1", "haproxy", "zookeeper"])
def test_a_killed_component_comes_back(live: Cli, name: str) -> None:
    killed = live.control.kill(name)
    assert live.control.wait_restarted(name, killed) != killed
    # ClickHouse meets a restarted ZooKeeper again within its retry.
    for component in live.layout.components:
        live.control.wait_ready(component)
    assert live("status").returncode == 0


def test_what_is_stopped_right_after_it_was_killed_stays_down(live: Cli) -> None:
    """supervisord refuses to stop what is dead, and then starts another."""
    name = "haproxy"
    for _ in range(3):
        killed = live.control.kill(name)
        while live.control.state(name).pid == killed:
            time.sleep(0.01)
        live.control.stop(name)
        time.sleep(1.5)
        assert live.control.state(name).state == "STOPPED"
        live.control.start(name)


def test_status_names_what_is_down(live: Cli) -> None:
    live.control.stop("gateway-1")
    shown = live("status")
    assert shown.returncode == 1
    assert "not healthy" in shown.stdout
    assert "gateway-1" in shown.stdout
    assert live("up").returncode == 0
    assert live("status").returncode == 0


def test_a_taken_port_is_named_with_its_holder(cli: Cli) -> None:
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", 25_317))
        other.listen()
        refused = cli("up")
    assert refused.returncode == 1
    for wanted in ("25317", "haproxy", "otlp_grpc", f"pid {os.getpid()}", "HEADRACE_PORT_OFFSET="):
        assert wanted in refused.stderr
    assert not leftovers(cli.layout), "nothing was started"


def test_a_component_that_cannot_start_shows_its_log_and_a_cause(cli: Cli) -> None:
    properties = cli.layout.data / "kafka-1" / "meta.properties"
    before = properties.read_text()
    properties.write_text(before.replace("node.id=1", "node.id=99"))
    try:
        failed = cli("up")
    finally:
        properties.write_text(before)
    assert failed.returncode == 1
    assert "kafka-1" in failed.stderr
    assert "kafka-1.log" in failed.stderr
    assert "Likely cause: the data on disk is another cluster's" in failed.stderr
    assert "Traceback" not in failed.stderr
    repaired = cli("up")
    assert repaired.returncode == 0, repaired.stderr


def test_another_shape_over_old_data_is_refused(cli: Cli) -> None:
    assert (cli.layout.dir / "cluster.json").exists()
    refused = cli("up", SHARDS="2")
    assert refused.returncode == 2
    assert "shards 1 → 2" in refused.stderr
    assert "WIPE=1" in refused.stderr


def test_down_ends_every_process_and_may_be_repeated(live: Cli) -> None:
    pids = live.pids()
    assert live("down").returncode == 0
    assert not leftovers(live.layout)
    assert not [pid for pid in pids.values() if psutil.pid_exists(pid)]
    again = live("down")
    assert again.returncode == 0
    assert "not running" in again.stdout
    assert live("status").returncode == 1


def test_without_supervisord_down_and_up_still_work(live: Cli) -> None:
    for repaired_by in ("down", "up"):
        os.kill(int((live.layout.run / "supervisord.pid").read_text()), signal.SIGKILL)
        orphans = len(leftovers(live.layout))
        assert orphans >= len(live.layout.components)
        done = live(repaired_by)
        assert done.returncode == 0, done.stderr
        assert "supervisord" in done.stdout
        if repaired_by == "down":
            assert not leftovers(live.layout)
            assert live("up").returncode == 0
    assert live("status").returncode == 0


def test_wipe_deletes_the_data(live: Cli) -> None:
    assert live("down", "--wipe").returncode == 0
    assert not live.layout.dir.exists()
    assert "does not exist" in live("down").stdout


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"BROKERS": "three"}, "BROKERS='three'"),
        ({"SHARDS": "99"}, "clickhouse.shards is 99"),
        ({"HEADRACE_CLUSTER": "../x"}, "cluster name"),
    ],
)
def test_wrong_settings_are_refused_by_name(cli: Cli, changes: dict[str, str], told: str) -> None:
    refused = cli("up", **changes)
    assert refused.returncode == 2
    assert told in refused.stderr
