"""The live run's own judgement, and the local autoscaler against a supervisor that only notes."""

from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import pytest

from bench import autoscaler
from bench.autoscale import (
    FACTOR,
    UP_FACTOR,
    Live,
    at_second,
    changes,
    compare,
    judge,
    policy,
    same_load,
)
from bench.autoscaler import Decision, LocalAutoscaler
from headrace_writer.core.autoscaling.defaults import policy_of
from headrace_writer.core.autoscaling.scaled_object import Policy, Rules


def result(**changed: Any) -> dict[str, Any]:
    """What is read of a load generator's JSON."""
    return {
        "lost": 0,
        "duplicated": 0,
        "failures": [],
        "metric_lag_seconds": {"max": 4.0},
        "metric_lag_timeline": [[1_000.0, 2.0], [1_345.0, 4.0]],
    } | changed


PEAK = result(metric_lag_timeline=[[1_050.0, 2.0], [1_160.0, 4.0]])
REAL = [1] * 60 + [2] * 10 + [5] * 200 + [3] * 20 + [1] * 55
AGREED = compare(REAL, REAL)


def failed(live: Live, real: list[int] = REAL, agreement: dict[str, Any] = AGREED) -> list[str]:
    return [one.name for one in judge(live, real, agreement) if not one.held]


def test_a_good_run_holds_everything() -> None:
    assert failed(Live([], result(), PEAK, 0)) == []


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({"lost": 1}, "nothing lost or doubled"),
        ({"duplicated": 1}, "nothing lost or doubled"),
        ({"metric_lag_seconds": {"max": 10.0}}, "metric lag below 10 s"),
        ({"failures": ["spans: reached 9/s"]}, "load as asked"),
    ],
)
def test_each_promise_can_fail(changed: dict[str, Any], name: str) -> None:
    assert failed(Live([], result(), PEAK | changed, 0)) == [name]


def test_the_audit_and_the_shape_can_fail() -> None:
    assert failed(Live([], result(), PEAK, 1)) == ["headrace audit"]
    assert failed(Live([], result(), PEAK, 0), REAL[:-60]) == ["1 → n → 1 replicas"]
    assert failed(Live([], result(), PEAK, 0), [1] * 300) == ["1 → n → 1 replicas"]
    sawing = [*REAL[:-60], 3, 4, *REAL[-55:]]
    assert failed(Live([], result(), PEAK, 0), sawing) == ["no flapping"]


def test_a_simulator_that_is_late_or_elsewhere_fails() -> None:
    late = [1] * 25 + REAL[:-25]
    assert failed(Live([], result(), PEAK, 0), REAL, compare(REAL, late)) == ["as simulated"]
    higher = [count + 1 for count in REAL]
    assert compare(REAL, higher)["mean_replicas_off"] == 1.0
    assert compare(REAL, higher)["first_up_s"] == {"live": 60, "simulated": 60}


def test_one_writer_more_at_the_jump_is_within_the_error_and_two_are_not() -> None:
    for more, names in ((1, []), (2, ["as simulated"])):
        real = [count + more if 70 <= at < 80 else count for at, count in enumerate(REAL)]
        agreement = compare(real, REAL)
        assert agreement["last_down_s"] == {"live": 290, "simulated": 290}
        assert failed(Live([], result(), PEAK, 0), REAL, agreement) == names


def test_the_load_is_what_the_canaries_saw() -> None:
    load = same_load(Live([], result(), PEAK, 0), 10, 100)
    assert load.points == ((0, 10), (50, 10), (50, 100), (160, 100), (160, 10), (345, 10))


def test_decisions_become_seconds_and_changes() -> None:
    decisions = [Decision(at, 0.0, count, count) for at, count in ((7.0, 1), (11.5, 2), (13.0, 4))]
    assert at_second(decisions, 10.0, 5) == [1, 1, 2, 4, 4]
    assert changes([1, 1, 2, 4, 4]) == [[0, 1], [2, 2], [3, 4]]


def test_the_policy_is_the_charts_on_a_short_day() -> None:
    live, chart = policy(100_000), policy_of("traces")
    assert live.down.stabilization_s * FACTOR == chart.down.stabilization_s
    assert [one.period_s * UP_FACTOR for one in live.up.policies] == [60]
    assert live.trigger == replace(chart.trigger, threshold=22_222)


@dataclass
class NotingSupervisor:
    """Processes that start and stop at once, except those in `draining`."""

    running: set[str] = field(default_factory=set)
    draining: set[str] = field(default_factory=set)

    def states(self) -> dict[str, SimpleNamespace]:
        names = [f"w-{number}" for number in range(1, 5)]
        return {
            name: SimpleNamespace(pid=int(name in self.running | self.draining)) for name in names
        }

    def start(self, name: str) -> None:
        self.running.add(name)

    def stop(self, name: str, wait: bool = True) -> None:
        self.running.discard(name)


def test_the_last_to_come_goes_first_and_nobody_starts_while_it_drains(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    supervisor = NotingSupervisor({f"w-{number}" for number in range(1, 5)})
    monkeypatch.setattr(autoscaler, "Supervisor", lambda _socket: supervisor)
    wanted = iter([100_000.0, 40_000.0, 1_000.0, None, 40_000.0])
    monkeypatch.setattr(autoscaler, "ask", lambda *_: next(wanted))
    writers = [SimpleNamespace(name=f"w-{number}", signal="traces") for number in range(1, 5)]
    writers.append(SimpleNamespace(name="other", signal="logs"))
    layout = SimpleNamespace(socket=None, writers=writers)
    cluster: Any = SimpleNamespace(layout=layout, json={"prometheus": ""})
    at_once = Rules(0, (Policy("Pods", 100, 1e-9),))
    quick = replace(policy(100_000), maximum=4, up=at_once, down=at_once)
    local = LocalAutoscaler(cluster, "traces", quick, 1e-3)
    local._resize(1)
    assert supervisor.running == {"w-1"}
    local._turn()
    assert supervisor.running == {"w-1", "w-2", "w-3", "w-4"}
    local._turn()
    assert supervisor.running == {"w-1", "w-2"}
    local._turn()
    assert supervisor.running == {"w-1"}
    local._turn()
    assert local.decisions[-1] == replace(local.decisions[-1], required=None, replicas=1, joined=1)
    supervisor.draining.add("w-2")
    local._turn()
    assert supervisor.running == {"w-1", "w-3"}
