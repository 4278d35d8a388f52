"""Is a port free, and who holds it if not."""

import errno
import socket
from collections.abc import Iterable
from pathlib import Path

import psutil

from headrace_native.component import Component
from headrace_native.errors import ClusterError


def taken(port: int) -> bool:
    """Whether something listens on this port, on loopback or on all addresses."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As the servers do: a connection of yesterday in TIME_WAIT is no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            if error.errno in {errno.EADDRINUSE, errno.EACCES}:
                return True
            raise
    return False


def holder(port: int) -> str:
    """ "pid 123 (java)" or that it cannot be seen, which is so for other users' processes."""
    try:
        connections = psutil.net_connections(kind="tcp")
    except psutil.AccessDenied:
        return "a process that this user may not see"
    for each in connections:
        if each.laddr and each.laddr.port == port and each.pid:
            try:
                return f"pid {each.pid} ({' '.join(psutil.Process(each.pid).cmdline())[:80]})"
            except psutil.Error:
                return f"pid {each.pid}"
    return "a process that this user may not see"


def check(components: Iterable[Component], offset: int) -> None:
    """Raise ClusterError naming every taken port, its component, setting and holder."""
    lines = []
    for component in components:
        for setting, port in component.ports.items():
            if port > 65_535:
                msg = f"port {port} ({component.name}) does not exist: use a smaller offset"
                raise ClusterError(msg)
            if taken(port):
                lines.append(
                    f"  {port}  wanted by {component.name} (ports.{setting}), "
                    f"held by {holder(port)}"
                )
    if not lines:
        return
    suggestion = offset + 1000
    msg = "\n".join(
        [
            "these ports are in use:",
            *lines,
            "Free them, or move the whole cluster: "
            f"HEADRACE_PORT_OFFSET={suggestion} make cluster-up",
        ]
    )
    raise ClusterError(msg)


def outgoing_range() -> tuple[int, int]:
    """The ports that the kernel gives to outgoing connections; a listener there may collide."""
    text = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text()
    low, high = text.split()
    return int(low), int(high)
