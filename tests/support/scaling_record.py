"""What an autoscaled Deployment does, second by second, beside the processes that are its pods."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from headrace_writer.core.autoscaling.hpa import SYNC_S, Autoscaler
from headrace_writer.core.autoscaling.scaled_object import ScaledObject
from support.control_plane import Kube
from support.keda import autoscaler

EVERY_S = 1.0
LATE_S = 2.0


@dataclass(frozen=True, slots=True)
class Seen:
    """`at`: seconds since 1970. Of the HPA: what it asks for, and its metric per replica."""

    at: float
    replicas: int
    ready: int
    running: int
    """Processes."""
    desired: int
    metric: str


@dataclass
class Record:
    """Filled by a thread between `with` and its end. `running` counts processes."""

    kube: Kube
    namespace: str
    name: str
    running: Callable[[], int]
    seen: list[Seen] = field(default_factory=list)
    error: Exception | None = None

    def __enter__(self) -> "Record":
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        if self.error is not None:
            raise self.error

    def _work(self) -> None:
        path = f"/apis/apps/v1/namespaces/{self.namespace}/deployments/{self.name}"
        try:
            while not self._stop.wait(EVERY_S):
                deployment = self.kube.call("GET", path)
                status = autoscaler(self.kube, self.namespace, self.name).get("status", {})
                external = [
                    one["external"]["current"].get("averageValue", "")
                    for one in status.get("currentMetrics") or []
                    if one["type"] == "External"
                ]
                self.seen.append(Seen(
                    time.time(), deployment["spec"]["replicas"],
                    deployment["status"].get("readyReplicas", 0), self.running(),
                    status.get("desiredReplicas", 0), next(iter(external), ""),
                ))  # fmt: skip
        except Exception as error:
            self.error = error

    def changes(self, since: float) -> list[tuple[float, int]]:
        """(seconds after `since`, replicas asked for): the first, and each change."""
        found = [(round(one.at - since, 1), one.replicas) for one in self.seen]
        return found[:1] + [after for before, after in pairwise(found) if before[1] != after[1]]


def quantity(text: str) -> float:
    """A Kubernetes quantity, of whose suffixes metrics have these."""
    factors = {"m": 1e-3, "k": 1e3, "M": 1e6}
    return float(text[:-1]) * factors[text[-1]] if text[-1] in factors else float(text)


def replayed(seen: Sequence[Seen], policy: ScaledObject) -> list[int]:
    """What the simulator's autoscaler makes of the values that the HPA decided on: replicas, for
    each of `seen`. The HPA looked when its metric changed, and, where it does not change, a period
    later, seen up to LATE_S later."""
    decider = Autoscaler(policy)
    found: list[int] = []
    replicas, metric, looked = seen[0].replicas, "", 0.0
    for before, one in pairwise([seen[0], *seen]):
        if one.metric and (one.metric != metric or one.at - looked >= SYNC_S + LATE_S):
            # Seen late, so that a new value that is on its way is not taken for the old one again:
            # the HPA tells it per replica, of the replicas that there were.
            looked = one.at if one.metric != metric else looked + SYNC_S
            metric = one.metric
            replicas = decider.decide(one.at, replicas, quantity(metric) * before.replicas)
        found.append(replicas)
    return found


def rises_then_falls(replicas: Sequence[int]) -> bool:
    """Whether no step down is taken back."""
    most = replicas.index(max(replicas))
    up, down = list(replicas[: most + 1]), list(replicas[most:])
    return up == sorted(up) and down == sorted(down, reverse=True)
