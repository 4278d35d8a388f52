"""The session's cluster: instance `test`, all ports moved by 20,000 or less, beside any other."""

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import psutil
from clickhouse_driver import Client

from headrace_native.control import Control
from headrace_native.down import down
from headrace_native.layout import CACHE, Layout
from headrace_native.ports import taken
from headrace_native.spec import load
from headrace_native.supervise import Supervisor
from headrace_native.up import up
from headrace_schema.model import Dialect

HEADRACE = Path(sys.executable).with_name("headrace")
# Where these ports are taken, another instance elsewhere does as well.
OFFSET = int(os.environ.get("HEADRACE_TEST_PORT_OFFSET", "20000"))
NAME = "test" if OFFSET == 20_000 else f"test-{OFFSET}"
# Offsets tried, each 1,000 below the last.
PLACES = 6


@dataclass(frozen=True)
class Cluster:
    """A running native cluster.

    `json` is its cluster.json; `control` kills, stops and waits for components by name.
    """

    layout: Layout
    json: dict[str, Any]
    control: Control

    @property
    def bootstrap(self) -> str:
        return str(self.json["kafka"]["bootstrap"])

    @property
    def otlp_grpc(self) -> str:
        """host:port of the load balancer."""
        return str(self.json["otlp"]["grpc"])

    @property
    def otlp_http(self) -> str:
        return f"http://{self.json['otlp']['http']}"

    @property
    def log_dir(self) -> Path:
        return self.layout.logs

    @property
    def dialect(self) -> Dialect:
        """What its servers speak."""
        return cast("Dialect", self.json["clickhouse"]["dialect"])

    def clickhouse(self, shard: int = 1, replica: int = 1, database: str = "") -> Client:
        """A connection to one server; both numbers count from 1. The caller disconnects."""
        host, _, port = self.json["clickhouse"]["shards"][shard - 1][replica - 1].partition(":")
        return Client(
            host, port=int(port), database=database or self.json["clickhouse"]["database"]
        )

    def headrace(self, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        """Run a headrace command with this cluster's settings, or those of `environment`."""
        # What tests are told by the environment (HEADRACE_TEST_PORT_OFFSET) is no setting of it.
        clean = {k: v for k, v in os.environ.items() if not k.startswith("HEADRACE_")}
        return subprocess.run(
            [HEADRACE, *arguments, "--config", self.layout.dir / "headrace.toml"],
            capture_output=True, text=True, check=False, timeout=120, env=clean | environment,
        )  # fmt: skip

    def pids(self) -> dict[str, int]:
        return {name: self.control.pid(name) for name in self.layout.components}

    def memory_mib(self) -> dict[str, int]:
        """Resident memory by component."""
        return {
            name: psutil.Process(pid).memory_info().rss >> 20 for name, pid in self.pids().items()
        }


@contextmanager
def running(name: str = NAME, offset: int = OFFSET, **changes: int) -> Iterator[Cluster]:
    """A cluster that is up; taken down and deleted at the end, unless HEADRACE_KEEP_CLUSTER=1.

    `changes` are overrides as on make's command line (BROKERS=3). Two test sessions on one machine
    share the instance: the last one to leave takes it down.
    """
    # Own spans of the writers would be messages that no test sent.
    overrides = {"TRACE_EVERY_S": 0, **changes}
    layout = _free_place(name, offset, {key: str(value) for key, value in overrides.items()})
    users = CACHE / "cluster" / f"{name}.users"
    users.parent.mkdir(parents=True, exist_ok=True)
    with users.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        try:
            up(layout, print)
            yield Cluster(layout, layout.as_json(), Control(layout))
        finally:
            if os.environ.get("HEADRACE_KEEP_CLUSTER") != "1" and _last(lock.fileno()):
                down(layout, print, wipe=True)


def _free_place(name: str, offset: int, overrides: dict[str, str]) -> Layout:
    """Where the instance runs already; else at `offset`, or below it where its ports are taken."""
    first: Layout | None = None
    for candidate in range(offset, max(0, offset - PLACES * 1_000), -1_000):
        place = {"HEADRACE_CLUSTER": name, "HEADRACE_PORT_OFFSET": str(candidate)}
        layout = Layout(load({**os.environ, **place, **overrides}))
        first = first or layout
        if Supervisor(layout.socket).answers():
            known = json.loads((layout.dir / "cluster.json").read_text())["offset"]
            place["HEADRACE_PORT_OFFSET"] = str(known)
            return Layout(load({**os.environ, **place, **overrides}))
        ports = [port for part in layout.components.values() for port in part.ports.values()]
        if not any(taken(port) for port in ports):
            return layout
    assert first is not None
    return first  # `up` will say who holds its ports


def _last(lock: int) -> bool:
    """Whether no other session holds the shared lock."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
