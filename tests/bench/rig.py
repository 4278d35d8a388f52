"""Kafka with a topic full of spans on one side, a sink that forgets on the other, and CPU seconds
of what runs between, from the operating system.

Start-up is not measured: each process is first started on an empty topic until it waits, and that
much CPU is subtracted.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any

import psutil
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from bench.corpus import RECORDS, stream
from headrace_native.layout import CACHE
from support.child import free_ports
from support.cluster import Cluster, running

TESTS = Path(__file__).resolve().parents[1]
TABLE = "otel_traces"
PARTITIONS = 6
DRAIN_WITHIN_S = 300.0


@dataclass
class Run:
    """One drain of the topic."""

    spans: int
    cpu_s: float
    startup_cpu_s: float
    wall_s: float
    peak_rss_mb: float
    blocks: int
    sent_bytes: int
    processes: int = 1

    @property
    def us_per_span(self) -> float:
        return round((self.cpu_s - self.startup_cpu_s) * 1e6 / self.spans, 3)


class Sink:
    """The process of `bench.sink`."""

    def __init__(self, ports: list[int]) -> None:
        self.ports = ports
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.sink", *map(str, ports)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment(),
        )  # fmt: skip
        self._lock = threading.Lock()
        assert self._stdout.readline() == "ready\n"

    @property
    def _stdout(self) -> IO[str]:
        assert self._process.stdout is not None
        return self._process.stdout

    def ask(self, line: str = "") -> dict[str, Any]:
        """Counts so far."""
        assert self._process.stdin is not None
        with self._lock:
            self._process.stdin.write(f"{line}\n")
            self._process.stdin.flush()
            found: dict[str, Any] = json.loads(self._stdout.readline())
        return found

    def close(self) -> None:
        self._process.terminate()
        self._process.wait()


def environment(**more: str) -> dict[str, str]:
    """Of processes that import the tests' modules."""
    return {**os.environ, "PYTHONPATH": str(TESTS), **more}


class Rig:
    """A broker, a sink, and commands to measure between them."""

    def __init__(self, cluster: Cluster, sink: Sink, work: Path) -> None:
        self.cluster = cluster
        self.sink = sink
        self.work = work
        self._topics: dict[tuple[int, int, int], str] = {}
        self._groups = 0

    def group(self) -> str:
        """A consumer group that has read nothing yet."""
        self._groups += 1
        return f"bench-{self._groups}"

    def topic(self, count: int, records: int = RECORDS, partitions: int = PARTITIONS) -> str:
        """A topic with `count` requests of spans, spread over its partitions; made once."""
        shape = count, records, partitions
        if shape not in self._topics:
            self._topics[shape] = f"bench_{len(self._topics)}"
            self._fill(self._topics[shape], *shape)
        return self._topics[shape]

    def _fill(self, name: str, count: int, records: int, partitions: int) -> None:
        admin = AdminClient({"bootstrap.servers": self.cluster.bootstrap})
        admin.create_topics([NewTopic(name, partitions, 1)])[name].result(20)
        producer = Producer(
            {
                "bootstrap.servers": self.cluster.bootstrap,
                "compression.type": "lz4",
                "message.max.bytes": 16 << 20,
                "queue.buffering.max.kbytes": 1 << 20,
                "log_level": 0,
            }
        )
        for number, body in enumerate(islice(stream("traces", records), count)):
            producer.produce(name, body, partition=number % partitions)
            producer.poll(0)
        assert producer.flush(120) == 0

    def drain(
        self, command: list[str], env: dict[str, str], spans: int, *, processes: int = 1
    ) -> Run:
        """Run until the sink has got so many more spans; CPU and memory of the processes."""
        before = self.sink.ask()
        begun = time.monotonic()
        with self.started(command, env, processes) as running_now:
            peak = 0.0
            while self.rows() - before["rows"].get(TABLE, 0) < spans:
                assert time.monotonic() - begun < DRAIN_WITHIN_S, f"not drained; see {self.log}"
                for one in running_now:
                    ended = one.status() == psutil.STATUS_ZOMBIE
                    assert not ended, f"ended early; see {self.log}"
                peak = max(peak, sum(one.memory_info().rss for one in running_now) / 1e6)
                time.sleep(0.1)
            cpu = sum(sum(one.cpu_times()[:2]) for one in running_now)
        after = self.sink.ask()
        return Run(
            spans,
            cpu,
            0.0,
            time.monotonic() - begun,
            round(peak, 1),
            after["blocks"].get(TABLE, 0) - before["blocks"].get(TABLE, 0),
            after["bytes"] - before["bytes"],
            processes,
        )

    def startup_cpu(self, command: list[str], env: dict[str, str], seconds: float) -> float:
        """CPU of a process that starts and then finds nothing to do."""
        with self.started(command, env, 1) as (one,):
            time.sleep(seconds)
            return sum(one.cpu_times()[:2])

    @property
    def log(self) -> Path:
        return self.work / "bench-process.log"

    def rows(self) -> int:
        """Spans that the sink has taken so far."""
        rows: int = self.sink.ask()["rows"].get(TABLE, 0)
        return rows

    @contextmanager
    def started(
        self, command: list[str], env: dict[str, str], processes: int
    ) -> Iterator[list[psutil.Process]]:
        """The command, so many times; ended by SIGTERM."""
        with self.log.open("wb") as log:
            children = [
                subprocess.Popen(
                    command,
                    env=environment(**one),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                )
                for one in ports_for(env, processes)
            ]
            try:
                yield [psutil.Process(child.pid) for child in children]
            finally:
                for child in children:
                    child.send_signal(signal.SIGTERM)
                for child in children:
                    try:
                        child.wait(30)
                    except subprocess.TimeoutExpired:
                        child.kill()
                        child.wait()


def ports_for(env: dict[str, str], processes: int) -> Iterator[dict[str, str]]:
    """The environment of each process, with a port of its own where it serves metrics."""
    for port in free_ports(processes):
        yield {**env, "HEADRACE_HTTP_LISTEN": f"127.0.0.1:{port}"}


def writer(rig: Rig, topic: str) -> tuple[list[str], dict[str, str]]:
    """Command and settings of a writer from the topic into the sink, of two shards."""
    shards = ";".join(f"127.0.0.1:{port}" for port in rig.sink.ports)
    return (
        [str(Path(sys.executable).with_name("headrace")), "write", "--signals", "traces"],
        {
            "HEADRACE_KAFKA_BOOTSTRAP_SERVERS": rig.cluster.bootstrap,
            "HEADRACE_TOPIC_TRACES": topic,
            "HEADRACE_KAFKA_GROUP_PREFIX": rig.group(),
            "HEADRACE_CLICKHOUSE_SHARDS": shards,
            "HEADRACE_DECODER": "native",
        },
    )


@contextmanager
def rig(offset: int = 14_000) -> Iterator[Rig]:
    """One broker and one small ClickHouse (unused) of a cluster of its own, and the sink."""
    small = {"SHARDS": 1, "REPLICAS": 1, "GATEWAYS": 1, "MIGRATE": 0}
    none = {f"WRITERS_{name}": 0 for name in ("TRACES", "METRICS", "LOGS")}
    with running("bench", offset, **small, **none) as cluster:
        for part in ("clickhouse-1-1", "gateway-1", "haproxy", "prometheus"):
            cluster.control.stop(part)
        sink = Sink(free_ports(2))
        try:
            yield Rig(cluster, sink, CACHE)
        finally:
            sink.close()
