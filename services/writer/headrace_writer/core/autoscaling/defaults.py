"""The chart's policy and the measured writers: what `headrace simulate` takes unless told.

Tests hold both to their sources, deploy/helm/headrace and docs/benchmarks/writer-joins.json.
"""

from collections.abc import Mapping

from headrace_writer.core.autoscaling.fleet import Coefficients
from headrace_writer.core.autoscaling.scaled_object import (
    Fallback,
    Policy,
    Rules,
    ScaledObject,
    Trigger,
)
from headrace_writer.core.block import Signal

UTILIZATION = 0.7
"""Of what a writer takes, the share that the chart plans with."""

ROWS_PER_S: Mapping[Signal, float] = {"traces": 300_000, "metrics": 400_000, "logs": 150_000}
"""What a writer takes with the chart's CPU request (half a core; logs a quarter), at least."""

VISIBLE_S: Mapping[Signal, float] = {"traces": 3.5, "metrics": 2.5, "logs": 3.5}
"""The age at which a batch closes, and half a second for its insert."""

POD_START_S = 5.0
"""Scheduling and starting a container whose image is there; not measured here."""
START_S = 4.0
"""From a writer's first instruction until it holds partitions."""
MOVED_PAUSE_S = 2.0
"""What a partition that changes hands waits beyond a batch's own time."""


def policy_of(signal: Signal) -> ScaledObject:
    """What deploy/helm/headrace renders for it with its own values."""
    return ScaledObject(
        name=f"headrace-writer-{signal}",
        trigger=Trigger("required", UTILIZATION * ROWS_PER_S[signal], null_is_zero=False),
        minimum=2,
        maximum=24,
        up=Rules(0, (Policy("Percent", 100, 60),)),
        down=Rules(600, (Policy("Pods", 1, 120),)),
        fallback=Fallback(3, 6, "currentReplicasIfHigher"),
        polling_s=15,
    )


def writer_of(
    signal: Signal, partitions: int = 24, pod_start_s: float = POD_START_S
) -> Coefficients:
    """One writer of it. `pod_start_s`: until its process begins."""
    return Coefficients(
        ROWS_PER_S[signal], pod_start_s + START_S, MOVED_PAUSE_S, VISIBLE_S[signal], partitions
    )
