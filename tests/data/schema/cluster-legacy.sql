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

-- 0006_create_genai_tables LOCAL
CREATE TABLE IF NOT EXISTS otel.genai_prices
(
    Provider LowCardinality(String),
    Model String,
    ValidFrom DateTime,
    Version UInt32,
    Currency LowCardinality(String),
    InputPrice Decimal(18, 6),
    CachedPrice Decimal(18, 6),
    CacheWritePrice Decimal(18, 6),
    OutputPrice Decimal(18, 6),
    ReasoningPrice Decimal(18, 6),
    Source String,
    SetAt DateTime
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{cluster}/all/otel/genai_prices', '{shard}-{replica}')
PARTITION BY tuple()
ORDER BY (Model, Provider, ValidFrom, Version)
SETTINGS index_granularity = 8192, replicated_deduplication_window = 86400, replicated_deduplication_window_seconds = 86400;

-- 0007_create_genai_views VIEW
CREATE VIEW IF NOT EXISTS otel.genai_spans AS
SELECT
    Timestamp AS Timestamp,
    toDateTime(intDiv(Timestamp, 1000000000)) AS Time,
    TraceId AS TraceId,
    SpanId AS SpanId,
    ParentSpanId AS ParentSpanId,
    SpanName AS SpanName,
    ServiceName AS ServiceName,
    multiIf(ResourceAttributes.Value[indexOf(ResourceAttributes.Key, 'deployment.environment.name')] != '', ResourceAttributes.Value[indexOf(ResourceAttributes.Key, 'deployment.environment.name')], ResourceAttributes.Value[indexOf(ResourceAttributes.Key, 'deployment.environment')]) AS Environment,
    multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.operation.name')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.operation.name')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.request.type')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.request.type')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'traceloop.span.kind')]) AS Operation,
    multiIf(multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.operation.name')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.operation.name')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.request.type')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.request.type')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'traceloop.span.kind')]) IN ('execute_tool', 'tool'), 'tool', multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.operation.name')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.operation.name')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.request.type')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.request.type')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'traceloop.span.kind')]) IN ('invoke_agent', 'create_agent', 'agent'), 'agent', multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.operation.name')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.operation.name')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.request.type')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.request.type')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'traceloop.span.kind')]) IN ('invoke_workflow', 'workflow'), 'workflow', multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.operation.name')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.operation.name')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.request.type')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.request.type')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'traceloop.span.kind')]) IN ('retrieval', 'task'), 'other', multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.request.model')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.request.model')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.request.model')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.request.model')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.model_name')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.model_name')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'model')]) != '' OR multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.response.model')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.response.model')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.response.model')]) != '', 'model', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.tool.name')] != '', 'tool', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.agent.name')] != '', 'agent', multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'agent.output_tokens')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'agent.output_tokens')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'agent.response_latency_ms')]) != '', 'model', 'other') AS Kind,
    multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.provider.name')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.provider.name')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.system')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.system')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.vendor')]) AS Provider,
    multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.request.model')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.request.model')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.request.model')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.request.model')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.model_name')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.model_name')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'model')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'model')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.response.model')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.response.model')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.response.model')]) AS Model,
    multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.response.model')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.response.model')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.response.model')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.response.model')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.request.model')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.request.model')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.request.model')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.request.model')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.model_name')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.model_name')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'model')]) AS BilledModel,
    SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.response.id')] AS ResponseId,
    multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.response.finish_reasons')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.response.finish_reasons')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.response.finish_reason')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.response.finish_reason')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.response.finish_reason')]) AS FinishReasons,
    multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'route')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'route')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'http.route')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'http.route')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'url.template')]) AS Route,
    multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'customer_tier')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'customer_tier')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'customer.tier')]) AS Tier,
    multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'enduser.id')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'enduser.id')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'user.id')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'user.id')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'enduser.pseudo.id')]) AS User,
    multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.conversation.id')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.conversation.id')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.thread.id')]) AS ConversationId,
    multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'session.id')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'session.id')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.session.id')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.session.id')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.conversation.id')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.conversation.id')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.thread.id')]) AS SessionId,
    multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.agent.name')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.agent.name')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.agent.id')]) AS AgentName,
    SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.agent.version')] AS AgentVersion,
    multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.tool.name')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.tool.name')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'tool.name')]) AS ToolName,
    multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.prompt.name')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.prompt.name')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'prompt.name')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'prompt.name')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'traceloop.prompt.key')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'traceloop.prompt.key')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'langfuse.prompt.name')]) AS PromptName,
    multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.prompt.version')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.prompt.version')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'prompt.version')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'prompt.version')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'traceloop.prompt.version')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'traceloop.prompt.version')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'langfuse.prompt.version')]) AS PromptVersion,
    Duration AS Duration,
    if(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'agent.response_latency_ms')] != '', toFloat64OrZero(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'agent.response_latency_ms')]), Duration / 1000000) AS LatencyMs,
    toFloat64OrZero(multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.response.time_to_first_chunk')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.response.time_to_first_chunk')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.response.time_to_first_token')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.response.time_to_first_token')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.server.time_to_first_token')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.server.time_to_first_token')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.server.ttft')])) * 1000 AS FirstChunkMs,
    least(toUInt64OrZero(multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.usage.input_tokens')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.usage.input_tokens')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.usage.prompt_tokens')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.usage.prompt_tokens')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.usage.prompt_tokens')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.usage.prompt_tokens')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'agent.input_tokens')])), 1000000000000) AS InputTokens,
    least(toUInt64OrZero(multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.usage.cache_read.input_tokens')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.usage.cache_read.input_tokens')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.usage.cache_read_input_tokens')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.usage.cache_read_input_tokens')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.usage.cached_tokens')])), 1000000000000) AS CachedTokens,
    least(toUInt64OrZero(multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.usage.cache_write.input_tokens')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.usage.cache_write.input_tokens')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.usage.cache_creation.input_tokens')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.usage.cache_creation.input_tokens')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.usage.cache_write_input_tokens')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.usage.cache_write_input_tokens')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.usage.cache_creation_input_tokens')])), 1000000000000) AS CacheWriteTokens,
    least(toUInt64OrZero(multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.usage.output_tokens')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.usage.output_tokens')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.usage.completion_tokens')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.usage.completion_tokens')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.usage.completion_tokens')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.usage.completion_tokens')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'agent.output_tokens')])), 1000000000000) AS OutputTokens,
    least(toUInt64OrZero(multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.usage.reasoning.output_tokens')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.usage.reasoning.output_tokens')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.usage.reasoning_tokens')])), 1000000000000) AS ReasoningTokens,
    StatusCode = 'Error' OR SpanAttributes.Value[indexOf(SpanAttributes.Key, 'error.type')] != '' OR SpanAttributes.Value[indexOf(SpanAttributes.Key, 'agent.success')] = 'false' AS Failed,
    multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'error.type')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'error.type')], StatusCode = 'Error' AND StatusMessage != '', substring(StatusMessage, 1, 200), StatusCode = 'Error' OR SpanAttributes.Value[indexOf(SpanAttributes.Key, 'agent.success')] = 'false', 'unknown', '') AS ErrorType,
    substringUTF8(multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.input.messages')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.input.messages')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.prompt')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.prompt')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.prompt.0.content')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.prompt.0.content')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.prompts.0.content')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.prompts.0.content')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'input.value')]), 1, 200) AS PromptPreview,
    substringUTF8(multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.output.messages')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.output.messages')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.completion')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.completion')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.completion.0.content')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.completion.0.content')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.completions.0.content')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.completions.0.content')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'output.value')]), 1, 200) AS CompletionPreview,
    IngestId AS IngestId
