-- Codecs that measured best, and no index where the primary key does its work (docs/decisions/0009,
-- 0010, docs/benchmarks/storage.md). Only metadata changes: new parts are written so, old ones when they
-- merge. Servers without codecs and indexes have nothing to do.

-- LOCAL

{change_local:otel_traces};

{change_local:otel_traces_trace_id_ts};

{change_local:otel_logs};

{change_local:otel_metrics_gauge};

{change_local:otel_metrics_sum};

{change_local:otel_metrics_histogram};

{change_local:otel_metrics_exponential_histogram};

{change_local:otel_metrics_summary};
