"""A run of loadgen: its begin and end, marked over what the pipeline did meanwhile."""

from headrace_dashboards.panels import ALERTS, Dashboard, Mark, Panel, Query, Row
from headrace_dashboards.shared import CPU, E2E, LATENCY, MEMORY, quantile, rate

# Each run sends a canary metric from its first second to its last, under a service name of its own.
# The tables are ordered by service name, so this reads a few granules.
RUNS_SQL = """\
SELECT
  min(toUnixTimestamp64Milli(TimeUnix)) AS time,
  max(toUnixTimestamp64Milli(TimeUnix)) AS timeEnd,
  ServiceName AS text
FROM otel_metrics_gauge
WHERE ServiceName LIKE 'loadgen-canary-%' AND MetricName = 'loadgen.canary'
  AND $__timeFilter(TimeUnix)
GROUP BY ServiceName
ORDER BY time"""

RUN = Row(
    "What was asked, and what came through",
    (
        Panel(
            "Records acknowledged by gateways",
            "What loadgen sent and got a 200 for.",
            "cps",
            (
                Query("sum(rate(otelcol_receiver_accepted_spans[$__rate_interval]))", "spans"),
                Query(
                    "sum(rate(otelcol_receiver_accepted_metric_points[$__rate_interval]))",
                    "points",
                ),
                Query("sum(rate(otelcol_receiver_accepted_log_records[$__rate_interval]))", "logs"),
            ),
            width=12,
        ),
        Panel(
            "Rows stored",
            "Acknowledged by ClickHouse.",
            "cps", (rate("headrace_writer_rows_inserted_total"),), width=12,
        ),
        Panel(
            "Lag of metrics",
            "From Kafka to the acknowledgement of the batch; ten seconds are promised.",
            "s",
            (
                quantile(0.5, LATENCY, "signal", "{{signal}} p50"),
                quantile(0.99, LATENCY, "signal", "{{signal}} p99"),
                Query("max(headrace:metric_lag_seconds)", "oldest metric not stored"),
            ),
            width=12, bad=10,
        ),
        Panel(
            "Messages not committed",
            "From outside the writers. Level: the pipeline keeps up. Rising: it does not.",
            "short",
            (Query("sum by (signal) (headrace_kafka_group_lag_messages)", "{{signal}}"),),
            width=12,
        ),
    ),
)  # fmt: skip

COST = Row(
    "What it cost",
    (
        CPU,
        Panel(
            "CPU of gateways",
            "Of one core: 2 are two cores busy.",
            "percentunit",
            (
                Query(
                    "sum by (component) (rate(otelcol_process_cpu_seconds[$__rate_interval]))",
                    "{{component}}",
                ),
            ),
        ),
        Panel(
            "Writer CPU per message",
            "Of the processes, by messages stored.",
            "s",
            (
                Query(
                    'sum(rate(process_cpu_seconds_total{job="writer"}[$__rate_interval])) '
                    f"/ sum(rate({E2E}_count[$__rate_interval]))",
                    "writers",
                ),
            ),
        ),
        MEMORY,
        Panel(
            "Merges running",
            "They compete with inserts for processor and disk.",
            "none", (Query("sum(headrace_clickhouse_merges_running)", "all servers"),),
        ),
        Panel(
            "Most parts in a partition",
            "Rising all the time: merges do not keep up with this load.",
            "short",
            (Query("headrace_clickhouse_parts_max", "shard {{shard}}, {{replica}}"),),
        ),
    ),
)  # fmt: skip

LOADGEN_DASHBOARD = Dashboard(
    "headrace-loadgen",
    "headrace: loadgen",
    "Runs of loadgen, marked from their first second to their last.",
    (RUN, COST),
    (Mark("Runs", "blue", sql=RUNS_SQL), ALERTS),
)
