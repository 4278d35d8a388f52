"""What the pipeline stands on: brokers, ClickHouse's shards and replicas, disks, gateways."""

from headrace_dashboards.panels import Dashboard, Panel, Query, Row

REPLICA = "shard {{shard}}, {{replica}}"
DAYS_LEFT = (
    "clamp_max(headrace_disk_free_bytes / clamp_min(-deriv(headrace_disk_free_bytes[6h]), 1) "
    "/ 86400, 365)"
)

GLANCE = Row(
    "At a glance",
    (
        Panel(
            "ClickHouse servers that answer",
            "Of those that the exporter asks.",
            "percentunit", (Query("avg(headrace_clickhouse_up)"),),
            "stat", 4, 5, warn=1, bad=0.99, falling=True,
        ),
        Panel(
            "Brokers in the cluster",
            "Of those that partitions name.",
            "percentunit", (Query("avg(headrace_kafka_broker_up)"),),
            "stat", 4, 5, warn=1, bad=0.99, falling=True,
        ),
        Panel(
            "Partitions without a leader",
            "Nothing goes in or out of them.",
            "none", (Query("sum(headrace_kafka_offline_partitions)"),), "stat", 4, 5, bad=1,
        ),
        Panel(
            "Partitions under-replicated",
            "Fewer in-sync replicas than replicas.",
            "none", (Query("sum(headrace_kafka_under_replicated_partitions)"),),
            "stat", 4, 5, bad=1,
        ),
        Panel(
            "Disk days left, the least",
            "At the pace of the last six hours; 365 stands for a year or more.",
            "d", (Query(f"min({DAYS_LEFT})"),), "stat", 4, 5, warn=14, bad=3, falling=True,
        ),
        Panel(
            "Last look of the exporter",
            "Age of its oldest source's last answer. Everything on this page is that old.",
            "s", (Query("time() - min(headrace_exporter_success_timestamp_seconds)"),),
            "stat", 4, 5, warn=90, bad=300,
        ),
    ),
)  # fmt: skip

KAFKA = Row(
    "Kafka",
    (
        Panel(
            "Messages in",
            "By the ends of the partitions. A message is one export request.",
            "cps",
            (
                Query(
                    "sum by (signal) (rate(headrace_kafka_partition_end_offset[$__rate_interval]))",
                    "{{signal}}",
                ),
            ),
        ),
        Panel(
            "Bytes written by gateways",
            "Compressed, as the brokers store them.",
            "Bps",
            (
                Query(
                    "sum by (topic) (rate(otelcol_kafka_exporter_bytes[$__rate_interval]))",
                    "{{topic}}",
                ),
            ),
        ),
        Panel(
            "Time of a write",
            "From the gateway to the acknowledgement of all in-sync replicas, mean.",
            "s",
            (
                Query(
                    "sum by (node_id) (rate(otelcol_kafka_exporter_latency_sum[$__rate_interval]))"
                    " / sum by (node_id) "
                    "(rate(otelcol_kafka_exporter_latency_count[$__rate_interval])) / 1000",
                    "broker {{node_id}}",
                ),
            ),
            warn=1, bad=5,
        ),
        Panel(
            "Partitions led",
            "Uneven for long: run a preferred leader election.",
            "none", (Query("headrace_kafka_broker_leaders", "broker {{broker}}"),), stacked=True,
        ),
        Panel(
            "Under-replicated, by topic",
            "All topics of one broker: it is away or slow.",
            "none", (Query("headrace_kafka_under_replicated_partitions", "{{topic}}"),),
            bad=1,
        ),
        Panel(
            "Dead letters kept",
            "Messages in the dead-letter topic: headrace dlq list.",
            "short", (Query("headrace_kafka_dead_letters", "dead letters"),), warn=1,
        ),
    ),
)  # fmt: skip

SERVERS = Row(
    "ClickHouse: shards and replicas",
    (
        Panel(
            "Servers that answer",
            "1 while a replica answers the exporter.",
            "none", (Query("headrace_clickhouse_up", REPLICA),), falling=True, bad=0.5, warn=1,
        ),
        Panel(
            "Rows inserted",
            "On each server; replicas of a shard insert what they are given and fetch the rest.",
            "cps",
            (
                Query(
                    "rate(headrace_clickhouse_inserted_rows_total[$__rate_interval])", REPLICA
                ),
            ),
            stacked=True,
        ),
        Panel(
            "Rows of each shard, of the largest",
            "100 % for all: shards are filled evenly.",
            "percentunit",
            (
                Query(
                    "sum by (shard) (max by (shard, table) (headrace_clickhouse_table_rows)) / "
                    "on() group_left() "
                    "max(sum by (shard) (max by (shard, table) (headrace_clickhouse_table_rows)))",
                    "shard {{shard}}",
                ),
            ),
        ),
        Panel(
            "Behind the shard",
            "absolute_delay of the table that is furthest behind.",
            "s", (Query("headrace_clickhouse_replica_delay_seconds", REPLICA),), warn=10, bad=60,
        ),
        Panel(
            "Replication queue",
            "Tasks that wait, by replica.",
            "short", (Query("headrace_clickhouse_replication_queue_size", REPLICA),), warn=100,
        ),
        Panel(
            "Read-only tables",
            "ZooKeeper or Keeper is away for that server.",
            "none", (Query("headrace_clickhouse_readonly_tables", REPLICA),), bad=1,
        ),
    ),
)  # fmt: skip

