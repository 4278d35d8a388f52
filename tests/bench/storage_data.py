"""What `bench.storage` stores: loadgen's records made less regular, and a real agent's.

loadgen numbers its records so that each can be looked up: ids count up, times are nanoseconds
apart, durations are equal. Such columns compress to nothing, so they are replaced by values that
vary as real ones do, each a hash of what it replaces. Attributes, names and bodies stay.
"""

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc

from headrace_loadgen.generate import Generator
from headrace_loadgen.profiles import PROFILES
from headrace_writer.core.block import Signal
from support.real_agent import AGENT

RECORDS = 4_096
STEP_NS = 1_000_000_000
BEGIN_NS = 1_790_000_000 * STEP_NS

AGENT_RUNS = 12
# Fewer spans than the queue of an SDK holds (2,048): it drops what comes faster than it exports.
AGENT_CALLS = 1_000

_RANDOM_TRACE = "lower(hex(sipHash128(TraceId)))"
_JITTERED = "{0} + toIntervalNanosecond(cityHash64({1}) % 1000000000)"

REPLACED: dict[str, dict[str, str]] = {
    "otel_traces": {
        "Timestamp": _JITTERED.format("Timestamp", "SpanId"),
        "TraceId": _RANDOM_TRACE,
        "SpanId": "lower(hex(sipHash64(SpanId)))",
        "ParentSpanId": "lower(hex(sipHash64(ParentSpanId)))",
        # 0.4 ms to 22 s, as many below 3 ms as above.
        "Duration": "toUInt64(exp(13 + 10.8 * (cityHash64(SpanId) % 1000003 / 1000003)))",
    },
    "otel_logs": {
        "Timestamp": _JITTERED.format("Timestamp", "SpanId"),
        "TraceId": _RANDOM_TRACE,
        "SpanId": "lower(hex(sipHash64(SpanId)))",
    },
    # An SDK reads its clock once per collection: points of one request share their time.
    "otel_metrics_gauge": {
        "TimeUnix": _JITTERED.format("toStartOfSecond(TimeUnix)", "toStartOfSecond(TimeUnix)"),
        "Value": "round(exp(4 + 3 * (cityHash64(Value) % 1000003 / 1000003)), 2)",
    },
    "otel_metrics_sum": {
        "TimeUnix": _JITTERED.format("toStartOfSecond(TimeUnix)", "toStartOfSecond(TimeUnix)"),
        "Value": "floor(Value / 1024)",
    },
    "otel_metrics_histogram": {
        "TimeUnix": _JITTERED.format("toStartOfSecond(TimeUnix)", "toStartOfSecond(TimeUnix)"),
        "Sum": "round(exp(4 + 3 * (cityHash64(Sum) % 1000003 / 1000003)), 2)",
    },
}
"""Table → column → the expression that is stored instead of loadgen's value."""


def generated(signal: Signal, requests: int) -> Iterator[bytes]:
    """Requests of loadgen's genai profile, a second apart."""
    generator = Generator(signal, PROFILES["genai"], "bench", RECORDS, seed=1)
    for number in range(requests):
        yield generator.next(BEGIN_NS + number * STEP_NS).body


class _Capture(grpc.GenericRpcHandler):  # type: ignore[misc]
    """An OTLP receiver that keeps every request as it came."""

    def __init__(self) -> None:
        self.bodies: dict[Signal, list[bytes]] = {"traces": [], "metrics": [], "logs": []}

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        signal: Signal = (
            "traces" if "Trace" in details.method
            else "metrics" if "Metrics" in details.method else "logs"
        )  # fmt: skip

        def keep(body: bytes, _: grpc.ServicerContext) -> bytes:
            self.bodies[signal].append(body)
            return b""

        return grpc.unary_unary_rpc_method_handler(keep)


@contextmanager
def _receiver() -> Iterator[tuple[_Capture, str]]:
    capture = _Capture()
    server = grpc.server(ThreadPoolExecutor(max_workers=8), handlers=[capture])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield capture, f"127.0.0.1:{port}"
    server.stop(grace=None).wait()


def from_agent(runs: int = AGENT_RUNS, calls: int = AGENT_CALLS) -> dict[Signal, list[bytes]]:
    """Requests of docs/examples/agent_app.py, run so many times with different seeds."""
    with _receiver() as (capture, endpoint):
        for seed in range(runs):
            subprocess.run(
                [sys.executable, str(AGENT), "--endpoint", endpoint, "--calls", str(calls),
                 "--seed", str(seed), "--quiet", "--service-name", f"agent-{seed % 4}"],
                check=True, timeout=120,
            )  # fmt: skip
        return capture.bodies
