"""What of a KEDA ScaledObject decides on replicas, and which defaults hold where it says nothing.

Field names and defaults: keda.sh/docs, "ScaledObject specification" and the scalers' pages;
kubernetes.io/docs, "Horizontal Pod Autoscaling", section on default behaviour.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from headrace_writer.errors import ConfigError

TOLERANCE = 0.1
"""--horizontal-pod-autoscaler-tolerance, where a behaviour names none."""

Direction = Literal["scaleUp", "scaleDown"]
Select = Literal["Max", "Min", "Disabled"]
Source = Literal["required", "lag_seconds", "messages"]
"""What a trigger asks for: required rows/s, the oldest record's age, or Kafka's lag."""

FALLBACKS = ("static", "currentReplicas", "currentReplicasIfHigher", "currentReplicasIfLower")


@dataclass(frozen=True, slots=True)
class Policy:
    """At most `value` pods, or percent of them, within `period_s`."""

    kind: Literal["Pods", "Percent"]
    value: int
    period_s: float


@dataclass(frozen=True, slots=True)
class Rules:
    """One direction of an HPA's behaviour."""

    stabilization_s: float
    policies: tuple[Policy, ...]
    select: Select = "Max"
    tolerance: float = TOLERANCE


@dataclass(frozen=True, slots=True)
class Fallback:
    """What holds after more than `failures` answers without a value."""

    failures: int
    replicas: int
    behavior: str = "static"


@dataclass(frozen=True, slots=True)
class Trigger:
    """One source of a metric. `threshold`: per replica (AverageValue) or for all (Value)."""

    source: Source
    threshold: float
    average: bool = True
    null_is_zero: bool = True
    """The Prometheus scaler's ignoreNullValues."""
    capped: bool = False
    """The Kafka scaler's allowIdleConsumers: false; no more than partitions × threshold."""
    cached: bool = False


@dataclass(frozen=True, slots=True)
class ScaledObject:
    """Times in seconds."""

    name: str
    trigger: Trigger
    minimum: int
    maximum: int
    up: Rules
    down: Rules
    fallback: Fallback | None = None
    polling_s: float = 30.0

    def faster(self, factor: float) -> "ScaledObject":
        """The same with every window, period and poll divided by `factor`."""
        return replace(
            self,
            up=_faster(self.up, factor),
            down=_faster(self.down, factor),
            polling_s=self.polling_s / factor,
        )


UP = Rules(0, (Policy("Percent", 100, 15), Policy("Pods", 4, 15)))
DOWN = Rules(300, (Policy("Percent", 100, 15),))


def parse(document: Mapping[str, Any]) -> ScaledObject:
    """A ScaledObject as YAML or JSON holds it. Raises ConfigError that names the field."""
    if document.get("kind") != "ScaledObject":
        msg = f"kind is {document.get('kind')!r}: give a ScaledObject (keda.sh/v1alpha1)"
        raise ConfigError(msg)
    spec = _mapping(document, "spec")
    advanced = spec.get("advanced") or {}
    behavior = (advanced.get("horizontalPodAutoscalerConfig") or {}).get("behavior") or {}
    triggers = spec.get("triggers") or []
    if len(triggers) != 1:
        msg = f"spec.triggers has {len(triggers)} entries: the simulator knows exactly one"
        raise ConfigError(msg)
    minimum, maximum = int(spec.get("minReplicaCount", 0)), int(spec.get("maxReplicaCount", 100))
    if not 1 <= minimum <= maximum:
        msg = (
            f"spec.minReplicaCount {minimum}, maxReplicaCount {maximum}: the simulator needs "
            "1 ≤ minimum ≤ maximum (from zero, no promise in seconds holds)"
        )
        raise ConfigError(msg)
    fallback = spec.get("fallback")
    return ScaledObject(
        name=str((document.get("metadata") or {}).get("name", "")),
        trigger=_trigger(triggers[0]),
        minimum=minimum,
        maximum=maximum,
        up=_rules(behavior, "scaleUp", UP),
        down=_rules(behavior, "scaleDown", DOWN),
        fallback=_fallback(fallback) if fallback else None,
        polling_s=float(spec.get("pollingInterval", 30)),
    )


def _trigger(found: Mapping[str, Any]) -> Trigger:
    kind, metadata = found.get("type"), _mapping(found, "metadata", "spec.triggers[0].")
    average = str(found.get("metricType", "AverageValue"))
    if average not in ("AverageValue", "Value"):
        msg = f"spec.triggers[0].metricType {average!r}: AverageValue or Value"
        raise ConfigError(msg)
    shared = {"average": average == "AverageValue", "cached": bool(found.get("useCachedMetrics"))}
    if kind == "prometheus":
        return Trigger(
            _source(str(metadata.get("query", ""))),
            _threshold(metadata, "threshold"),
            null_is_zero=_flag(metadata, "ignoreNullValues", default=True),
            **shared,
        )
    if kind == "kafka":
        return Trigger(
            "messages",
            _threshold(metadata, "lagThreshold", 10),
            capped=not _flag(metadata, "allowIdleConsumers", default=False),
            **shared,
        )
    msg = f"spec.triggers[0].type {kind!r}: the simulator knows prometheus and kafka"
    raise ConfigError(msg)


def _source(query: str) -> Source:
    if re.search(r"\bheadrace:writer_required_rows_per_second\b", query):
        return "required"
    if re.search(r"\bheadrace_writer_oldest_unacked_timestamp_seconds\b", query):
        return "lag_seconds"
    msg = (
        f"query {query!r}: the simulator knows headrace:writer_required_rows_per_second, and "
        "seconds of lag from headrace_writer_oldest_unacked_timestamp_seconds"
    )
    raise ConfigError(msg)


def _rules(behavior: Mapping[str, Any], direction: Direction, default: Rules) -> Rules:
    found = behavior.get(direction) or {}
    policies = tuple(
        Policy(one["type"], int(one["value"]), float(one["periodSeconds"]))
        for one in found.get("policies") or ()
    )
    return Rules(
        float(found.get("stabilizationWindowSeconds", default.stabilization_s)),
        policies or default.policies,
        found.get("selectPolicy", default.select),
        float(found.get("tolerance", default.tolerance)),
    )


def _fallback(found: Mapping[str, Any]) -> Fallback:
    behavior = str(found.get("behavior", "static"))
    if behavior not in FALLBACKS:
        msg = f"spec.fallback.behavior {behavior!r}: one of {', '.join(FALLBACKS)}"
        raise ConfigError(msg)
    return Fallback(int(found["failureThreshold"]), int(found["replicas"]), behavior)


def _threshold(metadata: Mapping[str, Any], name: str, default: float | None = None) -> float:
    value = float(metadata.get(name, default or 0))
    if value <= 0:
        msg = f"spec.triggers[0].metadata.{name} must be above zero"
        raise ConfigError(msg)
    return value


def _flag(metadata: Mapping[str, Any], name: str, *, default: bool) -> bool:
    return str(metadata.get(name, default)).lower() == "true"


def _mapping(parent: Mapping[str, Any], name: str, place: str = "") -> Mapping[str, Any]:
    found = parent.get(name)
    if not isinstance(found, Mapping):
        msg = f"{place}{name} is missing"
        raise ConfigError(msg)
    return found


def _faster(rules: Rules, factor: float) -> Rules:
    policies: Sequence[Policy] = [
        replace(one, period_s=one.period_s / factor) for one in rules.policies
    ]
    return replace(rules, stabilization_s=rules.stabilization_s / factor, policies=tuple(policies))
