"""Pacing, retries and bounds of the sender, against a gRPC server that answers by script."""

import itertools
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped]
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from grpc import StatusCode as Code

from headrace_loadgen import send
from headrace_loadgen.generate import Generator, Signal
from headrace_loadgen.profiles import PROFILES
from headrace_loadgen.retry import Backoff, retry_info_s
from headrace_loadgen.send import METHODS, Sender, Stream, Tally

Answer = Callable[[grpc.ServicerContext], object]
Script = Callable[[int, grpc.ServicerContext], object]
# 20 requests a second of two records.
RECORDS, RATE = 2, 40.0
INTERVAL_S = RECORDS / RATE


class Scripted:
    """An OTLP endpoint. `script` gets a request's attempt, from 1, and its context: it may wait,
    and it may abort the call."""

    def __init__(self) -> None:
        self.script: Script = first_attempts(lambda _context: None)
        self.arrivals: list[tuple[str, bytes, float]] = []
        self.most_at_once = 0
        self._at_once = 0
        self._attempts: Counter[bytes] = Counter()
        self._lock = threading.Lock()

    def export(self, method: str, body: bytes, context: grpc.ServicerContext) -> bytes:
        with self._lock:
            self.arrivals.append((method, body, time.monotonic()))
            self._attempts[body] += 1
            attempt = self._attempts[body]
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            self.script(attempt, context)
        finally:
            with self._lock:
                self._at_once -= 1
        return b""

    def gaps_s(self) -> list[float]:
        """Between the arrivals of all attempts."""
        times = [at for _, _, at in self.arrivals]
        return [later - sooner for sooner, later in itertools.pairwise(times)]


