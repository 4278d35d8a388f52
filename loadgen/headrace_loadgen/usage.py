"""CPU seconds and memory of the native cluster's components, from the operating system."""

import http.client
import json
import os
import socket
import xmlrpc.client
from dataclasses import dataclass
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


class Usage:
    """CPU seconds per kind of component since construction, this process included."""

    def __init__(self, cluster: Cluster | None) -> None:
        self._cluster = cluster
        self._before = self._read()

    def _read(self) -> dict[tuple[str, int], tuple[float, int]]:
        """(kind, pid) → CPU seconds and resident bytes."""
        found = {("loadgen", os.getpid()): _of_process(os.getpid())}
        if self._cluster is not None:
            for name, pid in self._cluster.pids().items():
                kind = self._cluster.kinds.get(name, name)
                label = name if kind == "writer" else kind
                found[label, pid] = _of_process(pid)
        return found

    def since(self) -> tuple[dict[str, float], dict[str, float]]:
        """CPU seconds and resident MiB by component. A process that was restarted in between
        counts with what it used since its start."""
        seconds: dict[str, float] = {}
        mebibytes: dict[str, float] = {}
        for (label, pid), (cpu, resident) in self._read().items():
            before = self._before.get((label, pid), (0.0, 0))[0]
            seconds[label] = round(seconds.get(label, 0.0) + cpu - before, 3)
            mebibytes[label] = round(mebibytes.get(label, 0.0) + resident / 2**20, 1)
        return seconds, mebibytes


def _of_process(pid: int) -> tuple[float, int]:
    try:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
        times = [member.cpu_times() for member in family]
        resident = sum(member.memory_info().rss for member in family)
    except psutil.Error:
        return 0.0, 0
    return sum(t.user + t.system for t in times), resident
