"""Whole processes from a full topic into the sink: the writer, and the Collector doing the same."""

import time

from bench.corpus import RECORDS
from bench.rig import Rig, Run, writer
from headrace_native.layout import CACHE
from headrace_native.spec import ROOT

PEER = CACHE / "peer" / "peer-otelcol"
PEER_CONFIG = ROOT / "tests" / "bench" / "peers" / "otelcol.yaml"
IDLE_S = 6.0

_startup: dict[str, float] = {}


def drain_writer(
    rig: Rig, count: int, records: int = RECORDS, processes: int = 1, partitions: int = 6
) -> Run:
    """A topic of `count` requests through so many new writers."""
    if "writer" not in _startup:
        command, env = writer(rig, rig.topic(0))
        _startup["writer"] = rig.startup_cpu(command, env, IDLE_S)
    command, env = writer(rig, rig.topic(count, records, partitions))
    run = rig.drain(command, env, count * records, processes=processes)
    run.startup_cpu_s = _startup["writer"] * processes
    return run


def marginal_us(rig: Rig, count: int, processes: int) -> float:
    """CPU µs per further span with so many writers: between a quarter of the topic and all of it.

    What each process costs by being there (start, joining, waiting) is in both runs and falls out.
    """
    small = drain_writer(rig, count // 4, processes=processes)
    large = drain_writer(rig, count, processes=processes)
    return round((large.cpu_s - small.cpu_s) * 1e6 / (large.spans - small.spans), 3)


def memory_while_stalled(rig: Rig, count: int, seconds: float) -> float:
    """Largest resident memory (MB) while the topic is full and the sink takes nothing."""
    command, env = writer(rig, rig.topic(count))
    peak = 0.0
    with rig.started(command, env, 1) as (process,):
        rig.sink.ask(f"stall {seconds}")
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            peak = max(peak, process.memory_info().rss / 1e6)
            time.sleep(0.2)
    rig.sink.ask("stall 0")
    return round(peak, 1)


def drain_peer(rig: Rig, count: int) -> Run:
    """A topic of `count` requests through the Collector."""
    if "peer" not in _startup:
        command, env = peer(rig, rig.topic(0))
        _startup["peer"] = rig.startup_cpu(command, env, IDLE_S)
    command, env = peer(rig, rig.topic(count))
    run = rig.drain(command, env, count * RECORDS)
    run.startup_cpu_s = _startup["peer"]
    return run


def peer(rig: Rig, topic: str) -> tuple[list[str], dict[str, str]]:
    """Command and settings of the Collector from the topic into the sink."""
    environment = {
        "PEER_BROKERS": rig.cluster.bootstrap,
        "PEER_TOPIC": topic,
        "PEER_GROUP": f"peer-{topic}",
        "PEER_PORT": str(rig.sink.ports[0]),
    }
    return [str(PEER), "--config", str(PEER_CONFIG)], environment
