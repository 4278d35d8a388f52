"""The dashboard to open first: is the promise held, and if not, where it stands."""

from headrace_dashboards.autoscaler import AUTOSCALER
from headrace_dashboards.frame import AMBER
from headrace_dashboards.panels import ALERTS, Dashboard, Mark, Panel, Query, Row
from headrace_dashboards.shared import CPU, E2E, INSERT, LATENCY, MEMORY, quantile, rate

STAGES = 'headrace_writer_stage_seconds_total{signal="metrics"}'
FETCHED = 'headrace_writer_messages_fetched_total{signal="metrics"}'
IN_KAFKA = 'headrace_writer_fetch_delay_seconds_total{signal="metrics"}'
BATCHES = 'headrace_writer_batches_total{signal="metrics"}'

PROMISE = Row(
    "The promise: metrics are visible in ten seconds",
    (
        Panel(
            "Oldest metric not stored",
            "Age of the oldest metric record that is not in ClickHouse, as writers and exporter "
            "see it: the larger counts. 0 when nothing waits; no value when nobody reports. Of "
            "several releases, here and beside, the worst.",
            "s", (Query("max(headrace:metric_lag_seconds)"),),
            "stat", 4, 5, warn=5, bad=10, decimals=1,
        ),
        Panel(
            "Held, 30 days",
            "Share of the time slices in which the oldest metric was younger than ten seconds, no "
            "partition of metrics stood still and a writer of them reported; 99.9 % are promised.",
            "percentunit", (Query("1 - max(headrace:metric_lag_bad:ratio30d)"),),
            "stat", 4, 5, warn=0.9995, bad=0.999, decimals=3, falling=True,
        ),
        Panel(
            "Error budget left, 30 days",
            "Share of the time slices that may still be bad: 0.1 % of 30 days are 43 minutes.",
            "percentunit", (Query("1 - max(headrace:metric_lag_bad:ratio30d) / 0.001"),),
            "stat", 4, 5, warn=0.5, bad=0, decimals=1, falling=True,
        ),
        Panel(
            "Budget burn, one hour",
            "1 spends the month's budget in a month; at 14.4 somebody is paged.",
            "none", (Query("max(headrace:metric_lag_bad:ratio1h) / 0.001"),),
            "stat", 4, 5, warn=3, bad=14.4, decimals=1,
        ),
        Panel(
            "Partitions that stand still",
            "Partitions that a writer stopped because going on could lose or double records. The "
            "writer's log says why.",
            "none", (Query("sum(headrace_writer_partitions_stopped)"),), "stat", 4, 5, bad=1,
        ),
        Panel(
            "Findings of the ledger",
            "Gaps, overlaps and unread deletions between ledger and committed offsets: headrace "
            "audit names them.",
            "none", (Query("sum(headrace_ledger_findings)"),), "stat", 4, 5, bad=1,
        ),
        Panel(
            "Budget burn by window",
            "A page needs a long and a short window: 14.4 over 1 h and 5 min, or 6 over 6 h and "
            "30 min.",
            "none",
            tuple(
                Query(f"max(headrace:metric_lag_bad:ratio{window}) / 0.001", window)
                for window in ("5m", "1h", "6h", "3d")
            ),
            width=24, height=6, warn=6, bad=14.4,
        ),
    ),
)  # fmt: skip

