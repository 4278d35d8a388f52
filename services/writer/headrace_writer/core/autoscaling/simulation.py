"""A ScaledObject over a load: lag and replicas from second to second, and whether they are good."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from headrace_writer.core.autoscaling.demand import SCRAPE_S, Demand
from headrace_writer.core.autoscaling.fleet import Coefficients, Fleet
from headrace_writer.core.autoscaling.hpa import SYNC_S, Autoscaler
from headrace_writer.core.autoscaling.loads import Load
from headrace_writer.core.autoscaling.scaled_object import ScaledObject

LAG_LIMIT_S = 10.0
FLAP_WITHIN_S = 600.0
"""A step down that is taken back within this was one too many."""
WARM_UP_S = 120.0
STEP_S = 1.0
START_UTILIZATION = 0.7
COMMITTED_BEHIND_S = 4.0
"""The end of a batch is committed with the next batch's plan, so Kafka's lag is never zero."""


@dataclass(frozen=True, slots=True)
class Moment:
    """One second of the simulation."""

    at: float
    rate: float
    required: float
    replicas: int
    joined: int
    lag_s: float


@dataclass(frozen=True, slots=True)
class Check:
    """One verdict."""

    name: str
    held: bool
    why: str


@dataclass(frozen=True, slots=True)
class World:
    """Around the policy: the writers, and how often somebody looks."""

    measured: Coefficients
    rows_per_message: float = 1_000.0
    sync_s: float = SYNC_S
    scrape_s: float = SCRAPE_S
    flap_within_s: float = FLAP_WITHIN_S
    blind: tuple[tuple[float, float], ...] = ()
    """When Prometheus or Kafka gives the autoscaler no answer."""

    def faster(self, factor: float) -> "World":
        """For a policy whose windows are divided by `factor`; scrapes are not."""
        return replace(self, sync_s=self.sync_s / factor, flap_within_s=self.flap_within_s / factor)


@dataclass(slots=True)
class _Look:
    """What the trigger's sources said last."""

    rate: float = 0.0
    required: float = 0.0
    cached: float | None = None
    polled_at: float = -1e9
    demand: Demand = field(default_factory=Demand)


def simulate(policy: ScaledObject, load: Load, world: World) -> list[Moment]:
    """From a fleet that takes the load's first moment at START_UTILIZATION."""
    first = math.ceil(load.rate(0) / (START_UTILIZATION * world.measured.rows_per_s))
    fleet = Fleet(world.measured, min(policy.maximum, max(policy.minimum, first)))
    autoscaler, look = Autoscaler(policy), _Look()
    next_scrape = next_sync = -WARM_UP_S
    found: list[Moment] = []
    for number in range(round((load.duration_s + WARM_UP_S) / STEP_S)):
        now = number * STEP_S - WARM_UP_S
        stalled = load.stalled(now)
        look.rate = load.rate(now)
        fleet.step(now, STEP_S, look.rate, stalled=stalled)
        end = now + STEP_S
        if end >= next_scrape:
            next_scrape += world.scrape_s
            in_hand = look.rate * world.measured.visible_s / 2
            stored = fleet.stored - in_hand
            look.required = look.demand.scrape(end, fleet.arrived, stored, circuit_open=stalled)
        while end >= next_sync:
            next_sync += world.sync_s
            value = None if _within(world.blind, end) else _value(policy, fleet, look, world, end)
            fleet.resize(end, autoscaler.decide(end, fleet.replicas, value, fleet.joined))
        if now >= 0:
            found.append(
                Moment(
                    now, look.rate, look.required, fleet.replicas, fleet.joined,
                    round(fleet.lag_s(end), 2),
                )
            )  # fmt: skip
    return found


def _value(
    policy: ScaledObject, fleet: Fleet, look: _Look, world: World, now: float
) -> float | None:
    trigger = policy.trigger
    if trigger.cached and now - look.polled_at < policy.polling_s:
        return look.cached
    look.polled_at = now
    if trigger.source == "required":
        look.cached = look.required
    elif trigger.source == "lag_seconds":
        look.cached = fleet.lag_s(now) - world.measured.visible_s / 2
    else:
        in_hand = look.rate * COMMITTED_BEHIND_S
        messages = (fleet.arrived - fleet.stored + in_hand) / world.rows_per_message
        cap = world.measured.partitions * trigger.threshold
        look.cached = min(messages, cap) if trigger.capped else messages
    return look.cached


def judge(found: list[Moment], load: Load, world: World) -> list[Check]:
    """Lag, flapping, and what was done while ClickHouse took nothing.

    A stall's own lag is nobody's fault here, nor is that of catching up for as long again.
    """
    excused = [(begin, end + (end - begin)) for begin, end in load.stalls]
    late = [one for one in found if one.lag_s >= LAG_LIMIT_S and not _within(excused, one.at)]
    worst = max(found, key=lambda one: one.lag_s)
    limit = f"{LAG_LIMIT_S:g} s"
    if late:
        seconds = len(late) * STEP_S
        why = f"{limit} or more for {seconds:.0f} s, first at {late[0].at:.0f} s"
    else:
        why = f"at most {max(one.lag_s for one in found if not _within(excused, one.at)):.1f} s"
    checks = [Check(f"lag below {limit}", not late, f"{why}; {worst.lag_s:.1f} s over all")]
    taken_back = flaps(found, world.flap_within_s)
    checks.append(
        Check(
            "no flapping", not taken_back,
            f"{len(taken_back)} steps down taken back within {world.flap_within_s:.0f} s",
        )
    )  # fmt: skip
    if load.stalls:
        before = {stall: _at(found, stall[0] - 1).replicas for stall in load.stalls}
        grown = {
            stall: max(one.replicas for one in found if _within([stall], one.at)) - count
            for stall, count in before.items()
        }
        checks.append(
            Check(
                "no writers for a stalled ClickHouse", not any(grown.values()),
                f"{max(grown.values())} more while it took nothing",
            )
        )  # fmt: skip
    return checks


def flaps(found: Iterable[Moment], within_s: float) -> list[float]:
    """When a step down was taken back within `within_s`."""
    moments, last_down, before = [], -1e9, None
    for one in found:
        if before is not None and one.replicas < before:
            last_down = one.at
        elif before is not None and one.replicas > before and one.at - last_down <= within_s:
            moments.append(one.at)
            last_down = -1e9
        before = one.replicas
    return moments


def least_minimum(policy: ScaledObject, load: Load, world: World) -> int | None:
    """The smallest minReplicaCount with which the lag stays below its limit; None: not even the
    maximum."""
    for minimum in range(policy.minimum, policy.maximum + 1):
        candidate = replace(policy, minimum=minimum)
        if judge(simulate(candidate, load, world), load, world)[0].held:
            return minimum
    return None


def uneven(policy: ScaledObject, measured: Coefficients) -> list[int]:
    """Numbers of replicas at which the busiest writer has more than it can take though the mean is
    at the threshold: 24 partitions on 23 writers give one of them two."""
    return [
        count
        for count in range(policy.minimum, policy.maximum + 1)
        if -(-measured.partitions // count) / measured.partitions
        * count * policy.trigger.threshold > measured.rows_per_s
    ]  # fmt: skip


def _within(spans: Iterable[tuple[float, float]], at: float) -> bool:
    return any(begin <= at < end for begin, end in spans)


def _at(found: list[Moment], at: float) -> Moment:
    return found[max(0, min(len(found) - 1, int(at / STEP_S)))]
