-- 0001_create_traces LOCAL
CREATE TABLE IF NOT EXISTS otel.otel_traces_local
(
    Timestamp Int64,
    TraceId String,
    SpanId String,
    ParentSpanId String,
    TraceState String,
    SpanName LowCardinality(String),
    SpanKind LowCardinality(String),
    ServiceName LowCardinality(String),
    ResourceAttributes Nested(Key LowCardinality(String), Value String),
    ScopeName String,
    ScopeVersion String,
    SpanAttributes Nested(Key LowCardinality(String), Value String),
    Duration UInt64,
    StatusCode LowCardinality(String),
    StatusMessage String,
    Events Nested(Timestamp Int64, Name LowCardinality(String), AttributesKey Array(String), AttributesValue Array(String)),
    Links Nested(TraceId String, SpanId String, TraceState String, AttributesKey Array(String), AttributesValue Array(String)),
    IngestId UInt64
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{cluster}/{shard}/otel/otel_traces', '{replica}')
PARTITION BY toDate(toDateTime(intDiv(Timestamp, 1000000000)))
ORDER BY (ServiceName, SpanName, toDateTime(toDateTime(intDiv(Timestamp, 1000000000))))
SETTINGS index_granularity = 8192, replicated_deduplication_window = 86400, replicated_deduplication_window_seconds = 86400;

-- 0001_create_traces LOCAL
CREATE TABLE IF NOT EXISTS otel.otel_traces_trace_id_ts_local
(
    TraceId String,
    Start DateTime,
    End DateTime
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{cluster}/{shard}/otel/otel_traces_trace_id_ts', '{replica}')
PARTITION BY toDate(Start)
ORDER BY (TraceId, Start)
SETTINGS index_granularity = 8192, replicated_deduplication_window = 86400, replicated_deduplication_window_seconds = 86400;

-- 0001_create_traces LOCAL
CREATE MATERIALIZED VIEW IF NOT EXISTS otel.otel_traces_trace_id_ts_mv
TO otel.otel_traces_trace_id_ts_local
AS SELECT
    TraceId,
    toDateTime(intDiv(min(Timestamp), 1000000000)) AS Start,
    toDateTime(intDiv(max(Timestamp), 1000000000)) AS End
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
    Timestamp Int64,
    TraceId String,
    SpanId String,
    TraceFlags UInt8,
    SeverityText LowCardinality(String),
    SeverityNumber UInt8,
    ServiceName LowCardinality(String),
    Body String,
    ResourceSchemaUrl LowCardinality(String),
    ResourceAttributes Nested(Key LowCardinality(String), Value String),
    ScopeSchemaUrl LowCardinality(String),
    ScopeName String,
    ScopeVersion LowCardinality(String),
    ScopeAttributes Nested(Key LowCardinality(String), Value String),
    LogAttributes Nested(Key LowCardinality(String), Value String),
    EventName String,
    IngestId UInt64
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{cluster}/{shard}/otel/otel_logs', '{replica}')
PARTITION BY toDate(toDateTime(intDiv(Timestamp, 1000000000)))
ORDER BY (toStartOfFiveMinute(toDateTime(intDiv(Timestamp, 1000000000))), ServiceName, Timestamp)
SETTINGS index_granularity = 8192, replicated_deduplication_window = 86400, replicated_deduplication_window_seconds = 86400;

-- 0002_create_logs DISTRIBUTED
CREATE TABLE IF NOT EXISTS otel.otel_logs
AS otel.otel_logs_local
ENGINE = Distributed(headrace, otel, otel_logs_local, cityHash64(TraceId));

-- 0003_create_metrics LOCAL
CREATE TABLE IF NOT EXISTS otel.otel_metrics_gauge_local
(
    ResourceAttributes Nested(Key LowCardinality(String), Value String),
    ResourceSchemaUrl String,
    ScopeName String,
    ScopeVersion String,
    ScopeAttributes Nested(Key LowCardinality(String), Value String),
    ScopeDroppedAttrCount UInt32,
    ScopeSchemaUrl String,
    ServiceName LowCardinality(String),
    MetricName LowCardinality(String),
    MetricDescription String,
    MetricUnit String,
    Attributes Nested(Key LowCardinality(String), Value String),
    StartTimeUnix Int64,
    TimeUnix Int64,
    Value Float64,
    Flags UInt32,
    Exemplars Nested(FilteredAttributesKey Array(String), FilteredAttributesValue Array(String), TimeUnix Int64, Value Float64, SpanId String, TraceId String),
    IngestId UInt64
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{cluster}/{shard}/otel/otel_metrics_gauge', '{replica}')
PARTITION BY toDate(toDateTime(intDiv(TimeUnix, 1000000000)))
ORDER BY (ServiceName, MetricName, toStartOfHour(toDateTime(intDiv(TimeUnix, 1000000000))), cityHash64(Attributes.Key, Attributes.Value), TimeUnix)
SETTINGS index_granularity = 8192, replicated_deduplication_window = 86400, replicated_deduplication_window_seconds = 86400;

-- 0003_create_metrics LOCAL
CREATE TABLE IF NOT EXISTS otel.otel_metrics_sum_local
(
    ResourceAttributes Nested(Key LowCardinality(String), Value String),
    ResourceSchemaUrl String,
    ScopeName String,
    ScopeVersion String,
    ScopeAttributes Nested(Key LowCardinality(String), Value String),
    ScopeDroppedAttrCount UInt32,
    ScopeSchemaUrl String,
    ServiceName LowCardinality(String),
    MetricName LowCardinality(String),
    MetricDescription String,
    MetricUnit String,
    Attributes Nested(Key LowCardinality(String), Value String),
    StartTimeUnix Int64,
    TimeUnix Int64,
    Value Float64,
    Flags UInt32,
    Exemplars Nested(FilteredAttributesKey Array(String), FilteredAttributesValue Array(String), TimeUnix Int64, Value Float64, SpanId String, TraceId String),
    AggregationTemporality Int32,
    IsMonotonic UInt8,
    IngestId UInt64
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{cluster}/{shard}/otel/otel_metrics_sum', '{replica}')
PARTITION BY toDate(toDateTime(intDiv(TimeUnix, 1000000000)))
ORDER BY (ServiceName, MetricName, toStartOfHour(toDateTime(intDiv(TimeUnix, 1000000000))), cityHash64(Attributes.Key, Attributes.Value), TimeUnix)
SETTINGS index_granularity = 8192, replicated_deduplication_window = 86400, replicated_deduplication_window_seconds = 86400;

-- 0003_create_metrics LOCAL
CREATE TABLE IF NOT EXISTS otel.otel_metrics_histogram_local
(
    ResourceAttributes Nested(Key LowCardinality(String), Value String),
    ResourceSchemaUrl String,
    ScopeName String,
    ScopeVersion String,
    ScopeAttributes Nested(Key LowCardinality(String), Value String),
    ScopeDroppedAttrCount UInt32,
    ScopeSchemaUrl String,
    ServiceName LowCardinality(String),
    MetricName LowCardinality(String),
    MetricDescription String,
    MetricUnit String,
    Attributes Nested(Key LowCardinality(String), Value String),
    StartTimeUnix Int64,
    TimeUnix Int64,
    Count UInt64,
    Sum Float64,
    BucketCounts Array(UInt64),
    ExplicitBounds Array(Float64),
    Exemplars Nested(FilteredAttributesKey Array(String), FilteredAttributesValue Array(String), TimeUnix Int64, Value Float64, SpanId String, TraceId String),
    Flags UInt32,
    Min Float64,
    Max Float64,
    AggregationTemporality Int32,
    IngestId UInt64
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{cluster}/{shard}/otel/otel_metrics_histogram', '{replica}')
PARTITION BY toDate(toDateTime(intDiv(TimeUnix, 1000000000)))
ORDER BY (ServiceName, MetricName, toStartOfHour(toDateTime(intDiv(TimeUnix, 1000000000))), cityHash64(Attributes.Key, Attributes.Value), TimeUnix)
SETTINGS index_granularity = 8192, replicated_deduplication_window = 86400, replicated_deduplication_window_seconds = 86400;

-- 0003_create_metrics LOCAL
CREATE TABLE IF NOT EXISTS otel.otel_metrics_exponential_histogram_local
(
    ResourceAttributes Nested(Key LowCardinality(String), Value String),
    ResourceSchemaUrl String,
    ScopeName String,
    ScopeVersion String,
    ScopeAttributes Nested(Key LowCardinality(String), Value String),
    ScopeDroppedAttrCount UInt32,
    ScopeSchemaUrl String,
    ServiceName LowCardinality(String),
    MetricName LowCardinality(String),
    MetricDescription String,
    MetricUnit String,
    Attributes Nested(Key LowCardinality(String), Value String),
    StartTimeUnix Int64,
    TimeUnix Int64,
    Count UInt64,
    Sum Float64,
    Scale Int32,
    ZeroCount UInt64,
    PositiveOffset Int32,
    PositiveBucketCounts Array(UInt64),
    NegativeOffset Int32,
    NegativeBucketCounts Array(UInt64),
    Exemplars Nested(FilteredAttributesKey Array(String), FilteredAttributesValue Array(String), TimeUnix Int64, Value Float64, SpanId String, TraceId String),
    Flags UInt32,
    Min Float64,
    Max Float64,
    AggregationTemporality Int32,
    IngestId UInt64
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{cluster}/{shard}/otel/otel_metrics_exponential_histogram', '{replica}')
PARTITION BY toDate(toDateTime(intDiv(TimeUnix, 1000000000)))
ORDER BY (ServiceName, MetricName, toStartOfHour(toDateTime(intDiv(TimeUnix, 1000000000))), cityHash64(Attributes.Key, Attributes.Value), TimeUnix)
SETTINGS index_granularity = 8192, replicated_deduplication_window = 86400, replicated_deduplication_window_seconds = 86400;

-- 0003_create_metrics LOCAL
CREATE TABLE IF NOT EXISTS otel.otel_metrics_summary_local
(
    ResourceAttributes Nested(Key LowCardinality(String), Value String),
    ResourceSchemaUrl String,
    ScopeName String,
    ScopeVersion String,
    ScopeAttributes Nested(Key LowCardinality(String), Value String),
    ScopeDroppedAttrCount UInt32,
    ScopeSchemaUrl String,
    ServiceName LowCardinality(String),
    MetricName LowCardinality(String),
    MetricDescription String,
    MetricUnit String,
    Attributes Nested(Key LowCardinality(String), Value String),
    StartTimeUnix Int64,
    TimeUnix Int64,
    Count UInt64,
    Sum Float64,
    ValueAtQuantiles Nested(Quantile Float64, Value Float64),
    Flags UInt32,
    IngestId UInt64
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{cluster}/{shard}/otel/otel_metrics_summary', '{replica}')
PARTITION BY toDate(toDateTime(intDiv(TimeUnix, 1000000000)))
ORDER BY (ServiceName, MetricName, toStartOfHour(toDateTime(intDiv(TimeUnix, 1000000000))), cityHash64(Attributes.Key, Attributes.Value), TimeUnix)
SETTINGS index_granularity = 8192, replicated_deduplication_window = 86400, replicated_deduplication_window_seconds = 86400;

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
    ResourceAttributes.Key,
    ResourceAttributes.Value,
    ScopeName,
    ScopeVersion,
    Attributes.Key,
    Attributes.Value,
    StartTimeUnix,
    TimeUnix,
    Flags,
    CAST(Value AS Nullable(Float64)) AS Value,
    CAST(NULL AS Nullable(UInt64)) AS Count,
    CAST(NULL AS Nullable(Float64)) AS Sum,
    CAST(NULL AS Nullable(Float64)) AS Min,
    CAST(NULL AS Nullable(Float64)) AS Max,
    CAST(NULL AS Nullable(Int32)) AS AggregationTemporality,
    CAST(NULL AS Nullable(UInt8)) AS IsMonotonic,
    IngestId
FROM otel.otel_metrics_gauge
UNION ALL
SELECT
    'sum' AS Kind,
    ServiceName,
    MetricName,
    MetricDescription,
    MetricUnit,
    ResourceAttributes.Key,
    ResourceAttributes.Value,
    ScopeName,
    ScopeVersion,
    Attributes.Key,
    Attributes.Value,
    StartTimeUnix,
    TimeUnix,
    Flags,
    CAST(Value AS Nullable(Float64)) AS Value,
    CAST(NULL AS Nullable(UInt64)) AS Count,
    CAST(NULL AS Nullable(Float64)) AS Sum,
    CAST(NULL AS Nullable(Float64)) AS Min,
    CAST(NULL AS Nullable(Float64)) AS Max,
    CAST(AggregationTemporality AS Nullable(Int32)) AS AggregationTemporality,
    CAST(IsMonotonic AS Nullable(UInt8)) AS IsMonotonic,
    IngestId
FROM otel.otel_metrics_sum
UNION ALL
SELECT
    'histogram' AS Kind,
    ServiceName,
    MetricName,
    MetricDescription,
    MetricUnit,
    ResourceAttributes.Key,
    ResourceAttributes.Value,
    ScopeName,
    ScopeVersion,
    Attributes.Key,
    Attributes.Value,
    StartTimeUnix,
    TimeUnix,
    Flags,
    CAST(NULL AS Nullable(Float64)) AS Value,
    CAST(Count AS Nullable(UInt64)) AS Count,
    CAST(Sum AS Nullable(Float64)) AS Sum,
    CAST(Min AS Nullable(Float64)) AS Min,
    CAST(Max AS Nullable(Float64)) AS Max,
    CAST(AggregationTemporality AS Nullable(Int32)) AS AggregationTemporality,
    CAST(NULL AS Nullable(UInt8)) AS IsMonotonic,
    IngestId
FROM otel.otel_metrics_histogram
UNION ALL
SELECT
    'exponential_histogram' AS Kind,
    ServiceName,
    MetricName,
    MetricDescription,
    MetricUnit,
    ResourceAttributes.Key,
    ResourceAttributes.Value,
    ScopeName,
    ScopeVersion,
    Attributes.Key,
    Attributes.Value,
    StartTimeUnix,
    TimeUnix,
    Flags,
    CAST(NULL AS Nullable(Float64)) AS Value,
    CAST(Count AS Nullable(UInt64)) AS Count,
    CAST(Sum AS Nullable(Float64)) AS Sum,
    CAST(Min AS Nullable(Float64)) AS Min,
    CAST(Max AS Nullable(Float64)) AS Max,
    CAST(AggregationTemporality AS Nullable(Int32)) AS AggregationTemporality,
    CAST(NULL AS Nullable(UInt8)) AS IsMonotonic,
    IngestId
FROM otel.otel_metrics_exponential_histogram
UNION ALL
SELECT
    'summary' AS Kind,
    ServiceName,
    MetricName,
    MetricDescription,
    MetricUnit,
    ResourceAttributes.Key,
    ResourceAttributes.Value,
    ScopeName,
    ScopeVersion,
    Attributes.Key,
    Attributes.Value,
    StartTimeUnix,
    TimeUnix,
    Flags,
    CAST(NULL AS Nullable(Float64)) AS Value,
    CAST(Count AS Nullable(UInt64)) AS Count,
    CAST(Sum AS Nullable(Float64)) AS Sum,
    CAST(NULL AS Nullable(Float64)) AS Min,
    CAST(NULL AS Nullable(Float64)) AS Max,
    CAST(NULL AS Nullable(Int32)) AS AggregationTemporality,
    CAST(NULL AS Nullable(UInt8)) AS IsMonotonic,
    IngestId
FROM otel.otel_metrics_summary;

-- 0005_create_ingest_ledger LOCAL
CREATE TABLE IF NOT EXISTS otel.otel_ingest_ledger_local
(
    PlannedAt Int64,
    Topic LowCardinality(String),
    TopicId LowCardinality(String),
    Partition Int32,
    StartOffset Int64,
    EndOffset Int64,
    PayloadHash UInt64,
    Bytes UInt64,
    Rejected UInt32,
    Excluded UInt32,
    Verified UInt8,
    Blocks Nested(Table LowCardinality(String), Shard UInt16, IngestId UInt64, Rows UInt64, Revision UInt16),
    Plan String
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{cluster}/{shard}/otel/otel_ingest_ledger', '{replica}')
PARTITION BY toDate(toDateTime(intDiv(PlannedAt, 1000000000)))
ORDER BY (Topic, TopicId, Partition, StartOffset)
SETTINGS index_granularity = 8192, replicated_deduplication_window = 86400, replicated_deduplication_window_seconds = 86400;

-- 0005_create_ingest_ledger DISTRIBUTED
CREATE TABLE IF NOT EXISTS otel.otel_ingest_ledger
AS otel.otel_ingest_ledger_local
ENGINE = Distributed(headrace, otel, otel_ingest_ledger_local, Partition);

