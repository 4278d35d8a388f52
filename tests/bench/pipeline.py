"""Whole processes from a full topic into the sink: the writer, and the Collector doing the same."""

import time
from collections.abc import Callable

from bench.corpus import RECORDS
from bench.rig import DRAIN_WITHIN_S, Rig, Run, writer
from headrace_native.layout import CACHE
from headrace_native.spec import ROOT

PEER = CACHE / "peer" / "peer-otelcol"
PEER_CONFIG = ROOT / "tests" / "bench" / "peers" / "otelcol.yaml"
IDLE_S = 6.0

_startup: dict[str, float] = {}


def drain_writer(
    rig: Rig,
    count: int,
    records: int = RECORDS,
    processes: int = 1,
    partitions: int = 6,
    prefix: tuple[str, ...] = (),
) -> Run:
    """A topic of `count` requests through so many new writers, run by `prefix` if any."""
    if "writer" not in _startup:
        command, env = writer(rig, rig.topic(0))
        _startup["writer"] = rig.startup_cpu(command, env, IDLE_S)
    command, env = writer(rig, rig.topic(count, records, partitions))
    run = rig.drain([*prefix, *command], env, count * records, processes=processes)
    run.startup_cpu_s = _startup["writer"] * processes
    return run


def marginal_us(rig: Rig, count: int, processes: int) -> float:
    """CPU µs per further span with so many writers: between a quarter of the topic and all of it.

    What each process costs by being there (start, joining, waiting) is in both runs and falls out.
    All on one core: two cores may be two threads of one, and each of two that compute costs half
    as much again as one that computes alone.
    """
    small, large = (
        drain_writer(rig, some, processes=processes, prefix=("taskset", "--cpu-list", "0"))
        for some in (count // 4, count)
    )
    return round((large.cpu_s - small.cpu_s) * 1e6 / (large.spans - small.spans), 3)


def memory_while_stalled(rig: Rig, count: int, seconds: float) -> tuple[float, float]:
    """Resident memory (MB) when a third of the topic went at full speed and the sink then takes
    nothing: the most of the whole run, and by how much it grew in the stall's second half."""
    command, env = writer(rig, rig.topic(count))
    goal = rig.rows() + count * RECORDS // 3
    with rig.started(command, env, 1) as (process,):
        sampled: list[float] = []

        def sample_until(over: Callable[[], bool]) -> None:
            deadline = time.monotonic() + seconds + DRAIN_WITHIN_S
            while not over():
                assert time.monotonic() < deadline, f"not drained; see {rig.log}"
                sampled.append(process.memory_info().rss / 1e6)
                time.sleep(0.1)

        sample_until(lambda: rig.rows() >= goal)
        rig.sink.ask(f"stall {seconds}")
        half, end = (time.monotonic() + seconds * part for part in (0.5, 1))
        sample_until(lambda: time.monotonic() >= half)
        at_half = len(sampled)
        sample_until(lambda: time.monotonic() >= end)
        growth = max(sampled[at_half:]) - max(sampled[at_half // 2 : at_half])
    rig.sink.ask("stall 0")
    return round(max(sampled), 1), round(growth, 1)


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
        "PEER_GROUP": rig.group(),
        "PEER_PORT": str(rig.sink.ports[0]),
    }
    return [str(PEER), "--config", str(PEER_CONFIG)], environment