MERGES = Row(
    "Merges and parts",
    (
        Panel(
            "Merges running",
            "Merges and mutations.",
            "none", (Query("headrace_clickhouse_merges_running", REPLICA),),
        ),
        Panel(
            "Longest merge",
            "How long the oldest merge has run.",
            "s", (Query("headrace_clickhouse_merge_longest_seconds", REPLICA),), warn=3600,
        ),
        Panel(
            "Rows merged",
            "Read by merges; many times the rows inserted: small parts are merged again and again.",
            "cps",
            (Query("rate(headrace_clickhouse_merged_rows_total[$__rate_interval])", REPLICA),),
        ),
        Panel(
            "Most parts in a partition",
            "And the limit from which on inserts are slowed.",
            "short",
            (
                Query("headrace_clickhouse_parts_max", REPLICA),
                Query("min(headrace_clickhouse_parts_limit)", "limit"),
            ),
        ),
        Panel(
            "Parts by table",
            "Active parts, on the replica that has most.",
            "short",
            (Query("max by (table) (headrace_clickhouse_table_parts)", "{{table}}"),),
        ),
        Panel(
            "Inserts slowed or refused",
            "Because of too many parts.",
            "short",
            (
                Query(
                    "increase(headrace_clickhouse_inserts_delayed_total[$__rate_interval])",
                    f"slowed, {REPLICA}",
                ),
                Query(
                    "increase(headrace_clickhouse_inserts_rejected_total[$__rate_interval])",
                    f"refused, {REPLICA}",
                ),
            ),
            bad=1,
        ),
    ),
)  # fmt: skip

DISKS = Row(
    "Disks",
    (
        Panel(
            "Disk days left",
            "Free space by its fall over six hours; 365 stands for a year or more.",
            "d", (Query(DAYS_LEFT, "{{server}} {{disk}}"),), falling=True, warn=14, bad=3,
        ),
        Panel(
            "Disk used",
            "Share of each disk's size.",
            "percentunit",
            (
                Query(
                    "1 - headrace_disk_free_bytes / headrace_disk_total_bytes",
                    "{{server}} {{disk}}",
                ),
            ),
            warn=0.75, bad=0.9,
        ),
        Panel(
            "Bytes by table",
            "On disk, one replica of each shard.",
            "bytes",
            (
                Query(
                    "sum by (table) (max by (shard, table) (headrace_clickhouse_table_bytes))",
                    "{{table}}",
                ),
            ),
            stacked=True,
        ),
    ),
)  # fmt: skip

ENTRANCE = Row(
    "Gateways, balancer, and who looks",
    (
        Panel(
            "Gateways behind the balancer",
            "That pass its health check.",
            "none",
            (Query('haproxy_backend_active_servers{proxy=~"otlp.*"}', "{{proxy}}"),),
            falling=True, warn=2, bad=1,
        ),
        Panel(
            "Connections",
            "Open at the balancer.",
            "short", (Query('haproxy_backend_current_sessions{proxy=~"otlp.*"}', "{{proxy}}"),),
        ),
        Panel(
            "Memory of gateways",
            "Resident. At HEADRACE_GATEWAY_MEMORY_MIB of heap they refuse.",
            "bytes", (Query("otelcol_process_memory_rss", "{{component}}"),),
        ),
        Panel(
            "CPU of gateways",
            "Of one core: 2 are two cores busy.",
            "percentunit",
            (Query("rate(otelcol_process_cpu_seconds[$__rate_interval])", "{{component}}"),),
        ),
        Panel(
            "Exporter: time of a round",
            "How long each source takes to answer.",
            "s", (Query("headrace_exporter_round_seconds", "{{source}}"),), warn=5,
        ),
        Panel(
            "Stored bytes of metrics",
            "Of compressed blocks. Follows the number of series: a jump is cardinality.",
            "Bps", (Query("headrace:metric_stored_bytes_per_second", "metrics"),),
        ),
    ),
)  # fmt: skip

CLUSTER_DASHBOARD = Dashboard(
    "headrace-cluster",
    "headrace: cluster",
    "Brokers, ClickHouse's shards and replicas, merges, disks, gateways.",
    (GLANCE, KAFKA, SERVERS, MERGES, DISKS, ENTRANCE),
    since="now-6h",
)