LAG = Row(
    "Lag",
    (
        Panel(
            "Kafka to ClickHouse, median and p99",
            "From a message's Kafka timestamp to the acknowledgement of its batch.",
            "s",
            (
                quantile(0.5, LATENCY, "signal", "{{signal}} p50"),
                quantile(0.99, LATENCY, "signal", "{{signal}} p99"),
            ),
            width=12, bad=10,
        ),
        Panel(
            "Oldest record not stored, largest of each signal",
            "From outside the writers, by the exporter, and as the writers see it. Outside only: "
            "no writer has fetched it.",
            "s",
            (
                Query(
                    "max by (signal) (headrace_kafka_group_lag_seconds)", "{{signal}}, from outside"
                ),
                Query(
                    "time() - min by (topic) "
                    "(headrace_writer_oldest_unacked_timestamp_seconds > 0)",
                    "{{topic}}, in the writers",
                ),
            ),
            width=12, bad=10,
        ),
        Panel(
            "Oldest record not stored, by partition",
            "One partition darker than the others: its owner hangs or stopped. All of a signal: "
            "its writers or ClickHouse are too slow.",
            "s",
            (
                Query(
                    "max by (signal, partition) (headrace_kafka_group_lag_seconds)",
                    "{{signal}}/{{partition}}",
                ),
            ),
            "cells", 24, 10, most=30,
        ),
        Panel(
            "Metrics: Kafka to ClickHouse, distribution",
            "How many messages took how long.",
            "s",
            (
                Query(
                    f'sum by (le) (increase({LATENCY}{{signal="metrics"}}[$__rate_interval]))',
                    "{{le}}",
                ),
            ),
            "heatmap", 12,
        ),
        Panel(
            "Waiting in the writers",
            "Payload bytes fetched and not yet in a batch. At backlog_max_bytes fetching pauses.",
            "bytes", (Query("sum by (signal) (headrace_writer_backlog_bytes)", "{{signal}}"),),
            width=12,
        ),
        Panel(
            "Where a metric's time goes",
            "Mean per message or batch. In Kafka: until a writer has fetched it. Batching: in the "
            "backlog, until the batch closes. Decode and build are the kernel's. Replicating "
            "has a line of its own: it is the worst replica's, and comes after the record is "
            "visible on the first.",
            "s",
            (
                Query(
                    "sum(rate(otelcol_kafka_exporter_latency_sum[$__rate_interval])) "
                    "/ sum(rate(otelcol_kafka_exporter_latency_count[$__rate_interval])) / 1000",
                    "gateway to broker",
                ),
                Query(
                    f"sum(rate({IN_KAFKA}[$__rate_interval])) "
                    f"/ sum(rate({FETCHED}[$__rate_interval]))",
                    "in Kafka",
                ),
                Query(
                    f'clamp_min(sum(rate({E2E}_sum{{signal="metrics"}}[$__rate_interval])) '
                    f'/ sum(rate({E2E}_count{{signal="metrics"}}[$__rate_interval])) '
                    f"- sum(rate({IN_KAFKA}[$__rate_interval])) "
                    f"/ sum(rate({FETCHED}[$__rate_interval])) "
                    f"- sum(rate({STAGES}[$__rate_interval])) "
                    f"/ sum(rate({BATCHES}[$__rate_interval])), 0)",
                    "batching",
                ),
                Query(
                    f"sum by (stage) (rate({STAGES}[$__rate_interval])) "
                    f"/ on() group_left() sum(rate({BATCHES}[$__rate_interval]))",
                    "{{stage}}",
                ),
                Query(
                    "max(headrace_clickhouse_replica_delay_seconds)", "replicating", apart=True
                ),
            ),
            width=12, stacked=True,
        ),
        Panel(
            "Messages not committed",
            "By the exporter, from outside the writers.",
            "short",
            (Query("sum by (signal) (headrace_kafka_group_lag_messages)", "{{signal}}"),),
            width=12,
        ),
    ),
)  # fmt: skip

FLOW = Row(
    "Flow",
    (
        Panel(
            "Gateway: records accepted",
            "Acknowledged after Kafka had them on all in-sync replicas.",
            "cps",
            (
                Query("sum(rate(otelcol_receiver_accepted_spans[$__rate_interval]))", "spans"),
                Query(
                    "sum(rate(otelcol_receiver_accepted_metric_points[$__rate_interval]))",
                    "points",
                ),
                Query("sum(rate(otelcol_receiver_accepted_log_records[$__rate_interval]))", "logs"),
            ),
        ),
        Panel(
            "Gateway: records refused",
            "UNAVAILABLE to the sender, who sends them again.",
            "cps",
            (
                Query("sum(rate(otelcol_receiver_refused_spans[$__rate_interval]))", "spans"),
                Query(
                    "sum(rate(otelcol_receiver_refused_metric_points[$__rate_interval]))", "points"
                ),
                Query("sum(rate(otelcol_receiver_refused_log_records[$__rate_interval]))", "logs"),
            ),
        ),
        Panel(
            "Arriving against stored, messages",
            "Stored below arriving: the lag grows.",
            "cps",
            (
                Query("headrace:arrival_messages_per_second", "{{signal}} arriving"),
                rate(f"{E2E}_count", legend="{{signal}} stored"),
            ),
        ),
        Panel(
            "Writers: rows stored",
            "Acknowledged by ClickHouse.",
            "cps", (rate("headrace_writer_rows_inserted_total"),),
        ),
        Panel(
            "Writers: bytes fetched",
            "Payload of the messages taken, decompressed.",
            "Bps", (rate("headrace_writer_payload_bytes_total"),),
        ),
        Panel(
            "What closes batches",
            "age: the load is light; bytes: it is heavy, and larger batches would cost less; "
            "drain: a writer hands over.",
            "cps",
            (rate("headrace_writer_batches_total", "signal, reason", "{{signal}}, {{reason}}"),),
            stacked=True,
        ),
        Panel(
            "Dead letters",
            "Messages in the dead-letter topic, by reason: headrace dlq list.",
            "short",
            (
                Query(
                    "sum by (signal, reason) "
                    "(increase(headrace_writer_dlq_records_total[$__rate_interval]))",
                    "{{signal}}, {{reason}}",
                ),
            ),
            bad=1,
        ),
    ),
)  # fmt: skip

