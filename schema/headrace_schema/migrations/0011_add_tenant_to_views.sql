-- The tenant in whatever is made of the tables that the writer fills, so that row policies can limit
-- it as well (docs/decisions/0027). Tables first, then the queries that fill them: what is inserted
-- between the two has no tenant, as all earlier rows, and so no limited user sees it. The rollup counts
-- by tenant from here on; `headrace rollup rebuild` does so for days from before. Modern servers only.

-- LOCAL modern

{change_local:otel_traces_trace_id_ts};

ALTER TABLE {table:otel_traces_trace_id_ts_mv} MODIFY QUERY
SELECT
    TraceId,
    {seconds:min(Timestamp)} AS Start,
    {seconds:max(Timestamp)} AS End,
    Tenant
FROM {local:otel_traces}
WHERE TraceId != ''
GROUP BY TraceId, Tenant;

{change_local:genai_usage_1m};

ALTER TABLE {table:genai_usage_1m_mv} MODIFY QUERY
{usage:local otel_traces};

-- DISTRIBUTED modern

{change_distributed:otel_traces_trace_id_ts};

{change_distributed:genai_usage_1m};

-- VIEW modern

CREATE OR REPLACE VIEW {table:genai_spans} AS
{spans:table otel_traces};

CREATE OR REPLACE VIEW {table:genai_evaluations} AS
SELECT
    Timestamp,
    {genai:time(Timestamp)} AS Time,
    TraceId,
    SpanId,
    ServiceName,
    {genai:resource[deployment.environment.name|deployment.environment]} AS Environment,
    {genai:log[gen_ai.response.id]} AS ResponseId,
    {genai:log[gen_ai.evaluation.name]} AS Name,
    toFloat64OrNull({genai:log[gen_ai.evaluation.score.value|gen_ai.evaluation.score]}) AS Score,
    {genai:log[gen_ai.evaluation.score.label|gen_ai.evaluation.label]} AS Label,
    substringUTF8({genai:log[gen_ai.evaluation.explanation]}, 1, 200) AS Explanation,
    IngestId,
    Tenant
FROM {table:otel_logs}
WHERE {event} = 'gen_ai.evaluation.result';

CREATE OR REPLACE VIEW {table:genai_costs_1m} AS
{costs:table genai_usage_1m};

CREATE OR REPLACE VIEW {table:genai_span_costs} AS
{costs:table genai_spans};

CREATE OR REPLACE VIEW {table:otel_metrics} AS
SELECT
    'gauge' AS Kind,
    ServiceName,
    MetricName,
    MetricDescription,
    MetricUnit,
    {map:ResourceAttributes},
    ScopeName,
    ScopeVersion,
    {map:Attributes},
    StartTimeUnix,
    TimeUnix,
    Flags,
    CAST(Value AS Nullable(Float64)) AS Value,
    CAST(NULL AS Nullable(UInt64)) AS Count,
    CAST(NULL AS Nullable(Float64)) AS Sum,
    CAST(NULL AS Nullable(Float64)) AS Min,
    CAST(NULL AS Nullable(Float64)) AS Max,
    CAST(NULL AS Nullable(Int32)) AS AggregationTemporality,
    CAST(NULL AS {type:Nullable(Bool)}) AS IsMonotonic,
    IngestId,
    Tenant
FROM {table:otel_metrics_gauge}
UNION ALL
SELECT
    'sum' AS Kind,
    ServiceName,
    MetricName,
    MetricDescription,
    MetricUnit,
    {map:ResourceAttributes},
    ScopeName,
    ScopeVersion,
    {map:Attributes},
    StartTimeUnix,
    TimeUnix,
    Flags,
    CAST(Value AS Nullable(Float64)) AS Value,
    CAST(NULL AS Nullable(UInt64)) AS Count,
    CAST(NULL AS Nullable(Float64)) AS Sum,
    CAST(NULL AS Nullable(Float64)) AS Min,
    CAST(NULL AS Nullable(Float64)) AS Max,
    CAST(AggregationTemporality AS Nullable(Int32)) AS AggregationTemporality,
    CAST(IsMonotonic AS {type:Nullable(Bool)}) AS IsMonotonic,
    IngestId,
    Tenant
FROM {table:otel_metrics_sum}
UNION ALL
SELECT
    'histogram' AS Kind,
    ServiceName,
    MetricName,
    MetricDescription,
    MetricUnit,
    {map:ResourceAttributes},
    ScopeName,
    ScopeVersion,
    {map:Attributes},
    StartTimeUnix,
    TimeUnix,
    Flags,
    CAST(NULL AS Nullable(Float64)) AS Value,
    CAST(Count AS Nullable(UInt64)) AS Count,
    CAST(Sum AS Nullable(Float64)) AS Sum,
    CAST(Min AS Nullable(Float64)) AS Min,
    CAST(Max AS Nullable(Float64)) AS Max,
    CAST(AggregationTemporality AS Nullable(Int32)) AS AggregationTemporality,
    CAST(NULL AS {type:Nullable(Bool)}) AS IsMonotonic,
    IngestId,
    Tenant
FROM {table:otel_metrics_histogram}
UNION ALL
SELECT
    'exponential_histogram' AS Kind,
    ServiceName,
    MetricName,
    MetricDescription,
    MetricUnit,
    {map:ResourceAttributes},
    ScopeName,
    ScopeVersion,
    {map:Attributes},
    StartTimeUnix,
    TimeUnix,
    Flags,
    CAST(NULL AS Nullable(Float64)) AS Value,
    CAST(Count AS Nullable(UInt64)) AS Count,
    CAST(Sum AS Nullable(Float64)) AS Sum,
    CAST(Min AS Nullable(Float64)) AS Min,
    CAST(Max AS Nullable(Float64)) AS Max,
    CAST(AggregationTemporality AS Nullable(Int32)) AS AggregationTemporality,
    CAST(NULL AS {type:Nullable(Bool)}) AS IsMonotonic,
    IngestId,
    Tenant
FROM {table:otel_metrics_exponential_histogram}
UNION ALL
SELECT
    'summary' AS Kind,
    ServiceName,
    MetricName,
    MetricDescription,
    MetricUnit,
    {map:ResourceAttributes},
    ScopeName,
    ScopeVersion,
    {map:Attributes},
    StartTimeUnix,
    TimeUnix,
    Flags,
    CAST(NULL AS Nullable(Float64)) AS Value,
    CAST(Count AS Nullable(UInt64)) AS Count,
    CAST(Sum AS Nullable(Float64)) AS Sum,
    CAST(NULL AS Nullable(Float64)) AS Min,
    CAST(NULL AS Nullable(Float64)) AS Max,
    CAST(NULL AS Nullable(Int32)) AS AggregationTemporality,
    CAST(NULL AS {type:Nullable(Bool)}) AS IsMonotonic,
    IngestId,
    Tenant
FROM {table:otel_metrics_summary};
