"""A local autoscaler: asks the cluster's Prometheus, decides as KEDA and the HPA would, starts and
stops real writer processes."""

import json
import threading
import time
import urllib.parse
import urllib.request
from dataclasses import dataclass, field

from headrace_native.supervise import Supervisor
from headrace_writer.core.autoscaling.hpa import Autoscaler
from headrace_writer.core.autoscaling.scaled_object import ScaledObject
from headrace_writer.core.block import Signal
from support.cluster import Cluster

ANSWER_WITHIN_S = 60.0
QUERY = 'headrace:writer_required_rows_per_second{{signal="{signal}"}}'


@dataclass(frozen=True, slots=True)
class Decision:
    """`at`: seconds since 1970. `required`: None where Prometheus had no answer."""

    at: float
    required: float | None
    replicas: int
    joined: int
    """Writers that run, those that drain included."""


def ask(prometheus: str, query: str) -> float | None:
    """The one value of an instant query; None without an answer."""
    url = f"{prometheus}/api/v1/query?{urllib.parse.urlencode({'query': query})}"
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            found = json.load(answer)["data"]["result"]
    except OSError:
        return None
    return float(found[0]["value"][1]) if found else None


@dataclass
class LocalAutoscaler:
    """Between `start` and `stop` it decides every `sync_s` on a thread of its own."""

    cluster: Cluster
    signal: Signal
    policy: ScaledObject
    sync_s: float
    decisions: list[Decision] = field(default_factory=list)
    error: Exception | None = None

    def __post_init__(self) -> None:
        self._supervisor = Supervisor(self.cluster.layout.socket)
        self._names = [one.name for one in self.cluster.layout.writers if one.signal == self.signal]
        self._wanted: set[str] = set(self._names)
        self._autoscaler = Autoscaler(self.policy)
        self._query = QUERY.format(signal=self.signal)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begin with the minimum of replicas; the others are stopped first. Waits until Prometheus
        has an answer: without one the policy's fallback decides."""
        self._wanted = set(self._names[: self.policy.minimum])
        for name in self._names[self.policy.minimum :]:
            self._supervisor.stop(name)
        deadline = time.monotonic() + ANSWER_WITHIN_S
        while self._required() is None:
            if time.monotonic() > deadline:
                msg = f"Prometheus has no answer after {ANSWER_WITHIN_S:g} s: {self._query}"
                raise TimeoutError(msg)
            time.sleep(1)
        self._thread.start()

    def stop(self) -> None:
        """Raises what ended the thread."""
        self._stopping.set()
        self._thread.join()
        if self.error is not None:
            raise self.error

    def _run(self) -> None:
        due = time.monotonic()
        try:
            while not self._stopping.wait(max(0.0, due - time.monotonic())):
                due += self.sync_s
                self._turn()
        except Exception as error:
            self.error = error

    def _required(self) -> float | None:
        return ask(self.cluster.json["prometheus"], self._query)

    def _turn(self) -> None:
        value = self._required()
        replicas = self._autoscaler.decide(time.monotonic(), len(self._wanted), value)
        self._resize(replicas)
        states = self._supervisor.states()
        joined = sum(bool(states[name].pid) for name in self._names)
        self.decisions.append(Decision(time.time(), value, len(self._wanted), joined))

    def _resize(self, replicas: int) -> None:
        """The last to come is the first to go; nobody is waited for, as in a Deployment."""
        while len(self._wanted) > replicas:
            name = max(self._wanted, key=self._names.index)
            self._wanted.remove(name)
            self._supervisor.stop(name, wait=False)
        states = self._supervisor.states()
        for name in self._names:
            # One that still drains cannot be started; there is another, or the next turn.
            if len(self._wanted) < replicas and name not in self._wanted and not states[name].pid:
                self._wanted.add(name)
                self._supervisor.start(name)