FROM otel.otel_traces
WHERE hasAny(SpanAttributes.Key, ['gen_ai.operation.name', 'gen_ai.request.model', 'gen_ai.provider.name', 'gen_ai.system', 'gen_ai.tool.name', 'gen_ai.agent.name', 'llm.request.type', 'llm.model_name', 'agent.response_latency_ms', 'agent.output_tokens', 'agent.success']);

-- 0007_create_genai_views VIEW
CREATE VIEW IF NOT EXISTS otel.genai_evaluations AS
SELECT
    Timestamp,
    toDateTime(intDiv(Timestamp, 1000000000)) AS Time,
    TraceId,
    SpanId,
    ServiceName,
    multiIf(ResourceAttributes.Value[indexOf(ResourceAttributes.Key, 'deployment.environment.name')] != '', ResourceAttributes.Value[indexOf(ResourceAttributes.Key, 'deployment.environment.name')], ResourceAttributes.Value[indexOf(ResourceAttributes.Key, 'deployment.environment')]) AS Environment,
    LogAttributes.Value[indexOf(LogAttributes.Key, 'gen_ai.response.id')] AS ResponseId,
    LogAttributes.Value[indexOf(LogAttributes.Key, 'gen_ai.evaluation.name')] AS Name,
    toFloat64OrNull(multiIf(LogAttributes.Value[indexOf(LogAttributes.Key, 'gen_ai.evaluation.score.value')] != '', LogAttributes.Value[indexOf(LogAttributes.Key, 'gen_ai.evaluation.score.value')], LogAttributes.Value[indexOf(LogAttributes.Key, 'gen_ai.evaluation.score')])) AS Score,
    multiIf(LogAttributes.Value[indexOf(LogAttributes.Key, 'gen_ai.evaluation.score.label')] != '', LogAttributes.Value[indexOf(LogAttributes.Key, 'gen_ai.evaluation.score.label')], LogAttributes.Value[indexOf(LogAttributes.Key, 'gen_ai.evaluation.label')]) AS Label,
    substringUTF8(LogAttributes.Value[indexOf(LogAttributes.Key, 'gen_ai.evaluation.explanation')], 1, 200) AS Explanation,
    IngestId
FROM otel.otel_logs
WHERE if(EventName != '', EventName, LogAttributes.Value[indexOf(LogAttributes.Key, 'event.name')]) = 'gen_ai.evaluation.result';

