"""Every metric of the writer and of the exporter, declared once; docs/metrics.md is made from here.

Names follow the Prometheus conventions (base units, `_total` for counters). No label takes a value
from the data.
"""

from dataclasses import dataclass
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.metrics import MetricWrapperBase

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


WRITER: tuple[Metric, ...] = (
    Metric(Counter, "headrace_writer_messages_fetched_total", "Kafka messages taken.", ("signal",)),
    Metric(
        Counter,
        "headrace_writer_fetch_delay_seconds_total",
        "From the messages' Kafka timestamps until they were taken, summed. By "
        "messages_fetched_total: seconds of a message in Kafka.",
        ("signal",),
    ),
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
        Gauge,
        "headrace_writer_dedup_window_blocks_per_second",
        "Blocks a second, over all writers and shards, that the table's deduplication window holds "
        "for dedup_window_s; read when the writer starts.",
        ("signal", "table"),
    ),
    Metric(
        Counter,
        "headrace_writer_batches_total",
        "Batches closed, by what closed them: bytes, age, drain.",
        ("signal", "reason"),
    ),
    Metric(
        Counter,
        "headrace_writer_stage_seconds_total",
        "Time in each stage of the batches: decode and build are the kernel's, insert includes "
        "retries; then count, deadletter, ledger, commit. By batches_total: seconds of a batch. "
        "yield is before a batch: waiting for metrics that are late (metrics_first_s).",
        ("signal", "stage"),
    ),
    Metric(
        Counter,
        "headrace_writer_plan_replays_total",
        "Batches that another process, or this one before a rebalance, had planned and left, and "
        "that were finished on assignment.",
        ("signal",),
    ),
    Metric(
        Histogram,
        "headrace_writer_insert_duration_seconds",
        "From sending a block to this replica's acknowledgement; the clean attempt alone.",
        ("signal", "shard", "replica"),
        INSERT_BUCKETS,
    ),
    Metric(
        Counter,
        "headrace_writer_insert_failures_total",
        "Insert attempts without a clean acknowledgement; each is repeated.",
        ("signal", "shard", "replica"),
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
        Counter,
        "headrace_writer_stored_rows_total",
        "Rows of the messages that the latency histogram counts, at the same moment: the quotient "
        "is rows per message. rows_inserted_total is ahead by what is not committed yet.",
        ("signal",),
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
        "headrace_writer_partitions_paused",
        "Partitions that are not fetched because the backlog has been full for five seconds.",
        ("signal",),
    ),
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
    Metric(
        Gauge,
        "headrace_writer_config_info",
        "Always 1; the hash is of all settings but secrets, signals and http_listen, so that "
        "writers with other settings show.",
        ("hash",),
    ),
)

