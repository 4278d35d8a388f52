"""Bring a cluster up: in dependency order, each step when the one before it answers."""

import base64
import contextlib
import fcntl
import json
import subprocess
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from headrace_native import diagnose, ports, probe, render, topics
from headrace_native.component import Component
from headrace_native.errors import ClusterError, ComponentFailedError, UsageError
from headrace_native.layout import CACHE, KEEP, VENV_BIN, Layout, java, program
from headrace_native.supervise import (
    POLL_SECONDS,
    Supervisor,
    end,
    leftovers,
    start_supervisord,
)

# From start to ready. Measured on 2 idle cores: 1 to 4 s each; the rest is for a busy machine.
READY_SECONDS = 90.0
# A component that ended this often before it was ready will not become so.
MAX_STARTS = 3

Say = Callable[[str], None]


@contextlib.contextmanager
def exclusive(layout: Layout) -> Iterator[None]:
    """One up or down per instance at a time; the second waits."""
    layout.run.mkdir(parents=True, exist_ok=True)
    with (layout.run / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def check_installed() -> None:
    """Raise ClusterError when something that `make setup` brings is missing."""
    wanted = {
        "Kafka's jars": CACHE / "kafka" / "libs",
        "the gateway Collector": CACHE / "gateway" / "headrace-otelcol",
        "supervisord": VENV_BIN / "supervisord",
        "clickhouse-server": Path(program("clickhouse-server")),
        "haproxy": Path(program("haproxy")),
        "prometheus": Path(program("prometheus")),
        "java": Path(program("java")),
        "ZooKeeper": Path("/usr/share/java/zookeeper.jar"),
    }
    missing = [name for name, path in wanted.items() if not path.exists()]
    if missing:
        msg = f"not installed: {', '.join(missing)}. Run: make setup"
        raise ClusterError(msg)


def check_shape(layout: Layout) -> None:
    """Raise UsageError when the data on disk was made for other numbers of servers."""
    described = layout.dir / "cluster.json"
    if not described.exists() or not layout.data.exists():
        return
    before = json.loads(described.read_text())["shape"]
    changed = [
        f"{key} {before[key]} → {value}"
        for key, value in layout.spec.shape.items()
        if before.get(key) != value
    ]
    if changed:
        msg = (
            f"cluster {layout.spec.name!r} has data made for other numbers: {', '.join(changed)}. "
            "Keep them, delete the data (make cluster-down WIPE=1), or use another NAME="
        )
        raise UsageError(msg)


def up(layout: Layout, say: Say) -> None:
    """Start what does not run, in order, and return when everything is ready.

    Running it again on a running cluster only checks; components whose configuration changed are
    restarted. Raises ClusterError (or a subclass) with what failed and why.
    """
    check_installed()
    with exclusive(layout):
        check_shape(layout)
        Starter(layout, say).run()


class Starter:
    """The order of things. Kept apart so that each step is small."""

    def __init__(self, layout: Layout, say: Say) -> None:
        self._layout = layout
        self._say = say
        self._supervisor = Supervisor(layout.socket)
        self._began = time.monotonic()
        self._started: set[str] = set()

    def run(self) -> None:
        layout = self._layout
        self._prepare()
        zookeeper = self._of("zookeeper")
        brokers, servers, writers = self._of("kafka"), self._of("clickhouse"), self._of("writer")
        self._start([*zookeeper, *self._of("prometheus")])
        self._format_kafka()
        self._start(brokers)
        self._await(zookeeper)
        self._start(servers)
        self._await(brokers)
        topics.create(layout)
        self._start([*self._of("gateway"), *self._of("haproxy")])
        self._await(servers)
        self._migrate()
        self._keep()
        self._start([*writers, *self._of("exporter"), *self._of("retention")])
        self._await(layout.components.values())
        self._describe()

    def _of(self, kind: str) -> list[Component]:
        return [each for each in self._layout.components.values() if each.kind == kind]

    def _prepare(self) -> None:
        """Directories, configuration, free ports, supervisord."""
        layout = self._layout
        running = self._supervisor.answers()
        if running:
            self._check_offset()
        else:
            self._clear_leftovers()
        for folder in (layout.run, layout.logs, layout.data, layout.conf):
            folder.mkdir(parents=True, exist_ok=True)
        for name in layout.components:
            (layout.data / name).mkdir(exist_ok=True)
        states = self._supervisor.states() if running else {}
        idle = [
            each
            for each in layout.components.values()
            if each.name not in states or not states[each.name].pid
        ]
        ports.check(idle, layout.spec.offset)
        changed = render.write(render.render(layout))
        if not running:
            start_supervisord(layout)
            return
        self._supervisor.reload()
        for component in layout.components.values():
            if changed.intersection(component.files):
                self._say(f"{component.name}: configuration changed, restarting")
                self._supervisor.stop(component.name)

    def _check_offset(self) -> None:
        """A running cluster does not move: whoever uses it would find other ports."""
        described = self._layout.dir / "cluster.json"
        if not described.exists():
            return
        before, now = json.loads(described.read_text())["offset"], self._layout.spec.offset
        if before != now:
            name = self._layout.spec.name
            msg = (
                f"cluster {name!r} runs with port offset {before}, not {now}. "
                "Take it down first (make cluster-down), or start another one with NAME="
            )
            raise UsageError(msg)

    def _clear_leftovers(self) -> None:
        """Processes whose supervisord is gone would hold ports and data."""
        found = leftovers(self._layout)
        if found:
            self._say(f"ending {len(found)} processes that an earlier supervisord left behind")
            end(found, grace_seconds=20)
        self._layout.socket.unlink(missing_ok=True)

    def _start(self, components: Iterable[Component]) -> None:
        for component in components:
            if self._supervisor.start(component.name):
                self._started.add(component.name)

    def _await(self, components: Iterable[Component]) -> None:
        for component in components:
            try:
                seconds = wait_ready(self._layout, component)
            except ComponentFailedError:
                # It would go on trying; the next `up` shall meet it stopped and its ports checked.
                self._supervisor.stop(component.name)
                raise
            if component.name in self._started:
                self._started.discard(component.name)
                total = time.monotonic() - self._began
                self._say(f"{component.name:<20} ready   +{total:.1f} s")
            elif seconds > 1:
                self._say(f"{component.name:<20} ready again")

    def _format_kafka(self) -> None:
        """Give each broker's empty folder the cluster's identity (KRaft asks for that once)."""
        layout = self._layout
        blank = [
            each
            for each in self._of("kafka")
            if not (layout.data / each.name / "meta.properties").exists()
        ]
        identity = layout.data / "kafka-cluster-id"
        if not identity.exists():
            # Kafka's identities are 16 bytes in URL-safe base64 without padding.
            identity.write_text(_kafka_uuid())
        runs = []
        for component in blank:
            conf = layout.conf / f"{component.name}.properties"
            command = [
                *java(128, "-XX:TieredStopAtLevel=1"),
                "-cp", f"{CACHE}/kafka/libs/*", "kafka.tools.StorageTool",
                "format", f"--cluster-id={identity.read_text()}", f"--config={conf}",
                "--ignore-formatted",
            ]  # fmt: skip
            log = (layout.logs / f"{component.name}.log").open("ab")
            with log:
                runs.append(
                    (component, subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT))
                )
        for component, process in runs:
            if process.wait(60) != 0:
                log_path = layout.logs / f"{component.name}.log"
                raise ComponentFailedError(
                    diagnose.explain(component.name, "could not format its storage", log_path)
                )

    def _migrate(self) -> None:
        """Bring the tables to the newest version, before a writer looks at them."""
        layout = self._layout
        if not layout.spec.values["clickhouse"]["migrate"]:
            return
        self._run([str(VENV_BIN / "headrace"), "migrate", "apply"], layout.logs / "migrate.log")
        self._say(f"{'tables':<20} ready   +{time.monotonic() - self._began:.1f} s")

    def _keep(self) -> None:
        """Set how long rows are kept, where nobody has; drop the days that are over."""
        if not self._of("retention"):
            return
        log = self._layout.logs / "retention.log"
        for line in self._run(KEEP, log).splitlines():
            if line.startswith("left as they are"):
                self._say(line)

    def _run(self, command: Sequence[str], log: Path) -> str:
        """What a headrace command printed; its log has it, too. Raises ComponentFailedError."""
        done = subprocess.run(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            env={"PATH": "/usr/bin:/bin", **self._layout.writer_environment},
        )
        with log.open("a") as output:
            output.write(done.stdout)
        if done.returncode != 0:
            what = f"headrace {' '.join(command[1:])}"
            raise ComponentFailedError(
                diagnose.explain(what, f"ended with code {done.returncode}", log)
            )
        return done.stdout

    def _describe(self) -> None:
        """Write cluster.json, and headrace.toml for the headrace command; whole or not at all."""
        layout = self._layout
        settings = {
            name.removeprefix("HEADRACE_").lower(): value
            for name, value in layout.writer_environment.items()
        }
        # A JSON string is a TOML string.
        toml = "".join(f"{name} = {json.dumps(value)}\n" for name, value in settings.items())
        for path, text in (
            (layout.dir / "headrace.toml", toml),
            (layout.dir / "cluster.json", json.dumps(layout.as_json(), indent=2) + "\n"),
        ):
            fresh = path.with_suffix(".new")
            fresh.write_text(text)
            fresh.replace(path)


def wait_ready(layout: Layout, component: Component, seconds: float = READY_SECONDS) -> float:
    """Return the seconds it took until the component was ready.

    Raises ComponentFailedError with its last log lines when it keeps ending, or after `seconds`.
    """
    supervisor = Supervisor(layout.socket)
    log = layout.logs / f"{component.name}.log"
    began = time.monotonic()
    starts: set[float] = set()
    while True:
        state = supervisor.state(component.name)
        if state.start:
            starts.add(state.start)
        dead = state.state in {"FATAL", "EXITED", "STOPPED"}
        if dead or (state.state == "BACKOFF" and len(starts) >= MAX_STARTS):
            what = f"does not start (tried {max(1, len(starts))} times)"
            raise ComponentFailedError(diagnose.explain(component.name, what, log, state.error))
        missing = probe.why_not_ready(layout, component) if state.pid else state.state.lower()
        elapsed = time.monotonic() - began
        if not missing:
            return elapsed
        if elapsed > seconds:
            what = f"runs but is not ready after {elapsed:.0f} s ({missing})"
            raise ComponentFailedError(diagnose.explain(component.name, what, log))
        time.sleep(POLL_SECONDS)


def _kafka_uuid() -> str:
    return base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