-- 0007_create_genai_views VIEW
CREATE VIEW IF NOT EXISTS otel.genai_usage_1m AS
SELECT
    CAST(toStartOfMinute(toDateTime(intDiv(Timestamp, 1000000000))) AS DateTime) AS Minute,
    multiIf(ResourceAttributes.Value[indexOf(ResourceAttributes.Key, 'deployment.environment.name')] != '', ResourceAttributes.Value[indexOf(ResourceAttributes.Key, 'deployment.environment.name')], ResourceAttributes.Value[indexOf(ResourceAttributes.Key, 'deployment.environment')]) AS Environment,
    ServiceName AS ServiceName,
    multiIf(multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.operation.name')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.operation.name')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.request.type')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.request.type')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'traceloop.span.kind')]) IN ('execute_tool', 'tool'), 'tool', multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.operation.name')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.operation.name')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.request.type')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.request.type')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'traceloop.span.kind')]) IN ('invoke_agent', 'create_agent', 'agent'), 'agent', multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.operation.name')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.operation.name')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.request.type')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.request.type')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'traceloop.span.kind')]) IN ('invoke_workflow', 'workflow'), 'workflow', multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.operation.name')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.operation.name')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.request.type')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.request.type')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'traceloop.span.kind')]) IN ('retrieval', 'task'), 'other', multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.request.model')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.request.model')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.request.model')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.request.model')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.model_name')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.model_name')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'model')]) != '' OR multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.response.model')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.response.model')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.response.model')]) != '', 'model', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.tool.name')] != '', 'tool', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.agent.name')] != '', 'agent', multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'agent.output_tokens')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'agent.output_tokens')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'agent.response_latency_ms')]) != '', 'model', 'other') AS Kind,
    multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.operation.name')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.operation.name')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.request.type')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.request.type')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'traceloop.span.kind')]) AS Operation,
    multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.provider.name')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.provider.name')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.system')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.system')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.vendor')]) AS Provider,
    multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.request.model')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.request.model')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.request.model')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.request.model')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.model_name')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.model_name')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'model')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'model')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.response.model')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.response.model')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.response.model')]) AS Model,
    multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.response.model')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.response.model')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.response.model')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.response.model')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.request.model')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.request.model')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.request.model')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.request.model')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.model_name')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.model_name')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'model')]) AS BilledModel,
    multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'route')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'route')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'http.route')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'http.route')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'url.template')]) AS Route,
    multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'customer_tier')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'customer_tier')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'customer.tier')]) AS Tier,
    count() AS Calls,
    sum(StatusCode = 'Error' OR SpanAttributes.Value[indexOf(SpanAttributes.Key, 'error.type')] != '' OR SpanAttributes.Value[indexOf(SpanAttributes.Key, 'agent.success')] = 'false') AS Errors,
    sumIf(least(toUInt64OrZero(multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.usage.input_tokens')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.usage.input_tokens')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.usage.prompt_tokens')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.usage.prompt_tokens')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.usage.prompt_tokens')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.usage.prompt_tokens')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'agent.input_tokens')])), 1000000000000), multiIf(multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.operation.name')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.operation.name')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.request.type')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.request.type')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'traceloop.span.kind')]) IN ('execute_tool', 'tool'), 'tool', multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.operation.name')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.operation.name')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.request.type')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.request.type')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'traceloop.span.kind')]) IN ('invoke_agent', 'create_agent', 'agent'), 'agent', multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.operation.name')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.operation.name')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.request.type')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.request.type')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'traceloop.span.kind')]) IN ('invoke_workflow', 'workflow'), 'workflow', multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.operation.name')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.operation.name')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.request.type')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.request.type')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'traceloop.span.kind')]) IN ('retrieval', 'task'), 'other', multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.request.model')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.request.model')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.request.model')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.request.model')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.model_name')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.model_name')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'model')]) != '' OR multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.response.model')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.response.model')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.response.model')]) != '', 'model', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.tool.name')] != '', 'tool', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.agent.name')] != '', 'agent', multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'agent.output_tokens')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'agent.output_tokens')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'agent.response_latency_ms')]) != '', 'model', 'other') = 'model') AS InputTokens,
    sumIf(least(toUInt64OrZero(multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.usage.cache_read.input_tokens')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.usage.cache_read.input_tokens')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.usage.cache_read_input_tokens')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.usage.cache_read_input_tokens')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.usage.cached_tokens')])), 1000000000000), multiIf(multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.operation.name')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.operation.name')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.request.type')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.request.type')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'traceloop.span.kind')]) IN ('execute_tool', 'tool'), 'tool', multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.operation.name')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.operation.name')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.request.type')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.request.type')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'traceloop.span.kind')]) IN ('invoke_agent', 'create_agent', 'agent'), 'agent', multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.operation.name')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.operation.name')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.request.type')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.request.type')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'traceloop.span.kind')]) IN ('invoke_workflow', 'workflow'), 'workflow', multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.operation.name')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.operation.name')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.request.type')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.request.type')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'traceloop.span.kind')]) IN ('retrieval', 'task'), 'other', multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.request.model')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.request.model')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.request.model')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.request.model')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.model_name')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.model_name')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'model')]) != '' OR multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.response.model')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.response.model')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.response.model')]) != '', 'model', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.tool.name')] != '', 'tool', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.agent.name')] != '', 'agent', multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'agent.output_tokens')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'agent.output_tokens')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'agent.response_latency_ms')]) != '', 'model', 'other') = 'model') AS CachedTokens,
    sumIf(least(toUInt64OrZero(multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.usage.cache_write.input_tokens')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.usage.cache_write.input_tokens')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.usage.cache_creation.input_tokens')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.usage.cache_creation.input_tokens')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.usage.cache_write_input_tokens')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.usage.cache_write_input_tokens')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.usage.cache_creation_input_tokens')])), 1000000000000), multiIf(multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.operation.name')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.operation.name')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.request.type')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.request.type')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'traceloop.span.kind')]) IN ('execute_tool', 'tool'), 'tool', multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.operation.name')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.operation.name')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.request.type')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.request.type')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'traceloop.span.kind')]) IN ('invoke_agent', 'create_agent', 'agent'), 'agent', multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.operation.name')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.operation.name')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.request.type')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.request.type')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'traceloop.span.kind')]) IN ('invoke_workflow', 'workflow'), 'workflow', multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.operation.name')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.operation.name')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.request.type')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.request.type')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'traceloop.span.kind')]) IN ('retrieval', 'task'), 'other', multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.request.model')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.request.model')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.request.model')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.request.model')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.model_name')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.model_name')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'model')]) != '' OR multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.response.model')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.response.model')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.response.model')]) != '', 'model', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.tool.name')] != '', 'tool', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.agent.name')] != '', 'agent', multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'agent.output_tokens')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'agent.output_tokens')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'agent.response_latency_ms')]) != '', 'model', 'other') = 'model') AS CacheWriteTokens,
    sumIf(least(toUInt64OrZero(multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.usage.output_tokens')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.usage.output_tokens')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.usage.completion_tokens')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.usage.completion_tokens')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.usage.completion_tokens')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.usage.completion_tokens')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'agent.output_tokens')])), 1000000000000), multiIf(multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.operation.name')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.operation.name')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.request.type')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.request.type')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'traceloop.span.kind')]) IN ('execute_tool', 'tool'), 'tool', multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.operation.name')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.operation.name')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.request.type')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.request.type')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'traceloop.span.kind')]) IN ('invoke_agent', 'create_agent', 'agent'), 'agent', multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.operation.name')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.operation.name')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.request.type')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.request.type')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'traceloop.span.kind')]) IN ('invoke_workflow', 'workflow'), 'workflow', multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.operation.name')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.operation.name')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.request.type')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.request.type')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'traceloop.span.kind')]) IN ('retrieval', 'task'), 'other', multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.request.model')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.request.model')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.request.model')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.request.model')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.model_name')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.model_name')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'model')]) != '' OR multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.response.model')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.response.model')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.response.model')]) != '', 'model', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.tool.name')] != '', 'tool', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.agent.name')] != '', 'agent', multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'agent.output_tokens')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'agent.output_tokens')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'agent.response_latency_ms')]) != '', 'model', 'other') = 'model') AS OutputTokens,
    sumIf(least(toUInt64OrZero(multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.usage.reasoning.output_tokens')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.usage.reasoning.output_tokens')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.usage.reasoning_tokens')])), 1000000000000), multiIf(multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.operation.name')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.operation.name')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.request.type')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.request.type')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'traceloop.span.kind')]) IN ('execute_tool', 'tool'), 'tool', multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.operation.name')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.operation.name')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.request.type')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.request.type')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'traceloop.span.kind')]) IN ('invoke_agent', 'create_agent', 'agent'), 'agent', multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.operation.name')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.operation.name')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.request.type')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.request.type')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'traceloop.span.kind')]) IN ('invoke_workflow', 'workflow'), 'workflow', multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.operation.name')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.operation.name')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.request.type')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.request.type')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'traceloop.span.kind')]) IN ('retrieval', 'task'), 'other', multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.request.model')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.request.model')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.request.model')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.request.model')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.model_name')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.model_name')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'model')]) != '' OR multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.response.model')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.response.model')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.response.model')]) != '', 'model', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.tool.name')] != '', 'tool', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.agent.name')] != '', 'agent', multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'agent.output_tokens')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'agent.output_tokens')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'agent.response_latency_ms')]) != '', 'model', 'other') = 'model') AS ReasoningTokens,
    quantilesTDigestState(0.5, 0.95, 0.99)(if(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'agent.response_latency_ms')] != '', toFloat64OrZero(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'agent.response_latency_ms')]), Duration / 1000000)) AS Latency,
    quantilesTDigestIfState(0.5, 0.95, 0.99)(toFloat64OrZero(multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.response.time_to_first_chunk')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.response.time_to_first_chunk')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.response.time_to_first_token')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.response.time_to_first_token')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.server.time_to_first_token')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.server.time_to_first_token')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.server.ttft')])) * 1000, toFloat64OrZero(multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.response.time_to_first_chunk')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.response.time_to_first_chunk')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.response.time_to_first_token')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.response.time_to_first_token')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.server.time_to_first_token')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.server.time_to_first_token')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.server.ttft')])) * 1000 > 0) AS FirstChunk
