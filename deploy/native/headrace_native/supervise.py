"""supervisord: starting it, talking to it over its unix socket, and finding what it left behind."""

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import time
import xmlrpc.client
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from headrace_native.errors import ClusterError
from headrace_native.layout import MARKER, VENV_BIN, Layout

POLL_SECONDS = 0.1

# What supervisord answers when asked to stop what is stopped, or start what is started; and to
# any question once it has been told to end.
NOT_RUNNING, ALREADY_STARTED, SHUTTING_DOWN = 70, 60, 6


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("127.0.0.1", timeout=90)  # stopProcess may wait for a component's end
        self._path = path

    def connect(self) -> None:
        with contextlib.ExitStack() as undo:
            opened = undo.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            opened.settimeout(self.timeout)
            opened.connect(str(self._path))
            self.sock = opened
            undo.pop_all()


class _UnixTransport(xmlrpc.client.Transport):
    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        connection = _UnixConnection(self._path)
        self._connection = host, connection  # where the base class looks when it closes
        return connection


@dataclass(frozen=True)
class State:
    """One program as supervisord sees it; `pid` 0: not running; `start` in Unix seconds."""

    name: str
    state: str
    pid: int
    start: float
    exit_status: int
    error: str


class Supervisor:
    """A running (or not running) supervisord behind its unix socket."""

    def __init__(self, socket_path: Path) -> None:
        self._socket = socket_path

    def _call(self, method: str, *arguments: Any) -> Any:
        transport = _UnixTransport(self._socket)
        with xmlrpc.client.ServerProxy("http://127.0.0.1", transport) as proxy:
            return getattr(proxy.supervisor, method)(*arguments)

    def answers(self) -> bool:
        """Whether supervisord is up, and is to stay so."""
        try:
            return str(self._call("getState")["statename"]) == "RUNNING"
        except (OSError, http.client.HTTPException):
            return False
        except xmlrpc.client.Fault as error:
            if error.faultCode == SHUTTING_DOWN:
                return False
            raise

    def states(self) -> dict[str, State]:
        """Every program it knows, by name."""
        found = self._call("getAllProcessInfo")
        return {
            each["name"]: State(
                each["name"],
                each["statename"],
                each["pid"],
                each["start"],
                each["exitstatus"],
                each["spawnerr"],
            )
            for each in found
        }

    def state(self, name: str) -> State:
        return self.states()[name]

    def start(self, name: str) -> bool:
        """Start without waiting; False when it is running already."""
        return self._unless("startProcess", ALREADY_STARTED, name, False)

    def stop(self, name: str, wait: bool = True) -> bool:
        """SIGTERM, then SIGKILL after its stop time; False when it is not running."""
        return self._unless("stopProcess", NOT_RUNNING, name, wait)

    def signal(self, name: str, number: signal.Signals) -> None:
        self._call("signalProcess", name, number.name.removeprefix("SIG"))

    def _unless(self, method: str, fault: int, *arguments: Any) -> bool:
        try:
            self._call(method, *arguments)
        except xmlrpc.client.Fault as error:
            if error.faultCode == fault:
                return False
            raise
        return True

    def reload(self) -> None:
        """Read supervisord.conf again: stop what it no longer has, renew what changed."""
        added, changed, removed = self._call("reloadConfig")[0]
        for name in [*removed, *changed]:
            self._call("stopProcessGroup", name)
            self._call("removeProcessGroup", name)
        for name in [*changed, *added]:
            self._call("addProcessGroup", name)

    def shutdown(self) -> None:
        """Stop every program and supervisord itself; returns before that is done."""
        self._call("shutdown")


def start_supervisord(layout: Layout) -> None:
    """Start it in the background and wait until it answers. Raises ClusterError."""
    inherited = {
        # Settings of the person's shell must not leak into components: theirs are rendered.
        key: value
        for key, value in os.environ.items()
        if not key.startswith("HEADRACE_")
    }
    done = subprocess.run(
        [str(VENV_BIN / "supervisord"), "-c", str(layout.conf / "supervisord.conf")],
        capture_output=True,
        text=True,
        check=False,
        env={**inherited, MARKER: str(layout.dir)},
    )
    if done.returncode != 0:
        msg = f"supervisord does not start:\n{(done.stdout + done.stderr).strip()}"
        raise ClusterError(msg)
    supervisor = Supervisor(layout.socket)
    deadline = time.monotonic() + 15
    while not supervisor.answers():
        if time.monotonic() > deadline:
            msg = f"supervisord does not answer; see {layout.logs}/supervisord.log"
            raise ClusterError(msg)
        time.sleep(POLL_SECONDS)


def leftovers(layout: Layout) -> list[psutil.Process]:
    """Processes of this instance, found by the mark in their environment, supervisord included."""
    found = []
    mine = os.getpid()
    for process in psutil.process_iter():
        # A process that just ended, or is another user's, is none of ours.
        with contextlib.suppress(psutil.Error):
            if process.pid != mine and process.environ().get(MARKER) == str(layout.dir):
                found.append(process)
    return found


def end(processes: list[psutil.Process], grace_seconds: float) -> None:
    """SIGTERM to all, SIGKILL to those still there after the grace, and wait for the last."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    _, alive = psutil.wait_procs(processes, timeout=grace_seconds)
    for process in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(alive, timeout=10)
