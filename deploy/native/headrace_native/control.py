"""What tests and chaos runs do to a running cluster: kill, freeze, stop, start, wait."""

import os
import signal
import time

from headrace_native.errors import ClusterError
from headrace_native.layout import Layout
from headrace_native.supervise import POLL_SECONDS, State, Supervisor
from headrace_native.up import READY_SECONDS, wait_ready

# Where supervisord leaves a program alone.
DOWN = {"STOPPED", "FATAL"}


class Control:
    """Handles on the processes of one running instance, by component name."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._supervisor = Supervisor(layout.socket)

    def state(self, name: str) -> State:
        self._known(name)
        return self._supervisor.state(name)

    def pid(self, name: str) -> int:
        """The process id. Raises ClusterError when it does not run."""
        state = self.state(name)
        if not state.pid:
            msg = f"{name} does not run ({state.state.lower()})"
            raise ClusterError(msg)
        return state.pid

    def send(self, name: str, number: signal.Signals) -> int:
        """Send a signal to the process itself; returns the pid that got it."""
        pid = self.pid(name)
        os.kill(pid, number)
        return pid

    def kill(self, name: str) -> int:
        """kill -9; supervisord starts it again. Returns the pid that was killed."""
        return self.send(name, signal.SIGKILL)

    def stop(self, name: str) -> None:
        """SIGTERM and stay down until `start`."""
        while self.state(name).state not in DOWN:
            # Refused for a process that was just killed: supervisord is about to start another.
            if not self._supervisor.stop(name):
                time.sleep(POLL_SECONDS)

    def start(self, name: str) -> float:
        """Start and wait until ready; returns the seconds that took."""
        self._known(name)
        self._supervisor.start(name)
        return self.wait_ready(name)

    def restart(self, name: str) -> float:
        """Orderly stop and start; returns the seconds from start to ready."""
        self.stop(name)
        return self.start(name)

    def wait_ready(self, name: str, seconds: float = READY_SECONDS) -> float:
        """Wait until the component's probe is content; returns the seconds that took."""
        self._known(name)
        return wait_ready(self._layout, self._layout.components[name], seconds)

    def wait_restarted(self, name: str, old_pid: int, seconds: float = READY_SECONDS) -> int:
        """Wait until another process than `old_pid` runs and is ready; returns its pid."""
        deadline = time.monotonic() + seconds
        while (state := self.state(name)).pid in {0, old_pid}:
            if time.monotonic() > deadline:
                msg = f"{name} was not restarted within {seconds:.0f} s ({state.state.lower()})"
                raise ClusterError(msg)
            time.sleep(POLL_SECONDS)
        self.wait_ready(name, max(1.0, deadline - time.monotonic()))
        return self.pid(name)

    def _known(self, name: str) -> None:
        if name not in self._layout.components:
            msg = f"no component {name!r}; there are {', '.join(self._layout.components)}"
            raise ClusterError(msg)