class _Handlers(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Hands every method to one `Scripted`, bytes in and bytes out."""

    def __init__(self, scripted: Scripted) -> None:
        self._scripted = scripted

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        return grpc.unary_unary_rpc_method_handler(
            lambda body, context: self._scripted.export(details.method, body, context)
        )


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[_Handlers, str]]:
    handlers = _Handlers(Scripted())
    running = grpc.server(ThreadPoolExecutor(max_workers=100), handlers=[handlers])
    port = running.add_insecure_port("127.0.0.1:0")
    running.start()
    yield handlers, f"127.0.0.1:{port}"
    running.stop(grace=None).wait()


@pytest.fixture
def endpoint(
    server: tuple[_Handlers, str], monkeypatch: pytest.MonkeyPatch
) -> tuple[Scripted, str]:
    handlers, address = server
    # A tenth of the real wait.
    monkeypatch.setattr(send, "Backoff", lambda: Backoff(first_s=0.02, longest_s=1.0))
    handlers._scripted = Scripted()
    return handlers._scripted, address


def stream(signal: Signal = "traces", rate: float = RATE) -> Stream:
    return Stream(Generator(signal, PROFILES["small"], "service", RECORDS, seed=1), rate)


def sent(
    address: str, *streams: Stream, duration_s: float = INTERVAL_S, grace_s: float = 5.0
) -> tuple[dict[Signal, Tally], float]:
    """What became of the requests, and the seconds that the schedule took."""
    sender = Sender(address, streams or [stream()], connections=2)
    try:
        seconds = sender.run(duration_s, grace_s)
        return sender.tallies, seconds
    finally:
        sender.close()


def refuse(code: Code, retry_after_s: float | None = None) -> Answer:
    """An error, with google.rpc.RetryInfo when a delay is given."""

    def answer(context: grpc.ServicerContext) -> None:
        if retry_after_s is not None:
            context.set_trailing_metadata(
                (("grpc-status-details-bin", details(code, retry_after_s)),)
            )
        context.abort(code, "by script")

    return answer


def details(code: Code, delay_s: float) -> bytes:
    status = Status(code=code.value[0], message="by script")
    info = RetryInfo()
    info.retry_delay.FromMilliseconds(round(1000 * delay_s))
    status.details.add().Pack(info)
    encoded: bytes = status.SerializeToString()
    return encoded


def first_attempts(answer: Answer, count: int = 1) -> Script:
    """`answer` to the first `count` attempts of each request, OK to the next."""
    return lambda attempt, context: answer(context) if attempt <= count else None


def test_requests_come_at_the_rate_each_to_its_signals_method(
    endpoint: tuple[Scripted, str],
) -> None:
    scripted, address = endpoint
    tallies, seconds = sent(
        address, stream("traces"), stream("metrics", RATE / 2), stream("logs"), duration_s=0.5
    )
    assert seconds == pytest.approx(0.5)
    assert {signal: len(tally.acked) for signal, tally in tallies.items()} == {
        "traces": 10,
        "metrics": 5,
        "logs": 10,
    }
    assert tallies["traces"].acked_records == 10 * RECORDS
    assert set(tallies["traces"].acked.values()) == {1}
    counts = Counter(method for method, _, _ in scripted.arrivals)
    assert counts == {METHODS["traces"]: 10, METHODS["metrics"]: 5, METHODS["logs"]: 10}


def test_a_signal_without_a_rate_is_not_sent(endpoint: tuple[Scripted, str]) -> None:
    tallies, _ = sent(endpoint[1], stream("traces"), stream("logs", rate=0))
    assert list(tallies) == ["traces"]


def test_a_schedule_is_as_long_as_asked_though_its_last_request_is_sooner(
    endpoint: tuple[Scripted, str],
) -> None:
    """Else two requests, due at 0 and 0.2 s of 0.4 s, would count as twice their rate."""
    tallies, seconds = sent(endpoint[1], stream(rate=5 * RECORDS), duration_s=0.4)
    assert tallies["traces"].acked_records / seconds == pytest.approx(5 * RECORDS)


def test_a_slow_server_does_not_slow_the_sending(endpoint: tuple[Scripted, str]) -> None:
    scripted, address = endpoint
    # Nobody is answered before all ten are there, so none of them can have waited for an answer.
    everyone = threading.Barrier(10)
    scripted.script = first_attempts(lambda _context: everyone.wait(5))
    tallies, _ = sent(address, duration_s=0.5)
    assert len(tallies["traces"].acked) == 10
    assert scripted.most_at_once == 10


def test_a_stall_shows_as_latency_from_the_due_time(
    endpoint: tuple[Scripted, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With room for one request, a server that stalls 0.4 s once delays all that were due then."""
    monkeypatch.setattr(send, "MAX_IN_FLIGHT", 1)
    scripted, address = endpoint
    stalled = threading.Event()

    def stall_once(attempt: int, context: grpc.ServicerContext) -> None:
        if not stalled.is_set():
            stalled.set()
            time.sleep(0.4)

    scripted.script = stall_once
    tallies, _ = sent(address, duration_s=0.5)
    tally = tallies["traces"]
    assert len(tally.acked) == 10
    # Due every 50 ms from 0 on, none could be sent before 400 ms; the server itself was quick.
    for number, latency in enumerate(tally.latencies_s[:8]):
        assert latency > 0.4 - number * INTERVAL_S - 0.02
    assert tally.latency(0.5) > 0.1


def test_requests_in_flight_are_bounded(
    endpoint: tuple[Scripted, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(send, "MAX_IN_FLIGHT", 3)
    scripted, address = endpoint
    scripted.script = first_attempts(lambda _context: time.sleep(0.16))
    tallies, _ = sent(address, duration_s=0.5)
    assert scripted.most_at_once == 3
    assert len(tallies["traces"].acked) == 10


@pytest.mark.parametrize(
    "code",
    [
        Code.CANCELLED,
        Code.DEADLINE_EXCEEDED,
        Code.ABORTED,
        Code.OUT_OF_RANGE,
        Code.UNAVAILABLE,
        Code.DATA_LOSS,
    ],
)
def test_retryable_codes_are_sent_again_unchanged(
    endpoint: tuple[Scripted, str], code: Code
) -> None:
    scripted, address = endpoint
    scripted.script = first_attempts(refuse(code))
    tallies, _ = sent(address)
    tally = tallies["traces"]
    assert (tally.acked, tally.refused) == ({1: 2}, {})
    assert tally.errors == {code.name: 1}
    assert len({body for _, body, _ in scripted.arrivals}) == 1
    # The wait counts as latency: it is what the client's user waits.
    assert tally.latencies_s[0] > scripted.gaps_s()[0]


@pytest.mark.parametrize(
    "code",
    [
        Code.UNKNOWN,
        Code.INVALID_ARGUMENT,
        Code.NOT_FOUND,
        Code.ALREADY_EXISTS,
        Code.PERMISSION_DENIED,
        Code.UNAUTHENTICATED,
        Code.RESOURCE_EXHAUSTED,
        Code.FAILED_PRECONDITION,
        Code.UNIMPLEMENTED,
        Code.INTERNAL,
    ],
)
def test_any_other_code_drops_the_request(endpoint: tuple[Scripted, str], code: Code) -> None:
    scripted, address = endpoint
    scripted.script = first_attempts(refuse(code))
    tallies, _ = sent(address)
    tally = tallies["traces"]
    assert (tally.acked, tally.refused) == ({}, {1: 1})
    assert tally.errors == {code.name: 1}
    assert len(scripted.arrivals) == 1


@pytest.mark.parametrize("code", [Code.UNAVAILABLE, Code.RESOURCE_EXHAUSTED])
def test_a_named_delay_is_obeyed(endpoint: tuple[Scripted, str], code: Code) -> None:
    scripted, address = endpoint
    # Longer than the first backoff with its jitter (0.02 s × 1.5).
    scripted.script = first_attempts(refuse(code, retry_after_s=0.2))
    tallies, _ = sent(address)
    assert tallies["traces"].acked == {1: 2}
    assert 0.2 <= scripted.gaps_s()[0] < 1


def test_without_a_named_delay_the_backoff_doubles_to_its_limit() -> None:
    backoff, rng = Backoff(first_s=0.2, longest_s=10.0), random.Random(1)
    for attempt in range(1, 3_000):
        whole = min(0.2 * 2 ** min(attempt - 1, 20), 10.0)
        delay = backoff.delay_s(Code.UNAVAILABLE, None, attempt, rng)
        assert delay is not None
        assert 0.5 * whole <= delay <= 1.5 * whole


@pytest.mark.parametrize(
    ("trailers", "seconds"),
    [
        (None, None),
        ([("other", "x")], None),
        ([("grpc-status-details-bin", b"")], None),
        ([("grpc-status-details-bin", b"\xff\xff garbage")], None),
        ([("grpc-status-details-bin", details(Code.UNAVAILABLE, 1.5))], 1.5),
        ([("grpc-status-details-bin", details(Code.UNAVAILABLE, 0.0))], 0.0),
        ([("grpc-status-details-bin", details(Code.UNAVAILABLE, -3.0))], 0.0),
    ],
)
def test_a_retry_info_is_read_and_a_garbled_one_ignored(
    trailers: list[tuple[str, str | bytes]] | None, seconds: float | None
) -> None:
    assert retry_info_s(trailers) == seconds


def test_what_still_fails_when_the_grace_ends_is_refused_with_its_attempts(
    endpoint: tuple[Scripted, str],
) -> None:
    scripted, address = endpoint
    scripted.script = first_attempts(refuse(Code.UNAVAILABLE, 0.1), count=1_000)
    tallies, _ = sent(address, grace_s=0.5)
    tally = tallies["traces"]
    assert (tally.acked, list(tally.refused)) == ({}, [1])
    assert tally.refused[1] >= 3
    # One more when the grace ended while the last one was under way.
    assert tally.refused[1] - tally.errors["UNAVAILABLE"] in (0, 1)


def test_an_answer_after_the_grace_changes_nothing(endpoint: tuple[Scripted, str]) -> None:
    """Verification reads the tallies by then."""
    scripted, address = endpoint
    release = threading.Event()
    scripted.script = first_attempts(lambda _context: release.wait(5))
    sender = Sender(address, [stream()], connections=1)
    sender.run(INTERVAL_S, grace_s=0.3)
    tally = sender.tallies["traces"]
    assert (tally.acked, tally.refused, sender.in_flight) == ({}, {1: 1}, 0)
    release.set()
    # Cancels what is in flight, should the answer not have come yet: an answer in any case.
    sender.close()
    assert (tally.acked, tally.refused, tally.errors) == ({}, {1: 1}, {})


def test_a_stop_ends_the_schedule_and_waits_for_what_is_in_flight(
    endpoint: tuple[Scripted, str],
) -> None:
    scripted, address = endpoint
    sender = Sender(address, [stream()], connections=1)

    def stop_at_the_fourth(attempt: int, context: grpc.ServicerContext) -> None:
        if len(scripted.arrivals) == 4:
            sender.stop()
            time.sleep(0.1)

    scripted.script = stop_at_the_fourth
    seconds = sender.run(60.0)
    sender.close()
    assert 2 * INTERVAL_S < seconds < 5
    tally = sender.tallies["traces"]
    assert len(tally.acked) == tally.sent_requests >= 4


def test_connecting_succeeds_with_a_server_and_fails_in_time_without(
    endpoint: tuple[Scripted, str],
) -> None:
    sender = Sender(endpoint[1], [stream()], connections=2)
    assert sender.connect(timeout_s=5)
    sender.close()
    sender = Sender("127.0.0.1:1", [stream()], connections=1)
    began = time.monotonic()
    assert not sender.connect(timeout_s=0.3)
    assert time.monotonic() - began < 2
    sender.close()