FROM otel.otel_traces
WHERE hasAny(SpanAttributes.Key, ['gen_ai.operation.name', 'gen_ai.request.model', 'gen_ai.provider.name', 'gen_ai.system', 'gen_ai.tool.name', 'gen_ai.agent.name', 'llm.request.type', 'llm.model_name', 'agent.response_latency_ms', 'agent.output_tokens', 'agent.success']) AND 1
GROUP BY Minute, Environment, ServiceName, Kind, Operation, Provider, Model, BilledModel, Route, Tier;

-- 0007_create_genai_views VIEW
CREATE VIEW IF NOT EXISTS otel.genai_content AS
SELECT
    Timestamp,
    TraceId,
    SpanId,
    ServiceName,
    '' AS EventName,
    multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.system_instructions')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.system_instructions')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.system_instruction')]) AS SystemInstructions,
    multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.input.messages')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.input.messages')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.prompt')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.prompt')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.prompt.0.content')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.prompt.0.content')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.prompts.0.content')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.prompts.0.content')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'input.value')]) AS Input,
    multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.output.messages')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.output.messages')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.completion')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.completion')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.completion.0.content')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.completion.0.content')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.completions.0.content')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.completions.0.content')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'output.value')]) AS Output,
    IngestId
FROM otel.otel_traces
WHERE hasAny(SpanAttributes.Key, ['gen_ai.system_instructions', 'gen_ai.system_instruction', 'gen_ai.input.messages', 'gen_ai.prompt', 'gen_ai.prompt.0.content', 'llm.prompts.0.content', 'input.value', 'gen_ai.output.messages', 'gen_ai.completion', 'gen_ai.completion.0.content', 'llm.completions.0.content', 'output.value'])
UNION ALL
SELECT
    Timestamp,
    TraceId,
    SpanId,
    ServiceName,
    if(EventName != '', EventName, LogAttributes.Value[indexOf(LogAttributes.Key, 'event.name')]) AS EventName,
    multiIf(LogAttributes.Value[indexOf(LogAttributes.Key, 'gen_ai.system_instructions')] != '', LogAttributes.Value[indexOf(LogAttributes.Key, 'gen_ai.system_instructions')], LogAttributes.Value[indexOf(LogAttributes.Key, 'gen_ai.system_instruction')]) AS SystemInstructions,
    if(multiIf(LogAttributes.Value[indexOf(LogAttributes.Key, 'gen_ai.input.messages')] != '', LogAttributes.Value[indexOf(LogAttributes.Key, 'gen_ai.input.messages')], LogAttributes.Value[indexOf(LogAttributes.Key, 'gen_ai.prompt')] != '', LogAttributes.Value[indexOf(LogAttributes.Key, 'gen_ai.prompt')], LogAttributes.Value[indexOf(LogAttributes.Key, 'gen_ai.prompt.0.content')] != '', LogAttributes.Value[indexOf(LogAttributes.Key, 'gen_ai.prompt.0.content')], LogAttributes.Value[indexOf(LogAttributes.Key, 'llm.prompts.0.content')] != '', LogAttributes.Value[indexOf(LogAttributes.Key, 'llm.prompts.0.content')], LogAttributes.Value[indexOf(LogAttributes.Key, 'input.value')]) = '' AND startsWith(if(EventName != '', EventName, LogAttributes.Value[indexOf(LogAttributes.Key, 'event.name')]), 'gen_ai.') AND endsWith(if(EventName != '', EventName, LogAttributes.Value[indexOf(LogAttributes.Key, 'event.name')]), '.message') AND NOT if(EventName != '', EventName, LogAttributes.Value[indexOf(LogAttributes.Key, 'event.name')]) IN ('gen_ai.choice', 'gen_ai.assistant.message'), Body, multiIf(LogAttributes.Value[indexOf(LogAttributes.Key, 'gen_ai.input.messages')] != '', LogAttributes.Value[indexOf(LogAttributes.Key, 'gen_ai.input.messages')], LogAttributes.Value[indexOf(LogAttributes.Key, 'gen_ai.prompt')] != '', LogAttributes.Value[indexOf(LogAttributes.Key, 'gen_ai.prompt')], LogAttributes.Value[indexOf(LogAttributes.Key, 'gen_ai.prompt.0.content')] != '', LogAttributes.Value[indexOf(LogAttributes.Key, 'gen_ai.prompt.0.content')], LogAttributes.Value[indexOf(LogAttributes.Key, 'llm.prompts.0.content')] != '', LogAttributes.Value[indexOf(LogAttributes.Key, 'llm.prompts.0.content')], LogAttributes.Value[indexOf(LogAttributes.Key, 'input.value')])) AS Input,
    if(multiIf(LogAttributes.Value[indexOf(LogAttributes.Key, 'gen_ai.output.messages')] != '', LogAttributes.Value[indexOf(LogAttributes.Key, 'gen_ai.output.messages')], LogAttributes.Value[indexOf(LogAttributes.Key, 'gen_ai.completion')] != '', LogAttributes.Value[indexOf(LogAttributes.Key, 'gen_ai.completion')], LogAttributes.Value[indexOf(LogAttributes.Key, 'gen_ai.completion.0.content')] != '', LogAttributes.Value[indexOf(LogAttributes.Key, 'gen_ai.completion.0.content')], LogAttributes.Value[indexOf(LogAttributes.Key, 'llm.completions.0.content')] != '', LogAttributes.Value[indexOf(LogAttributes.Key, 'llm.completions.0.content')], LogAttributes.Value[indexOf(LogAttributes.Key, 'output.value')]) = '' AND if(EventName != '', EventName, LogAttributes.Value[indexOf(LogAttributes.Key, 'event.name')]) IN ('gen_ai.choice', 'gen_ai.assistant.message'), Body, multiIf(LogAttributes.Value[indexOf(LogAttributes.Key, 'gen_ai.output.messages')] != '', LogAttributes.Value[indexOf(LogAttributes.Key, 'gen_ai.output.messages')], LogAttributes.Value[indexOf(LogAttributes.Key, 'gen_ai.completion')] != '', LogAttributes.Value[indexOf(LogAttributes.Key, 'gen_ai.completion')], LogAttributes.Value[indexOf(LogAttributes.Key, 'gen_ai.completion.0.content')] != '', LogAttributes.Value[indexOf(LogAttributes.Key, 'gen_ai.completion.0.content')], LogAttributes.Value[indexOf(LogAttributes.Key, 'llm.completions.0.content')] != '', LogAttributes.Value[indexOf(LogAttributes.Key, 'llm.completions.0.content')], LogAttributes.Value[indexOf(LogAttributes.Key, 'output.value')])) AS Output,
    IngestId
