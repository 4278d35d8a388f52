"""The HPA's and KEDA's algorithms, with answers worked out by hand from their documentation."""

from dataclasses import replace
from typing import Any

import pytest

from headrace_writer.core.autoscaling.hpa import Autoscaler, propose
from headrace_writer.core.autoscaling.scaled_object import (
    DOWN,
    UP,
    Fallback,
    Policy,
    Rules,
    ScaledObject,
    Trigger,
    parse,
)
from headrace_writer.errors import ConfigError

FREE = Rules(0, (Policy("Pods", 1_000, 15),))
PLAIN = ScaledObject("w", Trigger("required", 100), 1, 100, FREE, FREE)


def run(policy: ScaledObject, values: list[tuple[float, float | None]], replicas: int) -> list[int]:
    """Replicas after each (seconds, value)."""
    autoscaler, found = Autoscaler(policy), []
    for now, value in values:
        replicas = autoscaler.decide(now, replicas, value)
        found.append(replicas)
    return found


@pytest.mark.parametrize(
    ("value", "replicas", "expected"),
    [
        (1_000, 5, 10),  # ceil(1000 / 100)
        (1_001, 5, 11),
        (550, 5, 5),  # 550 / (100 × 5) = 1.1: within the tolerance
        (551, 5, 6),
        (450, 5, 5),  # 0.9
        (449, 5, 5),  # out of tolerance, yet ceil(4.49) = 5
        (400, 5, 4),
        (0, 5, 0),  # bounds come later
    ],
)
def test_an_average_value_is_divided_by_its_threshold(
    value: float, replicas: int, expected: int
) -> None:
    assert propose(PLAIN, value, replicas, replicas) == expected


@pytest.mark.parametrize(
    ("value", "ready", "expected"),
    [
        (200, 4, 8),  # the documentation's 200m over 100m: doubled
        (50, 4, 2),
        (109, 4, 4),
        (200, 2, 4),  # only the ready ones are multiplied
    ],
)
def test_a_value_multiplies_the_ready_replicas(value: float, ready: int, expected: int) -> None:
    policy = replace(PLAIN, trigger=Trigger("lag_seconds", 100, average=False))
    assert propose(policy, value, 4, ready) == expected


def test_tolerances_of_both_directions_differ() -> None:
    policy = replace(PLAIN, up=replace(FREE, tolerance=0.0), down=replace(FREE, tolerance=0.5))
    assert propose(policy, 501, 5, 5) == 6
    assert propose(policy, 250, 5, 5) == 5


def test_what_was_asked_for_before_keeps_replicas_and_adds_none() -> None:
    """The way down's window holds back a step down. It never is a reason to go up."""
    slow = Rules(0, (Policy("Pods", 1, 15),))
    policy = replace(PLAIN, up=slow, down=replace(FREE, stabilization_s=60))
    values = [(0.0, 1_000.0), (15.0, 100.0), (30.0, 100.0), (60.0, 100.0), (75.0, 100.0)]
    assert run(policy, list(values), 1) == [2, 2, 2, 1, 1]


def test_the_way_up_doubles_within_its_period() -> None:
    policy = replace(PLAIN, up=Rules(0, (Policy("Percent", 100, 60),)))
    values: list[tuple[float, float | None]] = [(15.0 * n, 10_000.0) for n in range(13)]
    # 0 s: 2 → 4. At 60 s that is no longer within the period.
    expected = [4, 4, 4, 4, 8, 8, 8, 8, 16, 16, 16, 16, 32]
    assert run(policy, values, 2) == expected


@pytest.mark.parametrize(("select", "expected"), [("Max", 8), ("Min", 6), ("Disabled", 4)])
def test_several_policies_are_selected_from(select: Any, expected: int) -> None:
    rules = Rules(0, (Policy("Percent", 100, 60), Policy("Pods", 2, 60)), select)
    assert run(replace(PLAIN, up=rules), [(0, 10_000)], 4) == [expected]


@pytest.mark.parametrize(
    ("select", "expected"),
    # The documentation's example: 80 pods, 10 % or 4 a minute; Max is the larger change, 8.
    [("Max", 72), ("Min", 76), ("Disabled", 80)],
)
def test_the_larger_or_the_smaller_step_down(select: Any, expected: int) -> None:
    rules = Rules(0, (Policy("Pods", 4, 60), Policy("Percent", 10, 60)), select)
    assert run(replace(PLAIN, down=rules), [(0, 100)], 80) == [expected]


def test_steps_of_the_other_way_count_in_a_policys_period() -> None:
    """As kube-controller-manager has it: the period began with 3, of which twice as many are 6."""
    doubling = Rules(0, (Policy("Percent", 100, 60),))
    policy = replace(PLAIN, up=doubling, down=Rules(0, (Policy("Pods", 1, 60),)))
    assert run(policy, [(0, 200), (15, 900)], 3) == [2, 6]
    assert run(policy, [(0, 200), (61, 900)], 3) == [2, 4]
    # 4 at the period's start, 8 by its steps up: one fewer than at the start is allowed.
    assert run(policy, [(0, 900), (15, 100), (76, 100)], 4) == [8, 3, 2]


def test_the_way_down_waits_for_the_highest_of_its_window() -> None:
    policy = replace(PLAIN, down=Rules(300, FREE.policies))
    values: list[tuple[float, float | None]] = [(0, 1_000), (15, 500), (299, 300), (300, 300)]
    # The proposal of 10 leaves the window after 300 s; of what is left, 5 is the highest.
    assert run(policy, values, 10) == [10, 10, 10, 5]


