"""Sending at intended times, and what became of each request.

The schedule is open-loop: a request's time is fixed before it is known how the last one fared, and
latency counts from that time. When the pipeline cannot keep up, latencies grow and the rate falls
short; neither is hidden. Failed requests are sent again as an SDK would (`retry`).
"""

import heapq
import itertools
import math
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import grpc
import numpy as np

from headrace_loadgen.generate import Generator, Request, Signal
from headrace_loadgen.retry import Backoff, retry_info_s

METHODS: dict[Signal, str] = {
    "traces": "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    "metrics": "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
    "logs": "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
}

CHANNEL_OPTIONS = (
    ("grpc.max_send_message_length", -1),
    # A connection of its own for each channel, so that the balancer spreads them.
    ("grpc.use_local_subchannel_pool", 1),
    # The measured path is to the endpoint, not to a proxy that the environment names.
    ("grpc.enable_http_proxy", 0),
    # A gateway that was killed is tried again soon; gRPC's own longest wait is two minutes.
    ("grpc.min_reconnect_backoff_ms", 1_000),
    ("grpc.max_reconnect_backoff_ms", 2_000),
)
REQUEST_TIMEOUT_S = 20.0
# Sent and unanswered: 64 requests of 1.6 MB are 100 MB.
MAX_IN_FLIGHT = 64


@dataclass
class Tally:
    """What became of one signal's requests."""

    signal: Signal
    acked: dict[int, int] = field(default_factory=dict)
    """Request number → attempts until it was acknowledged."""
    refused: dict[int, int] = field(default_factory=dict)
    """Dropped for good, by a final error or at the end of the run: number → attempts."""
    records: int = 0
    """Per request."""
    sent_requests: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    latencies_s: list[float] = field(default_factory=list)
    last_ack: float = 0.0

    @property
    def acked_records(self) -> int:
        return len(self.acked) * self.records

    def latency(self, quantile: float) -> float:
        """Seconds from the intended time to the acknowledgement; NaN without any."""
        return float(np.quantile(self.latencies_s, quantile)) if self.latencies_s else float("nan")


@dataclass(order=True, slots=True)
class _Due:
    at: float
    order: int
    generator: Generator = field(compare=False)
    request: Request | None = field(compare=False, default=None)
    intended: float = field(compare=False, default=0.0)
    attempt: int = field(compare=False, default=1)


@dataclass(frozen=True, slots=True)
class Stream:
    """One signal's load: requests of `generator`, so many records a second."""

    generator: Generator
    rate: float


class Sender:
    """Paces and sends. `run` blocks; the tallies may be read meanwhile."""

    def __init__(self, endpoint: str, streams: Sequence[Stream], connections: int) -> None:
        self._channels = [
            grpc.insecure_channel(endpoint, CHANNEL_OPTIONS) for _ in range(connections)
        ]
        self._calls = {
            signal: itertools.cycle([channel.unary_unary(path) for channel in self._channels])
            for signal, path in METHODS.items()
        }
        self._streams = [stream for stream in streams if stream.rate > 0]
        self.tallies: dict[Signal, Tally] = {
            stream.generator.signal: Tally(
                stream.generator.signal, records=stream.generator.records
            )
            for stream in self._streams
        }
        self._due: list[_Due] = []
        self._order = itertools.count()
        self._wake = threading.Condition()
        self._in_flight: dict[int, _Due] = {}
        self._backoff = Backoff()
        self._rng = random.Random()
        self._stopped_at = math.inf

    @property
    def in_flight(self) -> int:
        """Requests sent and not answered."""
        return len(self._in_flight)

    def connect(self, timeout_s: float) -> bool:
        """Whether the endpoint accepts connections."""
        try:
            for channel in self._channels:
                grpc.channel_ready_future(channel).result(timeout=timeout_s)
        except grpc.FutureTimeoutError:
            return False
        return True

    def stop(self) -> None:
        """No new requests from now on; what is in flight is waited for."""
        with self._wake:
            self._stopped_at = time.monotonic()
            self._wake.notify_all()

    def run(self, duration_s: float, grace_s: float = 30.0) -> float:
        """Send for `duration_s`, then give retries `grace_s`. Returns the seconds of the schedule:
        `duration_s`, or less when it was stopped."""
        begun = time.monotonic()
        end = begun + duration_s
        for number, stream in enumerate(self._streams):
            # Staggered, so that the signals do not send in step.
            first = begun + number * 0.01
            self._push(_Due(first, next(self._order), stream.generator))
        intervals = {
            stream.generator.signal: stream.generator.records / stream.rate
            for stream in self._streams
        }
        while (due := self._take(end, grace_s)) is not None:
            if due.request is None:
                due.intended = due.at
                following = due.at + intervals[due.generator.signal]
                # Less a microsecond: a rounding error must not make one request more.
                if following < end - 1e-6:
                    self._push(_Due(following, next(self._order), due.generator))
                due.request = due.generator.next()
                self.tallies[due.generator.signal].sent_requests += 1
            self._send(due)
        return min(end, self._stopped_at) - begun

    def close(self) -> None:
        for channel in self._channels:
            channel.close()

    def _push(self, due: _Due) -> None:
        with self._wake:
            heapq.heappush(self._due, due)
            self._wake.notify_all()

    def _take(self, end: float, grace_s: float) -> _Due | None:
        """The next request when its time has come and there is room; None at the end."""
        with self._wake:
            while True:
                now = time.monotonic()
                if self._stopped_at <= now:
                    self._due = [due for due in self._due if due.request is not None]
                    heapq.heapify(self._due)
                    end = min(end, self._stopped_at)
                if now > end + grace_s or not (self._due or self._in_flight):
                    self._give_up()
                    return None
                room = self._due and len(self._in_flight) < MAX_IN_FLIGHT
                if room and self._due[0].at <= now:
                    due = heapq.heappop(self._due)
                    self._in_flight[due.order] = due
                    return due
                wait = self._due[0].at - now if room else 0.5
                self._wake.wait(min(max(wait, 0.0005), 0.5))

    def _give_up(self) -> None:
        """What is not acknowledged now never was, whatever answer still comes: verification must
        not run beside a tally that changes."""
        made = [(due, due.attempt - 1) for due in self._due]
        made += [(due, due.attempt) for due in self._in_flight.values()]
        for due, attempts in made:
            if due.request is not None:
                self.tallies[due.request.signal].refused[due.request.number] = attempts
        self._due.clear()
        self._in_flight.clear()

    def _send(self, due: _Due) -> None:
        assert due.request is not None
        call: Callable[..., grpc.Future] = next(self._calls[due.request.signal]).future
        future = call(due.request.body, timeout=REQUEST_TIMEOUT_S)
        future.add_done_callback(lambda done: self._answered(due, done))

    def _answered(self, due: _Due, done: "grpc.Future") -> None:
        request = due.request
        assert request is not None
        now = time.monotonic()
        tally = self.tallies[request.signal]
        code = done.code()
        with self._wake:
            if self._in_flight.pop(due.order, None) is None:
                return
            if code is grpc.StatusCode.OK:
                tally.acked[request.number] = due.attempt
                tally.latencies_s.append(now - due.intended)
                tally.last_ack = now
            else:
                tally.errors[code.name] += 1
                named = retry_info_s(done.trailing_metadata())
                delay = self._backoff.delay_s(code, named, due.attempt, self._rng)
                if delay is None or self._stopped_at <= now:
                    tally.refused[request.number] = due.attempt
                else:
                    due.at = now + delay
                    due.attempt += 1
                    heapq.heappush(self._due, due)
            self._wake.notify_all()
