"""Whatever the metric does: replicas keep their bounds and never go faster than the policy."""

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

POLICIES = st.builds(
    Policy,
    st.sampled_from(["Pods", "Percent"]),
    st.integers(1, 200),
    st.sampled_from([15.0, 60.0, 120.0]),
)
RULES = st.builds(
    Rules,
    st.sampled_from([0.0, 60.0, 600.0]),
    st.lists(POLICIES, min_size=1, max_size=3).map(tuple),
    st.sampled_from(["Max", "Min", "Disabled"]),
    st.sampled_from([0.0, 0.1, 0.5]),
)
TRIGGERS = st.builds(
    Trigger, st.just("required"), st.integers(1, 1_000), st.booleans(), st.booleans()
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
VALUES = st.lists(st.none() | st.floats(0, 1e6), min_size=1, max_size=60)
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
def test_no_period_sees_more_than_the_most_generous_policy_allows(
    policy: ScaledObject, values: list[float | None]
) -> None:
    found = played(policy, values)
    steps = [after - before for before, after in pairwise(found)]
    for rules, sign in ((policy.up, 1), (policy.down, -1)):
        if rules.select == "Disabled":
            assert not any(step * sign > 0 for step in steps)
            continue
        for number, step in enumerate(steps):
            if step * sign <= 0:
                continue
            assert any(
                moved(steps, number, one, sign) <= allowed(one, found, steps, number, sign)
                for one in rules.policies
            )


def moved(steps: list[int], number: int, policy: Policy, sign: int) -> int:
    """Replicas added (or removed) within the policy's period, this step included."""
    looks = int(policy.period_s / SYNC_S)
    return sum(max(0, one * sign) for one in steps[max(0, number - looks + 1) : number + 1])


def allowed(policy: Policy, found: list[int], steps: list[int], number: int, sign: int) -> int:
    """What the policy allows from where the period began, a replica of rounding included."""
    if policy.kind == "Pods":
        return policy.value
    before = moved(steps, number, policy, sign) - max(0, steps[number] * sign)
    return int((found[number] - sign * before) * policy.value / 100) + 1


@given(OBJECTS, st.floats(0, 1e6))
def test_a_metric_that_stands_still_brings_replicas_to_rest(
    policy: ScaledObject, value: float
) -> None:
    if not policy.trigger.average:
        return  # a Value is a ratio: a constant one above 1 goes on to the maximum
    found = played(policy, [value] * 400)
    assert len(set(found[-20:])) == 1