FROM otel.otel_logs
WHERE hasAny(LogAttributes.Key, ['gen_ai.system_instructions', 'gen_ai.system_instruction', 'gen_ai.input.messages', 'gen_ai.prompt', 'gen_ai.prompt.0.content', 'llm.prompts.0.content', 'input.value', 'gen_ai.output.messages', 'gen_ai.completion', 'gen_ai.completion.0.content', 'llm.completions.0.content', 'output.value']) OR startsWith(if(EventName != '', EventName, LogAttributes.Value[indexOf(LogAttributes.Key, 'event.name')]), 'gen_ai.') AND endsWith(if(EventName != '', EventName, LogAttributes.Value[indexOf(LogAttributes.Key, 'event.name')]), '.message') OR if(EventName != '', EventName, LogAttributes.Value[indexOf(LogAttributes.Key, 'event.name')]) IN ('gen_ai.choice', 'gen_ai.assistant.message');

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
        FROM otel.genai_spans
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

-- 0012_add_content_attributes LOCAL
ALTER TABLE otel.otel_traces_local
    ADD COLUMN ContentAttributes.Key Array(LowCardinality(String)),
    ADD COLUMN ContentAttributes.Value Array(String);

-- 0012_add_content_attributes LOCAL
ALTER TABLE otel.otel_logs_local
    ADD COLUMN ContentAttributes.Key Array(LowCardinality(String)),
    ADD COLUMN ContentAttributes.Value Array(String);

-- 0012_add_content_attributes DISTRIBUTED
ALTER TABLE otel.otel_traces
    ADD COLUMN ContentAttributes.Key Array(LowCardinality(String)),
    ADD COLUMN ContentAttributes.Value Array(String);

-- 0012_add_content_attributes DISTRIBUTED
ALTER TABLE otel.otel_logs
    ADD COLUMN ContentAttributes.Key Array(LowCardinality(String)),
    ADD COLUMN ContentAttributes.Value Array(String);

-- 0012_add_content_attributes VIEW
DROP TABLE IF EXISTS otel.genai_spans /* a view */;

-- 0012_add_content_attributes VIEW
CREATE VIEW IF NOT EXISTS otel.genai_spans AS
SELECT
    Timestamp AS Timestamp,
    toDateTime(intDiv(Timestamp, 1000000000)) AS Time,
    TraceId AS TraceId,
    SpanId AS SpanId,
    ParentSpanId AS ParentSpanId,
    SpanName AS SpanName,
    ServiceName AS ServiceName,
    multiIf(ResourceAttributes.Value[indexOf(ResourceAttributes.Key, 'deployment.environment.name')] != '', ResourceAttributes.Value[indexOf(ResourceAttributes.Key, 'deployment.environment.name')], ResourceAttributes.Value[indexOf(ResourceAttributes.Key, 'deployment.environment')]) AS Environment,
    multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.operation.name')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.operation.name')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.request.type')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.request.type')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'traceloop.span.kind')]) AS Operation,
    multiIf(multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.operation.name')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.operation.name')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.request.type')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.request.type')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'traceloop.span.kind')]) IN ('execute_tool', 'tool'), 'tool', multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.operation.name')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.operation.name')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.request.type')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.request.type')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'traceloop.span.kind')]) IN ('invoke_agent', 'create_agent', 'agent'), 'agent', multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.operation.name')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.operation.name')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.request.type')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.request.type')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'traceloop.span.kind')]) IN ('invoke_workflow', 'workflow'), 'workflow', multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.operation.name')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.operation.name')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.request.type')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.request.type')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'traceloop.span.kind')]) IN ('retrieval', 'task'), 'other', multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.request.model')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.request.model')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.request.model')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.request.model')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.model_name')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.model_name')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'model')]) != '' OR multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.response.model')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.response.model')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.response.model')]) != '', 'model', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.tool.name')] != '', 'tool', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.agent.name')] != '', 'agent', multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'agent.output_tokens')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'agent.output_tokens')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'agent.response_latency_ms')]) != '', 'model', 'other') AS Kind,
    multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.provider.name')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.provider.name')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.system')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.system')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.vendor')]) AS Provider,
    multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.request.model')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.request.model')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.request.model')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.request.model')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.model_name')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.model_name')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'model')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'model')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.response.model')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.response.model')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.response.model')]) AS Model,
    multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.response.model')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.response.model')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.response.model')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.response.model')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.request.model')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.request.model')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.request.model')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.request.model')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.model_name')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.model_name')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'model')]) AS BilledModel,
    SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.response.id')] AS ResponseId,
    multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.response.finish_reasons')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.response.finish_reasons')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.response.finish_reason')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.response.finish_reason')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.response.finish_reason')]) AS FinishReasons,
    multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'route')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'route')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'http.route')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'http.route')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'url.template')]) AS Route,
    multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'customer_tier')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'customer_tier')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'customer.tier')]) AS Tier,
    multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'enduser.id')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'enduser.id')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'user.id')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'user.id')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'enduser.pseudo.id')]) AS User,
    multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.conversation.id')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.conversation.id')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.thread.id')]) AS ConversationId,
    multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'session.id')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'session.id')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.session.id')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.session.id')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.conversation.id')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.conversation.id')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.thread.id')]) AS SessionId,
    multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.agent.name')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.agent.name')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.agent.id')]) AS AgentName,
    SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.agent.version')] AS AgentVersion,
    multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.tool.name')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.tool.name')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'tool.name')]) AS ToolName,
    multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.prompt.name')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.prompt.name')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'prompt.name')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'prompt.name')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'traceloop.prompt.key')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'traceloop.prompt.key')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'langfuse.prompt.name')]) AS PromptName,
    multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.prompt.version')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.prompt.version')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'prompt.version')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'prompt.version')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'traceloop.prompt.version')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'traceloop.prompt.version')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'langfuse.prompt.version')]) AS PromptVersion,
    Duration AS Duration,
    if(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'agent.response_latency_ms')] != '', toFloat64OrZero(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'agent.response_latency_ms')]), Duration / 1000000) AS LatencyMs,
    toFloat64OrZero(multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.response.time_to_first_chunk')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.response.time_to_first_chunk')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.response.time_to_first_token')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.response.time_to_first_token')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.server.time_to_first_token')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.server.time_to_first_token')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.server.ttft')])) * 1000 AS FirstChunkMs,
    least(toUInt64OrZero(multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.usage.input_tokens')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.usage.input_tokens')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.usage.prompt_tokens')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.usage.prompt_tokens')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.usage.prompt_tokens')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.usage.prompt_tokens')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'agent.input_tokens')])), 1000000000000) AS InputTokens,
    least(toUInt64OrZero(multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.usage.cache_read.input_tokens')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.usage.cache_read.input_tokens')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.usage.cache_read_input_tokens')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.usage.cache_read_input_tokens')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.usage.cached_tokens')])), 1000000000000) AS CachedTokens,
    least(toUInt64OrZero(multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.usage.cache_write.input_tokens')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.usage.cache_write.input_tokens')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.usage.cache_creation.input_tokens')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.usage.cache_creation.input_tokens')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.usage.cache_write_input_tokens')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.usage.cache_write_input_tokens')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.usage.cache_creation_input_tokens')])), 1000000000000) AS CacheWriteTokens,
    least(toUInt64OrZero(multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.usage.output_tokens')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.usage.output_tokens')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.usage.completion_tokens')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.usage.completion_tokens')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.usage.completion_tokens')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.usage.completion_tokens')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'agent.output_tokens')])), 1000000000000) AS OutputTokens,
    least(toUInt64OrZero(multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.usage.reasoning.output_tokens')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.usage.reasoning.output_tokens')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.usage.reasoning_tokens')])), 1000000000000) AS ReasoningTokens,
    StatusCode = 'Error' OR SpanAttributes.Value[indexOf(SpanAttributes.Key, 'error.type')] != '' OR SpanAttributes.Value[indexOf(SpanAttributes.Key, 'agent.success')] = 'false' AS Failed,
    multiIf(SpanAttributes.Value[indexOf(SpanAttributes.Key, 'error.type')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'error.type')], StatusCode = 'Error' AND StatusMessage != '', substring(StatusMessage, 1, 200), StatusCode = 'Error' OR SpanAttributes.Value[indexOf(SpanAttributes.Key, 'agent.success')] = 'false', 'unknown', '') AS ErrorType,
    substringUTF8(multiIf(ContentAttributes.Value[indexOf(ContentAttributes.Key, 'gen_ai.input.messages')] != '', ContentAttributes.Value[indexOf(ContentAttributes.Key, 'gen_ai.input.messages')], ContentAttributes.Value[indexOf(ContentAttributes.Key, 'gen_ai.prompt')] != '', ContentAttributes.Value[indexOf(ContentAttributes.Key, 'gen_ai.prompt')], ContentAttributes.Value[indexOf(ContentAttributes.Key, 'gen_ai.prompt.0.content')] != '', ContentAttributes.Value[indexOf(ContentAttributes.Key, 'gen_ai.prompt.0.content')], ContentAttributes.Value[indexOf(ContentAttributes.Key, 'llm.prompts.0.content')] != '', ContentAttributes.Value[indexOf(ContentAttributes.Key, 'llm.prompts.0.content')], ContentAttributes.Value[indexOf(ContentAttributes.Key, 'input.value')] != '', ContentAttributes.Value[indexOf(ContentAttributes.Key, 'input.value')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.input.messages')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.input.messages')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.prompt')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.prompt')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.prompt.0.content')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.prompt.0.content')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.prompts.0.content')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.prompts.0.content')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'input.value')]), 1, 200) AS PromptPreview,
    substringUTF8(multiIf(ContentAttributes.Value[indexOf(ContentAttributes.Key, 'gen_ai.output.messages')] != '', ContentAttributes.Value[indexOf(ContentAttributes.Key, 'gen_ai.output.messages')], ContentAttributes.Value[indexOf(ContentAttributes.Key, 'gen_ai.completion')] != '', ContentAttributes.Value[indexOf(ContentAttributes.Key, 'gen_ai.completion')], ContentAttributes.Value[indexOf(ContentAttributes.Key, 'gen_ai.completion.0.content')] != '', ContentAttributes.Value[indexOf(ContentAttributes.Key, 'gen_ai.completion.0.content')], ContentAttributes.Value[indexOf(ContentAttributes.Key, 'llm.completions.0.content')] != '', ContentAttributes.Value[indexOf(ContentAttributes.Key, 'llm.completions.0.content')], ContentAttributes.Value[indexOf(ContentAttributes.Key, 'output.value')] != '', ContentAttributes.Value[indexOf(ContentAttributes.Key, 'output.value')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.output.messages')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.output.messages')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.completion')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.completion')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.completion.0.content')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.completion.0.content')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.completions.0.content')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.completions.0.content')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'output.value')]), 1, 200) AS CompletionPreview,
    IngestId AS IngestId
