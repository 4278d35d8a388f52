"""`headrace exporter`: what leaves its page, what silence does, and names that promtool takes."""

import argparse
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest

from headrace_native.layout import program
from headrace_writer.commands.exporter import Exporter, Source, disk_samples, named_path
from headrace_writer.errors import Retryable
from headrace_writer.metrics import EXPORTER, WRITER, Metric
from headrace_writer.shell.kafka_survey import cluster_samples
from headrace_writer.shell.snapshots import Sample, Snapshots

UP = Sample("headrace_clickhouse_up", ("0", "a:9000"), 1)
DOWN = UP._replace(value=0)
QUEUE = Sample("headrace_clickhouse_replication_queue_size", ("0", "a:9000"), 7)
LABELS = {"shard": "0", "replica": "a:9000"}


def value(exporter: Exporter, name: str, **labels: str) -> float | None:
    return exporter.registry.get_sample_value(name, labels)


def test_a_silent_source_says_so_and_its_old_values_leave_the_page() -> None:
    answers = [[UP, QUEUE]]

    def read() -> list[Sample]:
        if not answers:
            raise Retryable("no answer")
        return answers.pop()

    source = Source("a:9000", 15, read, silent=[DOWN])
    exporter = Exporter([source])
    assert exporter.ask(source)
    assert value(exporter, UP.metric, **LABELS) == 1
    assert value(exporter, QUEUE.metric, **LABELS) == 7
    answered = value(exporter, "headrace_exporter_success_timestamp_seconds", source="a:9000")
    assert not exporter.ask(source)
    assert value(exporter, UP.metric, **LABELS) == 0
    assert value(exporter, QUEUE.metric, **LABELS) is None
    again = value(exporter, "headrace_exporter_success_timestamp_seconds", source="a:9000")
    assert answered == again is not None


def test_an_error_of_ours_does_not_end_the_exporter() -> None:
    def read() -> list[Sample]:
        raise ZeroDivisionError

    source = Source("a:9000", 15, read, silent=[DOWN])
    exporter = Exporter([source])
    exporter.ask(source)
    assert value(exporter, UP.metric, **LABELS) == 0
    assert value(exporter, "headrace_exporter_success_timestamp_seconds", source="a:9000") is None


def test_sources_do_not_overwrite_each_other() -> None:
    other = UP._replace(labels=("0", "b:9000"))
    sources = [Source("a", 1, lambda: [UP]), Source("b", 1, lambda: [other])]
    exporter = Exporter(sources)
    for source in sources:
        exporter.ask(source)
    assert value(exporter, UP.metric, **LABELS) == 1
    assert value(exporter, UP.metric, shard="0", replica="b:9000") == 1


def test_what_nobody_declared_is_refused() -> None:
    page = Snapshots(EXPORTER)
    with pytest.raises(KeyError):
        page.put("a", [Sample("headrace_clickhouse_mood", (), 1)])
    with pytest.raises(ValueError, match="do not fit"):
        page.put("a", [Sample("headrace_clickhouse_up", ("0",), 1)])


def test_brokers_and_partitions_come_from_the_metadata() -> None:
    def partition(leader: int, replicas: list[int], isrs: list[int]) -> SimpleNamespace:
        return SimpleNamespace(leader=leader, replicas=replicas, isrs=isrs)

    spans = {
        0: partition(1, [1, 2], [1, 2]),
        1: partition(1, [1, 3], [1]),
        2: partition(-1, [3], []),
    }
    seen = SimpleNamespace(
        brokers={1: None, 2: None},
        controller_id=2,
        topics={
            "otlp_spans": SimpleNamespace(partitions=spans),
            "otlp_logs": SimpleNamespace(partitions={0: partition(2, [2], [2])}),
        },
    )
    found = {(one.metric, one.labels): one.value for one in cluster_samples(seen)}
    assert found == {
        ("headrace_kafka_controllers", ()): 1,
        ("headrace_kafka_broker_up", ("1",)): 1,
        ("headrace_kafka_broker_up", ("2",)): 1,
        ("headrace_kafka_broker_up", ("3",)): 0,
        ("headrace_kafka_broker_leaders", ("1",)): 2,
        ("headrace_kafka_broker_leaders", ("2",)): 1,
        ("headrace_kafka_broker_leaders", ("3",)): 0,
        ("headrace_kafka_under_replicated_partitions", ("otlp_spans",)): 2,
        ("headrace_kafka_under_replicated_partitions", ("otlp_logs",)): 0,
        ("headrace_kafka_offline_partitions", ("otlp_spans",)): 1,
        ("headrace_kafka_offline_partitions", ("otlp_logs",)): 0,
    }


def test_disks_are_told_by_name_and_path(tmp_path: Path) -> None:
    free, total = disk_samples([("all", str(tmp_path)), ("gone", str(tmp_path / "no"))])
    assert free.labels == total.labels == ("all", str(tmp_path))
    assert 0 < free.value <= total.value
    assert named_path("kafka=/var/lib/kafka") == ("kafka", "/var/lib/kafka")
    with pytest.raises(argparse.ArgumentTypeError, match="NAME=PATH"):
        named_path("/var/lib/kafka")


@pytest.mark.parametrize("declared", [WRITER, EXPORTER], ids=["writer", "exporter"])
def test_promtool_takes_the_names(declared: tuple[Metric, ...]) -> None:
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    for metric in declared:
        made = metric.make(registry)
        if metric.labels:
            made.labels(*metric.labels)
    check(generate_latest(registry))


def check(page: bytes) -> None:
    done = subprocess.run(
        [program("promtool"), "check", "metrics"], input=page, capture_output=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
