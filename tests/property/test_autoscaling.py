"""Whatever the metric does: replicas keep their bounds and never go faster than the policy."""

import math
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from headrace_writer.core.autoscaling.hpa import Autoscaler
from headrace_writer.core.autoscaling.scaled_object import (
    Fallback,
    Policy,
    Rules,
    ScaledObject,
    Trigger,
)

PERIODS = st.sampled_from([15.0, 60.0, 120.0])
POLICIES = st.builds(Policy, st.just("Pods"), st.integers(1, 6), PERIODS) | st.builds(
    Policy, st.just("Percent"), st.integers(1, 200), PERIODS
)
RULES = st.builds(
    Rules,
    st.sampled_from([0.0, 60.0, 600.0]),
    st.lists(POLICIES, min_size=1, max_size=3).map(tuple),
    st.sampled_from(["Max", "Min", "Disabled"]),
    st.sampled_from([0.0, 0.1, 0.5]),
)
TRIGGERS = st.builds(
    Trigger, st.just("required"), st.integers(1, 100), st.booleans(), st.booleans()
)
FALLBACKS = st.none() | st.builds(
    Fallback, st.integers(0, 3), st.integers(1, 40), st.sampled_from(["static", "currentReplicas"])
)
OBJECTS = st.builds(
    lambda trigger, least, more, up, down, fallback: ScaledObject(
        "w", trigger, least, least + more, up, down, fallback
    ),
    TRIGGERS, st.integers(1, 5), st.integers(0, 30), RULES, RULES, FALLBACKS,
)  # fmt: skip
VALUES = st.lists(st.none() | st.floats(0, 2_000), min_size=1, max_size=60)
SYNC_S = 15.0


def played(policy: ScaledObject, values: list[float | None]) -> list[int]:
    """Replicas before the first decision and after each."""
    autoscaler = Autoscaler(policy)
    found = [policy.minimum]
    for number, value in enumerate(values):
        found.append(autoscaler.decide(number * SYNC_S, found[-1], value))
    return found


@given(OBJECTS, VALUES)
def test_bounds_hold(policy: ScaledObject, values: list[float | None]) -> None:
    assert all(policy.minimum <= one <= policy.maximum for one in played(policy, values))


@given(OBJECTS, VALUES)
def test_no_step_ends_further_from_its_periods_start_than_the_most_generous_policy_allows(
    policy: ScaledObject, values: list[float | None]
) -> None:
    found = played(policy, values)
    for number, (before, after) in enumerate(pairwise(found)):
        if after > before:
            assert after <= max(
                furthest(one, found[period_start(one, number)], 1) for one in allowing(policy.up)
            )
        elif after < before:
            assert after >= min(
                furthest(one, found[period_start(one, number)], -1) for one in allowing(policy.down)
            )


def allowing(rules: Rules) -> tuple[Policy, ...]:
    assert rules.select != "Disabled", "no step is allowed this way"
    return rules.policies


def period_start(policy: Policy, number: int) -> int:
    """Of the period that ends with step `number`: which step is its first."""
    return max(0, number + 1 - int(policy.period_s / SYNC_S))


def furthest(policy: Policy, start: int, sign: int) -> int:
    """How far the policy lets replicas come from a period's `start`, rounded as the HPA's floats
    are: 25 and 12 % more are 29."""
    if policy.kind == "Pods":
        return start + sign * policy.value
    scaled = start * (1 + sign * policy.value / 100)
    return math.ceil(scaled) if sign > 0 else int(scaled)


@given(OBJECTS, st.floats(0, 1e6))
def test_a_metric_that_stands_still_brings_replicas_to_rest(
    policy: ScaledObject, value: float
) -> None:
    if not policy.trigger.average:
        return  # a Value is a ratio: a constant one above 1 goes on to the maximum
    found = played(policy, [value] * 400)
    assert len(set(found[-20:])) == 1