FROM otel.otel_traces
WHERE hasAny(SpanAttributes.Key, ['gen_ai.operation.name', 'gen_ai.request.model', 'gen_ai.provider.name', 'gen_ai.system', 'gen_ai.tool.name', 'gen_ai.agent.name', 'llm.request.type', 'llm.model_name', 'agent.response_latency_ms', 'agent.output_tokens', 'agent.success']);

-- 0012_add_content_attributes VIEW
DROP TABLE IF EXISTS otel.genai_content /* a view */;

-- 0012_add_content_attributes VIEW
CREATE VIEW IF NOT EXISTS otel.genai_content AS
SELECT
    Timestamp,
    TraceId,
    SpanId,
    ServiceName,
    '' AS EventName,
    multiIf(ContentAttributes.Value[indexOf(ContentAttributes.Key, 'gen_ai.system_instructions')] != '', ContentAttributes.Value[indexOf(ContentAttributes.Key, 'gen_ai.system_instructions')], ContentAttributes.Value[indexOf(ContentAttributes.Key, 'gen_ai.system_instruction')] != '', ContentAttributes.Value[indexOf(ContentAttributes.Key, 'gen_ai.system_instruction')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.system_instructions')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.system_instructions')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.system_instruction')]) AS SystemInstructions,
    multiIf(ContentAttributes.Value[indexOf(ContentAttributes.Key, 'gen_ai.input.messages')] != '', ContentAttributes.Value[indexOf(ContentAttributes.Key, 'gen_ai.input.messages')], ContentAttributes.Value[indexOf(ContentAttributes.Key, 'gen_ai.prompt')] != '', ContentAttributes.Value[indexOf(ContentAttributes.Key, 'gen_ai.prompt')], ContentAttributes.Value[indexOf(ContentAttributes.Key, 'gen_ai.prompt.0.content')] != '', ContentAttributes.Value[indexOf(ContentAttributes.Key, 'gen_ai.prompt.0.content')], ContentAttributes.Value[indexOf(ContentAttributes.Key, 'llm.prompts.0.content')] != '', ContentAttributes.Value[indexOf(ContentAttributes.Key, 'llm.prompts.0.content')], ContentAttributes.Value[indexOf(ContentAttributes.Key, 'input.value')] != '', ContentAttributes.Value[indexOf(ContentAttributes.Key, 'input.value')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.input.messages')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.input.messages')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.prompt')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.prompt')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.prompt.0.content')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.prompt.0.content')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.prompts.0.content')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.prompts.0.content')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'input.value')]) AS Input,
    multiIf(ContentAttributes.Value[indexOf(ContentAttributes.Key, 'gen_ai.output.messages')] != '', ContentAttributes.Value[indexOf(ContentAttributes.Key, 'gen_ai.output.messages')], ContentAttributes.Value[indexOf(ContentAttributes.Key, 'gen_ai.completion')] != '', ContentAttributes.Value[indexOf(ContentAttributes.Key, 'gen_ai.completion')], ContentAttributes.Value[indexOf(ContentAttributes.Key, 'gen_ai.completion.0.content')] != '', ContentAttributes.Value[indexOf(ContentAttributes.Key, 'gen_ai.completion.0.content')], ContentAttributes.Value[indexOf(ContentAttributes.Key, 'llm.completions.0.content')] != '', ContentAttributes.Value[indexOf(ContentAttributes.Key, 'llm.completions.0.content')], ContentAttributes.Value[indexOf(ContentAttributes.Key, 'output.value')] != '', ContentAttributes.Value[indexOf(ContentAttributes.Key, 'output.value')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.output.messages')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.output.messages')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.completion')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.completion')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.completion.0.content')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'gen_ai.completion.0.content')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.completions.0.content')] != '', SpanAttributes.Value[indexOf(SpanAttributes.Key, 'llm.completions.0.content')], SpanAttributes.Value[indexOf(SpanAttributes.Key, 'output.value')]) AS Output,
    IngestId
