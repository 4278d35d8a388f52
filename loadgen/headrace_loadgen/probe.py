"""Canaries: metric points whose way from sending to being visible is measured, through the run."""

import threading
import time
from dataclasses import dataclass, field

import grpc
import numpy as np
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)

from headrace_loadgen.profiles import put
from headrace_loadgen.send import CHANNEL_OPTIONS, METHODS
from headrace_loadgen.store import Store, StoreUnreachable

METRIC = "loadgen.canary"
SEND_EVERY_S = 0.25
# The measured lag is at most this much too long.
LOOK_EVERY_S = 0.2
# Series with which canaries visit all shards.
SERIES = 8


@dataclass
class Lag:
    """Seconds from a canary's time stamp until a query saw it."""

    seconds: list[float] = field(default_factory=list)
    timeline: list[tuple[float, float]] = field(default_factory=list)
    """Of each canary: when it was sent (seconds since 1970), and the seconds until it was seen."""
    missing: int = 0

    def quantile(self, q: float) -> float:
        """NaN without any canary."""
        return float(np.quantile(self.seconds, q)) if self.seconds else float("nan")


class Probe:
    """Sends canaries and looks for them, on two threads, between `start` and `finish`, which
    closes the store."""

    def __init__(self, endpoint: str, store: Store, service: str) -> None:
        self._channel = grpc.insecure_channel(endpoint, CHANNEL_OPTIONS)
        self._export = self._channel.unary_unary(METHODS["metrics"])
        self._store = store
        self._service = service
        self._sent: dict[int, float] = {}
        self._lock = threading.Lock()
        self._stop_sending = threading.Event()
        self._stop_looking = threading.Event()
        self.lag = Lag()
        self.recent = 0.0
        """Lag of the canary that was seen last; 0 before the first."""
        self._threads = [
            threading.Thread(target=run, daemon=True) for run in (self._send, self._look)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def finish(self, patience_s: float) -> Lag:
        """Stop sending, look for what is still missing, and return what was measured. A canary
        that never came counts with the time that was waited for it."""
        self._stop_sending.set()
        self._threads[0].join()
        deadline = time.monotonic() + patience_s
        while time.monotonic() < deadline and self._waiting():
            time.sleep(LOOK_EVERY_S)
        self._stop_looking.set()
        self._threads[1].join()
        self._channel.close()
        self._store.close()
        now = time.time()
        self.lag.missing = len(self._sent)
        for at in self._sent.values():
            self._note(at, now)
        return self.lag

    @property
    def oldest_wait(self) -> float:
        """Seconds that the oldest unseen canary has waited; 0 without one."""
        with self._lock:
            return time.time() - min(self._sent.values()) if self._sent else 0.0

    def _waiting(self) -> bool:
        with self._lock:
            return bool(self._sent)

    def _send(self) -> None:
        number = 0
        while not self._stop_sending.wait(SEND_EVERY_S):
            number += 1
            at = time.time_ns()
            try:
                self._export(canary(self._service, number, at), timeout=10)
            except grpc.RpcError:
                # Not acknowledged, so nothing is promised; the load's own errors tell of it.
                continue
            with self._lock:
                self._sent[number] = at / 1e9

    def _look(self) -> None:
        while not self._stop_looking.wait(LOOK_EVERY_S):
            with self._lock:
                oldest = min(self._sent, default=None)
            if oldest is None:
                continue
            sql = (
                "SELECT DISTINCT Value FROM otel_metrics_gauge WHERE ServiceName = %(service)s "
                "AND MetricName = %(metric)s AND Value >= %(oldest)s"
            )
            place = {"service": self._service, "metric": METRIC, "oldest": oldest}
            try:
                seen = {int(value) for (value,) in self._store.query(sql, place)}
            except StoreUnreachable:
                continue
            self._saw(seen, time.time())

    def _saw(self, numbers: set[int], now: float) -> None:
        with self._lock:
            for number in numbers & self._sent.keys():
                self._note(self._sent.pop(number), now)
                self.recent = self.lag.seconds[-1]

    def _note(self, sent: float, now: float) -> None:
        self.lag.seconds.append(now - sent)
        self.lag.timeline.append((sent, now - sent))


def canary(service: str, number: int, time_ns: int) -> bytes:
    """One gauge point; its value is its number."""
    request = ExportMetricsServiceRequest()
    resource_metrics = request.resource_metrics.add()
    put(resource_metrics.resource.attributes, "service.name", service)
    metric = resource_metrics.scope_metrics.add().metrics.add()
    metric.name = METRIC
    point = metric.gauge.data_points.add()
    point.time_unix_nano = time_ns
    point.as_double = float(number)
    put(point.attributes, "series", number % SERIES)
    body: bytes = request.SerializeToString()
    return body
