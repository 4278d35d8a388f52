"""Every metric of the writer, declared once. docs/metrics.md is written from here.

Names follow the Prometheus conventions (base units, `_total` for counters). No label takes a value
from the data.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.metrics import MetricWrapperBase

from headrace_writer.core.backlog import Backlog, Message
from headrace_writer.core.batch import BadMessage
from headrace_writer.core.block import Block, Signal
from headrace_writer.core.delivery_plan import Plan
from headrace_writer.core.guardrails import Rule
from headrace_writer.core.ownership import Ownership
from headrace_writer.shell.shards import Attempt

# Around the promise of ten seconds for metrics, and coarse beyond it.
LAG_BUCKETS = (0.1, 0.25, 0.5, 1, 1.5, 2, 3, 4, 5, 7.5, 10, 15, 30, 60, 120, 300, 900, 3600)
INSERT_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


@dataclass(frozen=True, slots=True)
class Metric:
    """One declaration: kind, name, meaning, labels."""

    kind: type[MetricWrapperBase]
    name: str
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()

    def make(self, registry: CollectorRegistry) -> Any:
        options: dict[str, Any] = {"buckets": self.buckets} if self.buckets else {}
        return self.kind(self.name, self.help, self.labels, registry=registry, **options)


DECLARED: tuple[Metric, ...] = (
    Metric(Counter, "headrace_writer_messages_fetched_total", "Kafka messages taken.", ("signal",)),
    Metric(
        Counter,
        "headrace_writer_payload_bytes_total",
        "Payload bytes of the messages taken, decompressed.",
        ("signal",),
    ),
    Metric(
        Counter,
        "headrace_writer_rows_inserted_total",
        "Rows acknowledged by ClickHouse.",
        ("signal", "table"),
    ),
    Metric(
        Counter,
        "headrace_writer_inserted_bytes_total",
        "Compressed block bytes acknowledged by ClickHouse.",
        ("signal",),
    ),
    Metric(
        Counter,
        "headrace_writer_blocks_inserted_total",
        "Blocks acknowledged by ClickHouse.",
        ("signal", "table"),
    ),
    Metric(
        Counter,
        "headrace_writer_batches_total",
        "Batches closed, by what closed them: bytes, age, drain.",
        ("signal", "reason"),
    ),
    Metric(
        Histogram,
        "headrace_writer_insert_duration_seconds",
        "From sending a block to its acknowledgement, retries included.",
        ("signal", "shard"),
        INSERT_BUCKETS,
    ),
    Metric(
        Counter,
        "headrace_writer_insert_failures_total",
        "Insert attempts without a clean acknowledgement; each is repeated.",
        ("signal", "shard"),
    ),
    Metric(
        Gauge,
        "headrace_writer_clickhouse_circuit_open",
        "1 while a shard's last attempt failed.",
        ("signal", "shard"),
    ),
    Metric(
        Histogram,
        "headrace_writer_end_to_end_latency_seconds",
        "From a message's Kafka timestamp to the acknowledgement of its batch, per message.",
        ("signal",),
        LAG_BUCKETS,
    ),
    Metric(
        Gauge,
        "headrace_writer_oldest_unacked_timestamp_seconds",
        "Kafka timestamp of the oldest message fetched and not stored; time() - x grows when the "
        "process hangs. NaN when there is none.",
        ("topic", "partition"),
    ),
    Metric(
        Gauge, "headrace_writer_backlog_bytes", "Payload bytes waiting for a batch.", ("signal",)
    ),
    Metric(
        Gauge,
        "headrace_writer_partition_end_offset",
        "Where a held partition ends in Kafka, asked every two seconds, also while it is paused.",
        ("signal", "partition"),
    ),
    Metric(
        Gauge,
        "headrace_writer_partition_stored_offset",
        "Where the next batch of a held partition starts: what lies before it is stored. The end "
        "minus this is the backlog in messages.",
        ("signal", "partition"),
    ),
    Metric(Gauge, "headrace_writer_partitions_assigned", "Partitions held.", ("signal",)),
    Metric(
        Gauge,
        "headrace_writer_partitions_stopped",
        "Partitions that stand still because going on could lose or double; the log says why.",
        ("signal",),
    ),
    Metric(
        Counter,
        "headrace_writer_rebalances_total",
        "Rebalance callbacks: assigned, revoked, lost.",
        ("signal", "kind"),
    ),
    Metric(
        Counter,
        "headrace_writer_dlq_records_total",
        "Messages stored in the dead-letter topic.",
        ("signal", "reason"),
    ),
    Metric(
        Counter,
        "headrace_writer_strings_repaired_total",
        "Strings whose invalid UTF-8 was replaced by U+FFFD.",
        ("signal",),
    ),
    Metric(
        Counter,
        "headrace_writer_traces_total",
        "Traced batches of the writer itself: sent, failed (not sent again), dropped (too many "
        "waited).",
        ("outcome",),
    ),
    Metric(
        Counter,
        "headrace_writer_guardrail_actions_total",
        "What each guardrail did to attributes and bodies, by the rule's id and action. A resource "
        "counts once, not once per row.",
        ("signal", "rule", "action"),
    ),
    Metric(
        Gauge,
        "headrace_writer_guardrails_outdated",
        "1 while the guardrails on disk cannot be used and older ones are in force.",
    ),
    Metric(
        Gauge,
        "headrace_writer_build_info",
        "Always 1; the labels say what runs.",
        ("version", "decoder"),
    ),
)


class WriterMetrics:
    """All metrics of one process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self._by_name = {metric.name: metric.make(registry) for metric in DECLARED}

    def __getitem__(self, name: str) -> Any:
        """A metric by its name without `headrace_writer_`."""
        return self._by_name[f"headrace_writer_{name}"]


