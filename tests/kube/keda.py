"""KEDA scales the chart's writers on what the native cluster's Prometheus and Kafka really say.

`make kube-e2e-keda`; not part of `make test`: KEDA and the control plane have to be compiled first,
and it takes twenty minutes. A Deployment's pods are writer processes of the native cluster
(support/native_pods.py), so what KEDA decides changes what it measures. All else is as in e2e.py.
What was seen is left in .cache/keda/.
"""

import json
import os
import time
import urllib.parse
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from statistics import mean
from typing import Any

import pytest

from bench.autoscaler import ask
from bench.slo import Load, finished, start
from headrace_native.layout import CACHE
from headrace_writer.core.autoscaling.scaled_object import ScaledObject, parse
from support.chart import CHART, NAMESPACE, tools
from support.cluster import Cluster, running
from support.control_plane import Kube, Nodes, control_plane
from support.keda import EXTERNAL, autoscaler, keda
from support.native_pods import NativeWriters, scraped_as
from support.scaling_record import Record, quantity, replayed, rises_then_falls

pytestmark = pytest.mark.timeout(1_500)
WRITERS = 6  # and partitions: the most that the chart asks for
MINIMUM = 2
PEAK = int(os.environ.get("KEDA_PEAK", "30000"))
BASE = PEAK // 3
"""Spans per second. Two cores carry the cluster, the control plane and KEDA."""
PLANNED = round(PEAK / 4.5)
"""Rows/s per writer: 1.5 writers before, 4.5 at the peak, so that noise decides nothing."""
RECORDS = PEAK // 30  # in a request
BEFORE_S, PEAK_S = 60, 120
"""A period of the way up before the step, so that no earlier step counts in it."""
STABILIZATION_S, PER_WRITER_S = 60, 20
AFTER_S = 60 + STABILIZATION_S + 4 * PER_WRITER_S
"""Until the rate of a minute has fallen, the window, each writer less, the HPA's own 15 s."""
RISES_WITHIN_S = 60
"""The rate of a minute is above 2.2 writers 14 s after the step; then scrape, rule and HPA."""
FALLBACK = 4
MEAN_ERROR = 0.25
"""Replicas by which the simulator may be off, given the HPA's own numbers: a step of 15 s."""
NAME = "headrace-writer-traces"


@dataclass(frozen=True)
class World:
    """A native cluster, a control plane with KEDA beside it, and who makes pods of the one real."""

    cluster: Cluster
    kube: Kube
    writers: NativeWriters

    def install(self, trigger: str) -> None:
        """The chart, on this trigger; waits until its two writers are ready."""
        done = self.kube.run("helm", "upgrade", "--install", "headrace", CHART, "--namespace",
                             NAMESPACE, "--values", "-", "--wait", "--timeout", "5m",
                             given=json.dumps(values(self.cluster, trigger)))  # fmt: skip
        assert done.returncode == 0, done.stderr[-3000:]
        until(lambda: trigger in self.metric(), f"no HPA that asks for {trigger}", 60)
        until(lambda: self.replicas() == self.writers.running() == MINIMUM, "not two writers", 60)

    def metric(self) -> str:
        """The name of the external metric that the HPA asks for; empty while there is no HPA."""
        metrics = autoscaler(self.kube, NAMESPACE, NAME).get("spec", {}).get("metrics", [])
        return "".join(each["external"]["metric"]["name"] for each in metrics)

    def value(self) -> float | None:
        """The metric as the API server hands it out, which gets it from KEDA."""
        selector = urllib.parse.quote(f"scaledobject.keda.sh/name={NAME}")
        path = f"{EXTERNAL}/namespaces/{NAMESPACE}/{self.metric()}?labelSelector={selector}"
        found = self.kube.call("GET", path)
        return quantity(found["items"][0]["value"]) if found else None

    def replicas(self) -> int:
        path = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/{NAME}"
        return int(self.kube.call("GET", path)["spec"]["replicas"])

    def scaled_object(self) -> dict[str, Any]:
        path = f"/apis/keda.sh/v1alpha1/namespaces/{NAMESPACE}/scaledobjects/{NAME}"
        found: dict[str, Any] = self.kube.call("GET", path)
        return found

    def policy(self) -> ScaledObject:
        """The ScaledObject as the simulator reads it."""
        return parse(self.scaled_object())

    def condition(self, kind: str) -> str:
        """Status of a condition of the ScaledObject."""
        found = self.scaled_object()["status"].get("conditions", [])
        return next((one["status"] for one in found if one["type"] == kind), "")


