"""Writers as Kubernetes runs them: so many per signal, started again when they die."""

import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from prometheus_client.parser import text_string_to_metric_families

from chaos.busy import Busy
from headrace_native.layout import Layout
from headrace_writer.core.block import Signal
from headrace_writer.shell.fault_points import VARIABLE as FAULT_POINT

SIGNALS: tuple[Signal, ...] = ("traces", "metrics", "logs")
READY_WITHIN_S = 60.0
LOOK_EVERY_S = 0.1
LOOK_AT_CPU_EVERY_S = 1.0
TESTS = Path(__file__).resolve().parents[1]


@dataclass
class WriterProcess:
    """One writer and the lives it had."""

    signal: Signal
    number: int
    port: int
    log: Path
    process: "subprocess.Popen[bytes] | None" = None
    wanted: bool = True
    ends: list[int] = field(default_factory=list)
    """Exit codes, negative for signals, oldest first."""
    busy: Busy = field(init=False)
    """Of this life."""

    @property
    def name(self) -> str:
        return f"{self.signal}-{self.number}"

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def ends_unknown(self) -> int:
        """Partitions that it holds and whose end it does not know: it cannot tell its backlog."""
        url = f"http://127.0.0.1:{self.port}/metrics"
        with urllib.request.urlopen(url, timeout=2) as answer:
            page = answer.read().decode()
        found = {one.name: one.samples for one in text_string_to_metric_families(page)}
        assigned = sum(one.value for one in found["headrace_writer_partitions_assigned"])
        return int(assigned) - len(found["headrace_writer_partition_end_offset"])

    def ready(self) -> bool:
        try:
            url = f"http://127.0.0.1:{self.port}/ready"
            with urllib.request.urlopen(url, timeout=2) as answer:
                return int(answer.status) == 200
        except OSError:
            return False


