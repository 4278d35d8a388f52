-- A tenant per row, filled by the writer; see docs/guardrails.md. Modern servers only.

-- LOCAL

{change_local:otel_traces};

{change_local:otel_logs};

{change_local:otel_metrics_gauge};

{change_local:otel_metrics_sum};

{change_local:otel_metrics_histogram};

{change_local:otel_metrics_exponential_histogram};

{change_local:otel_metrics_summary};

-- DISTRIBUTED

{change_distributed:otel_traces};

{change_distributed:otel_logs};

{change_distributed:otel_metrics_gauge};

{change_distributed:otel_metrics_sum};

{change_distributed:otel_metrics_histogram};

{change_distributed:otel_metrics_exponential_histogram};

{change_distributed:otel_metrics_summary};