def test_the_way_up_waits_for_the_lowest_of_its_window() -> None:
    policy = replace(PLAIN, up=Rules(60, FREE.policies))
    values: list[tuple[float, float | None]] = [
        (0, 200),
        (15, 900),
        (45, 700),
        (60, 800),
    ]
    assert run(policy, values, 2) == [2, 2, 2, 7]


def test_bounds_hold_at_once_whatever_the_metric() -> None:
    policy = replace(PLAIN, minimum=2, maximum=4)
    assert run(policy, [(0, None)], 9) == [4]
    assert run(policy, [(0, None)], 1) == [2]
    assert run(policy, [(0, 0)], 3) == [2]
    assert run(policy, [(0, 10_000)], 3) == [4]


def test_a_missing_value_is_zero_only_where_the_trigger_says_so() -> None:
    strict = replace(PLAIN, trigger=Trigger("required", 100, null_is_zero=False))
    values: list[tuple[float, float | None]] = [(15.0 * n, None) for n in range(4)]
    assert run(strict, values, 5) == [5, 5, 5, 5]
    assert run(PLAIN, values, 5) == [1, 1, 1, 1]


@pytest.mark.parametrize(
    ("behavior", "replicas", "expected"),
    [
        ("static", 9, 6),
        ("static", 3, 6),
        ("currentReplicas", 9, 9),
        ("currentReplicasIfHigher", 9, 9),
        ("currentReplicasIfHigher", 3, 6),
        ("currentReplicasIfLower", 9, 6),
        ("currentReplicasIfLower", 3, 3),
    ],
)
def test_after_more_failures_than_the_threshold_the_fallback_holds(
    behavior: str, replicas: int, expected: int
) -> None:
    trigger = Trigger("required", 100, null_is_zero=False)
    policy = replace(PLAIN, trigger=trigger, fallback=Fallback(3, 6, behavior))
    values: list[tuple[float, float | None]] = [(15.0 * n, None) for n in range(4)]
    assert run(policy, values, replicas) == [replicas] * 3 + [expected]


def test_one_answer_ends_the_count_of_failures() -> None:
    trigger = Trigger("required", 100, null_is_zero=False)
    policy = replace(PLAIN, trigger=trigger, fallback=Fallback(1, 6))
    values: list[tuple[float, float | None]] = [(0, None), (15, 300), (30, None), (45, None)]
    assert run(policy, values, 3) == [3, 3, 3, 6]


def test_24_partitions_stall_at_22_replicas() -> None:
    # Kafka's lag capped at partitions × threshold: 24/22 is 1.09, within the tolerance (keda#4791).
    policy = replace(PLAIN, trigger=Trigger("messages", 10, capped=True), maximum=24)
    capped = 24 * 10.0
    assert run(policy, [(0, capped), (15, capped)], 22) == [22, 22]
    assert run(policy, [(0, capped)], 21) == [24]
    assert run(policy, [(0, 30 * 10.0)], 22) == [24]


SO: dict[str, Any] = {
    "apiVersion": "keda.sh/v1alpha1",
    "kind": "ScaledObject",
    "metadata": {"name": "w"},
    "spec": {
        "minReplicaCount": 2,
        "triggers": [
            {
                "type": "prometheus",
                "metadata": {
                    "query": 'headrace:writer_required_rows_per_second{signal="traces"}',
                    "threshold": "8000",
                },
            }
        ],
    },
}


def test_what_is_not_said_has_kubernetes_and_kedas_defaults() -> None:
    found = parse(SO)
    assert (found.minimum, found.maximum, found.polling_s) == (2, 100, 30)
    assert found.up == UP == Rules(0, (Policy("Percent", 100, 15), Policy("Pods", 4, 15)))
    assert found.down == DOWN == Rules(300, (Policy("Percent", 100, 15),))
    assert found.trigger == Trigger("required", 8_000, average=True, null_is_zero=True)
    assert found.fallback is None


def test_a_kafka_trigger_is_capped_unless_idle_consumers_are_allowed() -> None:
    trigger: dict[str, Any] = {"type": "kafka", "metadata": {"topic": "otlp_spans"}}
    document = {**SO, "spec": {"minReplicaCount": 1, "triggers": [trigger]}}
    assert parse(document).trigger == Trigger("messages", 10, capped=True)
    trigger["metadata"]["allowIdleConsumers"] = "true"
    assert not parse(document).trigger.capped


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"minReplicaCount": 0}, "1 ≤ minimum"),
        ({"triggers": []}, "0 entries"),
        ({"triggers": [{"type": "cron", "metadata": {}}]}, "'cron'"),
        ({"triggers": [{"type": "prometheus", "metadata": {"query": "up"}}]}, "query 'up'"),
        (
            {"triggers": [{**SO["spec"]["triggers"][0], "metricType": "Utilization"}]},
            "metricType 'Utilization'",
        ),
        ({"fallback": {"failureThreshold": 3, "replicas": 6, "behavior": "odd"}}, "'odd'"),
        ({"triggers": [{"type": "kafka"}]}, "metadata is missing"),
        ({"triggers": [{"type": "kafka", "metadata": {"lagThreshold": 0}}]}, "above zero"),
    ],
)
def test_what_is_not_understood_is_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        parse({**SO, "spec": {**SO["spec"], **change}})


def test_another_kind_is_refused() -> None:
    with pytest.raises(ConfigError, match="'Deployment'"):
        parse({"kind": "Deployment"})