class Fleet:
    """All writers of a cluster whose own description has none. A context manager."""

    def __init__(self, layout: Layout, first_port: int) -> None:
        self._layout = layout
        self._first_port = first_port
        self._lock = threading.RLock()
        self.writers: list[WriterProcess] = []
        self.environment: dict[str, str] = {}
        """Extra settings for writers that start from now on."""
        self.fault_point = ""
        """Each signal's first writer dies here once."""
        self.lives_with_fault = 1
        """Of each writer, so many of its first lives know the fault point."""
        self.mutation = ""
        """A protection that writers started from now on lack (see `mutant`)."""
        self.on_event: Callable[[str], None] = lambda _text: None
        """Hears of writers that start and end. Called under the lock."""
        self._lives: list[tuple[str, Busy]] = []
        self._ending = threading.Event()
        self._keeper = threading.Thread(target=self._keep, daemon=True)

    def __enter__(self) -> "Fleet":
        self._keeper.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._ending.set()
        self._keeper.join()
        for writer in self.writers:
            writer.wanted = False
            if writer.process is not None and writer.process.poll() is None:
                os.kill(writer.pid, signal.SIGCONT)
                writer.process.terminate()
        for writer in self.writers:
            if writer.process is not None:
                try:
                    writer.process.wait(40)
                except subprocess.TimeoutExpired:
                    writer.process.kill()

    def of(self, name: Signal) -> list[WriterProcess]:
        """The writers of a signal that are meant to run, oldest first."""
        with self._lock:
            return [one for one in self.writers if one.signal == name and one.wanted]

    def scale(self, name: Signal, count: int) -> None:
        """Start or end (SIGTERM) writers until so many run."""
        with self._lock:
            running = self.of(name)
            for one in running[count:]:
                self._retire(one)
            for _ in range(count - len(running)):
                self._add(name)

    def _add(self, name: Signal) -> None:
        number = sum(1 for one in self.writers if one.signal == name) + 1
        port = self._first_port + len(self.writers)
        log = self._layout.logs / f"chaos-writer-{name}-{number}.log"
        writer = WriterProcess(name, number, port, log)
        self.writers.append(writer)
        self._start(writer, with_fault=number == 1)

    def _retire(self, writer: WriterProcess) -> None:
        writer.wanted = False
        if writer.process is not None and writer.process.poll() is None:
            self.on_event(f"writer {writer.name} is told to end")
            writer.process.terminate()

    def _start(self, writer: WriterProcess, *, with_fault: bool = False) -> None:
        environment = {
            **os.environ,
            **self._layout.writer_environment,
            "HEADRACE_HTTP_LISTEN": f"127.0.0.1:{writer.port}",
            "PYTHONPATH": str(TESTS),
            **self.environment,
        }
        if with_fault and self.fault_point:
            environment[FAULT_POINT] = self.fault_point
        module = ["chaos.mutant", self.mutation] if self.mutation else ["headrace_writer"]
        with writer.log.open("ab") as output:
            writer.process = subprocess.Popen(
                [sys.executable, "-m", *module, "write", "--signals", writer.signal],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self._watch(writer)
        self.on_event(f"writer {writer.name} starts")

    def replace_all(self) -> None:
        """End every writer in order and start one per signal, with what is set now.

        In order: a plan that is left behind would be counted at the start, and a fault point at
        the count would be spent before the load begins.
        """
        with self.stopped():
            pass

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """No writer runs inside; all ended in order, and one per signal starts afterwards."""
        with self._lock:
            for writer in self.writers:
                self._retire(writer)
            for writer in self.writers:
                if writer.process is not None:
                    writer.process.wait(60)
            self.writers.clear()
            yield
            for name in SIGNALS:
                self._add(name)

    def wait_ready(self) -> None:
        """Until every wanted writer is ready. Raises TimeoutError naming those that are not."""

        def waiting() -> str:
            found = [one for name in SIGNALS for one in self.of(name) if not one.ready()]
            return ", ".join(f"{one.name} (see {one.log})" for one in found)

        _wait_until_none(waiting, READY_WITHIN_S, "not ready")

    def wait_ends_known(self, seconds: float) -> None:
        """Until every writer knows where each of its partitions ends. Raises TimeoutError."""

        def waiting() -> str:
            found = {w.name: w.ends_unknown() for name in SIGNALS for w in self.of(name)}
            return ", ".join(f"{count} of {name}" for name, count in found.items() if count)

        _wait_until_none(waiting, seconds, "partitions whose end is unknown")

    def busiest(self) -> tuple[float, str]:
        """The most cores that a writer used over some seconds since this was last asked, and
        which it was."""
        with self._lock:
            found = [(busy.cores, name) for name, busy in self._lives]
            self._lives.clear()
            for writer in self.writers:
                self._watch(writer)
        return max(found, default=(0.0, ""))

    def _watch(self, writer: WriterProcess) -> None:
        writer.busy = Busy(time.monotonic())
        self._lives.append((writer.name, writer.busy))

    def _look_at_cpu(self) -> None:
        for writer in self.writers:
            if writer.process is None or writer.process.returncode is not None:
                continue
            try:
                times = psutil.Process(writer.pid).cpu_times()
            except psutil.Error:
                continue
            writer.busy.look(time.monotonic(), times.user + times.system)

    def _keep(self) -> None:
        looked = 0.0
        while not self._ending.wait(LOOK_EVERY_S):
            with self._lock:
                if time.monotonic() - looked >= LOOK_AT_CPU_EVERY_S:
                    looked = time.monotonic()
                    self._look_at_cpu()
                for writer in self.writers:
                    if writer.process is None or writer.process.poll() is None:
                        continue
                    if len(writer.ends) == 0 or writer.wanted:
                        writer.ends.append(writer.process.returncode)
                        self.on_event(f"writer {writer.name} ended: {writer.process.returncode}")
                    if writer.wanted:
                        again = len(writer.ends) < self.lives_with_fault
                        self._start(writer, with_fault=writer.number == 1 and again)


def _wait_until_none(waiting: Callable[[], str], seconds: float, what: str) -> None:
    """Until `waiting` names nobody. Raises TimeoutError with those that it names."""
    deadline = time.monotonic() + seconds
    while names := waiting():
        if time.monotonic() > deadline:
            msg = f"{what} after {seconds:g} s: {names}"
            raise TimeoutError(msg)
        time.sleep(LOOK_EVERY_S)
