"""Pods as processes: a pod has one writer as long as anything of it runs, and no two share one."""

from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import pytest

from headrace_writer.core.autoscaling.defaults import policy_of
from headrace_writer.core.autoscaling.scaled_object import Policy, Rules
from support import native_pods
from support.native_pods import NativeWriters
from support.scaling_record import Record, Seen, quantity, replayed, rises_then_falls


@dataclass
class SlowSupervisor:
    """Processes that start at once, and drain until they are let go."""

    running: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)

    def states(self) -> dict[str, SimpleNamespace]:
        return {name: self.state(name) for name in ("w-1", "w-2")}

    def state(self, name: str) -> SimpleNamespace:
        return SimpleNamespace(pid=int(name in self.running))

    def start(self, name: str) -> None:
        self.running.add(name)

    def stop(self, name: str, wait: bool = True) -> None:
        self.asked.append(name)
        if wait:
            self.running.discard(name)


@pytest.fixture
def supervisor(monkeypatch: pytest.MonkeyPatch) -> SlowSupervisor:
    found = SlowSupervisor({"w-1", "w-2"})
    monkeypatch.setattr(native_pods, "Supervisor", lambda _socket: found)
    monkeypatch.setattr(native_pods, "why_not_ready", lambda _layout, name: "" if name else "?")
    return found


@pytest.fixture
def writers(supervisor: SlowSupervisor) -> NativeWriters:
    described = [SimpleNamespace(name=f"w-{number}", signal="traces") for number in (1, 2)]
    described.append(SimpleNamespace(name="other", signal="logs"))
    layout = SimpleNamespace(socket=None, writers=described, components={"w-1": "1", "w-2": "2"})
    cluster: Any = SimpleNamespace(layout=layout)
    return NativeWriters(cluster, "traces")


def pod(uid: str, component: str = "writer-traces") -> dict[str, Any]:
    return {"metadata": {"uid": uid, "labels": {"app.kubernetes.io/component": component}}}


def test_nothing_runs_before_there_are_pods(
    writers: NativeWriters, supervisor: SlowSupervisor
) -> None:
    assert writers.running() == 0
    assert supervisor.asked == ["w-1", "w-2"]


def test_a_pod_waits_until_the_process_of_another_has_ended(
    writers: NativeWriters, supervisor: SlowSupervisor
) -> None:
    assert all([writers.ready(pod("a")), writers.ready(pod("b")), writers.ready(pod("a"))])
    assert writers.running() == 2
    assert not writers.ready(pod("c"))
    supervisor.asked.clear()
    assert not writers.ended(pod("a"))
    assert not writers.ended(pod("a"))
    assert supervisor.asked == ["w-1"]  # once: a second SIGTERM would be another order
    assert not writers.ready(pod("c"))
    supervisor.running.discard("w-1")
    assert writers.ended(pod("a"))
    assert writers.ready(pod("c"))
    assert supervisor.running == {"w-1", "w-2"}


def test_other_pods_are_on_paper(writers: NativeWriters) -> None:
    gateway = pod("g", "gateway")
    assert writers.ready(gateway)
    assert writers.ended(gateway)
    assert writers.running() == 0


def test_a_step_down_that_is_taken_back_is_found() -> None:
    assert rises_then_falls([2, 4, 5, 3, 2])
    assert rises_then_falls([2])
    assert not rises_then_falls([2, 4, 3, 5, 2])
    assert not rises_then_falls([2, 4, 2, 3, 2])


def test_changes_begin_with_the_first() -> None:
    kube: Any = None
    record = Record(kube, "n", "d", lambda: 0)
    record.seen = [Seen(at, count, 0, 0, 0, "") for at, count in ((7.0, 2), (9.0, 2), (12.5, 4))]
    assert record.changes(10.0) == [(-3.0, 2), (2.5, 4)]


def test_quantities_of_metrics() -> None:
    assert [quantity(text) for text in ("12", "2500m", "3k")] == [12.0, 2.5, 3_000.0]


def test_the_simulator_replays_what_the_autoscaler_saw() -> None:
    policy = policy_of("traces")
    much, little = (f"{round(share * policy.trigger.threshold)}" for share in (1.9, 0.5))
    metrics = [little] * 20 + [much] * 20
    seen = [Seen(float(at), 2, 2, 2, 2, metric) for at, metric in enumerate(metrics)]
    # 2 × 1.9 asks for four, which doubling allows at once.
    assert replayed(seen, policy) == [2] * 20 + [4] * 20


def test_a_value_is_not_taken_again_for_the_replicas_that_it_led_to() -> None:
    """A period after a step up the old value per replica still stands there for a second."""
    policy = replace(policy_of("traces"), up=Rules(0, (Policy("Pods", 100, 15),)))
    much, less = (f"{round(share * policy.trigger.threshold)}" for share in (1.9, 0.95))
    seen = [Seen(0.0, 2, 2, 2, 2, much)]
    seen += [Seen(float(at), 4, 4, 4, 4, much if at < 16 else less) for at in range(1, 90)]
    assert set(replayed(seen, policy)[1:]) == {4}
