-- Spans, and a lookup of when each trace ran, so that a query by trace id reads a few seconds of
-- spans instead of all of them.

-- LOCAL

CREATE TABLE IF NOT EXISTS {local:otel_traces}
{columns:otel_traces}
ENGINE = {engine:otel_traces}
PARTITION BY {day:otel_traces}
ORDER BY {order:otel_traces}
SETTINGS {settings};

CREATE TABLE IF NOT EXISTS {local:otel_traces_trace_id_ts}
{columns:otel_traces_trace_id_ts}
ENGINE = {engine:otel_traces_trace_id_ts}
PARTITION BY {day:otel_traces_trace_id_ts}
ORDER BY {order:otel_traces_trace_id_ts}
SETTINGS {settings};

-- One row per trace and insert: readers take min(Start) and max(End). So it does no harm that a
-- repeated insert may reach the view although its table dropped it as a duplicate, which servers
-- from 24.7 to 26.1 do.
CREATE MATERIALIZED VIEW IF NOT EXISTS {table:otel_traces_trace_id_ts_mv}
TO {local:otel_traces_trace_id_ts}
AS SELECT
    TraceId,
    {seconds:min(Timestamp)} AS Start,
    {seconds:max(Timestamp)} AS End
FROM {local:otel_traces}
WHERE TraceId != ''
GROUP BY TraceId;

-- DISTRIBUTED

-- The writer puts a row on shard cityHash64(TraceId) % shards itself. The same key here lets
-- optimize_skip_unused_shards ask one shard for a trace.
CREATE TABLE IF NOT EXISTS {table:otel_traces}
AS {local:otel_traces}
ENGINE = Distributed({cluster}, {database}, otel_traces_local, cityHash64(TraceId));

CREATE TABLE IF NOT EXISTS {table:otel_traces_trace_id_ts}
AS {local:otel_traces_trace_id_ts}
ENGINE = Distributed({cluster}, {database}, otel_traces_trace_id_ts_local, cityHash64(TraceId));
