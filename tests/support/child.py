"""Child processes of tests: free ports, waiting until they answer, stopping them for sure."""

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

POLL_S = 0.05

# Linux kills the child when the tests' process ends, however that happens (util-linux).
_WITH_PARENT = ("setpriv", "--pdeathsig", "KILL", "--")


def free_ports(count: int) -> list[int]:
    """`count` different TCP ports of the loopback interface that nothing listens on now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def accepts(port: int) -> bool:
    """Whether something listens on this loopback port."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


class Child:
    """One process with its output in `log`; a context manager that always ends it.

    It gets its own session, so that a Ctrl-C at the tests does not reach it before they have
    taken leave of it.
    """

    def __init__(
        self,
        argv: Sequence[str],
        log: Path,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.argv = list(argv)
        self.log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [*_WITH_PARENT, *self.argv],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=cwd,
                env={**os.environ, **(env or {})},
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def wait_until(self, ready: Callable[[], bool], timeout_s: float = 30) -> None:
        """Return when `ready()` holds. Raises RuntimeError with the last log lines otherwise."""
        deadline = time.monotonic() + timeout_s
        while not ready():
            if not self.alive:
                self._fail(f"ended with code {self._process.returncode}")
            if time.monotonic() > deadline:
                self._fail(f"was not ready after {timeout_s} s")
            time.sleep(POLL_S)

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def stop(self, grace_s: float = 10) -> None:
        """SIGTERM, then SIGKILL after `grace_s` seconds."""
        if self.alive:
            self._process.terminate()
            try:
                self._process.wait(grace_s)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._process.wait()

    def _fail(self, why: str) -> None:
        tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])
        msg = f"{self.argv[0]} {why}; the end of {self.log}:\n{tail}"
        raise RuntimeError(msg)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