FROM otel.otel_traces
WHERE hasAny(SpanAttributes.Key, ['gen_ai.system_instructions', 'gen_ai.system_instruction', 'gen_ai.input.messages', 'gen_ai.prompt', 'gen_ai.prompt.0.content', 'llm.prompts.0.content', 'input.value', 'gen_ai.output.messages', 'gen_ai.completion', 'gen_ai.completion.0.content', 'llm.completions.0.content', 'output.value']) OR hasAny(ContentAttributes.Key, ['gen_ai.system_instructions', 'gen_ai.system_instruction', 'gen_ai.input.messages', 'gen_ai.prompt', 'gen_ai.prompt.0.content', 'llm.prompts.0.content', 'input.value', 'gen_ai.output.messages', 'gen_ai.completion', 'gen_ai.completion.0.content', 'llm.completions.0.content', 'output.value'])
UNION ALL
SELECT
    Timestamp,
    TraceId,
    SpanId,
    ServiceName,
    if(EventName != '', EventName, LogAttributes.Value[indexOf(LogAttributes.Key, 'event.name')]) AS EventName,
    multiIf(ContentAttributes.Value[indexOf(ContentAttributes.Key, 'gen_ai.system_instructions')] != '', ContentAttributes.Value[indexOf(ContentAttributes.Key, 'gen_ai.system_instructions')], ContentAttributes.Value[indexOf(ContentAttributes.Key, 'gen_ai.system_instruction')] != '', ContentAttributes.Value[indexOf(ContentAttributes.Key, 'gen_ai.system_instruction')], LogAttributes.Value[indexOf(LogAttributes.Key, 'gen_ai.system_instructions')] != '', LogAttributes.Value[indexOf(LogAttributes.Key, 'gen_ai.system_instructions')], LogAttributes.Value[indexOf(LogAttributes.Key, 'gen_ai.system_instruction')]) AS SystemInstructions,
    if(multiIf(ContentAttributes.Value[indexOf(ContentAttributes.Key, 'gen_ai.input.messages')] != '', ContentAttributes.Value[indexOf(ContentAttributes.Key, 'gen_ai.input.messages')], ContentAttributes.Value[indexOf(ContentAttributes.Key, 'gen_ai.prompt')] != '', ContentAttributes.Value[indexOf(ContentAttributes.Key, 'gen_ai.prompt')], ContentAttributes.Value[indexOf(ContentAttributes.Key, 'gen_ai.prompt.0.content')] != '', ContentAttributes.Value[indexOf(ContentAttributes.Key, 'gen_ai.prompt.0.content')], ContentAttributes.Value[indexOf(ContentAttributes.Key, 'llm.prompts.0.content')] != '', ContentAttributes.Value[indexOf(ContentAttributes.Key, 'llm.prompts.0.content')], ContentAttributes.Value[indexOf(ContentAttributes.Key, 'input.value')] != '', ContentAttributes.Value[indexOf(ContentAttributes.Key, 'input.value')], LogAttributes.Value[indexOf(LogAttributes.Key, 'gen_ai.input.messages')] != '', LogAttributes.Value[indexOf(LogAttributes.Key, 'gen_ai.input.messages')], LogAttributes.Value[indexOf(LogAttributes.Key, 'gen_ai.prompt')] != '', LogAttributes.Value[indexOf(LogAttributes.Key, 'gen_ai.prompt')], LogAttributes.Value[indexOf(LogAttributes.Key, 'gen_ai.prompt.0.content')] != '', LogAttributes.Value[indexOf(LogAttributes.Key, 'gen_ai.prompt.0.content')], LogAttributes.Value[indexOf(LogAttributes.Key, 'llm.prompts.0.content')] != '', LogAttributes.Value[indexOf(LogAttributes.Key, 'llm.prompts.0.content')], LogAttributes.Value[indexOf(LogAttributes.Key, 'input.value')]) = '' AND startsWith(if(EventName != '', EventName, LogAttributes.Value[indexOf(LogAttributes.Key, 'event.name')]), 'gen_ai.') AND endsWith(if(EventName != '', EventName, LogAttributes.Value[indexOf(LogAttributes.Key, 'event.name')]), '.message') AND NOT if(EventName != '', EventName, LogAttributes.Value[indexOf(LogAttributes.Key, 'event.name')]) IN ('gen_ai.choice', 'gen_ai.assistant.message'), if(Body != '', Body, ContentAttributes.Value[indexOf(ContentAttributes.Key, 'body')]), multiIf(ContentAttributes.Value[indexOf(ContentAttributes.Key, 'gen_ai.input.messages')] != '', ContentAttributes.Value[indexOf(ContentAttributes.Key, 'gen_ai.input.messages')], ContentAttributes.Value[indexOf(ContentAttributes.Key, 'gen_ai.prompt')] != '', ContentAttributes.Value[indexOf(ContentAttributes.Key, 'gen_ai.prompt')], ContentAttributes.Value[indexOf(ContentAttributes.Key, 'gen_ai.prompt.0.content')] != '', ContentAttributes.Value[indexOf(ContentAttributes.Key, 'gen_ai.prompt.0.content')], ContentAttributes.Value[indexOf(ContentAttributes.Key, 'llm.prompts.0.content')] != '', ContentAttributes.Value[indexOf(ContentAttributes.Key, 'llm.prompts.0.content')], ContentAttributes.Value[indexOf(ContentAttributes.Key, 'input.value')] != '', ContentAttributes.Value[indexOf(ContentAttributes.Key, 'input.value')], LogAttributes.Value[indexOf(LogAttributes.Key, 'gen_ai.input.messages')] != '', LogAttributes.Value[indexOf(LogAttributes.Key, 'gen_ai.input.messages')], LogAttributes.Value[indexOf(LogAttributes.Key, 'gen_ai.prompt')] != '', LogAttributes.Value[indexOf(LogAttributes.Key, 'gen_ai.prompt')], LogAttributes.Value[indexOf(LogAttributes.Key, 'gen_ai.prompt.0.content')] != '', LogAttributes.Value[indexOf(LogAttributes.Key, 'gen_ai.prompt.0.content')], LogAttributes.Value[indexOf(LogAttributes.Key, 'llm.prompts.0.content')] != '', LogAttributes.Value[indexOf(LogAttributes.Key, 'llm.prompts.0.content')], LogAttributes.Value[indexOf(LogAttributes.Key, 'input.value')])) AS Input,
    if(multiIf(ContentAttributes.Value[indexOf(ContentAttributes.Key, 'gen_ai.output.messages')] != '', ContentAttributes.Value[indexOf(ContentAttributes.Key, 'gen_ai.output.messages')], ContentAttributes.Value[indexOf(ContentAttributes.Key, 'gen_ai.completion')] != '', ContentAttributes.Value[indexOf(ContentAttributes.Key, 'gen_ai.completion')], ContentAttributes.Value[indexOf(ContentAttributes.Key, 'gen_ai.completion.0.content')] != '', ContentAttributes.Value[indexOf(ContentAttributes.Key, 'gen_ai.completion.0.content')], ContentAttributes.Value[indexOf(ContentAttributes.Key, 'llm.completions.0.content')] != '', ContentAttributes.Value[indexOf(ContentAttributes.Key, 'llm.completions.0.content')], ContentAttributes.Value[indexOf(ContentAttributes.Key, 'output.value')] != '', ContentAttributes.Value[indexOf(ContentAttributes.Key, 'output.value')], LogAttributes.Value[indexOf(LogAttributes.Key, 'gen_ai.output.messages')] != '', LogAttributes.Value[indexOf(LogAttributes.Key, 'gen_ai.output.messages')], LogAttributes.Value[indexOf(LogAttributes.Key, 'gen_ai.completion')] != '', LogAttributes.Value[indexOf(LogAttributes.Key, 'gen_ai.completion')], LogAttributes.Value[indexOf(LogAttributes.Key, 'gen_ai.completion.0.content')] != '', LogAttributes.Value[indexOf(LogAttributes.Key, 'gen_ai.completion.0.content')], LogAttributes.Value[indexOf(LogAttributes.Key, 'llm.completions.0.content')] != '', LogAttributes.Value[indexOf(LogAttributes.Key, 'llm.completions.0.content')], LogAttributes.Value[indexOf(LogAttributes.Key, 'output.value')]) = '' AND if(EventName != '', EventName, LogAttributes.Value[indexOf(LogAttributes.Key, 'event.name')]) IN ('gen_ai.choice', 'gen_ai.assistant.message'), if(Body != '', Body, ContentAttributes.Value[indexOf(ContentAttributes.Key, 'body')]), multiIf(ContentAttributes.Value[indexOf(ContentAttributes.Key, 'gen_ai.output.messages')] != '', ContentAttributes.Value[indexOf(ContentAttributes.Key, 'gen_ai.output.messages')], ContentAttributes.Value[indexOf(ContentAttributes.Key, 'gen_ai.completion')] != '', ContentAttributes.Value[indexOf(ContentAttributes.Key, 'gen_ai.completion')], ContentAttributes.Value[indexOf(ContentAttributes.Key, 'gen_ai.completion.0.content')] != '', ContentAttributes.Value[indexOf(ContentAttributes.Key, 'gen_ai.completion.0.content')], ContentAttributes.Value[indexOf(ContentAttributes.Key, 'llm.completions.0.content')] != '', ContentAttributes.Value[indexOf(ContentAttributes.Key, 'llm.completions.0.content')], ContentAttributes.Value[indexOf(ContentAttributes.Key, 'output.value')] != '', ContentAttributes.Value[indexOf(ContentAttributes.Key, 'output.value')], LogAttributes.Value[indexOf(LogAttributes.Key, 'gen_ai.output.messages')] != '', LogAttributes.Value[indexOf(LogAttributes.Key, 'gen_ai.output.messages')], LogAttributes.Value[indexOf(LogAttributes.Key, 'gen_ai.completion')] != '', LogAttributes.Value[indexOf(LogAttributes.Key, 'gen_ai.completion')], LogAttributes.Value[indexOf(LogAttributes.Key, 'gen_ai.completion.0.content')] != '', LogAttributes.Value[indexOf(LogAttributes.Key, 'gen_ai.completion.0.content')], LogAttributes.Value[indexOf(LogAttributes.Key, 'llm.completions.0.content')] != '', LogAttributes.Value[indexOf(LogAttributes.Key, 'llm.completions.0.content')], LogAttributes.Value[indexOf(LogAttributes.Key, 'output.value')])) AS Output,
    IngestId
