"""What a cluster consists of: supervised processes; the ports of servers, gateways and writers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Component:
    """One supervised process.

    `ports`: what it listens on, by the name of the setting in cluster.toml's [ports].
    `files`: configuration files; the process is restarted when one of them changes.
    `stop_seconds`: how long it may take to end after SIGTERM.
    """

    name: str
    kind: str
    command: tuple[str, ...]
    ports: Mapping[str, int]
    environment: Mapping[str, str] = field(default_factory=dict)
    files: tuple[Path, ...] = ()
    stop_seconds: int = 20


@dataclass(frozen=True)
class Replica:
    """One ClickHouse server. `shard` and `replica` count from 1."""

    shard: int
    replica: int
    tcp: int
    http: int
    interserver: int

    @property
    def name(self) -> str:
        return f"clickhouse-{self.shard}-{self.replica}"


@dataclass(frozen=True)
class Gateway:
    """One gateway Collector and its ports."""

    name: str
    grpc: int
    http: int
    health: int
    metrics: int


@dataclass(frozen=True)
class Writer:
    """One writer process; `port` serves /metrics, /live and /ready."""

    name: str
    signal: str
    port: int