# What `headrace exporter` reads from outside. `replica` is host:port; shards count from 0.
EXPORTER: tuple[Metric, ...] = (
    Metric(
        Gauge,
        "headrace_clickhouse_up",
        "1 when the replica answered in the last round.",
        ("shard", "replica"),
    ),
    Metric(
        Gauge,
        "headrace_clickhouse_parts_max",
        "Most active parts in one partition of any table.",
        ("shard", "replica"),
    ),
    Metric(
        Gauge,
        "headrace_clickhouse_parts_limit",
        "parts_to_delay_insert: from so many parts in a partition on the server slows inserts.",
        ("shard", "replica"),
    ),
    Metric(
        Gauge,
        "headrace_clickhouse_readonly_tables",
        "Replicated tables that take no inserts.",
        ("shard", "replica"),
    ),
    Metric(
        Gauge,
        "headrace_clickhouse_replication_queue_size",
        "Replication tasks that wait, all tables.",
        ("shard", "replica"),
    ),
    Metric(
        Gauge,
        "headrace_clickhouse_replica_delay_seconds",
        "Largest absolute_delay of any table.",
        ("shard", "replica"),
    ),
    Metric(
        Gauge,
        "headrace_clickhouse_merges_running",
        "Merges and mutations on the way.",
        ("shard", "replica"),
    ),
    Metric(
        Gauge,
        "headrace_clickhouse_merge_longest_seconds",
        "How long the oldest of them has run.",
        ("shard", "replica"),
    ),
    Metric(
        Gauge,
        "headrace_clickhouse_table_parts",
        "Active parts.",
        ("shard", "replica", "table"),
    ),
    Metric(
        Gauge,
        "headrace_clickhouse_table_rows",
        "Rows in active parts.",
        ("shard", "replica", "table"),
    ),
    Metric(
        Gauge,
        "headrace_clickhouse_table_bytes",
        "Bytes on disk of active parts.",
        ("shard", "replica", "table"),
    ),
    Metric(
        Counter,
        "headrace_clickhouse_inserts_delayed_total",
        "Inserts slowed down because of too many parts (DelayedInserts).",
        ("shard", "replica"),
    ),
    Metric(
        Counter,
        "headrace_clickhouse_inserts_rejected_total",
        "Inserts refused because of too many parts (RejectedInserts).",
        ("shard", "replica"),
    ),
    Metric(
        Counter,
        "headrace_clickhouse_inserted_rows_total",
        "Rows inserted here (InsertedRows), the ledger's and views' included.",
        ("shard", "replica"),
    ),
    Metric(
        Counter,
        "headrace_clickhouse_merged_rows_total",
        "Rows read by merges (MergedRows).",
        ("shard", "replica"),
    ),
    Metric(
        Gauge,
        "headrace_disk_free_bytes",
        "Free space: a server's disk (system.disks), or a path given by --disk.",
        ("server", "disk"),
    ),
    Metric(Gauge, "headrace_disk_total_bytes", "Size of that disk.", ("server", "disk")),
    Metric(Gauge, "headrace_kafka_up", "1 when Kafka answered in the last round.", ()),
    Metric(
        Gauge,
        "headrace_kafka_broker_up",
        "1 while the broker is in the cluster; 0 when only partitions still name it.",
        ("broker",),
    ),
    Metric(
        Gauge,
        "headrace_kafka_broker_leaders",
        "Partitions that the broker leads.",
        ("broker",),
    ),
    Metric(
        Gauge,
        "headrace_kafka_controllers",
        "1 when a broker of the cluster is the controller.",
        (),
    ),
    Metric(
        Gauge,
        "headrace_kafka_under_replicated_partitions",
        "Partitions with fewer in-sync replicas than replicas.",
        ("topic",),
    ),
    Metric(
        Gauge,
        "headrace_kafka_offline_partitions",
        "Partitions without a leader: nothing goes in or out.",
        ("topic",),
    ),
    Metric(
        Gauge,
        "headrace_kafka_partition_end_offset",
        "Where the partition ends.",
        ("signal", "partition"),
    ),
    Metric(
        Gauge,
        "headrace_kafka_group_committed_offset",
        "What lies before it is stored.",
        ("signal", "partition"),
    ),
    Metric(
        Gauge,
        "headrace_kafka_group_lag_messages",
        "Messages not committed, seen from outside the writers.",
        ("signal", "partition"),
    ),
    Metric(
        Gauge,
        "headrace_kafka_group_lag_seconds",
        "Age of the oldest message not committed, from outside the writers; 0 when there "
        "is none. An idle group commits its last batch a little later, so a few seconds "
        "are normal.",
        ("signal", "partition"),
    ),
    Metric(Gauge, "headrace_kafka_dead_letters", "Messages in the dead-letter topic.", ()),
    Metric(
        Gauge,
        "headrace_ledger_findings",
        "Gaps, overlaps and unread deletions between ledger and offsets that are there now.",
        ("signal", "kind"),
    ),
    Metric(
        Gauge,
        "headrace_exporter_success_timestamp_seconds",
        "When a source last answered.",
        ("source",),
    ),
    Metric(
        Gauge,
        "headrace_exporter_round_seconds",
        "How long the source's last round took.",
        ("source",),
    ),
)