FROM otel.otel_logs
WHERE hasAny(LogAttributes.Key, ['gen_ai.system_instructions', 'gen_ai.system_instruction', 'gen_ai.input.messages', 'gen_ai.prompt', 'gen_ai.prompt.0.content', 'llm.prompts.0.content', 'input.value', 'gen_ai.output.messages', 'gen_ai.completion', 'gen_ai.completion.0.content', 'llm.completions.0.content', 'output.value']) OR hasAny(ContentAttributes.Key, ['gen_ai.system_instructions', 'gen_ai.system_instruction', 'gen_ai.input.messages', 'gen_ai.prompt', 'gen_ai.prompt.0.content', 'llm.prompts.0.content', 'input.value', 'gen_ai.output.messages', 'gen_ai.completion', 'gen_ai.completion.0.content', 'llm.completions.0.content', 'output.value']) OR startsWith(if(EventName != '', EventName, LogAttributes.Value[indexOf(LogAttributes.Key, 'event.name')]), 'gen_ai.') AND endsWith(if(EventName != '', EventName, LogAttributes.Value[indexOf(LogAttributes.Key, 'event.name')]), '.message') OR if(EventName != '', EventName, LogAttributes.Value[indexOf(LogAttributes.Key, 'event.name')]) IN ('gen_ai.choice', 'gen_ai.assistant.message');

