"""Hostile bytes: both decoders refuse the same payloads and read the same out of the rest.

A bounded fuzz. `HEADRACE_FUZZ_ITERATIONS` (default 1500 per signal) sets how long,
`HEADRACE_FUZZ_SEED` repeats a run; a failure prints seed, iteration and payload.
"""

import os
import random

import pytest
from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from headrace_writer.core.block import Signal
from support import builders as make
from support.decoders import SIGNALS, assert_equal, layouts_of
from support.mutations import damage, reshape

ITERATIONS = int(os.environ.get("HEADRACE_FUZZ_ITERATIONS", "1500"))
SEED = int(os.environ.get("HEADRACE_FUZZ_SEED", str(random.SystemRandom().randrange(1 << 32))))

_RICH: make.Attributes = {
    "service.name": "checkout",
    "list": [1, None, "x", [2.5, b"\x00"], {"k": True}],
    "map": {"b": 1, "a": {"c": [1e21]}},
    "bytes": b"\x01\x02",
    "unset": None,
}

CORPUS: dict[Signal, tuple[type[Message], list[Message]]] = {
    "traces": (
        ExportTraceServiceRequest,
        [
            make.traces(),
            make.traces(make.span(attributes=_RICH)),
            make.traces(
                make.span(
                    attributes={"a": 1},
                    events=[make.event(attributes=_RICH), make.event("second")],
                    links=[make.link(attributes=_RICH)],
                ),
                make.span("second", trace_id=bytes(16)),
                resource=_RICH,
            ),
        ],
    ),
    "logs": (
        ExportLogsServiceRequest,
        [
            make.logs(),
            make.logs(make.log(_RICH, attributes=_RICH), make.log(trace_id=b"", time_unix_nano=0)),
            make.logs(make.log(), make.log(None, observed_time_unix_nano=7), resource=_RICH),
        ],
    ),
    "metrics": (
        ExportMetricsServiceRequest,
        [
            make.metrics(*make.every_metric(), resource=_RICH),
            make.metrics(
                make.gauge(make.number_point(3, exemplars=[make.exemplar(attributes=_RICH)])),
                make.summary(make.summary_point({}, attributes=_RICH)),
            ),
        ],
    ),
}


@pytest.mark.parametrize("signal", SIGNALS)
def test_hostile_bytes(signal: Signal) -> None:
    """Damaged and reshaped messages, each between two sound ones."""
    rng = random.Random(f"{SEED}/{signal}")
    message, corpus = CORPUS[signal]
    sound = [m.SerializeToString() for m in corpus]
    neighbour = sound[-1]
    refused = 0
    for iteration in range(ITERATIONS):
        payload = rng.choice(sound)
        for _ in range(rng.randrange(1, 4)):
            try:
                payload = reshape(rng, payload, message.DESCRIPTOR)
            except IndexError:
                break  # an earlier change has made it something that cannot be taken apart
        if rng.random() < 0.3:
            payload = damage(rng, payload, rng.choice(sound))
        where = f"HEADRACE_FUZZ_SEED={SEED}, {signal} {iteration}: {payload.hex()}"
        layouts = layouts_of(signal, rng.choice(["modern", "legacy"]))
        try:
            result = assert_equal(
                signal, layouts, [neighbour, payload, neighbour], rng.choice([1, 3])
            )
        except Exception as error:
            raise AssertionError(where) from error
        assert all(index == 1 for index, _ in result.rejections), where
        refused += len(result.rejections)
    print(f"seed {SEED}: {refused} of {ITERATIONS} refused")  # noqa: T201 (-rP shows it)
    # Neither kind may be rare, or the fuzz would look at one thing only.
    assert ITERATIONS < 100 or 0.05 < refused / ITERATIONS < 0.95
