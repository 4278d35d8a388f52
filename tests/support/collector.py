"""A Collector of our own beside the cluster's: other limits, other brokers, the agent."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from headrace_native.layout import CACHE, GATEWAY_CONFIG
from support.child import Child, accepts, free_ports

BINARY = CACHE / "gateway" / "headrace-otelcol"


@dataclass(frozen=True)
class Collector:
    """A running Collector: host:port for gRPC, base URL for HTTP."""

    child: Child
    grpc: str
    http: str


@contextmanager
def gateway(
    folder: Path,
    bootstrap: str,
    env: Mapping[str, str] | None = None,
    overlay: str = "",
    grpc_port: int | None = None,
) -> Iterator[Collector]:
    """A gateway with the product's own configuration, changed only by environment and one of its
    files beside it."""
    ports = free_ports(4)
    ports[0] = grpc_port or ports[0]
    configs = ["gateway.yaml", *([overlay] if overlay else [])]
    settings = {
        "HEADRACE_GATEWAY_GRPC": f"127.0.0.1:{ports[0]}",
        "HEADRACE_GATEWAY_HTTP": f"127.0.0.1:{ports[1]}",
        "HEADRACE_GATEWAY_HEALTH": f"127.0.0.1:{ports[2]}",
        "HEADRACE_GATEWAY_METRICS_PORT": str(ports[3]),
        "HEADRACE_KAFKA_BROKERS": f"[{bootstrap}]",
        **(env or {}),
    }
    with _started(configs, settings, folder / "gateway.log", ports) as child:
        yield Collector(child, f"127.0.0.1:{ports[0]}", f"http://127.0.0.1:{ports[1]}")


@contextmanager
def agent(folder: Path, ports: list[int], gateway_port: int) -> Iterator[Collector]:
    """An agent with its queue in `folder`; the same folder and ports continue an earlier one."""
    settings = {
        "HEADRACE_AGENT_GRPC": f"127.0.0.1:{ports[0]}",
        "HEADRACE_AGENT_HTTP": f"127.0.0.1:{ports[1]}",
        "HEADRACE_AGENT_HEALTH": f"127.0.0.1:{ports[2]}",
        "HEADRACE_AGENT_METRICS_PORT": str(ports[3]),
        "HEADRACE_AGENT_QUEUE_DIR": str(folder / "queue"),
        "HEADRACE_GATEWAY_ENDPOINT": f"127.0.0.1:{gateway_port}",
    }
    with _started(["agent.yaml"], settings, folder / "agent.log", ports) as child:
        yield Collector(child, f"127.0.0.1:{ports[0]}", f"http://127.0.0.1:{ports[1]}")


@contextmanager
def _started(
    configs: list[str], env: Mapping[str, str], log: Path, ports: list[int]
) -> Iterator[Child]:
    command = [str(BINARY)]
    for config in configs:
        command += ["--config", str(GATEWAY_CONFIG / config)]
    with Child(command, log, env=env) as child:
        child.wait_until(lambda: all(accepts(port) for port in ports[:3]))
        yield child