def until(holds: Callable[[], bool], otherwise: str, seconds: float) -> float:
    """Seconds that it took."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() < began + seconds, otherwise
        time.sleep(0.5)
    return time.monotonic() - began


def values(cluster: Cluster, trigger: str) -> dict[str, Any]:
    """Spans only; the windows of a quarter of an hour in minutes."""
    off = {"enabled": False}
    return {
        "kafka": {
            "bootstrapServers": cluster.bootstrap,
            "partitions": dict.fromkeys(("traces", "metrics", "logs"), WRITERS),
        },
        "writer": {
            # 0.7 of half a core's rate is what is planned.
            "traces": {"measuredRowsPerSecondPerCore": round(PLANNED / 0.7 / 0.5)},
            "metrics": off,
            "logs": off,
        },
        "autoscaling": {
            "enabled": True, "trigger": trigger, "minReplicas": MINIMUM,
            "prometheus": {"serverAddress": cluster.json["prometheus"]},
            "kafka": {"rowsPerMessage": {"traces": RECORDS}},
            "fallback": {"replicas": FALLBACK},
            "scaleDown": {
                "stabilizationSeconds": STABILIZATION_S, "secondsPerWriter": PER_WRITER_S,
            },
        },
    }  # fmt: skip


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    tools()
    folder = tmp_path_factory.mktemp("keda")
    size = {"WRITERS_TRACES": WRITERS, "PARTITIONS": WRITERS, "SHARDS": 1}
    with running("keda", 16_000, **size) as cluster, control_plane(folder) as kube:
        scraped_as(cluster, NAMESPACE)
        writers = NativeWriters(cluster, "traces")
        kube.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
        with keda(kube, folder), Nodes(kube, writers):
            yield World(cluster, kube, writers)


def load_step(world: World, trigger: str) -> tuple[Record, float, list[dict[str, Any]]]:
    """BASE → PEAK → BASE; what was seen, when the step was, and what each load generator found."""
    flags = ("--request-records", f"{RECORDS}")
    with Record(world.kube, NAMESPACE, NAME, world.writers.running) as record:
        base = start(world.cluster, Load(BASE, 0, BEFORE_S + PEAK_S + AFTER_S, flags))
        time.sleep(BEFORE_S)
        compared(world, trigger)
        step = time.time()
        peak = start(world.cluster, Load(PEAK - BASE, 0, PEAK_S, flags), "peak")
        results = [finished(*peak), finished(*base)]
    return record, step, results


def compared(world: World, trigger: str) -> None:
    """KEDA's number is the real one. Lag moves too quickly to be compared."""
    value = world.value()
    assert value is not None
    if trigger == "prometheus":
        query = 'headrace:writer_required_rows_per_second{signal="traces"}'
        real = ask(world.cluster.json["prometheus"], query)
        assert value == pytest.approx(real, rel=0.2)


def keep(name: str, found: dict[str, Any]) -> None:
    folder = CACHE / "keda"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(found, indent=1) + "\n")


def judged(world: World, trigger: str) -> None:
    """One load step, and everything that has to hold of it."""
    world.install(trigger)
    record, step, results = load_step(world, trigger)
    changes = record.changes(step)
    foretold = replayed(record.seen, world.policy())
    off = mean(abs(one.replicas - other) for one, other in zip(record.seen, foretold, strict=True))
    left = ("spans_acked", "lost", "duplicated", "achieved_rates")
    keep(trigger, {
        "seconds_after_the_step_and_replicas": changes,
        "load": [{name: one[name] for name in left} for one in results],
        "simulated": foretold,
        "mean_replicas_off": round(off, 3),
        "seen": [asdict(one) for one in record.seen],
    })  # fmt: skip
    assert not any(one["lost"] or one["duplicated"] for one in results)
    replicas = [count for _, count in changes]
    assert replicas[0] == replicas[-1] == MINIMUM
    assert max(replicas) >= 4
    assert rises_then_falls(replicas), replicas
    assert 0 < changes[1][0] < RISES_WITHIN_S
    assert off < MEAN_ERROR
    # At its widest, every pod was ready, and a process of its own.
    assert any(one.ready == one.running == max(replicas) for one in record.seen)
    until(lambda: world.writers.running() == MINIMUM, "a writer did not end", 60)
    audit = world.cluster.headrace("audit", "--since", "15m")
    assert audit.returncode == 0, audit.stdout


def test_required_rows_from_prometheus(world: World) -> None:
    judged(world, "prometheus")


def test_without_prometheus_the_fallback_holds(world: World) -> None:
    assert world.replicas() == MINIMUM
    world.cluster.control.stop("prometheus")
    took = until(lambda: world.replicas() == FALLBACK, "no fallback", 180)
    assert world.condition("Fallback") == "True"
    world.cluster.control.start("prometheus")
    back = until(lambda: world.replicas() == MINIMUM, "still at the fallback", 300)
    keep("fallback", {"replicas": FALLBACK, "after_s": round(took), "ended_after_s": round(back)})
    assert world.condition("Fallback") == "False"


def test_lag_from_kafka(world: World) -> None:
    judged(world, "kafka")