class SignalMetrics:
    """What one signal's loop reports."""

    def __init__(self, metrics: WriterMetrics, signal: Signal, topic: str) -> None:
        self.signal = signal
        self._all = metrics
        self._topic = topic
        self._fetched = metrics["messages_fetched_total"].labels(signal)
        self._payload = metrics["payload_bytes_total"].labels(signal)
        self._latency = metrics["end_to_end_latency_seconds"].labels(signal)
        self._inserted_bytes = metrics["inserted_bytes_total"].labels(signal)
        self._followed: dict[int, tuple[int, int]] = {}

    def fetched(self, messages: Sequence[Message]) -> None:
        self._fetched.inc(len(messages))
        self._payload.inc(sum(len(message.value) for message in messages))

    def batch_closed(self, reason: str, _plan: Plan) -> None:
        self._all["batches_total"].labels(self.signal, reason).inc()

    def repaired(self, strings: int) -> None:
        """Called on the polling thread after each batch is decoded."""
        self._all["strings_repaired_total"].labels(self.signal).inc(strings)

    def guarded(self, rules: Sequence[Rule], counts: Sequence[int]) -> None:
        """Called on the polling thread after each batch is decoded."""
        for rule, count in zip(rules, counts, strict=True):
            labels = (self.signal, rule.id, rule.action)
            self._all["guardrail_actions_total"].labels(*labels).inc(count)

    def inserted(self, block: Block, seconds: float) -> None:
        """Called on insert threads; prometheus-client's counters are thread-safe."""
        table, shard = block.target
        self._all["rows_inserted_total"].labels(self.signal, table).inc(block.rows)
        self._all["blocks_inserted_total"].labels(self.signal, table).inc()
        self._inserted_bytes.inc(len(block.body))
        self._all["insert_duration_seconds"].labels(self.signal, shard).observe(seconds)
        self._all["clickhouse_circuit_open"].labels(self.signal, shard).set(0)

    def insert_failed(self, attempt: Attempt) -> None:
        self._all["insert_failures_total"].labels(self.signal, attempt.shard).inc()
        self._all["clickhouse_circuit_open"].labels(self.signal, attempt.shard).set(1)

    def stored(self, _plan: Plan, messages: Iterable[Message], now: float) -> None:
        for message in messages:
            self._latency.observe(max(0.0, now - message.timestamp_ms / 1000))

    def rebalanced(self, kind: str, partitions: Sequence[int]) -> None:
        self._all["rebalances_total"].labels(self.signal, kind).inc()
        if kind != "assigned":
            for partition in partitions:
                self._oldest(partition).set(float("nan"))

    def dead_lettered(self, bad: BadMessage) -> None:
        self._all["dlq_records_total"].labels(self.signal, bad.reason).inc()

    def state(
        self,
        ownership: Ownership,
        backlog: Backlog,
        in_flight: tuple[Plan, Sequence[Message]] | None,
    ) -> None:
        """What holds at the end of a turn."""
        self._all["backlog_bytes"].labels(self.signal).set(backlog.nbytes)
        self._all["partitions_assigned"].labels(self.signal).set(len(ownership.held))
        self._all["partitions_stopped"].labels(self.signal).set(len(ownership.stopped))
        oldest = backlog.oldest()
        for message in in_flight[1] if in_flight else ():
            known = oldest.get(message.partition, message.timestamp_ms)
            oldest[message.partition] = min(known, message.timestamp_ms)
        for partition in ownership.held:
            milliseconds = oldest.get(partition)
            value = float("nan") if milliseconds is None else milliseconds / 1000
            self._oldest(partition).set(value)

    def offsets(self, stored: Mapping[int, int], ends: Mapping[int, int]) -> None:
        """Both offsets of each partition whose end is known. Those of another's partitions are
        taken off the page: a value that stands still would hide the new owner's."""
        known = {p: (ends[p], stored[p]) for p in stored.keys() & ends.keys()}
        if known == self._followed:
            return  # as in most turns
        for at, name in enumerate(("partition_end_offset", "partition_stored_offset")):
            gauge = self._all[name]
            for partition in self._followed.keys() - known.keys():
                gauge.remove(self.signal, str(partition))
            for partition, offsets in known.items():
                gauge.labels(self.signal, partition).set(offsets[at])
        self._followed = known

    def _oldest(self, partition: int) -> Any:
        gauge = self._all["oldest_unacked_timestamp_seconds"]
        return gauge.labels(self._topic, partition)


def metrics_page() -> str:
    """docs/metrics.md."""
    lines = [
        "# Metrics of the writer",
        "",
        "Generated by `make docs` from `headrace_writer/telemetry.py`. Served at `/metrics`.",
        "",
        "| metric | type | labels | meaning |",
        "| --- | --- | --- | --- |",
    ]
    for metric in DECLARED:
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        kind = metric.kind.__name__.lower()
        lines.append(f"| `{metric.name}` | {kind} | {labels} | {metric.help} |")
    return "\n".join(lines) + "\n"
