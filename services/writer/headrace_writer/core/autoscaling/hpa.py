"""How KEDA and the Horizontal Pod Autoscaler come from a metric to a number of replicas.

After their documentation and sources: KEDA turns missing values into a fallback; the HPA proposes
(ratio, tolerance), stabilizes (windows) and limits (policies).
"""

import math
import sys
from dataclasses import dataclass, field

from headrace_writer.core.autoscaling.scaled_object import Fallback, Policy, Rules, ScaledObject

SYNC_S = 15.0
"""--horizontal-pod-autoscaler-sync-period."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something at a time: a recommended number, or replicas added or removed."""

    at: float
    replicas: int


@dataclass(slots=True)
class Autoscaler:
    """Decides every sync period. Its memory is all that KEDA and the HPA remember."""

    policy: ScaledObject
    recommendations: list[Event] = field(default_factory=list)
    ups: list[Event] = field(default_factory=list)
    downs: list[Event] = field(default_factory=list)
    failures: int = 0

    def decide(self, now: float, replicas: int, value: float | None, ready: int = 0) -> int:
        """Replicas from now on.

        `now`: monotonic seconds. `value`: what the trigger's source says, None where it has no
        answer. `ready`: pods that are, for a trigger of type Value (0: all of them).
        """
        policy = self.policy
        if not self.recommendations:
            # A controller that starts takes what it finds for what was wanted until now.
            self.recommendations.append(Event(now, replicas))
        if not policy.minimum <= replicas <= policy.maximum:
            wanted = min(max(replicas, policy.minimum), policy.maximum)
        else:
            metric = self._metric(value, replicas)
            if metric is None:
                return replicas
            proposal = propose(policy, metric, replicas, ready or replicas)
            wanted = self._limited(now, replicas, self._stabilized(now, replicas, proposal))
        if wanted > replicas:
            self.ups = _since(self.ups, now - _longest(policy))
            self.ups.append(Event(now, wanted - replicas))
        elif wanted < replicas:
            self.downs = _since(self.downs, now - _longest(policy))
            self.downs.append(Event(now, replicas - wanted))
        return wanted

    def _metric(self, value: float | None, replicas: int) -> float | None:
        """What KEDA hands on; None: an error, upon which the HPA does nothing."""
        trigger, fallback = self.policy.trigger, self.policy.fallback
        if value is None and trigger.null_is_zero:
            value = 0.0
        if value is not None:
            self.failures = 0
            return value
        self.failures += 1
        if fallback is None or not trigger.average or self.failures <= fallback.failures:
            return None
        return trigger.threshold * _fallback_replicas(fallback, replicas)

    def _stabilized(self, now: float, replicas: int, proposal: int) -> int:
        """As it is, but no lower than the lowest proposal of the way up's window, and no higher
        than the highest of the way down's."""
        up, down = self.policy.up.stabilization_s, self.policy.down.stabilization_s
        least = most = proposal
        for one in self.recommendations:
            if one.at > now - up:
                least = min(least, one.replicas)
            if one.at > now - down:
                most = max(most, one.replicas)
        keep = now - max(up, down)
        self.recommendations = [one for one in self.recommendations if one.at >= keep]
        self.recommendations.append(Event(now, proposal))
        return min(max(replicas, least), most)

    def _limited(self, now: float, replicas: int, wanted: int) -> int:
        """No further than the policies allow within their periods, and within the bounds."""
        policy = self.policy
        if wanted > replicas:
            limit = max(replicas, _highest(policy.up, self._before(policy.up, now, replicas)))
            return min(wanted, limit, policy.maximum)
        if wanted < replicas:
            limit = min(replicas, _lowest(policy.down, self._before(policy.down, now, replicas)))
            return max(wanted, limit, policy.minimum)
        return wanted

    def _before(self, rules: Rules, now: float, replicas: int) -> list[tuple[Policy, int]]:
        """Each policy with the replicas at its period's start: either way's changes count."""
        return [
            (policy, replicas - _changed(policy, self.ups, now) + _changed(policy, self.downs, now))
            for policy in rules.policies
        ]


def propose(policy: ScaledObject, value: float, replicas: int, ready: int) -> int:
    """What the metric asks for, before windows, policies and bounds."""
    trigger = policy.trigger
    # The HPA counts in thousandths; what is smaller is noise of the division.
    value, threshold = round(value * 1000), round(trigger.threshold * 1000)
    ratio = value / (threshold * replicas) if trigger.average else value / threshold
    if 1 - policy.down.tolerance <= ratio <= 1 + policy.up.tolerance:
        return replicas
    return math.ceil(value / threshold) if trigger.average else math.ceil(ratio * ready)


def _fallback_replicas(fallback: Fallback, replicas: int) -> int:
    return {
        "static": fallback.replicas,
        "currentReplicas": replicas,
        "currentReplicasIfHigher": max(replicas, fallback.replicas),
        "currentReplicasIfLower": min(replicas, fallback.replicas),
    }[fallback.behavior]


def _highest(rules: Rules, starts: list[tuple[Policy, int]]) -> int:
    """Replicas that the way up allows now."""
    if rules.select == "Disabled":
        return 0
    allowed = [
        start + policy.value
        if policy.kind == "Pods"
        else math.ceil(start * (1 + policy.value / 100))
        for policy, start in starts
    ]
    return min(allowed) if rules.select == "Min" else max(allowed)


def _lowest(rules: Rules, starts: list[tuple[Policy, int]]) -> int:
    """Replicas that the way down allows now."""
    if rules.select == "Disabled":
        return sys.maxsize
    allowed = [
        start - policy.value if policy.kind == "Pods" else int(start * (1 - policy.value / 100))
        for policy, start in starts
    ]
    return max(allowed) if rules.select == "Min" else min(allowed)


def _changed(policy: Policy, events: list[Event], now: float) -> int:
    return sum(one.replicas for one in events if one.at > now - policy.period_s)


def _since(events: list[Event], start: float) -> list[Event]:
    return [one for one in events if one.at >= start]


def _longest(policy: ScaledObject) -> float:
    """Both ways' periods: the steps of one way count for the other."""
    return max(one.period_s for rules in (policy.up, policy.down) for one in rules.policies)
