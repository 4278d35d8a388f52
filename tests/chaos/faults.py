"""Single faults: messages that are no telemetry, full disks, slow servers, changed tables."""

import errno
import os
import random
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
from clickhouse_driver.errors import ServerException
from confluent_kafka import Consumer, Producer, TopicPartition

from chaos.harness import Chaos
from support import builders, otlp

TOPICS = ("otlp_spans", "otlp_metrics", "otlp_logs")
UNFINISHED = 341
"""ClickHouse's error code of an ALTER that a replica did not carry out in time."""
ALTERED_WITHIN_S = 30.0
TOO_LARGE = (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.RESOURCE_EXHAUSTED)
ALTER_WAITS_S = 5


def poison(chaos: Chaos, count: int) -> int:
    """Messages that no decoder reads, over all topics and partitions. Returns how many."""
    producer = Producer(
        {"bootstrap.servers": chaos.cluster.bootstrap, "acks": "all", "log_level": 0}
    )
    sent = 0
    for _ in range(count):
        for topic in TOPICS:
            producer.produce(topic, hostile(chaos.rng), partition=chaos.rng.randrange(6))
            sent += 1
    assert producer.flush(20) == 0
    chaos.mark(f"{sent} messages that nobody can read")
    return sent


def hostile(rng: random.Random) -> bytes:
    """A resource that ends behind its message, a group, or a varint of eleven bytes."""
    rest = rng.randbytes(rng.randrange(1, 200))
    return rng.choice([b"\x0a\xff\xff\x7f", b"\x0b", b"\x08" + b"\xff" * 10 + b"\x01"]) + rest


def dead_letters(chaos: Chaos) -> int:
    """How many there are now."""
    return sum(otlp.end_offsets(chaos.cluster.bootstrap, "otlp_dlq").values())


def too_large(chaos: Chaos) -> int:
    """One small message of many large rows: a resource repeats in each. Returns 1."""
    spans = [builders.span(span_id=number.to_bytes(8, "big")) for number in range(1, 3_001)]
    request = builders.traces(*spans, resource={"service.name": "too-large", "text": "x" * 200_000})
    producer = Producer({"bootstrap.servers": chaos.cluster.bootstrap, "log_level": 0})
    producer.produce(TOPICS[0], request.SerializeToString(), partition=chaos.rng.randrange(6))
    assert producer.flush(20) == 0
    return 1


def oversized(chaos: Chaos) -> None:
    """A request larger than the broker takes: must be refused for that, and stop nothing."""
    try:
        otlp.export(chaos.cluster.otlp_grpc, otlp.traces("too-large", 6, padding=3 << 20))
    except grpc.RpcError as error:
        if error.code() in TOO_LARGE:
            return
        raise
    raise AssertionError("a request of 18 MiB was acknowledged")


def clock_jumps(chaos: Chaos) -> None:
    """Spans of 1970, of last year and of the year 2200, each in a block with ordinary ones."""
    year_ns = 365 * 86_400 * 10**9
    for start in (0, 1, time.time_ns() - year_ns, time.time_ns() + 170 * year_ns):
        span = builders.span(start_time_unix_nano=start, end_time_unix_nano=start)
        request = builders.traces(span, resource={"service.name": "clock-jumps"})
        otlp.export(chaos.cluster.otlp_grpc, request)


def reset_group(chaos: Chaos, topic: str, group: str) -> None:
    """Set a stopped group's offsets back to the beginning."""
    chaos.mark(f"{group} is set back to the beginning")
    consumer = Consumer({"bootstrap.servers": chaos.cluster.bootstrap, "group.id": group})
    try:
        places = [TopicPartition(topic, number, 0) for number in range(6)]
        consumer.commit(offsets=places, asynchronous=False)
    finally:
        consumer.close()


