"""A cluster under load, one fault after another, and what must hold after each."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from chaos.busy import SPINS_AT
from chaos.fleet import SIGNALS, Fleet
from headrace_writer import config
from headrace_writer.commands.audit import run_audit
from headrace_writer.core.block import Signal
from headrace_writer.errors import HeadraceError
from support.cluster import Cluster, running

LOADGEN = Path(sys.executable).with_name("loadgen")
WARM_UP_S = 3.0
# The promise for metrics; a fault may break it for so long as its scenario says.
LAG_LIMIT_S = 10.0
# A replica catches up when its old session has ended, and what a broken fetch left is cleaned away.
PATIENCE_S = 90.0
GAPS = {"gap", "overlap", "deleted_unread"}


@dataclass(frozen=True, slots=True)
class Load:
    """Records per second, and for how long."""

    spans: int = 12_000
    points: int = 6_000
    logs: int = 2_000
    seconds: int = 15


@dataclass(frozen=True, slots=True)
class Scenario:
    """One fault. `recovers_within_s`: lag is below ten seconds again, from the fault's end."""

    name: str
    run: Callable[["Chaos"], None]
    recovers_within_s: float = 30.0
    load: Load = Load()
    about: str = ""
    brokers: int = 1
    fault_point: str = ""
    """Each writer dies once at this point of the protocol."""
    mutation: str = ""
    """A protection that writers lack: the scenario is then expected to fail."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """Environment variables of this scenario's writers."""


@dataclass
class Result:
    """What one scenario came to; `problems` is empty when every invariant held."""

    scenario: str
    seed: int
    acked: int = 0
    visible: int = 0
    lost: int = 0
    duplicated: int = 0
    resent_doubled: int = 0
    ledger_gaps: int = 0
    letters_missing: int = 0
    audit_findings: list[str] = field(default_factory=list)
    recovery_seconds: float = 0.0
    lag_max_seconds: float | None = None
    writer_deaths: int = 0
    writer_cores_max: float = 0.0
    """Of the busiest writer, over five seconds."""
    seconds: float = 0.0
    problems: list[str] = field(default_factory=list)
    report: str = ""
    """The load generator's page of it, where one was asked for."""

    @property
    def passed(self) -> bool:
        return not self.problems

    @property
    def broken(self) -> list[str]:
        """What of the promise does not hold. Being late is not in it."""
        counts = {
            "lost": self.lost,
            "doubled": self.duplicated,
            "gaps in the ledger": self.ledger_gaps,
            "dead letters missing": self.letters_missing,
        }
        return [f"{count:,} {what}" for what, count in counts.items() if count]


