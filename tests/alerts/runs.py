"""Faults on a real cluster, watched by a real Prometheus: which alerts fire, when, and end."""

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import yaml
from confluent_kafka import Producer

from support import otlp
from support.cluster import Cluster
from support.prometheus import Prometheus, prometheus

LOOK_EVERY_S = 0.5


@dataclass(frozen=True)
class Fault:
    """`must` fire, in whatever order; `may`: follow from the same fault when it lasts."""

    name: str
    begin: Callable[[Cluster], None]
    repair: Callable[[Cluster], object]
    must: frozenset[str]
    may: frozenset[str] = frozenset()


@dataclass
class Result:
    """Seconds from the fault to each alert's firing, and from the repair to its end."""

    fault: Fault
    fired: dict[str, float] = field(default_factory=dict)
    resolved: dict[str, float] = field(default_factory=dict)
    still: set[str] = field(default_factory=set)
    ignored: frozenset[str] = frozenset()

    @property
    def must(self) -> frozenset[str]:
        return self.fault.must - self.ignored

    @property
    def problems(self) -> list[str]:
        """Why the run is no success; empty when it is one."""
        missing = self.must - self.fired.keys()
        others = self.fired.keys() - self.fault.must - self.fault.may
        return [
            *(f"{name} did not fire" for name in sorted(missing)),
            *(f"{name} fired" for name in sorted(others)),
            *(f"{name} did not end" for name in sorted(self.still)),
        ]


def stopping(component: str, must: set[str], may: set[str], name: str) -> Fault:
    return Fault(
        name,
        lambda cluster: cluster.control.stop(component),
        lambda cluster: cluster.control.start(component),
        frozenset(must),
        frozenset(may),
    )


def poison(cluster: Cluster) -> None:
    """Messages that are no OTLP, written past the gateways."""
    producer = Producer({"bootstrap.servers": cluster.bootstrap, "acks": "all", "log_level": 0})
    for partition in range(3):
        producer.produce("otlp_logs", b"\x0a\xff\xff\x7f", partition=partition)
    assert producer.flush(20) == 0


def purge(cluster: Cluster) -> None:
    """Delete all dead letters, as the runbook says."""
    done = cluster.headrace("dlq", "purge", "--yes")
    assert done.returncode == 0, done.stderr


# Where the rules' times are shortened, the ten seconds of the promise are not: one late batch on a
# busy machine would be many slices.
UNSCALED = frozenset({"HeadraceMetricLagBudgetBurns"})
LATE = {"HeadraceMetricLagBudgetBurns", "HeadraceLagGrows"}
# A burn rate ends when its windows have passed, half an hour after a few bad minutes.
LINGERING = frozenset({"HeadraceMetricLagBudgetBurns"})
FAULTS = (
    stopping("clickhouse-2-2", {"HeadraceReplicaDown"}, set(), "a replica is killed"),
    stopping("gateway-1", {"HeadraceGatewayDown"}, set(), "a gateway stops"),
    stopping(
        "writer-metrics",
        {"HeadraceWriterDown", "HeadracePartitionWithoutOwner", *LATE},
        set(),
        "the writer of metrics stops",
    ),
    stopping(
        "kafka-1",
        {"HeadraceKafkaDown", "HeadraceGatewayRefuses"},
        # A batch that was on its way waits for its commit; the exporter's sources are all silent
        # but the servers; members that are silent for a session lose their partitions.
        {*LATE, "HeadracePartitionWithoutOwner"},
        "the broker stops",
    ),
    Fault(
        "messages that nobody can read",
        poison,
        purge,
        # The first ends by itself, before the second begins.
        frozenset({"HeadraceDeadLetters", "HeadraceDeadLettersWaiting"}),
    ),
)


@dataclass(frozen=True)
class Watch:
    """`ignored` alerts are not looked at."""

    prometheus: Prometheus
    ignored: frozenset[str] = frozenset()

    def firing(self) -> set[str]:
        return self.prometheus.firing() - self.ignored