@contextmanager
def full_disk(chaos: Chaos, replica: str, spare_mib: int = 1) -> Iterator[None]:
    """The replica's data lies on a small tmpfs, and the tmpfs is full while this lasts.

    Spare is less than what arrives: writers leave a replica that was away to itself, and what it
    then fetches from the other one asks for no room beforehand. Raises AssertionError where the
    server did not complain.
    """
    layout = chaos.cluster.layout
    data = layout.data / replica
    aside = data.with_name(f"{data.name}.aside")
    chaos.cluster.control.stop(replica)
    size = sum(each.stat().st_size for each in data.rglob("*") if each.is_file())
    data.rename(aside)
    data.mkdir()
    mebibytes = (size >> 20) * 2 + 256
    options = f"size={mebibytes}m,mode=755"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(data)], check=True)
    try:
        subprocess.run(["cp", "-a", f"{aside}/.", str(data)], check=True)
        chaos.cluster.control.start(replica)
        filler, log = data / "filler", layout.logs / f"{replica}.log"
        told = log.stat().st_size
        _fill(filler, spare_mib)
        chaos.mark(f"{replica}'s disk is full")
        yield
        complaints = log.read_bytes()[told:]
        assert b"enough space" in complaints or b"space left" in complaints, "the disk was not full"
        filler.unlink()
        chaos.mark(f"{replica}'s disk has space again")
        chaos.fault_ended = time.time()
        time.sleep(5)
    finally:
        chaos.cluster.control.stop(replica)
        subprocess.run(["rm", "-rf", str(aside)], check=True)
        subprocess.run(["cp", "-a", str(data), str(aside)], check=True)
        subprocess.run(["umount", str(data)], check=True)
        data.rmdir()
        aside.rename(data)
        chaos.cluster.control.start(replica)


def _fill(path: Path, spare_mib: int) -> None:
    """Take all of the file system but so much, while a server writes to it."""
    with path.open("wb") as file:
        for _ in range(50):
            state = os.statvfs(path.parent)
            size = state.f_bavail * state.f_frsize - (spare_mib << 20)
            try:
                os.posix_fallocate(file.fileno(), 0, max(1 << 20, size))
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
                file.truncate(0)
            else:
                return
    msg = f"the server was always faster than {path} could be filled"
    raise TimeoutError(msg)


def slow(chaos: Chaos, components: list[str], seconds: float) -> None:
    """Run components for a tenth of the time, in turns of 200 ms."""
    end = time.monotonic() + seconds
    chaos.mark(f"a tenth of the time for {', '.join(components)}")
    while time.monotonic() < end:
        for component in components:
            with chaos.paused(component):
                time.sleep(0.18)
        time.sleep(0.02)
    chaos.mark("at full speed again")


def change_tables(chaos: Chaos) -> None:
    """The header of a table changes twice under the writers' hands: a column goes and comes."""
    for statement in ("DROP COLUMN TraceState", "ADD COLUMN TraceState String AFTER ParentSpanId"):
        chaos.mark(f"ALTER TABLE otel_traces_local {statement}")
        for shard in range(1, chaos.cluster.layout.spec.shards + 1):
            client = chaos.cluster.clickhouse(shard, chaos.rng.randint(1, 2))
            try:
                client.execute(
                    f"ALTER TABLE otel_traces_local {statement}",
                    settings={"replication_alter_columns_timeout": ALTER_WAITS_S},
                )
            except ServerException as error:
                # Accepted, but a replica was not done in time.
                if error.code != UNFINISHED:
                    raise
            finally:
                client.disconnect()
        _wait_altered(chaos, present=statement.startswith("ADD"))
        chaos.pause(3)


def _wait_altered(chaos: Chaos, *, present: bool) -> None:
    """Until every replica has the column, or every one has lost it. Raises TimeoutError.

    18.16 does not watch for changes again after its ZooKeeper session expired once (an earlier
    scenario's doing), and its inserts are refused from then on. What docs/operations.md tells
    operators to do then is done here.
    """
    question = (
        "SELECT count() FROM system.columns WHERE database = currentDatabase()"
        " AND table = 'otel_traces_local' AND name = 'TraceState'"
    )
    for shard in range(1, chaos.cluster.layout.spec.shards + 1):
        for replica in (1, 2):
            client = chaos.cluster.clickhouse(shard, replica)
            deadline = time.monotonic() + ALTERED_WITHIN_S
            try:
                while bool(client.execute(question)[0][0]) != present:
                    if time.monotonic() > deadline:
                        msg = f"{chaos.replica(shard, replica)} did not change its table"
                        raise TimeoutError(msg)
                    client.execute(
                        f"SYSTEM RESTART REPLICA {client.connection.database}.otel_traces_local"
                    )
                    time.sleep(1)
            finally:
                client.disconnect()
