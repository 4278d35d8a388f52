"""What the writer reports of itself; headrace_writer.metrics declares each metric."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from prometheus_client import CollectorRegistry

from headrace_writer.core.backlog import Backlog, Message
from headrace_writer.core.batch import BadMessage
from headrace_writer.core.block import Block, Signal
from headrace_writer.core.delivery_plan import Plan
from headrace_writer.core.guardrails import Rule
from headrace_writer.core.ownership import Ownership
from headrace_writer.metrics import WRITER
from headrace_writer.shell.shards import Acknowledged, Attempt


class WriterMetrics:
    """All metrics of one process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self._by_name = {metric.name: metric.make(registry) for metric in WRITER}

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
        self._fetch_delay = metrics["fetch_delay_seconds_total"].labels(signal)
        self._payload = metrics["payload_bytes_total"].labels(signal)
        self._latency = metrics["end_to_end_latency_seconds"].labels(signal)
        self._stored_rows = metrics["stored_rows_total"].labels(signal)
        self._inserted_bytes = metrics["inserted_bytes_total"].labels(signal)
        self._replays = metrics["plan_replays_total"].labels(signal)
        self._followed: dict[int, tuple[int, int]] = {}

    def fetched(self, messages: Sequence[Message], now: float) -> None:
        """`now`: seconds since the epoch, as messages' timestamps are."""
        self._fetched.inc(len(messages))
        seconds = len(messages) * now - sum(one.timestamp_ms for one in messages) / 1000
        # A broker's clock may be ahead.
        self._fetch_delay.inc(max(0.0, seconds))
        self._payload.inc(sum(len(message.value) for message in messages))

    def batch_closed(self, reason: str, _plan: Plan) -> None:
        self._all["batches_total"].labels(self.signal, reason).inc()

    def repaired(self, strings: int) -> None:
        """Called on the polling thread after each batch is decoded."""
        self._all["strings_repaired_total"].labels(self.signal).inc(strings)

    def stage(self, name: str, seconds: float) -> None:
        """One step of a batch took so long (by the wall clock, which may be set back); called on
        whatever thread made it."""
        self._all["stage_seconds_total"].labels(self.signal, name).inc(max(0.0, seconds))

    def replayed(self) -> None:
        self._replays.inc()

    def guarded(self, rules: Sequence[Rule], counts: Sequence[int]) -> None:
        """Called on the polling thread after each batch is decoded."""
        for rule, count in zip(rules, counts, strict=True):
            labels = (self.signal, rule.id, rule.action)
            self._all["guardrail_actions_total"].labels(*labels).inc(count)

    def inserted(self, block: Block, _seconds: float) -> None:
        """Called on insert threads; prometheus-client's counters are thread-safe."""
        table = block.target.table
        self._all["rows_inserted_total"].labels(self.signal, table).inc(block.rows)
        self._all["blocks_inserted_total"].labels(self.signal, table).inc()
        self._inserted_bytes.inc(len(block.body))

    def remembered(self, tables: Mapping[str, float]) -> None:
        """By table: blocks a second, over all shards, that stay within the window."""
        for table, blocks in tables.items():
            self._all["dedup_window_blocks_per_second"].labels(self.signal, table).set(blocks)

    def acknowledged(self, done: Acknowledged) -> None:
        labels = (self.signal, done.shard, str(done.replica))
        self._all["insert_duration_seconds"].labels(*labels).observe(done.seconds)
        self._all["clickhouse_circuit_open"].labels(self.signal, done.shard).set(0)

    def insert_failed(self, attempt: Attempt) -> None:
        labels = (self.signal, attempt.shard, str(attempt.replica))
        self._all["insert_failures_total"].labels(*labels).inc()
        self._all["clickhouse_circuit_open"].labels(self.signal, attempt.shard).set(1)

    def stored(self, plan: Plan, messages: Iterable[Message], now: float) -> None:
        for message in messages:
            self._latency.observe(max(0.0, now - message.timestamp_ms / 1000))
        self._stored_rows.inc(sum(plan.rows.values()))

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
        paused: int,
    ) -> None:
        """What holds at the end of a turn. `paused`: partitions not fetched meanwhile."""
        self._all["partitions_paused"].labels(self.signal).set(paused)
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
