-- 0001_create_traces LOCAL
CREATE TABLE IF NOT EXISTS otel.otel_traces_local
(
    Timestamp DateTime64(9) CODEC(Delta, ZSTD(1)),
    TraceId String CODEC(ZSTD(1)),
    SpanId String CODEC(ZSTD(1)),
    ParentSpanId String CODEC(ZSTD(1)),
    TraceState String CODEC(ZSTD(1)),
    SpanName LowCardinality(String) CODEC(ZSTD(1)),
    SpanKind LowCardinality(String) CODEC(ZSTD(1)),
    ServiceName LowCardinality(String) CODEC(ZSTD(1)),
    ResourceAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    ScopeName String CODEC(ZSTD(1)),
    ScopeVersion String CODEC(ZSTD(1)),
    SpanAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    Duration UInt64 CODEC(ZSTD(1)),
    StatusCode LowCardinality(String) CODEC(ZSTD(1)),
    StatusMessage String CODEC(ZSTD(1)),
    Events Nested(Timestamp DateTime64(9), Name LowCardinality(String), Attributes Map(LowCardinality(String), String)) CODEC(ZSTD(1)),
    Links Nested(TraceId String, SpanId String, TraceState String, Attributes Map(LowCardinality(String), String)) CODEC(ZSTD(1)),
    IngestId UInt64 CODEC(ZSTD(1)),
    INDEX idx_trace_id TraceId TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX idx_res_attr_key mapKeys(ResourceAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_res_attr_value mapValues(ResourceAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_span_attr_key mapKeys(SpanAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_span_attr_value mapValues(SpanAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_duration Duration TYPE minmax GRANULARITY 1
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{cluster}/{shard}/otel/otel_traces', '{replica}')
PARTITION BY toDate(Timestamp)
ORDER BY (ServiceName, SpanName, toDateTime(Timestamp))
SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1, replicated_deduplication_window = 86400, replicated_deduplication_window_seconds = 86400;

-- 0001_create_traces LOCAL
CREATE TABLE IF NOT EXISTS otel.otel_traces_trace_id_ts_local
(
    TraceId String CODEC(ZSTD(1)),
    Start DateTime CODEC(Delta, ZSTD(1)),
    End DateTime CODEC(Delta, ZSTD(1)),
    INDEX idx_trace_id TraceId TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{cluster}/{shard}/otel/otel_traces_trace_id_ts', '{replica}')
PARTITION BY toDate(Start)
ORDER BY (TraceId, Start)
SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1, replicated_deduplication_window = 86400, replicated_deduplication_window_seconds = 86400;

-- 0001_create_traces LOCAL
CREATE MATERIALIZED VIEW IF NOT EXISTS otel.otel_traces_trace_id_ts_mv
TO otel.otel_traces_trace_id_ts_local
AS SELECT
    TraceId,
    toDateTime(min(Timestamp)) AS Start,
    toDateTime(max(Timestamp)) AS End
FROM otel.otel_traces_local
WHERE TraceId != ''
GROUP BY TraceId;

-- 0001_create_traces DISTRIBUTED
CREATE TABLE IF NOT EXISTS otel.otel_traces
AS otel.otel_traces_local
ENGINE = Distributed(headrace, otel, otel_traces_local, cityHash64(TraceId));

-- 0001_create_traces DISTRIBUTED
CREATE TABLE IF NOT EXISTS otel.otel_traces_trace_id_ts
AS otel.otel_traces_trace_id_ts_local
ENGINE = Distributed(headrace, otel, otel_traces_trace_id_ts_local, cityHash64(TraceId));

-- 0002_create_logs LOCAL
CREATE TABLE IF NOT EXISTS otel.otel_logs_local
(
    Timestamp DateTime64(9) CODEC(Delta, ZSTD(1)),
    TraceId String CODEC(ZSTD(1)),
    SpanId String CODEC(ZSTD(1)),
    TraceFlags UInt8,
    SeverityText LowCardinality(String) CODEC(ZSTD(1)),
    SeverityNumber UInt8,
    ServiceName LowCardinality(String) CODEC(ZSTD(1)),
    Body String CODEC(ZSTD(1)),
    ResourceSchemaUrl LowCardinality(String) CODEC(ZSTD(1)),
    ResourceAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    ScopeSchemaUrl LowCardinality(String) CODEC(ZSTD(1)),
    ScopeName String CODEC(ZSTD(1)),
    ScopeVersion LowCardinality(String) CODEC(ZSTD(1)),
    ScopeAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    LogAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    EventName String CODEC(ZSTD(1)),
    `__otel_materialized_k8s.cluster.name` LowCardinality(String) MATERIALIZED ResourceAttributes['k8s.cluster.name'] CODEC(ZSTD(1)),
    `__otel_materialized_k8s.container.name` LowCardinality(String) MATERIALIZED ResourceAttributes['k8s.container.name'] CODEC(ZSTD(1)),
    `__otel_materialized_k8s.deployment.name` LowCardinality(String) MATERIALIZED ResourceAttributes['k8s.deployment.name'] CODEC(ZSTD(1)),
    `__otel_materialized_k8s.namespace.name` LowCardinality(String) MATERIALIZED ResourceAttributes['k8s.namespace.name'] CODEC(ZSTD(1)),
    `__otel_materialized_k8s.node.name` LowCardinality(String) MATERIALIZED ResourceAttributes['k8s.node.name'] CODEC(ZSTD(1)),
    `__otel_materialized_k8s.pod.name` LowCardinality(String) MATERIALIZED ResourceAttributes['k8s.pod.name'] CODEC(ZSTD(1)),
    `__otel_materialized_k8s.pod.uid` LowCardinality(String) MATERIALIZED ResourceAttributes['k8s.pod.uid'] CODEC(ZSTD(1)),
    `__otel_materialized_deployment.environment.name` LowCardinality(String) MATERIALIZED ResourceAttributes['deployment.environment.name'] CODEC(ZSTD(1)),
    IngestId UInt64 CODEC(ZSTD(1)),
    INDEX idx_trace_id TraceId TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX idx_res_attr_key mapKeys(ResourceAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_res_attr_value mapValues(ResourceAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_scope_attr_key mapKeys(ScopeAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_scope_attr_value mapValues(ScopeAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_log_attr_key mapKeys(LogAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_log_attr_value mapValues(LogAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_lower_body lower(Body) TYPE tokenbf_v1(32768, 3, 0) GRANULARITY 8
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{cluster}/{shard}/otel/otel_logs', '{replica}')
PARTITION BY toDate(Timestamp)
ORDER BY (toStartOfFiveMinute(Timestamp), ServiceName, Timestamp)
SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1, replicated_deduplication_window = 86400, replicated_deduplication_window_seconds = 86400;

-- 0002_create_logs DISTRIBUTED
CREATE TABLE IF NOT EXISTS otel.otel_logs
AS otel.otel_logs_local
ENGINE = Distributed(headrace, otel, otel_logs_local, cityHash64(TraceId));

-- 0003_create_metrics LOCAL
CREATE TABLE IF NOT EXISTS otel.otel_metrics_gauge_local
(
    ResourceAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    ResourceSchemaUrl String CODEC(ZSTD(1)),
    ScopeName String CODEC(ZSTD(1)),
    ScopeVersion String CODEC(ZSTD(1)),
    ScopeAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    ScopeDroppedAttrCount UInt32 CODEC(ZSTD(1)),
    ScopeSchemaUrl String CODEC(ZSTD(1)),
    ServiceName LowCardinality(String) CODEC(ZSTD(1)),
    MetricName LowCardinality(String) CODEC(ZSTD(1)),
    MetricDescription String CODEC(ZSTD(1)),
    MetricUnit String CODEC(ZSTD(1)),
    Attributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    StartTimeUnix DateTime64(9) CODEC(Delta, ZSTD(1)),
    TimeUnix DateTime64(9) CODEC(Delta, ZSTD(1)),
    Value Float64 CODEC(ZSTD(1)),
    Flags UInt32 CODEC(ZSTD(1)),
    Exemplars Nested(FilteredAttributes Map(LowCardinality(String), String), TimeUnix DateTime64(9), Value Float64, SpanId String, TraceId String) CODEC(ZSTD(1)),
    IngestId UInt64 CODEC(ZSTD(1)),
    INDEX idx_res_attr_key mapKeys(ResourceAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_res_attr_value mapValues(ResourceAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_scope_attr_key mapKeys(ScopeAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_scope_attr_value mapValues(ScopeAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_attr_key mapKeys(Attributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_attr_value mapValues(Attributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_time_minmax TimeUnix TYPE minmax GRANULARITY 1
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{cluster}/{shard}/otel/otel_metrics_gauge', '{replica}')
PARTITION BY toDate(TimeUnix)
ORDER BY (ServiceName, MetricName, toStartOfHour(TimeUnix), cityHash64(Attributes), TimeUnix)
SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1, replicated_deduplication_window = 86400, replicated_deduplication_window_seconds = 86400;

-- 0003_create_metrics LOCAL
CREATE TABLE IF NOT EXISTS otel.otel_metrics_sum_local
(
    ResourceAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    ResourceSchemaUrl String CODEC(ZSTD(1)),
    ScopeName String CODEC(ZSTD(1)),
    ScopeVersion String CODEC(ZSTD(1)),
    ScopeAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    ScopeDroppedAttrCount UInt32 CODEC(ZSTD(1)),
    ScopeSchemaUrl String CODEC(ZSTD(1)),
    ServiceName LowCardinality(String) CODEC(ZSTD(1)),
    MetricName LowCardinality(String) CODEC(ZSTD(1)),
    MetricDescription String CODEC(ZSTD(1)),
    MetricUnit String CODEC(ZSTD(1)),
    Attributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    StartTimeUnix DateTime64(9) CODEC(Delta, ZSTD(1)),
    TimeUnix DateTime64(9) CODEC(Delta, ZSTD(1)),
    Value Float64 CODEC(ZSTD(1)),
    Flags UInt32 CODEC(ZSTD(1)),
    Exemplars Nested(FilteredAttributes Map(LowCardinality(String), String), TimeUnix DateTime64(9), Value Float64, SpanId String, TraceId String) CODEC(ZSTD(1)),
    AggregationTemporality Int32 CODEC(ZSTD(1)),
    IsMonotonic Bool CODEC(ZSTD(1)),
    IngestId UInt64 CODEC(ZSTD(1)),
    INDEX idx_res_attr_key mapKeys(ResourceAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_res_attr_value mapValues(ResourceAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_scope_attr_key mapKeys(ScopeAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_scope_attr_value mapValues(ScopeAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_attr_key mapKeys(Attributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_attr_value mapValues(Attributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_time_minmax TimeUnix TYPE minmax GRANULARITY 1
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{cluster}/{shard}/otel/otel_metrics_sum', '{replica}')
PARTITION BY toDate(TimeUnix)
ORDER BY (ServiceName, MetricName, toStartOfHour(TimeUnix), cityHash64(Attributes), TimeUnix)
SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1, replicated_deduplication_window = 86400, replicated_deduplication_window_seconds = 86400;

-- 0003_create_metrics LOCAL
CREATE TABLE IF NOT EXISTS otel.otel_metrics_histogram_local
(
    ResourceAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    ResourceSchemaUrl String CODEC(ZSTD(1)),
    ScopeName String CODEC(ZSTD(1)),
    ScopeVersion String CODEC(ZSTD(1)),
    ScopeAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    ScopeDroppedAttrCount UInt32 CODEC(ZSTD(1)),
    ScopeSchemaUrl String CODEC(ZSTD(1)),
    ServiceName LowCardinality(String) CODEC(ZSTD(1)),
    MetricName LowCardinality(String) CODEC(ZSTD(1)),
    MetricDescription String CODEC(ZSTD(1)),
    MetricUnit String CODEC(ZSTD(1)),
    Attributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    StartTimeUnix DateTime64(9) CODEC(Delta, ZSTD(1)),
    TimeUnix DateTime64(9) CODEC(Delta, ZSTD(1)),
    Count UInt64 CODEC(Delta, ZSTD(1)),
    Sum Float64 CODEC(ZSTD(1)),
    BucketCounts Array(UInt64) CODEC(ZSTD(1)),
    ExplicitBounds Array(Float64) CODEC(ZSTD(1)),
    Exemplars Nested(FilteredAttributes Map(LowCardinality(String), String), TimeUnix DateTime64(9), Value Float64, SpanId String, TraceId String) CODEC(ZSTD(1)),
    Flags UInt32 CODEC(ZSTD(1)),
    Min Float64 CODEC(ZSTD(1)),
    Max Float64 CODEC(ZSTD(1)),
    AggregationTemporality Int32 CODEC(ZSTD(1)),
    IngestId UInt64 CODEC(ZSTD(1)),
    INDEX idx_res_attr_key mapKeys(ResourceAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_res_attr_value mapValues(ResourceAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_scope_attr_key mapKeys(ScopeAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_scope_attr_value mapValues(ScopeAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_attr_key mapKeys(Attributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_attr_value mapValues(Attributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_time_minmax TimeUnix TYPE minmax GRANULARITY 1
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{cluster}/{shard}/otel/otel_metrics_histogram', '{replica}')
PARTITION BY toDate(TimeUnix)
ORDER BY (ServiceName, MetricName, toStartOfHour(TimeUnix), cityHash64(Attributes), TimeUnix)
SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1, replicated_deduplication_window = 86400, replicated_deduplication_window_seconds = 86400;

-- 0003_create_metrics LOCAL
CREATE TABLE IF NOT EXISTS otel.otel_metrics_exponential_histogram_local
(
    ResourceAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    ResourceSchemaUrl String CODEC(ZSTD(1)),
    ScopeName String CODEC(ZSTD(1)),
    ScopeVersion String CODEC(ZSTD(1)),
    ScopeAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    ScopeDroppedAttrCount UInt32 CODEC(ZSTD(1)),
    ScopeSchemaUrl String CODEC(ZSTD(1)),
    ServiceName LowCardinality(String) CODEC(ZSTD(1)),
    MetricName LowCardinality(String) CODEC(ZSTD(1)),
    MetricDescription String CODEC(ZSTD(1)),
    MetricUnit String CODEC(ZSTD(1)),
    Attributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    StartTimeUnix DateTime64(9) CODEC(Delta, ZSTD(1)),
    TimeUnix DateTime64(9) CODEC(Delta, ZSTD(1)),
    Count UInt64 CODEC(Delta, ZSTD(1)),
    Sum Float64 CODEC(ZSTD(1)),
    Scale Int32 CODEC(ZSTD(1)),
    ZeroCount UInt64 CODEC(ZSTD(1)),
    PositiveOffset Int32 CODEC(ZSTD(1)),
    PositiveBucketCounts Array(UInt64) CODEC(ZSTD(1)),
    NegativeOffset Int32 CODEC(ZSTD(1)),
    NegativeBucketCounts Array(UInt64) CODEC(ZSTD(1)),
    Exemplars Nested(FilteredAttributes Map(LowCardinality(String), String), TimeUnix DateTime64(9), Value Float64, SpanId String, TraceId String) CODEC(ZSTD(1)),
    Flags UInt32 CODEC(ZSTD(1)),
    Min Float64 CODEC(ZSTD(1)),
    Max Float64 CODEC(ZSTD(1)),
    AggregationTemporality Int32 CODEC(ZSTD(1)),
    IngestId UInt64 CODEC(ZSTD(1)),
    INDEX idx_res_attr_key mapKeys(ResourceAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_res_attr_value mapValues(ResourceAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_scope_attr_key mapKeys(ScopeAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_scope_attr_value mapValues(ScopeAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_attr_key mapKeys(Attributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_attr_value mapValues(Attributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_time_minmax TimeUnix TYPE minmax GRANULARITY 1
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{cluster}/{shard}/otel/otel_metrics_exponential_histogram', '{replica}')
PARTITION BY toDate(TimeUnix)
ORDER BY (ServiceName, MetricName, toStartOfHour(TimeUnix), cityHash64(Attributes), TimeUnix)
SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1, replicated_deduplication_window = 86400, replicated_deduplication_window_seconds = 86400;

-- 0003_create_metrics LOCAL
CREATE TABLE IF NOT EXISTS otel.otel_metrics_summary_local
(
    ResourceAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    ResourceSchemaUrl String CODEC(ZSTD(1)),
    ScopeName String CODEC(ZSTD(1)),
    ScopeVersion String CODEC(ZSTD(1)),
    ScopeAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    ScopeDroppedAttrCount UInt32 CODEC(ZSTD(1)),
    ScopeSchemaUrl String CODEC(ZSTD(1)),
    ServiceName LowCardinality(String) CODEC(ZSTD(1)),
    MetricName LowCardinality(String) CODEC(ZSTD(1)),
    MetricDescription String CODEC(ZSTD(1)),
    MetricUnit String CODEC(ZSTD(1)),
    Attributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    StartTimeUnix DateTime64(9) CODEC(Delta, ZSTD(1)),
    TimeUnix DateTime64(9) CODEC(Delta, ZSTD(1)),
    Count UInt64 CODEC(Delta, ZSTD(1)),
    Sum Float64 CODEC(ZSTD(1)),
    ValueAtQuantiles Nested(Quantile Float64, Value Float64) CODEC(ZSTD(1)),
    Flags UInt32 CODEC(ZSTD(1)),
    IngestId UInt64 CODEC(ZSTD(1)),
    INDEX idx_res_attr_key mapKeys(ResourceAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_res_attr_value mapValues(ResourceAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_scope_attr_key mapKeys(ScopeAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_scope_attr_value mapValues(ScopeAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_attr_key mapKeys(Attributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_attr_value mapValues(Attributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_time_minmax TimeUnix TYPE minmax GRANULARITY 1
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{cluster}/{shard}/otel/otel_metrics_summary', '{replica}')
PARTITION BY toDate(TimeUnix)
ORDER BY (ServiceName, MetricName, toStartOfHour(TimeUnix), cityHash64(Attributes), TimeUnix)
SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1, replicated_deduplication_window = 86400, replicated_deduplication_window_seconds = 86400;

-- 0003_create_metrics DISTRIBUTED
CREATE TABLE IF NOT EXISTS otel.otel_metrics_gauge
AS otel.otel_metrics_gauge_local
ENGINE = Distributed(headrace, otel, otel_metrics_gauge_local, rand());

-- 0003_create_metrics DISTRIBUTED
CREATE TABLE IF NOT EXISTS otel.otel_metrics_sum
AS otel.otel_metrics_sum_local
ENGINE = Distributed(headrace, otel, otel_metrics_sum_local, rand());

-- 0003_create_metrics DISTRIBUTED
CREATE TABLE IF NOT EXISTS otel.otel_metrics_histogram
AS otel.otel_metrics_histogram_local
ENGINE = Distributed(headrace, otel, otel_metrics_histogram_local, rand());

-- 0003_create_metrics DISTRIBUTED
CREATE TABLE IF NOT EXISTS otel.otel_metrics_exponential_histogram
AS otel.otel_metrics_exponential_histogram_local
ENGINE = Distributed(headrace, otel, otel_metrics_exponential_histogram_local, rand());

-- 0003_create_metrics DISTRIBUTED
CREATE TABLE IF NOT EXISTS otel.otel_metrics_summary
AS otel.otel_metrics_summary_local
ENGINE = Distributed(headrace, otel, otel_metrics_summary_local, rand());

-- 0004_create_metrics_view VIEW
CREATE VIEW IF NOT EXISTS otel.otel_metrics AS
SELECT
    'gauge' AS Kind,
    ServiceName,
    MetricName,
    MetricDescription,
    MetricUnit,
    ResourceAttributes,
    ScopeName,
    ScopeVersion,
    Attributes,
    StartTimeUnix,
    TimeUnix,
    Flags,
    CAST(Value AS Nullable(Float64)) AS Value,
    CAST(NULL AS Nullable(UInt64)) AS Count,
    CAST(NULL AS Nullable(Float64)) AS Sum,
    CAST(NULL AS Nullable(Float64)) AS Min,
    CAST(NULL AS Nullable(Float64)) AS Max,
    CAST(NULL AS Nullable(Int32)) AS AggregationTemporality,
    CAST(NULL AS Nullable(Bool)) AS IsMonotonic,
    IngestId
FROM otel.otel_metrics_gauge
UNION ALL
SELECT
    'sum' AS Kind,
    ServiceName,
    MetricName,
    MetricDescription,
    MetricUnit,
    ResourceAttributes,
    ScopeName,
    ScopeVersion,
    Attributes,
    StartTimeUnix,
    TimeUnix,
    Flags,
    CAST(Value AS Nullable(Float64)) AS Value,
    CAST(NULL AS Nullable(UInt64)) AS Count,
    CAST(NULL AS Nullable(Float64)) AS Sum,
    CAST(NULL AS Nullable(Float64)) AS Min,
    CAST(NULL AS Nullable(Float64)) AS Max,
    CAST(AggregationTemporality AS Nullable(Int32)) AS AggregationTemporality,
    CAST(IsMonotonic AS Nullable(Bool)) AS IsMonotonic,
    IngestId
FROM otel.otel_metrics_sum
UNION ALL
SELECT
    'histogram' AS Kind,
    ServiceName,
    MetricName,
    MetricDescription,
    MetricUnit,
    ResourceAttributes,
    ScopeName,
    ScopeVersion,
    Attributes,
    StartTimeUnix,
    TimeUnix,
    Flags,
    CAST(NULL AS Nullable(Float64)) AS Value,
    CAST(Count AS Nullable(UInt64)) AS Count,
    CAST(Sum AS Nullable(Float64)) AS Sum,
    CAST(Min AS Nullable(Float64)) AS Min,
    CAST(Max AS Nullable(Float64)) AS Max,
    CAST(AggregationTemporality AS Nullable(Int32)) AS AggregationTemporality,
    CAST(NULL AS Nullable(Bool)) AS IsMonotonic,
    IngestId
FROM otel.otel_metrics_histogram
UNION ALL
SELECT
    'exponential_histogram' AS Kind,
    ServiceName,
    MetricName,
    MetricDescription,
    MetricUnit,
    ResourceAttributes,
    ScopeName,
    ScopeVersion,
    Attributes,
    StartTimeUnix,
    TimeUnix,
    Flags,
    CAST(NULL AS Nullable(Float64)) AS Value,
    CAST(Count AS Nullable(UInt64)) AS Count,
    CAST(Sum AS Nullable(Float64)) AS Sum,
    CAST(Min AS Nullable(Float64)) AS Min,
    CAST(Max AS Nullable(Float64)) AS Max,
    CAST(AggregationTemporality AS Nullable(Int32)) AS AggregationTemporality,
    CAST(NULL AS Nullable(Bool)) AS IsMonotonic,
    IngestId
FROM otel.otel_metrics_exponential_histogram
UNION ALL
SELECT
    'summary' AS Kind,
    ServiceName,
    MetricName,
    MetricDescription,
    MetricUnit,
    ResourceAttributes,
    ScopeName,
    ScopeVersion,
    Attributes,
    StartTimeUnix,
    TimeUnix,
    Flags,
    CAST(NULL AS Nullable(Float64)) AS Value,
    CAST(Count AS Nullable(UInt64)) AS Count,
    CAST(Sum AS Nullable(Float64)) AS Sum,
    CAST(NULL AS Nullable(Float64)) AS Min,
    CAST(NULL AS Nullable(Float64)) AS Max,
    CAST(NULL AS Nullable(Int32)) AS AggregationTemporality,
    CAST(NULL AS Nullable(Bool)) AS IsMonotonic,
    IngestId
FROM otel.otel_metrics_summary;

-- 0005_create_ingest_ledger LOCAL
CREATE TABLE IF NOT EXISTS otel.otel_ingest_ledger_local
(
    PlannedAt DateTime64(9) CODEC(Delta, ZSTD(1)),
    Topic LowCardinality(String) CODEC(ZSTD(1)),
    TopicId LowCardinality(String) CODEC(ZSTD(1)),
    Partition Int32 CODEC(ZSTD(1)),
    StartOffset Int64 CODEC(Delta, ZSTD(1)),
    EndOffset Int64 CODEC(Delta, ZSTD(1)),
    PayloadHash UInt64 CODEC(ZSTD(1)),
    Bytes UInt64 CODEC(ZSTD(1)),
    Rejected UInt32 CODEC(ZSTD(1)),
    Excluded UInt32 CODEC(ZSTD(1)),
    Verified UInt8 CODEC(ZSTD(1)),
    Blocks Nested(Table LowCardinality(String), Shard UInt16, IngestId UInt64, Rows UInt64, Revision UInt16) CODEC(ZSTD(1)),
    Plan String CODEC(ZSTD(1))
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{cluster}/{shard}/otel/otel_ingest_ledger', '{replica}')
PARTITION BY toDate(PlannedAt)
ORDER BY (Topic, TopicId, Partition, StartOffset)
SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1, replicated_deduplication_window = 86400, replicated_deduplication_window_seconds = 86400;

-- 0005_create_ingest_ledger DISTRIBUTED
CREATE TABLE IF NOT EXISTS otel.otel_ingest_ledger
AS otel.otel_ingest_ledger_local
ENGINE = Distributed(headrace, otel, otel_ingest_ledger_local, Partition);

-- 0006_create_genai_tables LOCAL
CREATE TABLE IF NOT EXISTS otel.genai_usage_1m_local
(
    Minute DateTime CODEC(Delta, ZSTD(1)),
    Environment LowCardinality(String) CODEC(ZSTD(1)),
    ServiceName LowCardinality(String) CODEC(ZSTD(1)),
    Kind LowCardinality(String) CODEC(ZSTD(1)),
    Operation LowCardinality(String) CODEC(ZSTD(1)),
    Provider LowCardinality(String) CODEC(ZSTD(1)),
    Model LowCardinality(String) CODEC(ZSTD(1)),
    BilledModel LowCardinality(String) CODEC(ZSTD(1)),
    Route LowCardinality(String) CODEC(ZSTD(1)),
    Tier LowCardinality(String) CODEC(ZSTD(1)),
    Calls SimpleAggregateFunction(sum, UInt64) CODEC(ZSTD(1)),
    Errors SimpleAggregateFunction(sum, UInt64) CODEC(ZSTD(1)),
    InputTokens SimpleAggregateFunction(sum, UInt64) CODEC(ZSTD(1)),
    CachedTokens SimpleAggregateFunction(sum, UInt64) CODEC(ZSTD(1)),
    CacheWriteTokens SimpleAggregateFunction(sum, UInt64) CODEC(ZSTD(1)),
    OutputTokens SimpleAggregateFunction(sum, UInt64) CODEC(ZSTD(1)),
    ReasoningTokens SimpleAggregateFunction(sum, UInt64) CODEC(ZSTD(1)),
    Latency AggregateFunction(quantilesTDigest(0.5, 0.95, 0.99), Float64) CODEC(ZSTD(1)),
    FirstChunk AggregateFunction(quantilesTDigestIf(0.5, 0.95, 0.99), Float64, UInt8) CODEC(ZSTD(1))
)
ENGINE = ReplicatedAggregatingMergeTree('/clickhouse/tables/{cluster}/{shard}/otel/genai_usage_1m', '{replica}')
PARTITION BY toDate(Minute)
ORDER BY (ServiceName, Model, Minute, Environment, Kind, Operation, Provider, BilledModel, Route, Tier)
SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1, replicated_deduplication_window = 86400, replicated_deduplication_window_seconds = 86400;

-- 0006_create_genai_tables LOCAL
CREATE MATERIALIZED VIEW IF NOT EXISTS otel.genai_usage_1m_mv
TO otel.genai_usage_1m_local
AS SELECT
    CAST(toStartOfMinute(toDateTime(Timestamp)) AS DateTime) AS Minute,
    multiIf(ResourceAttributes['deployment.environment.name'] != '', ResourceAttributes['deployment.environment.name'], ResourceAttributes['deployment.environment']) AS Environment,
    ServiceName AS ServiceName,
    multiIf(multiIf(SpanAttributes['gen_ai.operation.name'] != '', SpanAttributes['gen_ai.operation.name'], SpanAttributes['llm.request.type'] != '', SpanAttributes['llm.request.type'], SpanAttributes['traceloop.span.kind']) IN ('execute_tool', 'tool'), 'tool', multiIf(SpanAttributes['gen_ai.operation.name'] != '', SpanAttributes['gen_ai.operation.name'], SpanAttributes['llm.request.type'] != '', SpanAttributes['llm.request.type'], SpanAttributes['traceloop.span.kind']) IN ('invoke_agent', 'create_agent', 'agent'), 'agent', multiIf(SpanAttributes['gen_ai.operation.name'] != '', SpanAttributes['gen_ai.operation.name'], SpanAttributes['llm.request.type'] != '', SpanAttributes['llm.request.type'], SpanAttributes['traceloop.span.kind']) IN ('invoke_workflow', 'workflow'), 'workflow', multiIf(SpanAttributes['gen_ai.operation.name'] != '', SpanAttributes['gen_ai.operation.name'], SpanAttributes['llm.request.type'] != '', SpanAttributes['llm.request.type'], SpanAttributes['traceloop.span.kind']) IN ('retrieval', 'task'), 'other', multiIf(SpanAttributes['gen_ai.request.model'] != '', SpanAttributes['gen_ai.request.model'], SpanAttributes['llm.request.model'] != '', SpanAttributes['llm.request.model'], SpanAttributes['llm.model_name'] != '', SpanAttributes['llm.model_name'], SpanAttributes['model']) != '' OR multiIf(SpanAttributes['gen_ai.response.model'] != '', SpanAttributes['gen_ai.response.model'], SpanAttributes['llm.response.model']) != '', 'model', SpanAttributes['gen_ai.tool.name'] != '', 'tool', SpanAttributes['gen_ai.agent.name'] != '', 'agent', multiIf(SpanAttributes['agent.output_tokens'] != '', SpanAttributes['agent.output_tokens'], SpanAttributes['agent.response_latency_ms']) != '', 'model', 'other') AS Kind,
    multiIf(SpanAttributes['gen_ai.operation.name'] != '', SpanAttributes['gen_ai.operation.name'], SpanAttributes['llm.request.type'] != '', SpanAttributes['llm.request.type'], SpanAttributes['traceloop.span.kind']) AS Operation,
    multiIf(SpanAttributes['gen_ai.provider.name'] != '', SpanAttributes['gen_ai.provider.name'], SpanAttributes['gen_ai.system'] != '', SpanAttributes['gen_ai.system'], SpanAttributes['llm.vendor']) AS Provider,
    multiIf(SpanAttributes['gen_ai.request.model'] != '', SpanAttributes['gen_ai.request.model'], SpanAttributes['llm.request.model'] != '', SpanAttributes['llm.request.model'], SpanAttributes['llm.model_name'] != '', SpanAttributes['llm.model_name'], SpanAttributes['model'] != '', SpanAttributes['model'], SpanAttributes['gen_ai.response.model'] != '', SpanAttributes['gen_ai.response.model'], SpanAttributes['llm.response.model']) AS Model,
    multiIf(SpanAttributes['gen_ai.response.model'] != '', SpanAttributes['gen_ai.response.model'], SpanAttributes['llm.response.model'] != '', SpanAttributes['llm.response.model'], SpanAttributes['gen_ai.request.model'] != '', SpanAttributes['gen_ai.request.model'], SpanAttributes['llm.request.model'] != '', SpanAttributes['llm.request.model'], SpanAttributes['llm.model_name'] != '', SpanAttributes['llm.model_name'], SpanAttributes['model']) AS BilledModel,
    multiIf(SpanAttributes['route'] != '', SpanAttributes['route'], SpanAttributes['http.route'] != '', SpanAttributes['http.route'], SpanAttributes['url.template']) AS Route,
    multiIf(SpanAttributes['customer_tier'] != '', SpanAttributes['customer_tier'], SpanAttributes['customer.tier']) AS Tier,
    count() AS Calls,
    sum(StatusCode = 'Error' OR SpanAttributes['error.type'] != '' OR SpanAttributes['agent.success'] = 'false') AS Errors,
    sumIf(least(toUInt64OrZero(multiIf(SpanAttributes['gen_ai.usage.input_tokens'] != '', SpanAttributes['gen_ai.usage.input_tokens'], SpanAttributes['gen_ai.usage.prompt_tokens'] != '', SpanAttributes['gen_ai.usage.prompt_tokens'], SpanAttributes['llm.usage.prompt_tokens'] != '', SpanAttributes['llm.usage.prompt_tokens'], SpanAttributes['agent.input_tokens'])), 1000000000000), multiIf(multiIf(SpanAttributes['gen_ai.operation.name'] != '', SpanAttributes['gen_ai.operation.name'], SpanAttributes['llm.request.type'] != '', SpanAttributes['llm.request.type'], SpanAttributes['traceloop.span.kind']) IN ('execute_tool', 'tool'), 'tool', multiIf(SpanAttributes['gen_ai.operation.name'] != '', SpanAttributes['gen_ai.operation.name'], SpanAttributes['llm.request.type'] != '', SpanAttributes['llm.request.type'], SpanAttributes['traceloop.span.kind']) IN ('invoke_agent', 'create_agent', 'agent'), 'agent', multiIf(SpanAttributes['gen_ai.operation.name'] != '', SpanAttributes['gen_ai.operation.name'], SpanAttributes['llm.request.type'] != '', SpanAttributes['llm.request.type'], SpanAttributes['traceloop.span.kind']) IN ('invoke_workflow', 'workflow'), 'workflow', multiIf(SpanAttributes['gen_ai.operation.name'] != '', SpanAttributes['gen_ai.operation.name'], SpanAttributes['llm.request.type'] != '', SpanAttributes['llm.request.type'], SpanAttributes['traceloop.span.kind']) IN ('retrieval', 'task'), 'other', multiIf(SpanAttributes['gen_ai.request.model'] != '', SpanAttributes['gen_ai.request.model'], SpanAttributes['llm.request.model'] != '', SpanAttributes['llm.request.model'], SpanAttributes['llm.model_name'] != '', SpanAttributes['llm.model_name'], SpanAttributes['model']) != '' OR multiIf(SpanAttributes['gen_ai.response.model'] != '', SpanAttributes['gen_ai.response.model'], SpanAttributes['llm.response.model']) != '', 'model', SpanAttributes['gen_ai.tool.name'] != '', 'tool', SpanAttributes['gen_ai.agent.name'] != '', 'agent', multiIf(SpanAttributes['agent.output_tokens'] != '', SpanAttributes['agent.output_tokens'], SpanAttributes['agent.response_latency_ms']) != '', 'model', 'other') = 'model') AS InputTokens,
    sumIf(least(toUInt64OrZero(multiIf(SpanAttributes['gen_ai.usage.cache_read.input_tokens'] != '', SpanAttributes['gen_ai.usage.cache_read.input_tokens'], SpanAttributes['gen_ai.usage.cache_read_input_tokens'] != '', SpanAttributes['gen_ai.usage.cache_read_input_tokens'], SpanAttributes['gen_ai.usage.cached_tokens'])), 1000000000000), multiIf(multiIf(SpanAttributes['gen_ai.operation.name'] != '', SpanAttributes['gen_ai.operation.name'], SpanAttributes['llm.request.type'] != '', SpanAttributes['llm.request.type'], SpanAttributes['traceloop.span.kind']) IN ('execute_tool', 'tool'), 'tool', multiIf(SpanAttributes['gen_ai.operation.name'] != '', SpanAttributes['gen_ai.operation.name'], SpanAttributes['llm.request.type'] != '', SpanAttributes['llm.request.type'], SpanAttributes['traceloop.span.kind']) IN ('invoke_agent', 'create_agent', 'agent'), 'agent', multiIf(SpanAttributes['gen_ai.operation.name'] != '', SpanAttributes['gen_ai.operation.name'], SpanAttributes['llm.request.type'] != '', SpanAttributes['llm.request.type'], SpanAttributes['traceloop.span.kind']) IN ('invoke_workflow', 'workflow'), 'workflow', multiIf(SpanAttributes['gen_ai.operation.name'] != '', SpanAttributes['gen_ai.operation.name'], SpanAttributes['llm.request.type'] != '', SpanAttributes['llm.request.type'], SpanAttributes['traceloop.span.kind']) IN ('retrieval', 'task'), 'other', multiIf(SpanAttributes['gen_ai.request.model'] != '', SpanAttributes['gen_ai.request.model'], SpanAttributes['llm.request.model'] != '', SpanAttributes['llm.request.model'], SpanAttributes['llm.model_name'] != '', SpanAttributes['llm.model_name'], SpanAttributes['model']) != '' OR multiIf(SpanAttributes['gen_ai.response.model'] != '', SpanAttributes['gen_ai.response.model'], SpanAttributes['llm.response.model']) != '', 'model', SpanAttributes['gen_ai.tool.name'] != '', 'tool', SpanAttributes['gen_ai.agent.name'] != '', 'agent', multiIf(SpanAttributes['agent.output_tokens'] != '', SpanAttributes['agent.output_tokens'], SpanAttributes['agent.response_latency_ms']) != '', 'model', 'other') = 'model') AS CachedTokens,
    sumIf(least(toUInt64OrZero(multiIf(SpanAttributes['gen_ai.usage.cache_write.input_tokens'] != '', SpanAttributes['gen_ai.usage.cache_write.input_tokens'], SpanAttributes['gen_ai.usage.cache_creation.input_tokens'] != '', SpanAttributes['gen_ai.usage.cache_creation.input_tokens'], SpanAttributes['gen_ai.usage.cache_write_input_tokens'] != '', SpanAttributes['gen_ai.usage.cache_write_input_tokens'], SpanAttributes['gen_ai.usage.cache_creation_input_tokens'])), 1000000000000), multiIf(multiIf(SpanAttributes['gen_ai.operation.name'] != '', SpanAttributes['gen_ai.operation.name'], SpanAttributes['llm.request.type'] != '', SpanAttributes['llm.request.type'], SpanAttributes['traceloop.span.kind']) IN ('execute_tool', 'tool'), 'tool', multiIf(SpanAttributes['gen_ai.operation.name'] != '', SpanAttributes['gen_ai.operation.name'], SpanAttributes['llm.request.type'] != '', SpanAttributes['llm.request.type'], SpanAttributes['traceloop.span.kind']) IN ('invoke_agent', 'create_agent', 'agent'), 'agent', multiIf(SpanAttributes['gen_ai.operation.name'] != '', SpanAttributes['gen_ai.operation.name'], SpanAttributes['llm.request.type'] != '', SpanAttributes['llm.request.type'], SpanAttributes['traceloop.span.kind']) IN ('invoke_workflow', 'workflow'), 'workflow', multiIf(SpanAttributes['gen_ai.operation.name'] != '', SpanAttributes['gen_ai.operation.name'], SpanAttributes['llm.request.type'] != '', SpanAttributes['llm.request.type'], SpanAttributes['traceloop.span.kind']) IN ('retrieval', 'task'), 'other', multiIf(SpanAttributes['gen_ai.request.model'] != '', SpanAttributes['gen_ai.request.model'], SpanAttributes['llm.request.model'] != '', SpanAttributes['llm.request.model'], SpanAttributes['llm.model_name'] != '', SpanAttributes['llm.model_name'], SpanAttributes['model']) != '' OR multiIf(SpanAttributes['gen_ai.response.model'] != '', SpanAttributes['gen_ai.response.model'], SpanAttributes['llm.response.model']) != '', 'model', SpanAttributes['gen_ai.tool.name'] != '', 'tool', SpanAttributes['gen_ai.agent.name'] != '', 'agent', multiIf(SpanAttributes['agent.output_tokens'] != '', SpanAttributes['agent.output_tokens'], SpanAttributes['agent.response_latency_ms']) != '', 'model', 'other') = 'model') AS CacheWriteTokens,
    sumIf(least(toUInt64OrZero(multiIf(SpanAttributes['gen_ai.usage.output_tokens'] != '', SpanAttributes['gen_ai.usage.output_tokens'], SpanAttributes['gen_ai.usage.completion_tokens'] != '', SpanAttributes['gen_ai.usage.completion_tokens'], SpanAttributes['llm.usage.completion_tokens'] != '', SpanAttributes['llm.usage.completion_tokens'], SpanAttributes['agent.output_tokens'])), 1000000000000), multiIf(multiIf(SpanAttributes['gen_ai.operation.name'] != '', SpanAttributes['gen_ai.operation.name'], SpanAttributes['llm.request.type'] != '', SpanAttributes['llm.request.type'], SpanAttributes['traceloop.span.kind']) IN ('execute_tool', 'tool'), 'tool', multiIf(SpanAttributes['gen_ai.operation.name'] != '', SpanAttributes['gen_ai.operation.name'], SpanAttributes['llm.request.type'] != '', SpanAttributes['llm.request.type'], SpanAttributes['traceloop.span.kind']) IN ('invoke_agent', 'create_agent', 'agent'), 'agent', multiIf(SpanAttributes['gen_ai.operation.name'] != '', SpanAttributes['gen_ai.operation.name'], SpanAttributes['llm.request.type'] != '', SpanAttributes['llm.request.type'], SpanAttributes['traceloop.span.kind']) IN ('invoke_workflow', 'workflow'), 'workflow', multiIf(SpanAttributes['gen_ai.operation.name'] != '', SpanAttributes['gen_ai.operation.name'], SpanAttributes['llm.request.type'] != '', SpanAttributes['llm.request.type'], SpanAttributes['traceloop.span.kind']) IN ('retrieval', 'task'), 'other', multiIf(SpanAttributes['gen_ai.request.model'] != '', SpanAttributes['gen_ai.request.model'], SpanAttributes['llm.request.model'] != '', SpanAttributes['llm.request.model'], SpanAttributes['llm.model_name'] != '', SpanAttributes['llm.model_name'], SpanAttributes['model']) != '' OR multiIf(SpanAttributes['gen_ai.response.model'] != '', SpanAttributes['gen_ai.response.model'], SpanAttributes['llm.response.model']) != '', 'model', SpanAttributes['gen_ai.tool.name'] != '', 'tool', SpanAttributes['gen_ai.agent.name'] != '', 'agent', multiIf(SpanAttributes['agent.output_tokens'] != '', SpanAttributes['agent.output_tokens'], SpanAttributes['agent.response_latency_ms']) != '', 'model', 'other') = 'model') AS OutputTokens,
    sumIf(least(toUInt64OrZero(multiIf(SpanAttributes['gen_ai.usage.reasoning.output_tokens'] != '', SpanAttributes['gen_ai.usage.reasoning.output_tokens'], SpanAttributes['gen_ai.usage.reasoning_tokens'])), 1000000000000), multiIf(multiIf(SpanAttributes['gen_ai.operation.name'] != '', SpanAttributes['gen_ai.operation.name'], SpanAttributes['llm.request.type'] != '', SpanAttributes['llm.request.type'], SpanAttributes['traceloop.span.kind']) IN ('execute_tool', 'tool'), 'tool', multiIf(SpanAttributes['gen_ai.operation.name'] != '', SpanAttributes['gen_ai.operation.name'], SpanAttributes['llm.request.type'] != '', SpanAttributes['llm.request.type'], SpanAttributes['traceloop.span.kind']) IN ('invoke_agent', 'create_agent', 'agent'), 'agent', multiIf(SpanAttributes['gen_ai.operation.name'] != '', SpanAttributes['gen_ai.operation.name'], SpanAttributes['llm.request.type'] != '', SpanAttributes['llm.request.type'], SpanAttributes['traceloop.span.kind']) IN ('invoke_workflow', 'workflow'), 'workflow', multiIf(SpanAttributes['gen_ai.operation.name'] != '', SpanAttributes['gen_ai.operation.name'], SpanAttributes['llm.request.type'] != '', SpanAttributes['llm.request.type'], SpanAttributes['traceloop.span.kind']) IN ('retrieval', 'task'), 'other', multiIf(SpanAttributes['gen_ai.request.model'] != '', SpanAttributes['gen_ai.request.model'], SpanAttributes['llm.request.model'] != '', SpanAttributes['llm.request.model'], SpanAttributes['llm.model_name'] != '', SpanAttributes['llm.model_name'], SpanAttributes['model']) != '' OR multiIf(SpanAttributes['gen_ai.response.model'] != '', SpanAttributes['gen_ai.response.model'], SpanAttributes['llm.response.model']) != '', 'model', SpanAttributes['gen_ai.tool.name'] != '', 'tool', SpanAttributes['gen_ai.agent.name'] != '', 'agent', multiIf(SpanAttributes['agent.output_tokens'] != '', SpanAttributes['agent.output_tokens'], SpanAttributes['agent.response_latency_ms']) != '', 'model', 'other') = 'model') AS ReasoningTokens,
    quantilesTDigestState(0.5, 0.95, 0.99)(if(SpanAttributes['agent.response_latency_ms'] != '', toFloat64OrZero(SpanAttributes['agent.response_latency_ms']), Duration / 1000000)) AS Latency,
    quantilesTDigestIfState(0.5, 0.95, 0.99)(toFloat64OrZero(multiIf(SpanAttributes['gen_ai.response.time_to_first_chunk'] != '', SpanAttributes['gen_ai.response.time_to_first_chunk'], SpanAttributes['gen_ai.response.time_to_first_token'] != '', SpanAttributes['gen_ai.response.time_to_first_token'], SpanAttributes['gen_ai.server.time_to_first_token'] != '', SpanAttributes['gen_ai.server.time_to_first_token'], SpanAttributes['gen_ai.server.ttft'])) * 1000, toFloat64OrZero(multiIf(SpanAttributes['gen_ai.response.time_to_first_chunk'] != '', SpanAttributes['gen_ai.response.time_to_first_chunk'], SpanAttributes['gen_ai.response.time_to_first_token'] != '', SpanAttributes['gen_ai.response.time_to_first_token'], SpanAttributes['gen_ai.server.time_to_first_token'] != '', SpanAttributes['gen_ai.server.time_to_first_token'], SpanAttributes['gen_ai.server.ttft'])) * 1000 > 0) AS FirstChunk
FROM otel.otel_traces_local
WHERE hasAny(mapKeys(SpanAttributes), ['gen_ai.operation.name', 'gen_ai.request.model', 'gen_ai.provider.name', 'gen_ai.system', 'gen_ai.tool.name', 'gen_ai.agent.name', 'llm.request.type', 'llm.model_name', 'agent.response_latency_ms', 'agent.output_tokens', 'agent.success']) AND 1
GROUP BY Minute, Environment, ServiceName, Kind, Operation, Provider, Model, BilledModel, Route, Tier;

-- 0006_create_genai_tables LOCAL
CREATE TABLE IF NOT EXISTS otel.genai_content_local
(
    Timestamp DateTime64(9) CODEC(Delta, ZSTD(1)),
    TraceId String CODEC(ZSTD(1)),
    SpanId String CODEC(ZSTD(1)),
    ServiceName LowCardinality(String) CODEC(ZSTD(1)),
    EventName LowCardinality(String) CODEC(ZSTD(1)),
    SystemInstructions String CODEC(ZSTD(1)),
    Input String CODEC(ZSTD(1)),
    Output String CODEC(ZSTD(1)),
    IngestId UInt64 CODEC(ZSTD(1))
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{cluster}/{shard}/otel/genai_content', '{replica}')
PARTITION BY toDate(Timestamp)
ORDER BY (TraceId, SpanId, toDateTime(Timestamp))
SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1, replicated_deduplication_window = 86400, replicated_deduplication_window_seconds = 86400;

-- 0006_create_genai_tables LOCAL
CREATE MATERIALIZED VIEW IF NOT EXISTS otel.genai_content_of_spans_mv
TO otel.genai_content_local
AS SELECT
    Timestamp,
    TraceId,
    SpanId,
    ServiceName,
    '' AS EventName,
    multiIf(SpanAttributes['gen_ai.system_instructions'] != '', SpanAttributes['gen_ai.system_instructions'], SpanAttributes['gen_ai.system_instruction']) AS SystemInstructions,
    multiIf(SpanAttributes['gen_ai.input.messages'] != '', SpanAttributes['gen_ai.input.messages'], SpanAttributes['gen_ai.prompt'] != '', SpanAttributes['gen_ai.prompt'], SpanAttributes['gen_ai.prompt.0.content'] != '', SpanAttributes['gen_ai.prompt.0.content'], SpanAttributes['llm.prompts.0.content'] != '', SpanAttributes['llm.prompts.0.content'], SpanAttributes['input.value']) AS Input,
    multiIf(SpanAttributes['gen_ai.output.messages'] != '', SpanAttributes['gen_ai.output.messages'], SpanAttributes['gen_ai.completion'] != '', SpanAttributes['gen_ai.completion'], SpanAttributes['gen_ai.completion.0.content'] != '', SpanAttributes['gen_ai.completion.0.content'], SpanAttributes['llm.completions.0.content'] != '', SpanAttributes['llm.completions.0.content'], SpanAttributes['output.value']) AS Output,
    IngestId
FROM otel.otel_traces_local
WHERE hasAny(mapKeys(SpanAttributes), ['gen_ai.system_instructions', 'gen_ai.system_instruction', 'gen_ai.input.messages', 'gen_ai.prompt', 'gen_ai.prompt.0.content', 'llm.prompts.0.content', 'input.value', 'gen_ai.output.messages', 'gen_ai.completion', 'gen_ai.completion.0.content', 'llm.completions.0.content', 'output.value']);

-- 0006_create_genai_tables LOCAL
CREATE MATERIALIZED VIEW IF NOT EXISTS otel.genai_content_of_logs_mv
TO otel.genai_content_local
AS SELECT
    Timestamp,
    TraceId,
    SpanId,
    ServiceName,
    if(EventName != '', EventName, LogAttributes['event.name']) AS EventName,
    multiIf(LogAttributes['gen_ai.system_instructions'] != '', LogAttributes['gen_ai.system_instructions'], LogAttributes['gen_ai.system_instruction']) AS SystemInstructions,
    if(multiIf(LogAttributes['gen_ai.input.messages'] != '', LogAttributes['gen_ai.input.messages'], LogAttributes['gen_ai.prompt'] != '', LogAttributes['gen_ai.prompt'], LogAttributes['gen_ai.prompt.0.content'] != '', LogAttributes['gen_ai.prompt.0.content'], LogAttributes['llm.prompts.0.content'] != '', LogAttributes['llm.prompts.0.content'], LogAttributes['input.value']) = '' AND startsWith(if(EventName != '', EventName, LogAttributes['event.name']), 'gen_ai.') AND endsWith(if(EventName != '', EventName, LogAttributes['event.name']), '.message') AND NOT if(EventName != '', EventName, LogAttributes['event.name']) IN ('gen_ai.choice', 'gen_ai.assistant.message'), Body, multiIf(LogAttributes['gen_ai.input.messages'] != '', LogAttributes['gen_ai.input.messages'], LogAttributes['gen_ai.prompt'] != '', LogAttributes['gen_ai.prompt'], LogAttributes['gen_ai.prompt.0.content'] != '', LogAttributes['gen_ai.prompt.0.content'], LogAttributes['llm.prompts.0.content'] != '', LogAttributes['llm.prompts.0.content'], LogAttributes['input.value'])) AS Input,
    if(multiIf(LogAttributes['gen_ai.output.messages'] != '', LogAttributes['gen_ai.output.messages'], LogAttributes['gen_ai.completion'] != '', LogAttributes['gen_ai.completion'], LogAttributes['gen_ai.completion.0.content'] != '', LogAttributes['gen_ai.completion.0.content'], LogAttributes['llm.completions.0.content'] != '', LogAttributes['llm.completions.0.content'], LogAttributes['output.value']) = '' AND if(EventName != '', EventName, LogAttributes['event.name']) IN ('gen_ai.choice', 'gen_ai.assistant.message'), Body, multiIf(LogAttributes['gen_ai.output.messages'] != '', LogAttributes['gen_ai.output.messages'], LogAttributes['gen_ai.completion'] != '', LogAttributes['gen_ai.completion'], LogAttributes['gen_ai.completion.0.content'] != '', LogAttributes['gen_ai.completion.0.content'], LogAttributes['llm.completions.0.content'] != '', LogAttributes['llm.completions.0.content'], LogAttributes['output.value'])) AS Output,
    IngestId
FROM otel.otel_logs_local
WHERE hasAny(mapKeys(LogAttributes), ['gen_ai.system_instructions', 'gen_ai.system_instruction', 'gen_ai.input.messages', 'gen_ai.prompt', 'gen_ai.prompt.0.content', 'llm.prompts.0.content', 'input.value', 'gen_ai.output.messages', 'gen_ai.completion', 'gen_ai.completion.0.content', 'llm.completions.0.content', 'output.value']) OR startsWith(if(EventName != '', EventName, LogAttributes['event.name']), 'gen_ai.') AND endsWith(if(EventName != '', EventName, LogAttributes['event.name']), '.message') OR if(EventName != '', EventName, LogAttributes['event.name']) IN ('gen_ai.choice', 'gen_ai.assistant.message');

-- 0006_create_genai_tables LOCAL
CREATE TABLE IF NOT EXISTS otel.genai_prices
(
    Provider LowCardinality(String) CODEC(ZSTD(1)),
    Model String CODEC(ZSTD(1)),
    ValidFrom DateTime CODEC(ZSTD(1)),
    Version UInt32 CODEC(ZSTD(1)),
    Currency LowCardinality(String) CODEC(ZSTD(1)),
    InputPrice Decimal(18, 6) CODEC(ZSTD(1)),
    CachedPrice Decimal(18, 6) CODEC(ZSTD(1)),
    CacheWritePrice Decimal(18, 6) CODEC(ZSTD(1)),
    OutputPrice Decimal(18, 6) CODEC(ZSTD(1)),
    ReasoningPrice Decimal(18, 6) CODEC(ZSTD(1)),
    Source String CODEC(ZSTD(1)),
    SetAt DateTime CODEC(ZSTD(1))
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{cluster}/all/otel/genai_prices', '{shard}-{replica}')
PARTITION BY tuple()
ORDER BY (Model, Provider, ValidFrom, Version)
SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1, replicated_deduplication_window = 86400, replicated_deduplication_window_seconds = 86400;

-- 0006_create_genai_tables DISTRIBUTED
CREATE TABLE IF NOT EXISTS otel.genai_usage_1m
AS otel.genai_usage_1m_local
ENGINE = Distributed(headrace, otel, genai_usage_1m_local, rand());

-- 0006_create_genai_tables DISTRIBUTED
CREATE TABLE IF NOT EXISTS otel.genai_content
AS otel.genai_content_local
ENGINE = Distributed(headrace, otel, genai_content_local, cityHash64(TraceId));

-- 0007_create_genai_views VIEW
CREATE VIEW IF NOT EXISTS otel.genai_spans AS
SELECT
    Timestamp AS Timestamp,
    toDateTime(Timestamp) AS Time,
    TraceId AS TraceId,
    SpanId AS SpanId,
    ParentSpanId AS ParentSpanId,
    SpanName AS SpanName,
    ServiceName AS ServiceName,
    multiIf(ResourceAttributes['deployment.environment.name'] != '', ResourceAttributes['deployment.environment.name'], ResourceAttributes['deployment.environment']) AS Environment,
    multiIf(SpanAttributes['gen_ai.operation.name'] != '', SpanAttributes['gen_ai.operation.name'], SpanAttributes['llm.request.type'] != '', SpanAttributes['llm.request.type'], SpanAttributes['traceloop.span.kind']) AS Operation,
    multiIf(multiIf(SpanAttributes['gen_ai.operation.name'] != '', SpanAttributes['gen_ai.operation.name'], SpanAttributes['llm.request.type'] != '', SpanAttributes['llm.request.type'], SpanAttributes['traceloop.span.kind']) IN ('execute_tool', 'tool'), 'tool', multiIf(SpanAttributes['gen_ai.operation.name'] != '', SpanAttributes['gen_ai.operation.name'], SpanAttributes['llm.request.type'] != '', SpanAttributes['llm.request.type'], SpanAttributes['traceloop.span.kind']) IN ('invoke_agent', 'create_agent', 'agent'), 'agent', multiIf(SpanAttributes['gen_ai.operation.name'] != '', SpanAttributes['gen_ai.operation.name'], SpanAttributes['llm.request.type'] != '', SpanAttributes['llm.request.type'], SpanAttributes['traceloop.span.kind']) IN ('invoke_workflow', 'workflow'), 'workflow', multiIf(SpanAttributes['gen_ai.operation.name'] != '', SpanAttributes['gen_ai.operation.name'], SpanAttributes['llm.request.type'] != '', SpanAttributes['llm.request.type'], SpanAttributes['traceloop.span.kind']) IN ('retrieval', 'task'), 'other', multiIf(SpanAttributes['gen_ai.request.model'] != '', SpanAttributes['gen_ai.request.model'], SpanAttributes['llm.request.model'] != '', SpanAttributes['llm.request.model'], SpanAttributes['llm.model_name'] != '', SpanAttributes['llm.model_name'], SpanAttributes['model']) != '' OR multiIf(SpanAttributes['gen_ai.response.model'] != '', SpanAttributes['gen_ai.response.model'], SpanAttributes['llm.response.model']) != '', 'model', SpanAttributes['gen_ai.tool.name'] != '', 'tool', SpanAttributes['gen_ai.agent.name'] != '', 'agent', multiIf(SpanAttributes['agent.output_tokens'] != '', SpanAttributes['agent.output_tokens'], SpanAttributes['agent.response_latency_ms']) != '', 'model', 'other') AS Kind,
    multiIf(SpanAttributes['gen_ai.provider.name'] != '', SpanAttributes['gen_ai.provider.name'], SpanAttributes['gen_ai.system'] != '', SpanAttributes['gen_ai.system'], SpanAttributes['llm.vendor']) AS Provider,
    multiIf(SpanAttributes['gen_ai.request.model'] != '', SpanAttributes['gen_ai.request.model'], SpanAttributes['llm.request.model'] != '', SpanAttributes['llm.request.model'], SpanAttributes['llm.model_name'] != '', SpanAttributes['llm.model_name'], SpanAttributes['model'] != '', SpanAttributes['model'], SpanAttributes['gen_ai.response.model'] != '', SpanAttributes['gen_ai.response.model'], SpanAttributes['llm.response.model']) AS Model,
    multiIf(SpanAttributes['gen_ai.response.model'] != '', SpanAttributes['gen_ai.response.model'], SpanAttributes['llm.response.model'] != '', SpanAttributes['llm.response.model'], SpanAttributes['gen_ai.request.model'] != '', SpanAttributes['gen_ai.request.model'], SpanAttributes['llm.request.model'] != '', SpanAttributes['llm.request.model'], SpanAttributes['llm.model_name'] != '', SpanAttributes['llm.model_name'], SpanAttributes['model']) AS BilledModel,
    SpanAttributes['gen_ai.response.id'] AS ResponseId,
    multiIf(SpanAttributes['gen_ai.response.finish_reasons'] != '', SpanAttributes['gen_ai.response.finish_reasons'], SpanAttributes['gen_ai.response.finish_reason'] != '', SpanAttributes['gen_ai.response.finish_reason'], SpanAttributes['llm.response.finish_reason']) AS FinishReasons,
    multiIf(SpanAttributes['route'] != '', SpanAttributes['route'], SpanAttributes['http.route'] != '', SpanAttributes['http.route'], SpanAttributes['url.template']) AS Route,
    multiIf(SpanAttributes['customer_tier'] != '', SpanAttributes['customer_tier'], SpanAttributes['customer.tier']) AS Tier,
    multiIf(SpanAttributes['enduser.id'] != '', SpanAttributes['enduser.id'], SpanAttributes['user.id'] != '', SpanAttributes['user.id'], SpanAttributes['enduser.pseudo.id']) AS User,
    multiIf(SpanAttributes['gen_ai.conversation.id'] != '', SpanAttributes['gen_ai.conversation.id'], SpanAttributes['gen_ai.thread.id']) AS ConversationId,
    multiIf(SpanAttributes['session.id'] != '', SpanAttributes['session.id'], SpanAttributes['gen_ai.session.id'] != '', SpanAttributes['gen_ai.session.id'], SpanAttributes['gen_ai.conversation.id'] != '', SpanAttributes['gen_ai.conversation.id'], SpanAttributes['gen_ai.thread.id']) AS SessionId,
    multiIf(SpanAttributes['gen_ai.agent.name'] != '', SpanAttributes['gen_ai.agent.name'], SpanAttributes['gen_ai.agent.id']) AS AgentName,
    SpanAttributes['gen_ai.agent.version'] AS AgentVersion,
    multiIf(SpanAttributes['gen_ai.tool.name'] != '', SpanAttributes['gen_ai.tool.name'], SpanAttributes['tool.name']) AS ToolName,
    multiIf(SpanAttributes['gen_ai.prompt.name'] != '', SpanAttributes['gen_ai.prompt.name'], SpanAttributes['prompt.name'] != '', SpanAttributes['prompt.name'], SpanAttributes['traceloop.prompt.key'] != '', SpanAttributes['traceloop.prompt.key'], SpanAttributes['langfuse.prompt.name']) AS PromptName,
    multiIf(SpanAttributes['gen_ai.prompt.version'] != '', SpanAttributes['gen_ai.prompt.version'], SpanAttributes['prompt.version'] != '', SpanAttributes['prompt.version'], SpanAttributes['traceloop.prompt.version'] != '', SpanAttributes['traceloop.prompt.version'], SpanAttributes['langfuse.prompt.version']) AS PromptVersion,
    Duration AS Duration,
    if(SpanAttributes['agent.response_latency_ms'] != '', toFloat64OrZero(SpanAttributes['agent.response_latency_ms']), Duration / 1000000) AS LatencyMs,
    toFloat64OrZero(multiIf(SpanAttributes['gen_ai.response.time_to_first_chunk'] != '', SpanAttributes['gen_ai.response.time_to_first_chunk'], SpanAttributes['gen_ai.response.time_to_first_token'] != '', SpanAttributes['gen_ai.response.time_to_first_token'], SpanAttributes['gen_ai.server.time_to_first_token'] != '', SpanAttributes['gen_ai.server.time_to_first_token'], SpanAttributes['gen_ai.server.ttft'])) * 1000 AS FirstChunkMs,
    least(toUInt64OrZero(multiIf(SpanAttributes['gen_ai.usage.input_tokens'] != '', SpanAttributes['gen_ai.usage.input_tokens'], SpanAttributes['gen_ai.usage.prompt_tokens'] != '', SpanAttributes['gen_ai.usage.prompt_tokens'], SpanAttributes['llm.usage.prompt_tokens'] != '', SpanAttributes['llm.usage.prompt_tokens'], SpanAttributes['agent.input_tokens'])), 1000000000000) AS InputTokens,
    least(toUInt64OrZero(multiIf(SpanAttributes['gen_ai.usage.cache_read.input_tokens'] != '', SpanAttributes['gen_ai.usage.cache_read.input_tokens'], SpanAttributes['gen_ai.usage.cache_read_input_tokens'] != '', SpanAttributes['gen_ai.usage.cache_read_input_tokens'], SpanAttributes['gen_ai.usage.cached_tokens'])), 1000000000000) AS CachedTokens,
    least(toUInt64OrZero(multiIf(SpanAttributes['gen_ai.usage.cache_write.input_tokens'] != '', SpanAttributes['gen_ai.usage.cache_write.input_tokens'], SpanAttributes['gen_ai.usage.cache_creation.input_tokens'] != '', SpanAttributes['gen_ai.usage.cache_creation.input_tokens'], SpanAttributes['gen_ai.usage.cache_write_input_tokens'] != '', SpanAttributes['gen_ai.usage.cache_write_input_tokens'], SpanAttributes['gen_ai.usage.cache_creation_input_tokens'])), 1000000000000) AS CacheWriteTokens,
    least(toUInt64OrZero(multiIf(SpanAttributes['gen_ai.usage.output_tokens'] != '', SpanAttributes['gen_ai.usage.output_tokens'], SpanAttributes['gen_ai.usage.completion_tokens'] != '', SpanAttributes['gen_ai.usage.completion_tokens'], SpanAttributes['llm.usage.completion_tokens'] != '', SpanAttributes['llm.usage.completion_tokens'], SpanAttributes['agent.output_tokens'])), 1000000000000) AS OutputTokens,
    least(toUInt64OrZero(multiIf(SpanAttributes['gen_ai.usage.reasoning.output_tokens'] != '', SpanAttributes['gen_ai.usage.reasoning.output_tokens'], SpanAttributes['gen_ai.usage.reasoning_tokens'])), 1000000000000) AS ReasoningTokens,
    StatusCode = 'Error' OR SpanAttributes['error.type'] != '' OR SpanAttributes['agent.success'] = 'false' AS Failed,
    multiIf(SpanAttributes['error.type'] != '', SpanAttributes['error.type'], StatusCode = 'Error' AND StatusMessage != '', substring(StatusMessage, 1, 200), StatusCode = 'Error' OR SpanAttributes['agent.success'] = 'false', 'unknown', '') AS ErrorType,
    substringUTF8(multiIf(SpanAttributes['gen_ai.input.messages'] != '', SpanAttributes['gen_ai.input.messages'], SpanAttributes['gen_ai.prompt'] != '', SpanAttributes['gen_ai.prompt'], SpanAttributes['gen_ai.prompt.0.content'] != '', SpanAttributes['gen_ai.prompt.0.content'], SpanAttributes['llm.prompts.0.content'] != '', SpanAttributes['llm.prompts.0.content'], SpanAttributes['input.value']), 1, 200) AS PromptPreview,
    substringUTF8(multiIf(SpanAttributes['gen_ai.output.messages'] != '', SpanAttributes['gen_ai.output.messages'], SpanAttributes['gen_ai.completion'] != '', SpanAttributes['gen_ai.completion'], SpanAttributes['gen_ai.completion.0.content'] != '', SpanAttributes['gen_ai.completion.0.content'], SpanAttributes['llm.completions.0.content'] != '', SpanAttributes['llm.completions.0.content'], SpanAttributes['output.value']), 1, 200) AS CompletionPreview,
    IngestId AS IngestId
FROM otel.otel_traces
WHERE hasAny(mapKeys(SpanAttributes), ['gen_ai.operation.name', 'gen_ai.request.model', 'gen_ai.provider.name', 'gen_ai.system', 'gen_ai.tool.name', 'gen_ai.agent.name', 'llm.request.type', 'llm.model_name', 'agent.response_latency_ms', 'agent.output_tokens', 'agent.success']);

-- 0007_create_genai_views VIEW
CREATE VIEW IF NOT EXISTS otel.genai_evaluations AS
SELECT
    Timestamp,
    toDateTime(Timestamp) AS Time,
    TraceId,
    SpanId,
    ServiceName,
    multiIf(ResourceAttributes['deployment.environment.name'] != '', ResourceAttributes['deployment.environment.name'], ResourceAttributes['deployment.environment']) AS Environment,
    LogAttributes['gen_ai.response.id'] AS ResponseId,
    LogAttributes['gen_ai.evaluation.name'] AS Name,
    toFloat64OrNull(multiIf(LogAttributes['gen_ai.evaluation.score.value'] != '', LogAttributes['gen_ai.evaluation.score.value'], LogAttributes['gen_ai.evaluation.score'])) AS Score,
    multiIf(LogAttributes['gen_ai.evaluation.score.label'] != '', LogAttributes['gen_ai.evaluation.score.label'], LogAttributes['gen_ai.evaluation.label']) AS Label,
    substringUTF8(LogAttributes['gen_ai.evaluation.explanation'], 1, 200) AS Explanation,
    IngestId
FROM otel.otel_logs
WHERE if(EventName != '', EventName, LogAttributes['event.name']) = 'gen_ai.evaluation.result';

-- 0007_create_genai_views VIEW
CREATE VIEW IF NOT EXISTS otel.genai_model_prices AS
SELECT
    Provider,
    BilledModel,
    arraySort(offer -> offer.1, groupArray((Rank, ValidFrom, Version, Currency, InputPrice,
        CachedPrice, CacheWritePrice, OutputPrice, ReasoningPrice))) AS Offers
FROM
(
    SELECT
        Provider,
        BilledModel,
        (
            Pattern != BilledModel,
            -toInt64(length(Pattern)),
            PriceOf = '',
            -toInt64(toUnixTimestamp(ValidFrom)),
            -toInt64(Version)
        ) AS Rank,
        ValidFrom,
        Version,
        Currency,
        InputPrice,
        CachedPrice,
        CacheWritePrice,
        OutputPrice,
        ReasoningPrice
    FROM
    (
        SELECT DISTINCT Provider, BilledModel
        FROM otel.genai_usage_1m
        WHERE Kind = 'model'
    ) AS models
    CROSS JOIN
    (
        SELECT
            Provider AS PriceOf,
            Model AS Pattern,
            ValidFrom,
            Version,
            Currency,
            InputPrice,
            CachedPrice,
            CacheWritePrice,
            OutputPrice,
            ReasoningPrice
        FROM otel.genai_prices
    ) AS prices
    WHERE (PriceOf = '' OR PriceOf = Provider)
      AND (
        Pattern = BilledModel
        OR (endsWith(Pattern, '*')
            AND startsWith(BilledModel, substring(Pattern, 1, length(Pattern) - 1))))
) AS fitting
GROUP BY Provider, BilledModel;

-- 0007_create_genai_views VIEW
CREATE VIEW IF NOT EXISTS otel.genai_costs_1m AS
SELECT Minute, Environment, ServiceName, Kind, Operation, Provider, Model, BilledModel, Route, Tier, Calls, InputTokens, CachedTokens, CacheWriteTokens, OutputTokens, ReasoningTokens,
    toString(Offers[At].4) AS Currency,
    Offers[At].3 AS PriceVersion,
    if(At = 0, NULL, (toDecimal128(InputTokens - least(InputTokens, CachedTokens + CacheWriteTokens), 0) * Offers[At].5
        + toDecimal128(CachedTokens, 0) * Offers[At].6
        + toDecimal128(CacheWriteTokens, 0) * Offers[At].7
        + toDecimal128(OutputTokens - least(OutputTokens, ReasoningTokens), 0) * Offers[At].8
        + toDecimal128(ReasoningTokens, 0) * Offers[At].9) * toDecimal128('0.000001', 6)) AS Cost,
    toUInt64(if(At = 0, Calls, 0)) AS UnpricedCalls
FROM
(
    SELECT Minute, Environment, ServiceName, Kind, Operation, Provider, Model, BilledModel, Route, Tier, Calls, InputTokens, CachedTokens, CacheWriteTokens, OutputTokens, ReasoningTokens, Offers,
        arrayFirstIndex((offer, at) -> offer.2 <= at, Offers, arrayResize([Minute], length(Offers), Minute)) AS At
    FROM
    (
        SELECT Minute, Environment, ServiceName, Kind, Operation, Provider, Model, BilledModel, Route, Tier, Calls, InputTokens, CachedTokens, CacheWriteTokens, OutputTokens, ReasoningTokens, Offers
        FROM (SELECT Minute, Environment, ServiceName, Kind, Operation, Provider, Model, BilledModel, Route, Tier, toUInt64(Calls) AS Calls, toUInt64(InputTokens) AS InputTokens, toUInt64(CachedTokens) AS CachedTokens, toUInt64(CacheWriteTokens) AS CacheWriteTokens, toUInt64(OutputTokens) AS OutputTokens, toUInt64(ReasoningTokens) AS ReasoningTokens FROM otel.genai_usage_1m WHERE Kind = 'model') AS calls
        GLOBAL ANY LEFT JOIN
        (SELECT Provider, BilledModel, Offers FROM otel.genai_model_prices) AS offers
        USING (Provider, BilledModel)
    ) AS joined
) AS chosen;

-- 0007_create_genai_views VIEW
CREATE VIEW IF NOT EXISTS otel.genai_span_costs AS
SELECT Timestamp, Time, TraceId, SpanId, ParentSpanId, SpanName, Environment, ServiceName, Kind, Operation, Provider, Model, BilledModel, Route, Tier, User, ConversationId, SessionId, AgentName, PromptName, PromptVersion, ResponseId, LatencyMs, FirstChunkMs, Failed, InputTokens, CachedTokens, CacheWriteTokens, OutputTokens, ReasoningTokens,
    toString(Offers[At].4) AS Currency,
    Offers[At].3 AS PriceVersion,
    if(At = 0, NULL, (toDecimal128(InputTokens - least(InputTokens, CachedTokens + CacheWriteTokens), 0) * Offers[At].5
        + toDecimal128(CachedTokens, 0) * Offers[At].6
        + toDecimal128(CacheWriteTokens, 0) * Offers[At].7
        + toDecimal128(OutputTokens - least(OutputTokens, ReasoningTokens), 0) * Offers[At].8
        + toDecimal128(ReasoningTokens, 0) * Offers[At].9) * toDecimal128('0.000001', 6)) AS Cost,
    toUInt64(if(At = 0, 1, 0)) AS UnpricedCalls
FROM
(
    SELECT Timestamp, Time, TraceId, SpanId, ParentSpanId, SpanName, Environment, ServiceName, Kind, Operation, Provider, Model, BilledModel, Route, Tier, User, ConversationId, SessionId, AgentName, PromptName, PromptVersion, ResponseId, LatencyMs, FirstChunkMs, Failed, InputTokens, CachedTokens, CacheWriteTokens, OutputTokens, ReasoningTokens, Offers,
        arrayFirstIndex((offer, at) -> offer.2 <= at, Offers, arrayResize([Time], length(Offers), Time)) AS At
    FROM
    (
        SELECT Timestamp, Time, TraceId, SpanId, ParentSpanId, SpanName, Environment, ServiceName, Kind, Operation, Provider, Model, BilledModel, Route, Tier, User, ConversationId, SessionId, AgentName, PromptName, PromptVersion, ResponseId, LatencyMs, FirstChunkMs, Failed, InputTokens, CachedTokens, CacheWriteTokens, OutputTokens, ReasoningTokens, Offers
        FROM (SELECT Timestamp, Time, TraceId, SpanId, ParentSpanId, SpanName, Environment, ServiceName, Kind, Operation, Provider, Model, BilledModel, Route, Tier, User, ConversationId, SessionId, AgentName, PromptName, PromptVersion, ResponseId, LatencyMs, FirstChunkMs, Failed, InputTokens, CachedTokens, CacheWriteTokens, OutputTokens, ReasoningTokens FROM otel.genai_spans WHERE Kind = 'model') AS calls
        GLOBAL ANY LEFT JOIN
        (SELECT Provider, BilledModel, Offers FROM otel.genai_model_prices) AS offers
        USING (Provider, BilledModel)
    ) AS joined
) AS chosen;

-- 0008_tune_storage LOCAL
ALTER TABLE otel.otel_traces_local
    MODIFY COLUMN Timestamp CODEC(T64, ZSTD(1)),
    MODIFY COLUMN ResourceAttributes CODEC(ZSTD(6)),
    MODIFY COLUMN ScopeName CODEC(ZSTD(3)),
    MODIFY COLUMN ScopeVersion CODEC(ZSTD(3)),
    MODIFY COLUMN SpanAttributes CODEC(ZSTD(3)),
    MODIFY COLUMN Duration CODEC(T64, ZSTD(1));

-- 0008_tune_storage LOCAL
ALTER TABLE otel.otel_traces_trace_id_ts_local
    MODIFY COLUMN Start CODEC(T64, ZSTD(1)),
    MODIFY COLUMN End CODEC(T64, ZSTD(1)),
    DROP INDEX IF EXISTS idx_trace_id;

-- 0008_tune_storage LOCAL
ALTER TABLE otel.otel_logs_local
    MODIFY COLUMN Body CODEC(ZSTD(3)),
    MODIFY COLUMN ResourceAttributes CODEC(ZSTD(6)),
    MODIFY COLUMN ScopeName CODEC(ZSTD(3)),
    MODIFY COLUMN ScopeAttributes CODEC(ZSTD(3)),
    MODIFY COLUMN LogAttributes CODEC(ZSTD(3));

-- 0008_tune_storage LOCAL
ALTER TABLE otel.otel_metrics_gauge_local
    MODIFY COLUMN ResourceAttributes CODEC(ZSTD(6)),
    MODIFY COLUMN ResourceSchemaUrl CODEC(ZSTD(3)),
    MODIFY COLUMN ScopeName CODEC(ZSTD(3)),
    MODIFY COLUMN ScopeVersion CODEC(ZSTD(3)),
    MODIFY COLUMN ScopeAttributes CODEC(ZSTD(3)),
    MODIFY COLUMN ScopeSchemaUrl CODEC(ZSTD(3)),
    MODIFY COLUMN MetricDescription CODEC(ZSTD(3)),
    MODIFY COLUMN MetricUnit CODEC(ZSTD(3)),
    MODIFY COLUMN Attributes CODEC(ZSTD(3));

-- 0008_tune_storage LOCAL
ALTER TABLE otel.otel_metrics_sum_local
    MODIFY COLUMN ResourceAttributes CODEC(ZSTD(6)),
    MODIFY COLUMN ResourceSchemaUrl CODEC(ZSTD(3)),
    MODIFY COLUMN ScopeName CODEC(ZSTD(3)),
    MODIFY COLUMN ScopeVersion CODEC(ZSTD(3)),
    MODIFY COLUMN ScopeAttributes CODEC(ZSTD(3)),
    MODIFY COLUMN ScopeSchemaUrl CODEC(ZSTD(3)),
    MODIFY COLUMN MetricDescription CODEC(ZSTD(3)),
    MODIFY COLUMN MetricUnit CODEC(ZSTD(3)),
    MODIFY COLUMN Attributes CODEC(ZSTD(3));

-- 0008_tune_storage LOCAL
ALTER TABLE otel.otel_metrics_histogram_local
    MODIFY COLUMN ResourceAttributes CODEC(ZSTD(6)),
    MODIFY COLUMN ResourceSchemaUrl CODEC(ZSTD(3)),
    MODIFY COLUMN ScopeName CODEC(ZSTD(3)),
    MODIFY COLUMN ScopeVersion CODEC(ZSTD(3)),
    MODIFY COLUMN ScopeAttributes CODEC(ZSTD(3)),
    MODIFY COLUMN ScopeSchemaUrl CODEC(ZSTD(3)),
    MODIFY COLUMN MetricDescription CODEC(ZSTD(3)),
    MODIFY COLUMN MetricUnit CODEC(ZSTD(3)),
    MODIFY COLUMN Attributes CODEC(ZSTD(3)),
    MODIFY COLUMN BucketCounts CODEC(T64, ZSTD(3)),
    MODIFY COLUMN ExplicitBounds CODEC(ZSTD(3));

-- 0008_tune_storage LOCAL
ALTER TABLE otel.otel_metrics_exponential_histogram_local
    MODIFY COLUMN ResourceAttributes CODEC(ZSTD(6)),
    MODIFY COLUMN ResourceSchemaUrl CODEC(ZSTD(3)),
    MODIFY COLUMN ScopeName CODEC(ZSTD(3)),
    MODIFY COLUMN ScopeVersion CODEC(ZSTD(3)),
    MODIFY COLUMN ScopeAttributes CODEC(ZSTD(3)),
    MODIFY COLUMN ScopeSchemaUrl CODEC(ZSTD(3)),
    MODIFY COLUMN MetricDescription CODEC(ZSTD(3)),
    MODIFY COLUMN MetricUnit CODEC(ZSTD(3)),
    MODIFY COLUMN Attributes CODEC(ZSTD(3)),
    MODIFY COLUMN PositiveBucketCounts CODEC(T64, ZSTD(3)),
    MODIFY COLUMN NegativeBucketCounts CODEC(T64, ZSTD(3));

-- 0008_tune_storage LOCAL
ALTER TABLE otel.otel_metrics_summary_local
    MODIFY COLUMN ResourceAttributes CODEC(ZSTD(6)),
    MODIFY COLUMN ResourceSchemaUrl CODEC(ZSTD(3)),
    MODIFY COLUMN ScopeName CODEC(ZSTD(3)),
    MODIFY COLUMN ScopeVersion CODEC(ZSTD(3)),
    MODIFY COLUMN ScopeAttributes CODEC(ZSTD(3)),
    MODIFY COLUMN ScopeSchemaUrl CODEC(ZSTD(3)),
    MODIFY COLUMN MetricDescription CODEC(ZSTD(3)),
    MODIFY COLUMN MetricUnit CODEC(ZSTD(3)),
    MODIFY COLUMN Attributes CODEC(ZSTD(3));

-- 0009_add_environment LOCAL
ALTER TABLE otel.otel_traces_local
    ADD COLUMN IF NOT EXISTS Environment LowCardinality(String) MATERIALIZED if(ResourceAttributes['deployment.environment.name'] != '', ResourceAttributes['deployment.environment.name'], ResourceAttributes['deployment.environment']) CODEC(ZSTD(1));

-- 0009_add_environment LOCAL
ALTER TABLE otel.otel_logs_local
    ADD COLUMN IF NOT EXISTS Environment LowCardinality(String) MATERIALIZED if(ResourceAttributes['deployment.environment.name'] != '', ResourceAttributes['deployment.environment.name'], ResourceAttributes['deployment.environment']) CODEC(ZSTD(1));

-- 0009_add_environment LOCAL
ALTER TABLE otel.otel_metrics_gauge_local
    ADD COLUMN IF NOT EXISTS Environment LowCardinality(String) MATERIALIZED if(ResourceAttributes['deployment.environment.name'] != '', ResourceAttributes['deployment.environment.name'], ResourceAttributes['deployment.environment']) CODEC(ZSTD(1));

-- 0009_add_environment LOCAL
ALTER TABLE otel.otel_metrics_sum_local
    ADD COLUMN IF NOT EXISTS Environment LowCardinality(String) MATERIALIZED if(ResourceAttributes['deployment.environment.name'] != '', ResourceAttributes['deployment.environment.name'], ResourceAttributes['deployment.environment']) CODEC(ZSTD(1));

-- 0009_add_environment LOCAL
ALTER TABLE otel.otel_metrics_histogram_local
    ADD COLUMN IF NOT EXISTS Environment LowCardinality(String) MATERIALIZED if(ResourceAttributes['deployment.environment.name'] != '', ResourceAttributes['deployment.environment.name'], ResourceAttributes['deployment.environment']) CODEC(ZSTD(1));

-- 0009_add_environment LOCAL
ALTER TABLE otel.otel_metrics_exponential_histogram_local
    ADD COLUMN IF NOT EXISTS Environment LowCardinality(String) MATERIALIZED if(ResourceAttributes['deployment.environment.name'] != '', ResourceAttributes['deployment.environment.name'], ResourceAttributes['deployment.environment']) CODEC(ZSTD(1));

-- 0009_add_environment LOCAL
ALTER TABLE otel.otel_metrics_summary_local
    ADD COLUMN IF NOT EXISTS Environment LowCardinality(String) MATERIALIZED if(ResourceAttributes['deployment.environment.name'] != '', ResourceAttributes['deployment.environment.name'], ResourceAttributes['deployment.environment']) CODEC(ZSTD(1));

-- 0009_add_environment DISTRIBUTED
ALTER TABLE otel.otel_traces
    ADD COLUMN IF NOT EXISTS Environment LowCardinality(String) MATERIALIZED if(ResourceAttributes['deployment.environment.name'] != '', ResourceAttributes['deployment.environment.name'], ResourceAttributes['deployment.environment']) CODEC(ZSTD(1));

-- 0009_add_environment DISTRIBUTED
ALTER TABLE otel.otel_logs
    ADD COLUMN IF NOT EXISTS Environment LowCardinality(String) MATERIALIZED if(ResourceAttributes['deployment.environment.name'] != '', ResourceAttributes['deployment.environment.name'], ResourceAttributes['deployment.environment']) CODEC(ZSTD(1));

-- 0009_add_environment DISTRIBUTED
ALTER TABLE otel.otel_metrics_gauge
    ADD COLUMN IF NOT EXISTS Environment LowCardinality(String) MATERIALIZED if(ResourceAttributes['deployment.environment.name'] != '', ResourceAttributes['deployment.environment.name'], ResourceAttributes['deployment.environment']) CODEC(ZSTD(1));

-- 0009_add_environment DISTRIBUTED
ALTER TABLE otel.otel_metrics_sum
    ADD COLUMN IF NOT EXISTS Environment LowCardinality(String) MATERIALIZED if(ResourceAttributes['deployment.environment.name'] != '', ResourceAttributes['deployment.environment.name'], ResourceAttributes['deployment.environment']) CODEC(ZSTD(1));

-- 0009_add_environment DISTRIBUTED
ALTER TABLE otel.otel_metrics_histogram
    ADD COLUMN IF NOT EXISTS Environment LowCardinality(String) MATERIALIZED if(ResourceAttributes['deployment.environment.name'] != '', ResourceAttributes['deployment.environment.name'], ResourceAttributes['deployment.environment']) CODEC(ZSTD(1));

-- 0009_add_environment DISTRIBUTED
ALTER TABLE otel.otel_metrics_exponential_histogram
    ADD COLUMN IF NOT EXISTS Environment LowCardinality(String) MATERIALIZED if(ResourceAttributes['deployment.environment.name'] != '', ResourceAttributes['deployment.environment.name'], ResourceAttributes['deployment.environment']) CODEC(ZSTD(1));

-- 0009_add_environment DISTRIBUTED
ALTER TABLE otel.otel_metrics_summary
    ADD COLUMN IF NOT EXISTS Environment LowCardinality(String) MATERIALIZED if(ResourceAttributes['deployment.environment.name'] != '', ResourceAttributes['deployment.environment.name'], ResourceAttributes['deployment.environment']) CODEC(ZSTD(1));

-- 0010_add_tenant LOCAL
ALTER TABLE otel.otel_traces_local
    ADD COLUMN IF NOT EXISTS Tenant LowCardinality(String) CODEC(ZSTD(1));

-- 0010_add_tenant LOCAL
ALTER TABLE otel.otel_logs_local
    ADD COLUMN IF NOT EXISTS Tenant LowCardinality(String) CODEC(ZSTD(1));

-- 0010_add_tenant LOCAL
ALTER TABLE otel.otel_metrics_gauge_local
    ADD COLUMN IF NOT EXISTS Tenant LowCardinality(String) CODEC(ZSTD(1));

-- 0010_add_tenant LOCAL
ALTER TABLE otel.otel_metrics_sum_local
    ADD COLUMN IF NOT EXISTS Tenant LowCardinality(String) CODEC(ZSTD(1));

-- 0010_add_tenant LOCAL
ALTER TABLE otel.otel_metrics_histogram_local
    ADD COLUMN IF NOT EXISTS Tenant LowCardinality(String) CODEC(ZSTD(1));

-- 0010_add_tenant LOCAL
ALTER TABLE otel.otel_metrics_exponential_histogram_local
    ADD COLUMN IF NOT EXISTS Tenant LowCardinality(String) CODEC(ZSTD(1));

-- 0010_add_tenant LOCAL
ALTER TABLE otel.otel_metrics_summary_local
    ADD COLUMN IF NOT EXISTS Tenant LowCardinality(String) CODEC(ZSTD(1));

-- 0010_add_tenant DISTRIBUTED
ALTER TABLE otel.otel_traces
    ADD COLUMN IF NOT EXISTS Tenant LowCardinality(String) CODEC(ZSTD(1));

-- 0010_add_tenant DISTRIBUTED
ALTER TABLE otel.otel_logs
    ADD COLUMN IF NOT EXISTS Tenant LowCardinality(String) CODEC(ZSTD(1));

-- 0010_add_tenant DISTRIBUTED
ALTER TABLE otel.otel_metrics_gauge
    ADD COLUMN IF NOT EXISTS Tenant LowCardinality(String) CODEC(ZSTD(1));

-- 0010_add_tenant DISTRIBUTED
ALTER TABLE otel.otel_metrics_sum
    ADD COLUMN IF NOT EXISTS Tenant LowCardinality(String) CODEC(ZSTD(1));

-- 0010_add_tenant DISTRIBUTED
ALTER TABLE otel.otel_metrics_histogram
    ADD COLUMN IF NOT EXISTS Tenant LowCardinality(String) CODEC(ZSTD(1));

-- 0010_add_tenant DISTRIBUTED
ALTER TABLE otel.otel_metrics_exponential_histogram
    ADD COLUMN IF NOT EXISTS Tenant LowCardinality(String) CODEC(ZSTD(1));

-- 0010_add_tenant DISTRIBUTED
ALTER TABLE otel.otel_metrics_summary
    ADD COLUMN IF NOT EXISTS Tenant LowCardinality(String) CODEC(ZSTD(1));

-- 0011_add_tenant_to_views LOCAL
ALTER TABLE otel.otel_traces_trace_id_ts_local
    ADD COLUMN IF NOT EXISTS Tenant LowCardinality(String) CODEC(ZSTD(1));

-- 0011_add_tenant_to_views LOCAL
ALTER TABLE otel.otel_traces_trace_id_ts_mv MODIFY QUERY
SELECT
    TraceId,
    toDateTime(min(Timestamp)) AS Start,
    toDateTime(max(Timestamp)) AS End,
    Tenant
FROM otel.otel_traces_local
WHERE TraceId != ''
GROUP BY TraceId, Tenant;

-- 0011_add_tenant_to_views LOCAL
ALTER TABLE otel.genai_usage_1m_local
    ADD COLUMN IF NOT EXISTS Tenant LowCardinality(String) CODEC(ZSTD(1)),
    MODIFY ORDER BY (ServiceName, Model, Minute, Environment, Kind, Operation, Provider, BilledModel, Route, Tier, Tenant);

-- 0011_add_tenant_to_views LOCAL
ALTER TABLE otel.genai_usage_1m_mv MODIFY QUERY
SELECT
    CAST(toStartOfMinute(toDateTime(Timestamp)) AS DateTime) AS Minute,
    multiIf(ResourceAttributes['deployment.environment.name'] != '', ResourceAttributes['deployment.environment.name'], ResourceAttributes['deployment.environment']) AS Environment,
    ServiceName AS ServiceName,
    multiIf(multiIf(SpanAttributes['gen_ai.operation.name'] != '', SpanAttributes['gen_ai.operation.name'], SpanAttributes['llm.request.type'] != '', SpanAttributes['llm.request.type'], SpanAttributes['traceloop.span.kind']) IN ('execute_tool', 'tool'), 'tool', multiIf(SpanAttributes['gen_ai.operation.name'] != '', SpanAttributes['gen_ai.operation.name'], SpanAttributes['llm.request.type'] != '', SpanAttributes['llm.request.type'], SpanAttributes['traceloop.span.kind']) IN ('invoke_agent', 'create_agent', 'agent'), 'agent', multiIf(SpanAttributes['gen_ai.operation.name'] != '', SpanAttributes['gen_ai.operation.name'], SpanAttributes['llm.request.type'] != '', SpanAttributes['llm.request.type'], SpanAttributes['traceloop.span.kind']) IN ('invoke_workflow', 'workflow'), 'workflow', multiIf(SpanAttributes['gen_ai.operation.name'] != '', SpanAttributes['gen_ai.operation.name'], SpanAttributes['llm.request.type'] != '', SpanAttributes['llm.request.type'], SpanAttributes['traceloop.span.kind']) IN ('retrieval', 'task'), 'other', multiIf(SpanAttributes['gen_ai.request.model'] != '', SpanAttributes['gen_ai.request.model'], SpanAttributes['llm.request.model'] != '', SpanAttributes['llm.request.model'], SpanAttributes['llm.model_name'] != '', SpanAttributes['llm.model_name'], SpanAttributes['model']) != '' OR multiIf(SpanAttributes['gen_ai.response.model'] != '', SpanAttributes['gen_ai.response.model'], SpanAttributes['llm.response.model']) != '', 'model', SpanAttributes['gen_ai.tool.name'] != '', 'tool', SpanAttributes['gen_ai.agent.name'] != '', 'agent', multiIf(SpanAttributes['agent.output_tokens'] != '', SpanAttributes['agent.output_tokens'], SpanAttributes['agent.response_latency_ms']) != '', 'model', 'other') AS Kind,
    multiIf(SpanAttributes['gen_ai.operation.name'] != '', SpanAttributes['gen_ai.operation.name'], SpanAttributes['llm.request.type'] != '', SpanAttributes['llm.request.type'], SpanAttributes['traceloop.span.kind']) AS Operation,
    multiIf(SpanAttributes['gen_ai.provider.name'] != '', SpanAttributes['gen_ai.provider.name'], SpanAttributes['gen_ai.system'] != '', SpanAttributes['gen_ai.system'], SpanAttributes['llm.vendor']) AS Provider,
    multiIf(SpanAttributes['gen_ai.request.model'] != '', SpanAttributes['gen_ai.request.model'], SpanAttributes['llm.request.model'] != '', SpanAttributes['llm.request.model'], SpanAttributes['llm.model_name'] != '', SpanAttributes['llm.model_name'], SpanAttributes['model'] != '', SpanAttributes['model'], SpanAttributes['gen_ai.response.model'] != '', SpanAttributes['gen_ai.response.model'], SpanAttributes['llm.response.model']) AS Model,
    multiIf(SpanAttributes['gen_ai.response.model'] != '', SpanAttributes['gen_ai.response.model'], SpanAttributes['llm.response.model'] != '', SpanAttributes['llm.response.model'], SpanAttributes['gen_ai.request.model'] != '', SpanAttributes['gen_ai.request.model'], SpanAttributes['llm.request.model'] != '', SpanAttributes['llm.request.model'], SpanAttributes['llm.model_name'] != '', SpanAttributes['llm.model_name'], SpanAttributes['model']) AS BilledModel,
    multiIf(SpanAttributes['route'] != '', SpanAttributes['route'], SpanAttributes['http.route'] != '', SpanAttributes['http.route'], SpanAttributes['url.template']) AS Route,
    multiIf(SpanAttributes['customer_tier'] != '', SpanAttributes['customer_tier'], SpanAttributes['customer.tier']) AS Tier,
    count() AS Calls,
    sum(StatusCode = 'Error' OR SpanAttributes['error.type'] != '' OR SpanAttributes['agent.success'] = 'false') AS Errors,
    sumIf(least(toUInt64OrZero(multiIf(SpanAttributes['gen_ai.usage.input_tokens'] != '', SpanAttributes['gen_ai.usage.input_tokens'], SpanAttributes['gen_ai.usage.prompt_tokens'] != '', SpanAttributes['gen_ai.usage.prompt_tokens'], SpanAttributes['llm.usage.prompt_tokens'] != '', SpanAttributes['llm.usage.prompt_tokens'], SpanAttributes['agent.input_tokens'])), 1000000000000), multiIf(multiIf(SpanAttributes['gen_ai.operation.name'] != '', SpanAttributes['gen_ai.operation.name'], SpanAttributes['llm.request.type'] != '', SpanAttributes['llm.request.type'], SpanAttributes['traceloop.span.kind']) IN ('execute_tool', 'tool'), 'tool', multiIf(SpanAttributes['gen_ai.operation.name'] != '', SpanAttributes['gen_ai.operation.name'], SpanAttributes['llm.request.type'] != '', SpanAttributes['llm.request.type'], SpanAttributes['traceloop.span.kind']) IN ('invoke_agent', 'create_agent', 'agent'), 'agent', multiIf(SpanAttributes['gen_ai.operation.name'] != '', SpanAttributes['gen_ai.operation.name'], SpanAttributes['llm.request.type'] != '', SpanAttributes['llm.request.type'], SpanAttributes['traceloop.span.kind']) IN ('invoke_workflow', 'workflow'), 'workflow', multiIf(SpanAttributes['gen_ai.operation.name'] != '', SpanAttributes['gen_ai.operation.name'], SpanAttributes['llm.request.type'] != '', SpanAttributes['llm.request.type'], SpanAttributes['traceloop.span.kind']) IN ('retrieval', 'task'), 'other', multiIf(SpanAttributes['gen_ai.request.model'] != '', SpanAttributes['gen_ai.request.model'], SpanAttributes['llm.request.model'] != '', SpanAttributes['llm.request.model'], SpanAttributes['llm.model_name'] != '', SpanAttributes['llm.model_name'], SpanAttributes['model']) != '' OR multiIf(SpanAttributes['gen_ai.response.model'] != '', SpanAttributes['gen_ai.response.model'], SpanAttributes['llm.response.model']) != '', 'model', SpanAttributes['gen_ai.tool.name'] != '', 'tool', SpanAttributes['gen_ai.agent.name'] != '', 'agent', multiIf(SpanAttributes['agent.output_tokens'] != '', SpanAttributes['agent.output_tokens'], SpanAttributes['agent.response_latency_ms']) != '', 'model', 'other') = 'model') AS InputTokens,
    sumIf(least(toUInt64OrZero(multiIf(SpanAttributes['gen_ai.usage.cache_read.input_tokens'] != '', SpanAttributes['gen_ai.usage.cache_read.input_tokens'], SpanAttributes['gen_ai.usage.cache_read_input_tokens'] != '', SpanAttributes['gen_ai.usage.cache_read_input_tokens'], SpanAttributes['gen_ai.usage.cached_tokens'])), 1000000000000), multiIf(multiIf(SpanAttributes['gen_ai.operation.name'] != '', SpanAttributes['gen_ai.operation.name'], SpanAttributes['llm.request.type'] != '', SpanAttributes['llm.request.type'], SpanAttributes['traceloop.span.kind']) IN ('execute_tool', 'tool'), 'tool', multiIf(SpanAttributes['gen_ai.operation.name'] != '', SpanAttributes['gen_ai.operation.name'], SpanAttributes['llm.request.type'] != '', SpanAttributes['llm.request.type'], SpanAttributes['traceloop.span.kind']) IN ('invoke_agent', 'create_agent', 'agent'), 'agent', multiIf(SpanAttributes['gen_ai.operation.name'] != '', SpanAttributes['gen_ai.operation.name'], SpanAttributes['llm.request.type'] != '', SpanAttributes['llm.request.type'], SpanAttributes['traceloop.span.kind']) IN ('invoke_workflow', 'workflow'), 'workflow', multiIf(SpanAttributes['gen_ai.operation.name'] != '', SpanAttributes['gen_ai.operation.name'], SpanAttributes['llm.request.type'] != '', SpanAttributes['llm.request.type'], SpanAttributes['traceloop.span.kind']) IN ('retrieval', 'task'), 'other', multiIf(SpanAttributes['gen_ai.request.model'] != '', SpanAttributes['gen_ai.request.model'], SpanAttributes['llm.request.model'] != '', SpanAttributes['llm.request.model'], SpanAttributes['llm.model_name'] != '', SpanAttributes['llm.model_name'], SpanAttributes['model']) != '' OR multiIf(SpanAttributes['gen_ai.response.model'] != '', SpanAttributes['gen_ai.response.model'], SpanAttributes['llm.response.model']) != '', 'model', SpanAttributes['gen_ai.tool.name'] != '', 'tool', SpanAttributes['gen_ai.agent.name'] != '', 'agent', multiIf(SpanAttributes['agent.output_tokens'] != '', SpanAttributes['agent.output_tokens'], SpanAttributes['agent.response_latency_ms']) != '', 'model', 'other') = 'model') AS CachedTokens,
    sumIf(least(toUInt64OrZero(multiIf(SpanAttributes['gen_ai.usage.cache_write.input_tokens'] != '', SpanAttributes['gen_ai.usage.cache_write.input_tokens'], SpanAttributes['gen_ai.usage.cache_creation.input_tokens'] != '', SpanAttributes['gen_ai.usage.cache_creation.input_tokens'], SpanAttributes['gen_ai.usage.cache_write_input_tokens'] != '', SpanAttributes['gen_ai.usage.cache_write_input_tokens'], SpanAttributes['gen_ai.usage.cache_creation_input_tokens'])), 1000000000000), multiIf(multiIf(SpanAttributes['gen_ai.operation.name'] != '', SpanAttributes['gen_ai.operation.name'], SpanAttributes['llm.request.type'] != '', SpanAttributes['llm.request.type'], SpanAttributes['traceloop.span.kind']) IN ('execute_tool', 'tool'), 'tool', multiIf(SpanAttributes['gen_ai.operation.name'] != '', SpanAttributes['gen_ai.operation.name'], SpanAttributes['llm.request.type'] != '', SpanAttributes['llm.request.type'], SpanAttributes['traceloop.span.kind']) IN ('invoke_agent', 'create_agent', 'agent'), 'agent', multiIf(SpanAttributes['gen_ai.operation.name'] != '', SpanAttributes['gen_ai.operation.name'], SpanAttributes['llm.request.type'] != '', SpanAttributes['llm.request.type'], SpanAttributes['traceloop.span.kind']) IN ('invoke_workflow', 'workflow'), 'workflow', multiIf(SpanAttributes['gen_ai.operation.name'] != '', SpanAttributes['gen_ai.operation.name'], SpanAttributes['llm.request.type'] != '', SpanAttributes['llm.request.type'], SpanAttributes['traceloop.span.kind']) IN ('retrieval', 'task'), 'other', multiIf(SpanAttributes['gen_ai.request.model'] != '', SpanAttributes['gen_ai.request.model'], SpanAttributes['llm.request.model'] != '', SpanAttributes['llm.request.model'], SpanAttributes['llm.model_name'] != '', SpanAttributes['llm.model_name'], SpanAttributes['model']) != '' OR multiIf(SpanAttributes['gen_ai.response.model'] != '', SpanAttributes['gen_ai.response.model'], SpanAttributes['llm.response.model']) != '', 'model', SpanAttributes['gen_ai.tool.name'] != '', 'tool', SpanAttributes['gen_ai.agent.name'] != '', 'agent', multiIf(SpanAttributes['agent.output_tokens'] != '', SpanAttributes['agent.output_tokens'], SpanAttributes['agent.response_latency_ms']) != '', 'model', 'other') = 'model') AS CacheWriteTokens,
    sumIf(least(toUInt64OrZero(multiIf(SpanAttributes['gen_ai.usage.output_tokens'] != '', SpanAttributes['gen_ai.usage.output_tokens'], SpanAttributes['gen_ai.usage.completion_tokens'] != '', SpanAttributes['gen_ai.usage.completion_tokens'], SpanAttributes['llm.usage.completion_tokens'] != '', SpanAttributes['llm.usage.completion_tokens'], SpanAttributes['agent.output_tokens'])), 1000000000000), multiIf(multiIf(SpanAttributes['gen_ai.operation.name'] != '', SpanAttributes['gen_ai.operation.name'], SpanAttributes['llm.request.type'] != '', SpanAttributes['llm.request.type'], SpanAttributes['traceloop.span.kind']) IN ('execute_tool', 'tool'), 'tool', multiIf(SpanAttributes['gen_ai.operation.name'] != '', SpanAttributes['gen_ai.operation.name'], SpanAttributes['llm.request.type'] != '', SpanAttributes['llm.request.type'], SpanAttributes['traceloop.span.kind']) IN ('invoke_agent', 'create_agent', 'agent'), 'agent', multiIf(SpanAttributes['gen_ai.operation.name'] != '', SpanAttributes['gen_ai.operation.name'], SpanAttributes['llm.request.type'] != '', SpanAttributes['llm.request.type'], SpanAttributes['traceloop.span.kind']) IN ('invoke_workflow', 'workflow'), 'workflow', multiIf(SpanAttributes['gen_ai.operation.name'] != '', SpanAttributes['gen_ai.operation.name'], SpanAttributes['llm.request.type'] != '', SpanAttributes['llm.request.type'], SpanAttributes['traceloop.span.kind']) IN ('retrieval', 'task'), 'other', multiIf(SpanAttributes['gen_ai.request.model'] != '', SpanAttributes['gen_ai.request.model'], SpanAttributes['llm.request.model'] != '', SpanAttributes['llm.request.model'], SpanAttributes['llm.model_name'] != '', SpanAttributes['llm.model_name'], SpanAttributes['model']) != '' OR multiIf(SpanAttributes['gen_ai.response.model'] != '', SpanAttributes['gen_ai.response.model'], SpanAttributes['llm.response.model']) != '', 'model', SpanAttributes['gen_ai.tool.name'] != '', 'tool', SpanAttributes['gen_ai.agent.name'] != '', 'agent', multiIf(SpanAttributes['agent.output_tokens'] != '', SpanAttributes['agent.output_tokens'], SpanAttributes['agent.response_latency_ms']) != '', 'model', 'other') = 'model') AS OutputTokens,
    sumIf(least(toUInt64OrZero(multiIf(SpanAttributes['gen_ai.usage.reasoning.output_tokens'] != '', SpanAttributes['gen_ai.usage.reasoning.output_tokens'], SpanAttributes['gen_ai.usage.reasoning_tokens'])), 1000000000000), multiIf(multiIf(SpanAttributes['gen_ai.operation.name'] != '', SpanAttributes['gen_ai.operation.name'], SpanAttributes['llm.request.type'] != '', SpanAttributes['llm.request.type'], SpanAttributes['traceloop.span.kind']) IN ('execute_tool', 'tool'), 'tool', multiIf(SpanAttributes['gen_ai.operation.name'] != '', SpanAttributes['gen_ai.operation.name'], SpanAttributes['llm.request.type'] != '', SpanAttributes['llm.request.type'], SpanAttributes['traceloop.span.kind']) IN ('invoke_agent', 'create_agent', 'agent'), 'agent', multiIf(SpanAttributes['gen_ai.operation.name'] != '', SpanAttributes['gen_ai.operation.name'], SpanAttributes['llm.request.type'] != '', SpanAttributes['llm.request.type'], SpanAttributes['traceloop.span.kind']) IN ('invoke_workflow', 'workflow'), 'workflow', multiIf(SpanAttributes['gen_ai.operation.name'] != '', SpanAttributes['gen_ai.operation.name'], SpanAttributes['llm.request.type'] != '', SpanAttributes['llm.request.type'], SpanAttributes['traceloop.span.kind']) IN ('retrieval', 'task'), 'other', multiIf(SpanAttributes['gen_ai.request.model'] != '', SpanAttributes['gen_ai.request.model'], SpanAttributes['llm.request.model'] != '', SpanAttributes['llm.request.model'], SpanAttributes['llm.model_name'] != '', SpanAttributes['llm.model_name'], SpanAttributes['model']) != '' OR multiIf(SpanAttributes['gen_ai.response.model'] != '', SpanAttributes['gen_ai.response.model'], SpanAttributes['llm.response.model']) != '', 'model', SpanAttributes['gen_ai.tool.name'] != '', 'tool', SpanAttributes['gen_ai.agent.name'] != '', 'agent', multiIf(SpanAttributes['agent.output_tokens'] != '', SpanAttributes['agent.output_tokens'], SpanAttributes['agent.response_latency_ms']) != '', 'model', 'other') = 'model') AS ReasoningTokens,
    quantilesTDigestState(0.5, 0.95, 0.99)(if(SpanAttributes['agent.response_latency_ms'] != '', toFloat64OrZero(SpanAttributes['agent.response_latency_ms']), Duration / 1000000)) AS Latency,
    quantilesTDigestIfState(0.5, 0.95, 0.99)(toFloat64OrZero(multiIf(SpanAttributes['gen_ai.response.time_to_first_chunk'] != '', SpanAttributes['gen_ai.response.time_to_first_chunk'], SpanAttributes['gen_ai.response.time_to_first_token'] != '', SpanAttributes['gen_ai.response.time_to_first_token'], SpanAttributes['gen_ai.server.time_to_first_token'] != '', SpanAttributes['gen_ai.server.time_to_first_token'], SpanAttributes['gen_ai.server.ttft'])) * 1000, toFloat64OrZero(multiIf(SpanAttributes['gen_ai.response.time_to_first_chunk'] != '', SpanAttributes['gen_ai.response.time_to_first_chunk'], SpanAttributes['gen_ai.response.time_to_first_token'] != '', SpanAttributes['gen_ai.response.time_to_first_token'], SpanAttributes['gen_ai.server.time_to_first_token'] != '', SpanAttributes['gen_ai.server.time_to_first_token'], SpanAttributes['gen_ai.server.ttft'])) * 1000 > 0) AS FirstChunk,
    Tenant AS Tenant
FROM otel.otel_traces_local
WHERE hasAny(mapKeys(SpanAttributes), ['gen_ai.operation.name', 'gen_ai.request.model', 'gen_ai.provider.name', 'gen_ai.system', 'gen_ai.tool.name', 'gen_ai.agent.name', 'llm.request.type', 'llm.model_name', 'agent.response_latency_ms', 'agent.output_tokens', 'agent.success']) AND 1
GROUP BY Minute, Environment, ServiceName, Kind, Operation, Provider, Model, BilledModel, Route, Tier, Tenant;

-- 0011_add_tenant_to_views DISTRIBUTED
ALTER TABLE otel.otel_traces_trace_id_ts
    ADD COLUMN IF NOT EXISTS Tenant LowCardinality(String) CODEC(ZSTD(1));

-- 0011_add_tenant_to_views DISTRIBUTED
ALTER TABLE otel.genai_usage_1m
    ADD COLUMN IF NOT EXISTS Tenant LowCardinality(String) CODEC(ZSTD(1));

-- 0011_add_tenant_to_views VIEW
CREATE OR REPLACE VIEW otel.genai_spans AS
SELECT
    Timestamp AS Timestamp,
    toDateTime(Timestamp) AS Time,
    TraceId AS TraceId,
    SpanId AS SpanId,
    ParentSpanId AS ParentSpanId,
    SpanName AS SpanName,
    ServiceName AS ServiceName,
    multiIf(ResourceAttributes['deployment.environment.name'] != '', ResourceAttributes['deployment.environment.name'], ResourceAttributes['deployment.environment']) AS Environment,
    multiIf(SpanAttributes['gen_ai.operation.name'] != '', SpanAttributes['gen_ai.operation.name'], SpanAttributes['llm.request.type'] != '', SpanAttributes['llm.request.type'], SpanAttributes['traceloop.span.kind']) AS Operation,
    multiIf(multiIf(SpanAttributes['gen_ai.operation.name'] != '', SpanAttributes['gen_ai.operation.name'], SpanAttributes['llm.request.type'] != '', SpanAttributes['llm.request.type'], SpanAttributes['traceloop.span.kind']) IN ('execute_tool', 'tool'), 'tool', multiIf(SpanAttributes['gen_ai.operation.name'] != '', SpanAttributes['gen_ai.operation.name'], SpanAttributes['llm.request.type'] != '', SpanAttributes['llm.request.type'], SpanAttributes['traceloop.span.kind']) IN ('invoke_agent', 'create_agent', 'agent'), 'agent', multiIf(SpanAttributes['gen_ai.operation.name'] != '', SpanAttributes['gen_ai.operation.name'], SpanAttributes['llm.request.type'] != '', SpanAttributes['llm.request.type'], SpanAttributes['traceloop.span.kind']) IN ('invoke_workflow', 'workflow'), 'workflow', multiIf(SpanAttributes['gen_ai.operation.name'] != '', SpanAttributes['gen_ai.operation.name'], SpanAttributes['llm.request.type'] != '', SpanAttributes['llm.request.type'], SpanAttributes['traceloop.span.kind']) IN ('retrieval', 'task'), 'other', multiIf(SpanAttributes['gen_ai.request.model'] != '', SpanAttributes['gen_ai.request.model'], SpanAttributes['llm.request.model'] != '', SpanAttributes['llm.request.model'], SpanAttributes['llm.model_name'] != '', SpanAttributes['llm.model_name'], SpanAttributes['model']) != '' OR multiIf(SpanAttributes['gen_ai.response.model'] != '', SpanAttributes['gen_ai.response.model'], SpanAttributes['llm.response.model']) != '', 'model', SpanAttributes['gen_ai.tool.name'] != '', 'tool', SpanAttributes['gen_ai.agent.name'] != '', 'agent', multiIf(SpanAttributes['agent.output_tokens'] != '', SpanAttributes['agent.output_tokens'], SpanAttributes['agent.response_latency_ms']) != '', 'model', 'other') AS Kind,
    multiIf(SpanAttributes['gen_ai.provider.name'] != '', SpanAttributes['gen_ai.provider.name'], SpanAttributes['gen_ai.system'] != '', SpanAttributes['gen_ai.system'], SpanAttributes['llm.vendor']) AS Provider,
    multiIf(SpanAttributes['gen_ai.request.model'] != '', SpanAttributes['gen_ai.request.model'], SpanAttributes['llm.request.model'] != '', SpanAttributes['llm.request.model'], SpanAttributes['llm.model_name'] != '', SpanAttributes['llm.model_name'], SpanAttributes['model'] != '', SpanAttributes['model'], SpanAttributes['gen_ai.response.model'] != '', SpanAttributes['gen_ai.response.model'], SpanAttributes['llm.response.model']) AS Model,
    multiIf(SpanAttributes['gen_ai.response.model'] != '', SpanAttributes['gen_ai.response.model'], SpanAttributes['llm.response.model'] != '', SpanAttributes['llm.response.model'], SpanAttributes['gen_ai.request.model'] != '', SpanAttributes['gen_ai.request.model'], SpanAttributes['llm.request.model'] != '', SpanAttributes['llm.request.model'], SpanAttributes['llm.model_name'] != '', SpanAttributes['llm.model_name'], SpanAttributes['model']) AS BilledModel,
    SpanAttributes['gen_ai.response.id'] AS ResponseId,
    multiIf(SpanAttributes['gen_ai.response.finish_reasons'] != '', SpanAttributes['gen_ai.response.finish_reasons'], SpanAttributes['gen_ai.response.finish_reason'] != '', SpanAttributes['gen_ai.response.finish_reason'], SpanAttributes['llm.response.finish_reason']) AS FinishReasons,
    multiIf(SpanAttributes['route'] != '', SpanAttributes['route'], SpanAttributes['http.route'] != '', SpanAttributes['http.route'], SpanAttributes['url.template']) AS Route,
    multiIf(SpanAttributes['customer_tier'] != '', SpanAttributes['customer_tier'], SpanAttributes['customer.tier']) AS Tier,
    multiIf(SpanAttributes['enduser.id'] != '', SpanAttributes['enduser.id'], SpanAttributes['user.id'] != '', SpanAttributes['user.id'], SpanAttributes['enduser.pseudo.id']) AS User,
    multiIf(SpanAttributes['gen_ai.conversation.id'] != '', SpanAttributes['gen_ai.conversation.id'], SpanAttributes['gen_ai.thread.id']) AS ConversationId,
    multiIf(SpanAttributes['session.id'] != '', SpanAttributes['session.id'], SpanAttributes['gen_ai.session.id'] != '', SpanAttributes['gen_ai.session.id'], SpanAttributes['gen_ai.conversation.id'] != '', SpanAttributes['gen_ai.conversation.id'], SpanAttributes['gen_ai.thread.id']) AS SessionId,
    multiIf(SpanAttributes['gen_ai.agent.name'] != '', SpanAttributes['gen_ai.agent.name'], SpanAttributes['gen_ai.agent.id']) AS AgentName,
    SpanAttributes['gen_ai.agent.version'] AS AgentVersion,
    multiIf(SpanAttributes['gen_ai.tool.name'] != '', SpanAttributes['gen_ai.tool.name'], SpanAttributes['tool.name']) AS ToolName,
    multiIf(SpanAttributes['gen_ai.prompt.name'] != '', SpanAttributes['gen_ai.prompt.name'], SpanAttributes['prompt.name'] != '', SpanAttributes['prompt.name'], SpanAttributes['traceloop.prompt.key'] != '', SpanAttributes['traceloop.prompt.key'], SpanAttributes['langfuse.prompt.name']) AS PromptName,
    multiIf(SpanAttributes['gen_ai.prompt.version'] != '', SpanAttributes['gen_ai.prompt.version'], SpanAttributes['prompt.version'] != '', SpanAttributes['prompt.version'], SpanAttributes['traceloop.prompt.version'] != '', SpanAttributes['traceloop.prompt.version'], SpanAttributes['langfuse.prompt.version']) AS PromptVersion,
    Duration AS Duration,
    if(SpanAttributes['agent.response_latency_ms'] != '', toFloat64OrZero(SpanAttributes['agent.response_latency_ms']), Duration / 1000000) AS LatencyMs,
    toFloat64OrZero(multiIf(SpanAttributes['gen_ai.response.time_to_first_chunk'] != '', SpanAttributes['gen_ai.response.time_to_first_chunk'], SpanAttributes['gen_ai.response.time_to_first_token'] != '', SpanAttributes['gen_ai.response.time_to_first_token'], SpanAttributes['gen_ai.server.time_to_first_token'] != '', SpanAttributes['gen_ai.server.time_to_first_token'], SpanAttributes['gen_ai.server.ttft'])) * 1000 AS FirstChunkMs,
    least(toUInt64OrZero(multiIf(SpanAttributes['gen_ai.usage.input_tokens'] != '', SpanAttributes['gen_ai.usage.input_tokens'], SpanAttributes['gen_ai.usage.prompt_tokens'] != '', SpanAttributes['gen_ai.usage.prompt_tokens'], SpanAttributes['llm.usage.prompt_tokens'] != '', SpanAttributes['llm.usage.prompt_tokens'], SpanAttributes['agent.input_tokens'])), 1000000000000) AS InputTokens,
    least(toUInt64OrZero(multiIf(SpanAttributes['gen_ai.usage.cache_read.input_tokens'] != '', SpanAttributes['gen_ai.usage.cache_read.input_tokens'], SpanAttributes['gen_ai.usage.cache_read_input_tokens'] != '', SpanAttributes['gen_ai.usage.cache_read_input_tokens'], SpanAttributes['gen_ai.usage.cached_tokens'])), 1000000000000) AS CachedTokens,
    least(toUInt64OrZero(multiIf(SpanAttributes['gen_ai.usage.cache_write.input_tokens'] != '', SpanAttributes['gen_ai.usage.cache_write.input_tokens'], SpanAttributes['gen_ai.usage.cache_creation.input_tokens'] != '', SpanAttributes['gen_ai.usage.cache_creation.input_tokens'], SpanAttributes['gen_ai.usage.cache_write_input_tokens'] != '', SpanAttributes['gen_ai.usage.cache_write_input_tokens'], SpanAttributes['gen_ai.usage.cache_creation_input_tokens'])), 1000000000000) AS CacheWriteTokens,
    least(toUInt64OrZero(multiIf(SpanAttributes['gen_ai.usage.output_tokens'] != '', SpanAttributes['gen_ai.usage.output_tokens'], SpanAttributes['gen_ai.usage.completion_tokens'] != '', SpanAttributes['gen_ai.usage.completion_tokens'], SpanAttributes['llm.usage.completion_tokens'] != '', SpanAttributes['llm.usage.completion_tokens'], SpanAttributes['agent.output_tokens'])), 1000000000000) AS OutputTokens,
    least(toUInt64OrZero(multiIf(SpanAttributes['gen_ai.usage.reasoning.output_tokens'] != '', SpanAttributes['gen_ai.usage.reasoning.output_tokens'], SpanAttributes['gen_ai.usage.reasoning_tokens'])), 1000000000000) AS ReasoningTokens,
    StatusCode = 'Error' OR SpanAttributes['error.type'] != '' OR SpanAttributes['agent.success'] = 'false' AS Failed,
    multiIf(SpanAttributes['error.type'] != '', SpanAttributes['error.type'], StatusCode = 'Error' AND StatusMessage != '', substring(StatusMessage, 1, 200), StatusCode = 'Error' OR SpanAttributes['agent.success'] = 'false', 'unknown', '') AS ErrorType,
    substringUTF8(multiIf(SpanAttributes['gen_ai.input.messages'] != '', SpanAttributes['gen_ai.input.messages'], SpanAttributes['gen_ai.prompt'] != '', SpanAttributes['gen_ai.prompt'], SpanAttributes['gen_ai.prompt.0.content'] != '', SpanAttributes['gen_ai.prompt.0.content'], SpanAttributes['llm.prompts.0.content'] != '', SpanAttributes['llm.prompts.0.content'], SpanAttributes['input.value']), 1, 200) AS PromptPreview,
    substringUTF8(multiIf(SpanAttributes['gen_ai.output.messages'] != '', SpanAttributes['gen_ai.output.messages'], SpanAttributes['gen_ai.completion'] != '', SpanAttributes['gen_ai.completion'], SpanAttributes['gen_ai.completion.0.content'] != '', SpanAttributes['gen_ai.completion.0.content'], SpanAttributes['llm.completions.0.content'] != '', SpanAttributes['llm.completions.0.content'], SpanAttributes['output.value']), 1, 200) AS CompletionPreview,
    IngestId AS IngestId,
    Tenant AS Tenant
FROM otel.otel_traces
WHERE hasAny(mapKeys(SpanAttributes), ['gen_ai.operation.name', 'gen_ai.request.model', 'gen_ai.provider.name', 'gen_ai.system', 'gen_ai.tool.name', 'gen_ai.agent.name', 'llm.request.type', 'llm.model_name', 'agent.response_latency_ms', 'agent.output_tokens', 'agent.success']);

-- 0011_add_tenant_to_views VIEW
CREATE OR REPLACE VIEW otel.genai_evaluations AS
SELECT
    Timestamp,
    toDateTime(Timestamp) AS Time,
    TraceId,
    SpanId,
    ServiceName,
    multiIf(ResourceAttributes['deployment.environment.name'] != '', ResourceAttributes['deployment.environment.name'], ResourceAttributes['deployment.environment']) AS Environment,
    LogAttributes['gen_ai.response.id'] AS ResponseId,
    LogAttributes['gen_ai.evaluation.name'] AS Name,
    toFloat64OrNull(multiIf(LogAttributes['gen_ai.evaluation.score.value'] != '', LogAttributes['gen_ai.evaluation.score.value'], LogAttributes['gen_ai.evaluation.score'])) AS Score,
    multiIf(LogAttributes['gen_ai.evaluation.score.label'] != '', LogAttributes['gen_ai.evaluation.score.label'], LogAttributes['gen_ai.evaluation.label']) AS Label,
    substringUTF8(LogAttributes['gen_ai.evaluation.explanation'], 1, 200) AS Explanation,
    IngestId,
    Tenant
FROM otel.otel_logs
WHERE if(EventName != '', EventName, LogAttributes['event.name']) = 'gen_ai.evaluation.result';

-- 0011_add_tenant_to_views VIEW
CREATE OR REPLACE VIEW otel.genai_costs_1m AS
SELECT Minute, Environment, ServiceName, Kind, Operation, Provider, Model, BilledModel, Route, Tier, Calls, InputTokens, CachedTokens, CacheWriteTokens, OutputTokens, ReasoningTokens, Tenant,
    toString(Offers[At].4) AS Currency,
    Offers[At].3 AS PriceVersion,
    if(At = 0, NULL, (toDecimal128(InputTokens - least(InputTokens, CachedTokens + CacheWriteTokens), 0) * Offers[At].5
        + toDecimal128(CachedTokens, 0) * Offers[At].6
        + toDecimal128(CacheWriteTokens, 0) * Offers[At].7
        + toDecimal128(OutputTokens - least(OutputTokens, ReasoningTokens), 0) * Offers[At].8
        + toDecimal128(ReasoningTokens, 0) * Offers[At].9) * toDecimal128('0.000001', 6)) AS Cost,
    toUInt64(if(At = 0, Calls, 0)) AS UnpricedCalls
FROM
(
    SELECT Minute, Environment, ServiceName, Kind, Operation, Provider, Model, BilledModel, Route, Tier, Calls, InputTokens, CachedTokens, CacheWriteTokens, OutputTokens, ReasoningTokens, Tenant, Offers,
        arrayFirstIndex((offer, at) -> offer.2 <= at, Offers, arrayResize([Minute], length(Offers), Minute)) AS At
    FROM
    (
        SELECT Minute, Environment, ServiceName, Kind, Operation, Provider, Model, BilledModel, Route, Tier, Calls, InputTokens, CachedTokens, CacheWriteTokens, OutputTokens, ReasoningTokens, Tenant, Offers
        FROM (SELECT Minute, Environment, ServiceName, Kind, Operation, Provider, Model, BilledModel, Route, Tier, toUInt64(Calls) AS Calls, toUInt64(InputTokens) AS InputTokens, toUInt64(CachedTokens) AS CachedTokens, toUInt64(CacheWriteTokens) AS CacheWriteTokens, toUInt64(OutputTokens) AS OutputTokens, toUInt64(ReasoningTokens) AS ReasoningTokens, Tenant FROM otel.genai_usage_1m WHERE Kind = 'model') AS calls
        GLOBAL ANY LEFT JOIN
        (SELECT Provider, BilledModel, Offers FROM otel.genai_model_prices) AS offers
        USING (Provider, BilledModel)
    ) AS joined
) AS chosen;

-- 0011_add_tenant_to_views VIEW
CREATE OR REPLACE VIEW otel.genai_span_costs AS
SELECT Timestamp, Time, TraceId, SpanId, ParentSpanId, SpanName, Environment, ServiceName, Kind, Operation, Provider, Model, BilledModel, Route, Tier, User, ConversationId, SessionId, AgentName, PromptName, PromptVersion, ResponseId, LatencyMs, FirstChunkMs, Failed, InputTokens, CachedTokens, CacheWriteTokens, OutputTokens, ReasoningTokens, Tenant,
    toString(Offers[At].4) AS Currency,
    Offers[At].3 AS PriceVersion,
    if(At = 0, NULL, (toDecimal128(InputTokens - least(InputTokens, CachedTokens + CacheWriteTokens), 0) * Offers[At].5
        + toDecimal128(CachedTokens, 0) * Offers[At].6
        + toDecimal128(CacheWriteTokens, 0) * Offers[At].7
        + toDecimal128(OutputTokens - least(OutputTokens, ReasoningTokens), 0) * Offers[At].8
        + toDecimal128(ReasoningTokens, 0) * Offers[At].9) * toDecimal128('0.000001', 6)) AS Cost,
    toUInt64(if(At = 0, 1, 0)) AS UnpricedCalls
FROM
(
    SELECT Timestamp, Time, TraceId, SpanId, ParentSpanId, SpanName, Environment, ServiceName, Kind, Operation, Provider, Model, BilledModel, Route, Tier, User, ConversationId, SessionId, AgentName, PromptName, PromptVersion, ResponseId, LatencyMs, FirstChunkMs, Failed, InputTokens, CachedTokens, CacheWriteTokens, OutputTokens, ReasoningTokens, Tenant, Offers,
        arrayFirstIndex((offer, at) -> offer.2 <= at, Offers, arrayResize([Time], length(Offers), Time)) AS At
    FROM
    (
        SELECT Timestamp, Time, TraceId, SpanId, ParentSpanId, SpanName, Environment, ServiceName, Kind, Operation, Provider, Model, BilledModel, Route, Tier, User, ConversationId, SessionId, AgentName, PromptName, PromptVersion, ResponseId, LatencyMs, FirstChunkMs, Failed, InputTokens, CachedTokens, CacheWriteTokens, OutputTokens, ReasoningTokens, Tenant, Offers
        FROM (SELECT Timestamp, Time, TraceId, SpanId, ParentSpanId, SpanName, Environment, ServiceName, Kind, Operation, Provider, Model, BilledModel, Route, Tier, User, ConversationId, SessionId, AgentName, PromptName, PromptVersion, ResponseId, LatencyMs, FirstChunkMs, Failed, InputTokens, CachedTokens, CacheWriteTokens, OutputTokens, ReasoningTokens, Tenant FROM otel.genai_spans WHERE Kind = 'model') AS calls
        GLOBAL ANY LEFT JOIN
        (SELECT Provider, BilledModel, Offers FROM otel.genai_model_prices) AS offers
        USING (Provider, BilledModel)
    ) AS joined
) AS chosen;

-- 0011_add_tenant_to_views VIEW
CREATE OR REPLACE VIEW otel.otel_metrics AS
SELECT
    'gauge' AS Kind,
    ServiceName,
    MetricName,
    MetricDescription,
    MetricUnit,
    ResourceAttributes,
    ScopeName,
    ScopeVersion,
    Attributes,
    StartTimeUnix,
    TimeUnix,
    Flags,
    CAST(Value AS Nullable(Float64)) AS Value,
    CAST(NULL AS Nullable(UInt64)) AS Count,
    CAST(NULL AS Nullable(Float64)) AS Sum,
    CAST(NULL AS Nullable(Float64)) AS Min,
    CAST(NULL AS Nullable(Float64)) AS Max,
    CAST(NULL AS Nullable(Int32)) AS AggregationTemporality,
    CAST(NULL AS Nullable(Bool)) AS IsMonotonic,
    IngestId,
    Tenant
FROM otel.otel_metrics_gauge
UNION ALL
SELECT
    'sum' AS Kind,
    ServiceName,
    MetricName,
    MetricDescription,
    MetricUnit,
    ResourceAttributes,
    ScopeName,
    ScopeVersion,
    Attributes,
    StartTimeUnix,
    TimeUnix,
    Flags,
    CAST(Value AS Nullable(Float64)) AS Value,
    CAST(NULL AS Nullable(UInt64)) AS Count,
    CAST(NULL AS Nullable(Float64)) AS Sum,
    CAST(NULL AS Nullable(Float64)) AS Min,
    CAST(NULL AS Nullable(Float64)) AS Max,
    CAST(AggregationTemporality AS Nullable(Int32)) AS AggregationTemporality,
    CAST(IsMonotonic AS Nullable(Bool)) AS IsMonotonic,
    IngestId,
    Tenant
FROM otel.otel_metrics_sum
UNION ALL
SELECT
    'histogram' AS Kind,
    ServiceName,
    MetricName,
    MetricDescription,
    MetricUnit,
    ResourceAttributes,
    ScopeName,
    ScopeVersion,
    Attributes,
    StartTimeUnix,
    TimeUnix,
    Flags,
    CAST(NULL AS Nullable(Float64)) AS Value,
    CAST(Count AS Nullable(UInt64)) AS Count,
    CAST(Sum AS Nullable(Float64)) AS Sum,
    CAST(Min AS Nullable(Float64)) AS Min,
    CAST(Max AS Nullable(Float64)) AS Max,
    CAST(AggregationTemporality AS Nullable(Int32)) AS AggregationTemporality,
    CAST(NULL AS Nullable(Bool)) AS IsMonotonic,
    IngestId,
    Tenant
FROM otel.otel_metrics_histogram
UNION ALL
SELECT
    'exponential_histogram' AS Kind,
    ServiceName,
    MetricName,
    MetricDescription,
    MetricUnit,
    ResourceAttributes,
    ScopeName,
    ScopeVersion,
    Attributes,
    StartTimeUnix,
    TimeUnix,
    Flags,
    CAST(NULL AS Nullable(Float64)) AS Value,
    CAST(Count AS Nullable(UInt64)) AS Count,
    CAST(Sum AS Nullable(Float64)) AS Sum,
    CAST(Min AS Nullable(Float64)) AS Min,
    CAST(Max AS Nullable(Float64)) AS Max,
    CAST(AggregationTemporality AS Nullable(Int32)) AS AggregationTemporality,
    CAST(NULL AS Nullable(Bool)) AS IsMonotonic,
    IngestId,
    Tenant
FROM otel.otel_metrics_exponential_histogram
UNION ALL
SELECT
    'summary' AS Kind,
    ServiceName,
    MetricName,
    MetricDescription,
    MetricUnit,
    ResourceAttributes,
    ScopeName,
    ScopeVersion,
    Attributes,
    StartTimeUnix,
    TimeUnix,
    Flags,
    CAST(NULL AS Nullable(Float64)) AS Value,
    CAST(Count AS Nullable(UInt64)) AS Count,
    CAST(Sum AS Nullable(Float64)) AS Sum,
    CAST(NULL AS Nullable(Float64)) AS Min,
    CAST(NULL AS Nullable(Float64)) AS Max,
    CAST(NULL AS Nullable(Int32)) AS AggregationTemporality,
    CAST(NULL AS Nullable(Bool)) AS IsMonotonic,
    IngestId,
    Tenant
FROM otel.otel_metrics_summary;

-- 0012_add_content_attributes LOCAL
ALTER TABLE otel.otel_traces_local
    ADD COLUMN IF NOT EXISTS ContentAttributes Map(LowCardinality(String), String) CODEC(ZSTD(3));

-- 0012_add_content_attributes LOCAL
ALTER TABLE otel.otel_logs_local
    ADD COLUMN IF NOT EXISTS ContentAttributes Map(LowCardinality(String), String) CODEC(ZSTD(3));

-- 0012_add_content_attributes LOCAL
ALTER TABLE otel.genai_content_local
    ADD COLUMN IF NOT EXISTS Tenant LowCardinality(String) CODEC(ZSTD(1));

-- 0012_add_content_attributes LOCAL
ALTER TABLE otel.genai_content_of_spans_mv MODIFY QUERY
SELECT
    Timestamp,
    TraceId,
    SpanId,
    ServiceName,
    '' AS EventName,
    multiIf(ContentAttributes['gen_ai.system_instructions'] != '', ContentAttributes['gen_ai.system_instructions'], ContentAttributes['gen_ai.system_instruction'] != '', ContentAttributes['gen_ai.system_instruction'], SpanAttributes['gen_ai.system_instructions'] != '', SpanAttributes['gen_ai.system_instructions'], SpanAttributes['gen_ai.system_instruction']) AS SystemInstructions,
    multiIf(ContentAttributes['gen_ai.input.messages'] != '', ContentAttributes['gen_ai.input.messages'], ContentAttributes['gen_ai.prompt'] != '', ContentAttributes['gen_ai.prompt'], ContentAttributes['gen_ai.prompt.0.content'] != '', ContentAttributes['gen_ai.prompt.0.content'], ContentAttributes['llm.prompts.0.content'] != '', ContentAttributes['llm.prompts.0.content'], ContentAttributes['input.value'] != '', ContentAttributes['input.value'], SpanAttributes['gen_ai.input.messages'] != '', SpanAttributes['gen_ai.input.messages'], SpanAttributes['gen_ai.prompt'] != '', SpanAttributes['gen_ai.prompt'], SpanAttributes['gen_ai.prompt.0.content'] != '', SpanAttributes['gen_ai.prompt.0.content'], SpanAttributes['llm.prompts.0.content'] != '', SpanAttributes['llm.prompts.0.content'], SpanAttributes['input.value']) AS Input,
    multiIf(ContentAttributes['gen_ai.output.messages'] != '', ContentAttributes['gen_ai.output.messages'], ContentAttributes['gen_ai.completion'] != '', ContentAttributes['gen_ai.completion'], ContentAttributes['gen_ai.completion.0.content'] != '', ContentAttributes['gen_ai.completion.0.content'], ContentAttributes['llm.completions.0.content'] != '', ContentAttributes['llm.completions.0.content'], ContentAttributes['output.value'] != '', ContentAttributes['output.value'], SpanAttributes['gen_ai.output.messages'] != '', SpanAttributes['gen_ai.output.messages'], SpanAttributes['gen_ai.completion'] != '', SpanAttributes['gen_ai.completion'], SpanAttributes['gen_ai.completion.0.content'] != '', SpanAttributes['gen_ai.completion.0.content'], SpanAttributes['llm.completions.0.content'] != '', SpanAttributes['llm.completions.0.content'], SpanAttributes['output.value']) AS Output,
    IngestId,
    Tenant
FROM otel.otel_traces_local
WHERE hasAny(mapKeys(SpanAttributes), ['gen_ai.system_instructions', 'gen_ai.system_instruction', 'gen_ai.input.messages', 'gen_ai.prompt', 'gen_ai.prompt.0.content', 'llm.prompts.0.content', 'input.value', 'gen_ai.output.messages', 'gen_ai.completion', 'gen_ai.completion.0.content', 'llm.completions.0.content', 'output.value']) OR hasAny(mapKeys(ContentAttributes), ['gen_ai.system_instructions', 'gen_ai.system_instruction', 'gen_ai.input.messages', 'gen_ai.prompt', 'gen_ai.prompt.0.content', 'llm.prompts.0.content', 'input.value', 'gen_ai.output.messages', 'gen_ai.completion', 'gen_ai.completion.0.content', 'llm.completions.0.content', 'output.value']);

-- 0012_add_content_attributes LOCAL
ALTER TABLE otel.genai_content_of_logs_mv MODIFY QUERY
SELECT
    Timestamp,
    TraceId,
    SpanId,
    ServiceName,
    if(EventName != '', EventName, LogAttributes['event.name']) AS EventName,
    multiIf(ContentAttributes['gen_ai.system_instructions'] != '', ContentAttributes['gen_ai.system_instructions'], ContentAttributes['gen_ai.system_instruction'] != '', ContentAttributes['gen_ai.system_instruction'], LogAttributes['gen_ai.system_instructions'] != '', LogAttributes['gen_ai.system_instructions'], LogAttributes['gen_ai.system_instruction']) AS SystemInstructions,
    if(multiIf(ContentAttributes['gen_ai.input.messages'] != '', ContentAttributes['gen_ai.input.messages'], ContentAttributes['gen_ai.prompt'] != '', ContentAttributes['gen_ai.prompt'], ContentAttributes['gen_ai.prompt.0.content'] != '', ContentAttributes['gen_ai.prompt.0.content'], ContentAttributes['llm.prompts.0.content'] != '', ContentAttributes['llm.prompts.0.content'], ContentAttributes['input.value'] != '', ContentAttributes['input.value'], LogAttributes['gen_ai.input.messages'] != '', LogAttributes['gen_ai.input.messages'], LogAttributes['gen_ai.prompt'] != '', LogAttributes['gen_ai.prompt'], LogAttributes['gen_ai.prompt.0.content'] != '', LogAttributes['gen_ai.prompt.0.content'], LogAttributes['llm.prompts.0.content'] != '', LogAttributes['llm.prompts.0.content'], LogAttributes['input.value']) = '' AND startsWith(if(EventName != '', EventName, LogAttributes['event.name']), 'gen_ai.') AND endsWith(if(EventName != '', EventName, LogAttributes['event.name']), '.message') AND NOT if(EventName != '', EventName, LogAttributes['event.name']) IN ('gen_ai.choice', 'gen_ai.assistant.message'), if(Body != '', Body, ContentAttributes['body']), multiIf(ContentAttributes['gen_ai.input.messages'] != '', ContentAttributes['gen_ai.input.messages'], ContentAttributes['gen_ai.prompt'] != '', ContentAttributes['gen_ai.prompt'], ContentAttributes['gen_ai.prompt.0.content'] != '', ContentAttributes['gen_ai.prompt.0.content'], ContentAttributes['llm.prompts.0.content'] != '', ContentAttributes['llm.prompts.0.content'], ContentAttributes['input.value'] != '', ContentAttributes['input.value'], LogAttributes['gen_ai.input.messages'] != '', LogAttributes['gen_ai.input.messages'], LogAttributes['gen_ai.prompt'] != '', LogAttributes['gen_ai.prompt'], LogAttributes['gen_ai.prompt.0.content'] != '', LogAttributes['gen_ai.prompt.0.content'], LogAttributes['llm.prompts.0.content'] != '', LogAttributes['llm.prompts.0.content'], LogAttributes['input.value'])) AS Input,
    if(multiIf(ContentAttributes['gen_ai.output.messages'] != '', ContentAttributes['gen_ai.output.messages'], ContentAttributes['gen_ai.completion'] != '', ContentAttributes['gen_ai.completion'], ContentAttributes['gen_ai.completion.0.content'] != '', ContentAttributes['gen_ai.completion.0.content'], ContentAttributes['llm.completions.0.content'] != '', ContentAttributes['llm.completions.0.content'], ContentAttributes['output.value'] != '', ContentAttributes['output.value'], LogAttributes['gen_ai.output.messages'] != '', LogAttributes['gen_ai.output.messages'], LogAttributes['gen_ai.completion'] != '', LogAttributes['gen_ai.completion'], LogAttributes['gen_ai.completion.0.content'] != '', LogAttributes['gen_ai.completion.0.content'], LogAttributes['llm.completions.0.content'] != '', LogAttributes['llm.completions.0.content'], LogAttributes['output.value']) = '' AND if(EventName != '', EventName, LogAttributes['event.name']) IN ('gen_ai.choice', 'gen_ai.assistant.message'), if(Body != '', Body, ContentAttributes['body']), multiIf(ContentAttributes['gen_ai.output.messages'] != '', ContentAttributes['gen_ai.output.messages'], ContentAttributes['gen_ai.completion'] != '', ContentAttributes['gen_ai.completion'], ContentAttributes['gen_ai.completion.0.content'] != '', ContentAttributes['gen_ai.completion.0.content'], ContentAttributes['llm.completions.0.content'] != '', ContentAttributes['llm.completions.0.content'], ContentAttributes['output.value'] != '', ContentAttributes['output.value'], LogAttributes['gen_ai.output.messages'] != '', LogAttributes['gen_ai.output.messages'], LogAttributes['gen_ai.completion'] != '', LogAttributes['gen_ai.completion'], LogAttributes['gen_ai.completion.0.content'] != '', LogAttributes['gen_ai.completion.0.content'], LogAttributes['llm.completions.0.content'] != '', LogAttributes['llm.completions.0.content'], LogAttributes['output.value'])) AS Output,
    IngestId,
    Tenant
FROM otel.otel_logs_local
WHERE hasAny(mapKeys(LogAttributes), ['gen_ai.system_instructions', 'gen_ai.system_instruction', 'gen_ai.input.messages', 'gen_ai.prompt', 'gen_ai.prompt.0.content', 'llm.prompts.0.content', 'input.value', 'gen_ai.output.messages', 'gen_ai.completion', 'gen_ai.completion.0.content', 'llm.completions.0.content', 'output.value']) OR hasAny(mapKeys(ContentAttributes), ['gen_ai.system_instructions', 'gen_ai.system_instruction', 'gen_ai.input.messages', 'gen_ai.prompt', 'gen_ai.prompt.0.content', 'llm.prompts.0.content', 'input.value', 'gen_ai.output.messages', 'gen_ai.completion', 'gen_ai.completion.0.content', 'llm.completions.0.content', 'output.value']) OR startsWith(if(EventName != '', EventName, LogAttributes['event.name']), 'gen_ai.') AND endsWith(if(EventName != '', EventName, LogAttributes['event.name']), '.message') OR if(EventName != '', EventName, LogAttributes['event.name']) IN ('gen_ai.choice', 'gen_ai.assistant.message');

-- 0012_add_content_attributes DISTRIBUTED
ALTER TABLE otel.otel_traces
    ADD COLUMN IF NOT EXISTS ContentAttributes Map(LowCardinality(String), String) CODEC(ZSTD(3));

-- 0012_add_content_attributes DISTRIBUTED
ALTER TABLE otel.otel_logs
    ADD COLUMN IF NOT EXISTS ContentAttributes Map(LowCardinality(String), String) CODEC(ZSTD(3));

-- 0012_add_content_attributes DISTRIBUTED
ALTER TABLE otel.genai_content
    ADD COLUMN IF NOT EXISTS Tenant LowCardinality(String) CODEC(ZSTD(1));

-- 0012_add_content_attributes VIEW
CREATE OR REPLACE VIEW otel.genai_spans AS
SELECT
    Timestamp AS Timestamp,
    toDateTime(Timestamp) AS Time,
    TraceId AS TraceId,
    SpanId AS SpanId,
    ParentSpanId AS ParentSpanId,
    SpanName AS SpanName,
    ServiceName AS ServiceName,
    multiIf(ResourceAttributes['deployment.environment.name'] != '', ResourceAttributes['deployment.environment.name'], ResourceAttributes['deployment.environment']) AS Environment,
    multiIf(SpanAttributes['gen_ai.operation.name'] != '', SpanAttributes['gen_ai.operation.name'], SpanAttributes['llm.request.type'] != '', SpanAttributes['llm.request.type'], SpanAttributes['traceloop.span.kind']) AS Operation,
    multiIf(multiIf(SpanAttributes['gen_ai.operation.name'] != '', SpanAttributes['gen_ai.operation.name'], SpanAttributes['llm.request.type'] != '', SpanAttributes['llm.request.type'], SpanAttributes['traceloop.span.kind']) IN ('execute_tool', 'tool'), 'tool', multiIf(SpanAttributes['gen_ai.operation.name'] != '', SpanAttributes['gen_ai.operation.name'], SpanAttributes['llm.request.type'] != '', SpanAttributes['llm.request.type'], SpanAttributes['traceloop.span.kind']) IN ('invoke_agent', 'create_agent', 'agent'), 'agent', multiIf(SpanAttributes['gen_ai.operation.name'] != '', SpanAttributes['gen_ai.operation.name'], SpanAttributes['llm.request.type'] != '', SpanAttributes['llm.request.type'], SpanAttributes['traceloop.span.kind']) IN ('invoke_workflow', 'workflow'), 'workflow', multiIf(SpanAttributes['gen_ai.operation.name'] != '', SpanAttributes['gen_ai.operation.name'], SpanAttributes['llm.request.type'] != '', SpanAttributes['llm.request.type'], SpanAttributes['traceloop.span.kind']) IN ('retrieval', 'task'), 'other', multiIf(SpanAttributes['gen_ai.request.model'] != '', SpanAttributes['gen_ai.request.model'], SpanAttributes['llm.request.model'] != '', SpanAttributes['llm.request.model'], SpanAttributes['llm.model_name'] != '', SpanAttributes['llm.model_name'], SpanAttributes['model']) != '' OR multiIf(SpanAttributes['gen_ai.response.model'] != '', SpanAttributes['gen_ai.response.model'], SpanAttributes['llm.response.model']) != '', 'model', SpanAttributes['gen_ai.tool.name'] != '', 'tool', SpanAttributes['gen_ai.agent.name'] != '', 'agent', multiIf(SpanAttributes['agent.output_tokens'] != '', SpanAttributes['agent.output_tokens'], SpanAttributes['agent.response_latency_ms']) != '', 'model', 'other') AS Kind,
    multiIf(SpanAttributes['gen_ai.provider.name'] != '', SpanAttributes['gen_ai.provider.name'], SpanAttributes['gen_ai.system'] != '', SpanAttributes['gen_ai.system'], SpanAttributes['llm.vendor']) AS Provider,
    multiIf(SpanAttributes['gen_ai.request.model'] != '', SpanAttributes['gen_ai.request.model'], SpanAttributes['llm.request.model'] != '', SpanAttributes['llm.request.model'], SpanAttributes['llm.model_name'] != '', SpanAttributes['llm.model_name'], SpanAttributes['model'] != '', SpanAttributes['model'], SpanAttributes['gen_ai.response.model'] != '', SpanAttributes['gen_ai.response.model'], SpanAttributes['llm.response.model']) AS Model,
    multiIf(SpanAttributes['gen_ai.response.model'] != '', SpanAttributes['gen_ai.response.model'], SpanAttributes['llm.response.model'] != '', SpanAttributes['llm.response.model'], SpanAttributes['gen_ai.request.model'] != '', SpanAttributes['gen_ai.request.model'], SpanAttributes['llm.request.model'] != '', SpanAttributes['llm.request.model'], SpanAttributes['llm.model_name'] != '', SpanAttributes['llm.model_name'], SpanAttributes['model']) AS BilledModel,
    SpanAttributes['gen_ai.response.id'] AS ResponseId,
    multiIf(SpanAttributes['gen_ai.response.finish_reasons'] != '', SpanAttributes['gen_ai.response.finish_reasons'], SpanAttributes['gen_ai.response.finish_reason'] != '', SpanAttributes['gen_ai.response.finish_reason'], SpanAttributes['llm.response.finish_reason']) AS FinishReasons,
    multiIf(SpanAttributes['route'] != '', SpanAttributes['route'], SpanAttributes['http.route'] != '', SpanAttributes['http.route'], SpanAttributes['url.template']) AS Route,
    multiIf(SpanAttributes['customer_tier'] != '', SpanAttributes['customer_tier'], SpanAttributes['customer.tier']) AS Tier,
    multiIf(SpanAttributes['enduser.id'] != '', SpanAttributes['enduser.id'], SpanAttributes['user.id'] != '', SpanAttributes['user.id'], SpanAttributes['enduser.pseudo.id']) AS User,
    multiIf(SpanAttributes['gen_ai.conversation.id'] != '', SpanAttributes['gen_ai.conversation.id'], SpanAttributes['gen_ai.thread.id']) AS ConversationId,
    multiIf(SpanAttributes['session.id'] != '', SpanAttributes['session.id'], SpanAttributes['gen_ai.session.id'] != '', SpanAttributes['gen_ai.session.id'], SpanAttributes['gen_ai.conversation.id'] != '', SpanAttributes['gen_ai.conversation.id'], SpanAttributes['gen_ai.thread.id']) AS SessionId,
    multiIf(SpanAttributes['gen_ai.agent.name'] != '', SpanAttributes['gen_ai.agent.name'], SpanAttributes['gen_ai.agent.id']) AS AgentName,
    SpanAttributes['gen_ai.agent.version'] AS AgentVersion,
    multiIf(SpanAttributes['gen_ai.tool.name'] != '', SpanAttributes['gen_ai.tool.name'], SpanAttributes['tool.name']) AS ToolName,
    multiIf(SpanAttributes['gen_ai.prompt.name'] != '', SpanAttributes['gen_ai.prompt.name'], SpanAttributes['prompt.name'] != '', SpanAttributes['prompt.name'], SpanAttributes['traceloop.prompt.key'] != '', SpanAttributes['traceloop.prompt.key'], SpanAttributes['langfuse.prompt.name']) AS PromptName,
    multiIf(SpanAttributes['gen_ai.prompt.version'] != '', SpanAttributes['gen_ai.prompt.version'], SpanAttributes['prompt.version'] != '', SpanAttributes['prompt.version'], SpanAttributes['traceloop.prompt.version'] != '', SpanAttributes['traceloop.prompt.version'], SpanAttributes['langfuse.prompt.version']) AS PromptVersion,
    Duration AS Duration,
    if(SpanAttributes['agent.response_latency_ms'] != '', toFloat64OrZero(SpanAttributes['agent.response_latency_ms']), Duration / 1000000) AS LatencyMs,
    toFloat64OrZero(multiIf(SpanAttributes['gen_ai.response.time_to_first_chunk'] != '', SpanAttributes['gen_ai.response.time_to_first_chunk'], SpanAttributes['gen_ai.response.time_to_first_token'] != '', SpanAttributes['gen_ai.response.time_to_first_token'], SpanAttributes['gen_ai.server.time_to_first_token'] != '', SpanAttributes['gen_ai.server.time_to_first_token'], SpanAttributes['gen_ai.server.ttft'])) * 1000 AS FirstChunkMs,
    least(toUInt64OrZero(multiIf(SpanAttributes['gen_ai.usage.input_tokens'] != '', SpanAttributes['gen_ai.usage.input_tokens'], SpanAttributes['gen_ai.usage.prompt_tokens'] != '', SpanAttributes['gen_ai.usage.prompt_tokens'], SpanAttributes['llm.usage.prompt_tokens'] != '', SpanAttributes['llm.usage.prompt_tokens'], SpanAttributes['agent.input_tokens'])), 1000000000000) AS InputTokens,
    least(toUInt64OrZero(multiIf(SpanAttributes['gen_ai.usage.cache_read.input_tokens'] != '', SpanAttributes['gen_ai.usage.cache_read.input_tokens'], SpanAttributes['gen_ai.usage.cache_read_input_tokens'] != '', SpanAttributes['gen_ai.usage.cache_read_input_tokens'], SpanAttributes['gen_ai.usage.cached_tokens'])), 1000000000000) AS CachedTokens,
    least(toUInt64OrZero(multiIf(SpanAttributes['gen_ai.usage.cache_write.input_tokens'] != '', SpanAttributes['gen_ai.usage.cache_write.input_tokens'], SpanAttributes['gen_ai.usage.cache_creation.input_tokens'] != '', SpanAttributes['gen_ai.usage.cache_creation.input_tokens'], SpanAttributes['gen_ai.usage.cache_write_input_tokens'] != '', SpanAttributes['gen_ai.usage.cache_write_input_tokens'], SpanAttributes['gen_ai.usage.cache_creation_input_tokens'])), 1000000000000) AS CacheWriteTokens,
    least(toUInt64OrZero(multiIf(SpanAttributes['gen_ai.usage.output_tokens'] != '', SpanAttributes['gen_ai.usage.output_tokens'], SpanAttributes['gen_ai.usage.completion_tokens'] != '', SpanAttributes['gen_ai.usage.completion_tokens'], SpanAttributes['llm.usage.completion_tokens'] != '', SpanAttributes['llm.usage.completion_tokens'], SpanAttributes['agent.output_tokens'])), 1000000000000) AS OutputTokens,
    least(toUInt64OrZero(multiIf(SpanAttributes['gen_ai.usage.reasoning.output_tokens'] != '', SpanAttributes['gen_ai.usage.reasoning.output_tokens'], SpanAttributes['gen_ai.usage.reasoning_tokens'])), 1000000000000) AS ReasoningTokens,
    StatusCode = 'Error' OR SpanAttributes['error.type'] != '' OR SpanAttributes['agent.success'] = 'false' AS Failed,
    multiIf(SpanAttributes['error.type'] != '', SpanAttributes['error.type'], StatusCode = 'Error' AND StatusMessage != '', substring(StatusMessage, 1, 200), StatusCode = 'Error' OR SpanAttributes['agent.success'] = 'false', 'unknown', '') AS ErrorType,
    substringUTF8(multiIf(ContentAttributes['gen_ai.input.messages'] != '', ContentAttributes['gen_ai.input.messages'], ContentAttributes['gen_ai.prompt'] != '', ContentAttributes['gen_ai.prompt'], ContentAttributes['gen_ai.prompt.0.content'] != '', ContentAttributes['gen_ai.prompt.0.content'], ContentAttributes['llm.prompts.0.content'] != '', ContentAttributes['llm.prompts.0.content'], ContentAttributes['input.value'] != '', ContentAttributes['input.value'], SpanAttributes['gen_ai.input.messages'] != '', SpanAttributes['gen_ai.input.messages'], SpanAttributes['gen_ai.prompt'] != '', SpanAttributes['gen_ai.prompt'], SpanAttributes['gen_ai.prompt.0.content'] != '', SpanAttributes['gen_ai.prompt.0.content'], SpanAttributes['llm.prompts.0.content'] != '', SpanAttributes['llm.prompts.0.content'], SpanAttributes['input.value']), 1, 200) AS PromptPreview,
    substringUTF8(multiIf(ContentAttributes['gen_ai.output.messages'] != '', ContentAttributes['gen_ai.output.messages'], ContentAttributes['gen_ai.completion'] != '', ContentAttributes['gen_ai.completion'], ContentAttributes['gen_ai.completion.0.content'] != '', ContentAttributes['gen_ai.completion.0.content'], ContentAttributes['llm.completions.0.content'] != '', ContentAttributes['llm.completions.0.content'], ContentAttributes['output.value'] != '', ContentAttributes['output.value'], SpanAttributes['gen_ai.output.messages'] != '', SpanAttributes['gen_ai.output.messages'], SpanAttributes['gen_ai.completion'] != '', SpanAttributes['gen_ai.completion'], SpanAttributes['gen_ai.completion.0.content'] != '', SpanAttributes['gen_ai.completion.0.content'], SpanAttributes['llm.completions.0.content'] != '', SpanAttributes['llm.completions.0.content'], SpanAttributes['output.value']), 1, 200) AS CompletionPreview,
    IngestId AS IngestId,
    Tenant AS Tenant
FROM otel.otel_traces
WHERE hasAny(mapKeys(SpanAttributes), ['gen_ai.operation.name', 'gen_ai.request.model', 'gen_ai.provider.name', 'gen_ai.system', 'gen_ai.tool.name', 'gen_ai.agent.name', 'llm.request.type', 'llm.model_name', 'agent.response_latency_ms', 'agent.output_tokens', 'agent.success']);