@contextmanager
def trickle(cluster: Cluster) -> Iterator[None]:
    """A few records of each signal, five times a second; refusals are part of the fault."""
    ending = threading.Event()

    def send() -> None:
        while not ending.wait(0.2):
            marker = f"alerts-{uuid.uuid4().hex[:8]}"
            for request in (otlp.traces(marker, 5), otlp.metrics(marker), otlp.logs(marker)):
                with suppress(grpc.RpcError):
                    otlp.export(cluster.otlp_grpc, request, timeout=3)

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        ending.set()
        thread.join()


@contextmanager
def watched(cluster: Cluster, folder: Path, scale: float) -> Iterator[Watch]:
    """A Prometheus of its own beside the cluster's, with the cluster's configuration."""
    base = yaml.safe_load((cluster.layout.conf / "prometheus.yml").read_text())
    with prometheus(base, folder, scale) as running:
        yield Watch(running, UNSCALED if scale > 1 else frozenset())


def onset(cluster: Cluster, watch: Watch, fault: Fault, patience_s: float) -> Result:
    """Begin, repair when everything that must fire does, and leave it at that. What fires already
    is not counted."""
    known = Watch(watch.prometheus, watch.ignored | watch.firing())
    result = Result(fault, ignored=known.ignored)
    begun = time.monotonic()
    fault.begin(cluster)
    try:
        _until(known, lambda _: result.must <= result.fired.keys(), patience_s, result.fired, begun)
    finally:
        fault.repair(cluster)
    return result


def play(cluster: Cluster, watch: Watch, fault: Fault, patience_s: float) -> Result:
    """Begin when nothing fires, repair when everything that must has, and wait for the end. What
    lingers of an earlier fault is not looked at."""
    before = _until(watch, _quiet, patience_s, {})
    assert _quiet(before), f"before the fault: {before}"
    watch = Watch(watch.prometheus, watch.ignored | before)
    result = Result(fault, ignored=watch.ignored)
    begun = time.monotonic()
    fault.begin(cluster)
    try:
        _until(watch, lambda _: result.must <= result.fired.keys(), patience_s, result.fired, begun)
    finally:
        repaired = time.monotonic()
        fault.repair(cluster)
    seen: set[str] = set(result.fired)

    def note(firing: set[str]) -> bool:
        for name in firing - seen:
            result.fired[name] = time.monotonic() - begun
        for name in seen - firing - result.resolved.keys():
            result.resolved[name] = time.monotonic() - repaired
        seen.update(firing)
        return _quiet(firing)

    result.still = _until(watch, note, patience_s, {}) - LINGERING
    return result


def _quiet(firing: set[str]) -> bool:
    return not firing - LINGERING


def _until(
    watch: Watch,
    done: Callable[[set[str]], bool],
    patience_s: float,
    fired: dict[str, float],
    begun: float = 0.0,
) -> set[str]:
    """Look until `done` or out of patience; note when each alert was first seen. Returns what
    fires at the end."""
    end = time.monotonic() + patience_s
    while True:
        firing = watch.firing()
        for name in firing:
            fired.setdefault(name, time.monotonic() - begun)
        if done(firing) or time.monotonic() > end:
            return firing
        time.sleep(LOOK_EVERY_S)


def table(results: list[Result]) -> str:
    """Markdown: what an on-call engineer sees, in order."""
    lines = ["| fault | alert | after the fault | ended after the repair |", "|---|---|---|---|"]
    for result in results:
        for name, seconds in sorted(result.fired.items(), key=lambda item: item[1]):
            end = result.resolved.get(name)
            waited = "still firing" if name in result.still else "not awaited"
            ended = waited if end is None else f"{end:.0f} s"
            lines.append(f"| {result.fault.name} | {name} | {seconds:.0f} s | {ended} |")
    return "\n".join(lines)