CLICKHOUSE = Row(
    "ClickHouse, as the writers see it",
    (
        Panel(
            "Insert duration, p99 by replica",
            "From sending a block to this replica's acknowledgement.",
            "s", (quantile(0.99, INSERT, "shard, replica", "shard {{shard}}, {{replica}}"),),
            warn=2, bad=10,
        ),
        Panel(
            "Failed attempts",
            "Each is repeated with the same bytes, on another replica.",
            "cps",
            (
                rate(
                    "headrace_writer_insert_failures_total",
                    "shard, replica",
                    "shard {{shard}}, {{replica}}",
                ),
            ),
        ),
        Panel(
            "Shards that take nothing",
            "1 while the last attempt failed.",
            "none",
            (
                Query(
                    "max by (signal, shard) (headrace_writer_clickhouse_circuit_open)",
                    "{{signal}}, shard {{shard}}",
                ),
            ),
            bad=1,
        ),
        Panel(
            "Replication queue",
            "Tasks that wait, by replica.",
            "short",
            (Query("headrace_clickhouse_replication_queue_size", "shard {{shard}}, {{replica}}"),),
        ),
        Panel(
            "Parts, of the limit",
            "Most parts in one partition, as a share of parts_to_delay_insert: at 100 % inserts "
            "are slowed.",
            "percentunit",
            (
                Query(
                    "headrace_clickhouse_parts_max / headrace_clickhouse_parts_limit",
                    "shard {{shard}}, {{replica}}",
                ),
            ),
            warn=0.7, bad=1,
        ),
        Panel(
            "Inserts slowed or refused",
            "Because of too many parts.",
            "short",
            (
                Query(
                    "increase(headrace_clickhouse_inserts_delayed_total[$__rate_interval]) "
                    "+ increase(headrace_clickhouse_inserts_rejected_total[$__rate_interval])",
                    "shard {{shard}}, {{replica}}",
                ),
            ),
            bad=1,
        ),
    ),
)  # fmt: skip

WRITERS = Row(
    "Writers",
    (
        Panel(
            "Partitions held",
            "Their sum is the topic's partitions, or some have no owner.",
            "none",
            (
                Query(
                    "sum by (signal, instance) (headrace_writer_partitions_assigned)",
                    "{{signal}} {{instance}}",
                ),
            ),
            stacked=True,
        ),
        Panel(
            "Writers that run",
            "Those that hold partitions.",
            "none",
            (
                Query(
                    "count by (signal) (headrace_writer_partitions_assigned > 0)", "{{signal}}"
                ),
            ),
        ),
        Panel(
            "Batches finished for somebody else",
            "Planned by a writer that went away, replayed by its successor.",
            "short",
            (
                Query(
                    "sum by (signal) "
                    "(increase(headrace_writer_plan_replays_total[$__rate_interval]))",
                    "{{signal}}",
                ),
            ),
        ),
        Panel(
            "Partitions paused",
            "Not fetched, because the backlog is full: ClickHouse or the writer is behind.",
            "none",
            (Query("sum by (signal) (headrace_writer_partitions_paused)", "{{signal}}"),), warn=1,
        ),
        Panel(
            "Settings in force",
            "Writers by the hash of their settings. More than one: a rollout, or a mistake.",
            "none", (Query("count by (hash) (headrace_writer_config_info)", "{{hash}}"),),
        ),
        Panel(
            "Rebalances",
            "Assignments come with starts and scaling. Lost: a writer was silent for its session.",
            "short",
            (
                Query(
                    "sum by (signal, kind) "
                    "(increase(headrace_writer_rebalances_total[$__rate_interval]))",
                    "{{signal}} {{kind}}",
                ),
            ),
        ),
        CPU,
        MEMORY,
    ),
)  # fmt: skip

LAG_DASHBOARD = Dashboard(
    "headrace-lag",
    "headrace: lag",
    "Is the promise held, how far is each signal behind, and where does it stand.",
    (PROMISE, LAG, FLOW, CLICKHOUSE, WRITERS, AUTOSCALER),
    (
        ALERTS,
        Mark(
            "Writer starts", AMBER,
            'changes(process_start_time_seconds{job="writer"}[1m]) > 0', "{{instance}} started",
        ),
    ),
)  # fmt: skip
