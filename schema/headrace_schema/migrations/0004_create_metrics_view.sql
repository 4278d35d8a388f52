-- Every data point of every kind under one name. A column is NULL where the kind has no such value:
-- Value for gauges and sums; Count and Sum for histograms and summaries; Min and Max for histograms.
-- Buckets, quantiles and exemplars are in the tables of their kinds.

-- VIEW

CREATE VIEW IF NOT EXISTS {table:otel_metrics} AS
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
    IngestId
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
    IngestId
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
    IngestId
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
    IngestId
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
    IngestId
FROM {table:otel_metrics_summary};