class Chaos:
    """What scenarios act on. Random choices come from `rng`, which the seed determines."""

    def __init__(self, cluster: Cluster, fleet: Fleet, work: Path) -> None:
        self.cluster = cluster
        self.fleet = fleet
        self.work = work
        self.rng = random.Random(0)
        self.fault_ended = 0.0
        """Epoch seconds; set by the scenario's last action, or by its end."""
        self.letters_missing = 0
        """Messages that must be dead letters and are not; set by the scenario."""
        self.pages: Path | None = None
        """The folder for a page per scenario, on which `mark`s are events."""
        self._marks = work / "marks"
        fleet.on_event = self.mark

    def mark(self, text: str) -> None:
        """Something happens now."""
        with self._marks.open("a") as file:
            file.write(f"{text}\n")

    def pause(self, seconds: float) -> None:
        """Let the load run on for about so long; the exact time depends on the seed."""
        time.sleep(seconds * self.rng.uniform(0.7, 1.3))

    def kill(self, component: str) -> None:
        """kill -9 a supervised component and wait until it is back."""
        self.mark(f"kill -9 {component}")
        killed = self.cluster.control.kill(component)
        self.cluster.control.wait_restarted(component, killed, 90)

    @contextmanager
    def frozen(self, component: str) -> Iterator[None]:
        """The component neither answers nor hangs up while this lasts."""
        self.mark(f"{component} freezes")
        with self.paused(component):
            yield
        self.mark(f"{component} goes on")

    @contextmanager
    def paused(self, component: str) -> Iterator[None]:
        """As `frozen`, for so short a time that it is no event."""
        pid = self.cluster.control.send(component, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    def kill_writer(self, name: Signal) -> None:
        """kill -9 the signal's oldest writer; the fleet starts it again."""
        writer = self.fleet.of(name)[0]
        self.mark(f"kill -9 writer {writer.name}")
        os.kill(writer.pid, signal.SIGKILL)

    def replica(self, shard: int, number: int) -> str:
        return f"clickhouse-{shard}-{number}"

    def play(self, scenario: Scenario, seed: int) -> Result:
        """Run a scenario under load and judge it."""
        begun = time.monotonic()
        self.rng = random.Random(f"{seed} {scenario.name}")
        result = Result(scenario.name, seed)
        self.fleet.fault_point, self.fleet.mutation = scenario.fault_point, scenario.mutation
        self.fleet.environment = dict(scenario.settings)
        self.letters_missing = 0
        if (
            scenario.fault_point
            or scenario.mutation
            or scenario.settings
            or any(len(self.fleet.of(name)) != 1 for name in SIGNALS)
        ):
            self.fleet.replace_all()
        self.fleet.wait_ready()
        deaths = sum(len(one.ends) for one in self.fleet.writers)
        since = datetime.now(UTC) - timedelta(seconds=1)
        load, report = self._start_load(scenario, result)
        self.fault_ended = 0.0
        self.fleet.busiest()
        try:
            time.sleep(WARM_UP_S)
            self.mark(f"fault: {scenario.name}")
            scenario.run(self)
            self.mark("fault over")
            self.fault_ended = self.fault_ended or time.time()
            self.fleet.wait_ready()
            load.wait(scenario.load.seconds + 200)
        except Exception as error:
            result.problems.append(f"{type(error).__name__}: {error}")
        finally:
            load.kill()
            load.wait()
            self.fleet.fault_point = self.fleet.mutation = ""
            self.fleet.environment = {}
        cores, busiest = self.fleet.busiest()
        result.writer_cores_max = round(cores, 2)
        if cores > SPINS_AT:
            result.problems.append(f"the writer {busiest} kept {cores:.2f} cores busy for seconds")
        result.letters_missing = self.letters_missing
        if self.letters_missing:
            result.problems.append(f"{self.letters_missing:,} messages are not dead letters")
        result.writer_deaths = sum(len(one.ends) for one in self.fleet.writers) - deaths
        self._read_report(report, scenario, result)
        try:
            self._audit(since, result)
        except HeadraceError as error:
            result.problems.append(f"the audit cannot be made: {error}")
        if scenario.fault_point:
            result.problems += self._survivors(scenario.fault_point)
        self.fleet.lives_with_fault = 1
        if scenario.mutation or scenario.settings:
            self.fleet.replace_all()
        result.seconds = round(time.monotonic() - begun, 1)
        return result

    def _survivors(self, fault_point: str) -> list[str]:
        lives = self.fleet.lives_with_fault
        died = {one.signal for one in self.fleet.writers if len(one.ends) >= lives}
        return [
            f"the writer of {name} did not die at {fault_point}"
            for name in SIGNALS
            if name not in died
        ]

    def _start_load(
        self, scenario: Scenario, result: Result
    ) -> tuple["subprocess.Popen[bytes]", Path]:
        report = self.work / "load.json"
        report.unlink(missing_ok=True)
        self._marks.write_text("")
        load = scenario.load
        flags: dict[str, object] = {
            "--cluster": self.cluster.layout.dir / "cluster.json",
            "--rate": load.spans,
            "--metrics-rate": load.points,
            "--logs-rate": load.logs,
            "--duration": load.seconds,
            "--request-records": 1_000,
            "--wait": 90,
            "--min-rate-ratio": 0,
            "--max-metric-lag-p99": 600,
            "--json": report,
        }
        if self.pages is not None:
            self.pages.mkdir(parents=True, exist_ok=True)
            name = re.sub(r"[^a-z0-9]+", "-", scenario.name.lower()).strip("-")
            result.report = str(self.pages / f"{name}.html")
            flags |= {"--report": result.report, "--marks": self._marks}
        words = [str(word) for pair in flags.items() for word in pair]
        with (self.work / "load.log").open("ab") as log:
            process = subprocess.Popen(
                [LOADGEN, *words, "--quiet"], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        return process, report

    def _read_report(self, report: Path, scenario: Scenario, result: Result) -> None:
        if not report.exists():
            result.problems.append(f"the load generator left no result: {self.work / 'load.log'}")
            return
        found: dict[str, Any] = json.loads(report.read_text())
        result.acked = found["spans_acked"] + found["points_acked"] + found["logs_acked"]
        result.visible = found["spans_visible"] + found["points_visible"] + found["logs_visible"]
        for name in ("lost", "duplicated", "resent_doubled"):
            setattr(result, name, found[name])
        result.lag_max_seconds = found["metric_lag_seconds"]["max"]
        late = [
            at + seconds
            for at, seconds in found["metric_lag_timeline"]
            if seconds >= LAG_LIMIT_S and at + seconds > self.fault_ended
        ]
        result.recovery_seconds = round(max((at - self.fault_ended for at in late), default=0.0), 1)
        if not result.acked:
            result.problems.append("nothing was acknowledged")
        if result.lost:
            result.problems.append(f"{result.lost:,} acknowledged records are not visible")
        if result.duplicated:
            result.problems.append(f"{result.duplicated:,} records are doubled")
        if result.recovery_seconds > scenario.recovers_within_s:
            result.problems.append(
                f"lag was below {LAG_LIMIT_S:g} s only {result.recovery_seconds} s after the "
                f"fault, {scenario.recovers_within_s:g} s are allowed"
            )

    def _audit(self, since: datetime, result: Result) -> None:
        settings = config.load({"config": str(self.cluster.layout.dir / "headrace.toml")})
        deadline = time.monotonic() + 30
        while True:
            findings = run_audit(settings, since, PATIENCE_S).findings
            # A replica that was just started again may not answer yet.
            silent = any(one.kind == "replica_silent" for one in findings)
            if not silent or time.monotonic() > deadline:
                break
            time.sleep(1)
        result.audit_findings = [str(one) for one in findings]
        result.ledger_gaps = sum(one.kind in GAPS for one in findings)
        if findings:
            result.problems.append(f"the audit has {len(findings)} findings: {findings[0]}")


@contextmanager
def chaos(name: str, offset: int, brokers: int = 1) -> Iterator[Chaos]:
    """A fresh cluster whose writers the harness runs; deleted at the end."""
    none = {f"WRITERS_{signal_.upper()}": 0 for signal_ in SIGNALS}
    with running(name, offset, BROKERS=brokers, **none) as cluster:
        first_port = cluster.layout.spec.port("writer", 0)
        with Fleet(cluster.layout, first_port) as fleet:
            for signal_ in SIGNALS:
                fleet.scale(signal_, 1)
            fleet.wait_ready()
            yield Chaos(cluster, fleet, cluster.layout.dir)


def as_json(results: list[Result], seed: int, seconds: float) -> dict[str, Any]:
    """The document of `.cache/chaos/latest.json`."""
    return {
        "passed": all(one.passed for one in results),
        "seed": seed,
        "seconds": round(seconds, 1),
        "scenarios": {one.scenario: asdict(one) for one in results},
    }
