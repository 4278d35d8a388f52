"""The dashboard to open first: is the promise held, and if not, where it stands."""

from headrace_dashboards.panels import Dashboard, Panel, Query, Row

LATENCY = "headrace_writer_end_to_end_latency_seconds_bucket"
INSERT = "headrace_writer_insert_duration_seconds_bucket"


def _quantile(share: float, metric: str, by: str, legend: str) -> Query:
    expr = f"histogram_quantile({share}, sum by (le, {by}) (rate({metric}[$__rate_interval])))"
    return Query(expr, legend)


def _rate(metric: str, by: str = "signal", legend: str = "{{signal}}") -> Query:
    return Query(f"sum by ({by}) (rate({metric}[$__rate_interval]))", legend)


PROMISE = Row(
    "The promise: metrics are visible in ten seconds",
    (
        Panel(
            "Oldest metric not stored",
            "Age of the oldest metric record that is not in ClickHouse. 0 when nothing waits; no "
            "value when no writer of metrics reports.",
            "s", (Query("headrace:metric_lag_seconds"),), "stat", 6, 5, warn=5, bad=10, decimals=1,
        ),
        Panel(
            "Error budget left, 30 days",
            "Share of the time slices that may still be bad: 0.1 % of 30 days are 43 minutes.",
            "percentunit", (Query("1 - headrace:metric_lag_bad:ratio30d / 0.001"),),
            "stat", 6, 5, decimals=1,
        ),
        Panel(
            "Budget burn, one hour",
            "1 spends the month's budget in a month; at 14.4 somebody is paged.",
            "none", (Query("headrace:metric_lag_bad:ratio1h / 0.001"),),
            "stat", 6, 5, warn=3, bad=14.4, decimals=1,
        ),
        Panel(
            "Partitions that stand still",
            "Partitions that a writer stopped because going on could lose or double records. The "
            "writer's log says why.",
            "none", (Query("sum(headrace_writer_partitions_stopped)"),), "stat", 6, 5, bad=1,
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
                _quantile(0.5, LATENCY, "signal", "{{signal}} p50"),
                _quantile(0.99, LATENCY, "signal", "{{signal}} p99"),
            ),
            width=12, bad=10,
        ),
        Panel(
            "Oldest record not stored, by partition",
            "One partition above the others: its owner hangs or stopped. All of a signal: its "
            "writers or ClickHouse are too slow.",
            "s",
            (
                Query(
                    "time() - (headrace_writer_oldest_unacked_timestamp_seconds > 0)",
                    "{{topic}}/{{partition}}",
                ),
            ),
            width=12, bad=10,
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
            "Writers: rows stored",
            "Acknowledged by ClickHouse.",
            "cps", (_rate("headrace_writer_rows_inserted_total"),),
        ),
        Panel(
            "Writers: bytes fetched",
            "Payload of the messages taken, decompressed.",
            "Bps", (_rate("headrace_writer_payload_bytes_total"),),
        ),
        Panel(
            "What closes batches",
            "age: the load is light; bytes: it is heavy, and larger batches would cost less; "
            "drain: a writer hands over.",
            "cps",
            (_rate("headrace_writer_batches_total", "signal, reason", "{{signal}}, {{reason}}"),),
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
            "Insert duration, p99 by shard",
            "From sending a block to its acknowledgement, retries included.",
            "s", (_quantile(0.99, INSERT, "signal, shard", "{{signal}}, shard {{shard}}"),),
            warn=2, bad=10,
        ),
        Panel(
            "Failed attempts",
            "Each is repeated with the same bytes, on another replica.",
            "cps",
            (
                _rate(
                    "headrace_writer_insert_failures_total",
                    "signal, shard",
                    "{{signal}}, shard {{shard}}",
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
        Panel(
            "CPU",
            "Of one core. A writer does not use more than about one and a half.",
            "percentunit",
            (
                Query(
                    'sum by (instance) (rate(process_cpu_seconds_total{job="writer"}'
                    "[$__rate_interval]))",
                    "{{instance}}",
                ),
            ),
        ),
        Panel(
            "Memory",
            "Resident. Bounded by batch_max_bytes and backlog_max_bytes.",
            "bytes",
            (
                Query(
                    'max by (instance) (process_resident_memory_bytes{job="writer"})',
                    "{{instance}}",
                ),
            ),
        ),
    ),
)  # fmt: skip

LAG_DASHBOARD = Dashboard(
    "headrace-lag",
    "headrace: lag",
    "Is the promise held, how far is each signal behind, and where does it stand.",
    (PROMISE, LAG, FLOW, CLICKHOUSE, WRITERS),
)
