"""CPU seconds and memory of the native cluster's components, from the operating system."""

import http.client
import json
import os
import socket
import xmlrpc.client
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=5)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class _UnixTransport(xmlrpc.client.Transport):
    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = path

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        del host
        return _UnixConnection(self._path)


@dataclass(frozen=True, slots=True)
class Cluster:
    """The parts of cluster.json that the load generator uses."""

    otlp: str
    clickhouse: list[tuple[str, int]]
    database: str
    supervisor: str
    kinds: dict[str, str]
    """Component name → kind."""
    logs: dict[str, Path] = field(default_factory=dict)
    """Component name → its log."""
    writers: dict[str, str] = field(default_factory=dict)
    """Writer → where it serves /metrics."""
    shape: dict[str, int] = field(default_factory=dict)
    """How many brokers, shards, replicas."""

    @staticmethod
    def read(path: Path) -> "Cluster":
        """Raises OSError when it cannot be read, ValueError when it is not such a file."""
        try:
            return Cluster._of(json.loads(path.read_text()))
        except (ValueError, KeyError, TypeError) as error:
            msg = f"{path} does not describe a cluster ({error!r})"
            raise ValueError(msg) from error

    @staticmethod
    def _of(document: Any) -> "Cluster":
        replicas = [
            (address.rpartition(":")[0], int(address.rpartition(":")[2]))
            for shard in document["clickhouse"]["shards"]
            for address in shard
        ]
        return Cluster(
            document["otlp"]["grpc"],
            replicas,
            document["clickhouse"]["database"],
            document["supervisor"]["socket"],
            {name: entry["kind"] for name, entry in document["components"].items()},
            {name: Path(entry["log"]) for name, entry in document["components"].items()},
            document["writers"],
            document["shape"],
        )

    def pids(self) -> dict[str, int]:
        """Running components' process ids; empty when the supervisor does not answer."""
        proxy = xmlrpc.client.ServerProxy(
            "http://localhost/RPC2", transport=_UnixTransport(self.supervisor)
        )
        try:
            found: Any = proxy.supervisor.getAllProcessInfo()
        except (OSError, xmlrpc.client.Error, http.client.HTTPException):
            return {}
        return {entry["name"]: entry["pid"] for entry in found if entry["pid"]}


Reading = dict[tuple[str, int], tuple[float, int]]
"""(component, pid) → CPU seconds and resident bytes."""


class Usage:
    """CPU seconds per kind of component since construction, this process included."""

    def __init__(self, cluster: Cluster | None) -> None:
        self._cluster = cluster
        self._before = self.read(self.pids())

    def pids(self) -> dict[str, int]:
        """Running components and this process."""
        return {"loadgen": os.getpid()} | (self._cluster.pids() if self._cluster else {})

    def read(self, pids: dict[str, int], *, children: bool = True) -> Reading:
        """What these processes have used. Looking for children reads every process of the machine,
        so who looks often leaves them out."""
        return {(self._label(name), pid): _of_process(pid, children) for name, pid in pids.items()}

    def _label(self, name: str) -> str:
        """Writers by name, everything else by kind."""
        kind = self._cluster.kinds.get(name, name) if self._cluster else name
        return name if kind == "writer" else kind

    def since(self) -> tuple[dict[str, float], dict[str, float]]:
        """CPU seconds and resident MiB by component. A process that was restarted in between
        counts with what it used since its start."""
        return difference(self.read(self.pids()), self._before)


def difference(now: Reading, before: Reading) -> tuple[dict[str, float], dict[str, float]]:
    """CPU seconds between two readings, and the later one's MiB, by component."""
    seconds: dict[str, float] = {}
    mebibytes: dict[str, float] = {}
    for (label, pid), (cpu, resident) in now.items():
        earlier = before.get((label, pid), (0.0, 0))[0]
        seconds[label] = round(seconds.get(label, 0.0) + cpu - earlier, 3)
        mebibytes[label] = round(mebibytes.get(label, 0.0) + resident / 2**20, 1)
    return seconds, mebibytes


def _of_process(pid: int, children: bool) -> tuple[float, int]:
    try:
        process = psutil.Process(pid)
        family = [process, *(process.children(recursive=True) if children else ())]
        times = [member.cpu_times() for member in family]
        resident = sum(member.memory_info().rss for member in family)
    except psutil.Error:
        return 0.0, 0
    return sum(t.user + t.system for t in times), resident
