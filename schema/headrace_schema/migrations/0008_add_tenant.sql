-- A tenant per row, filled by the writer; see docs/guardrails.md.

-- LOCAL modern

ALTER TABLE {local:otel_traces}
ADD COLUMN IF NOT EXISTS Tenant LowCardinality(String) CODEC(ZSTD(1));

ALTER TABLE {local:otel_logs}
ADD COLUMN IF NOT EXISTS Tenant LowCardinality(String) CODEC(ZSTD(1));

ALTER TABLE {local:otel_metrics_gauge}
ADD COLUMN IF NOT EXISTS Tenant LowCardinality(String) CODEC(ZSTD(1));

ALTER TABLE {local:otel_metrics_sum}
ADD COLUMN IF NOT EXISTS Tenant LowCardinality(String) CODEC(ZSTD(1));

ALTER TABLE {local:otel_metrics_histogram}
ADD COLUMN IF NOT EXISTS Tenant LowCardinality(String) CODEC(ZSTD(1));

ALTER TABLE {local:otel_metrics_exponential_histogram}
ADD COLUMN IF NOT EXISTS Tenant LowCardinality(String) CODEC(ZSTD(1));

ALTER TABLE {local:otel_metrics_summary}
ADD COLUMN IF NOT EXISTS Tenant LowCardinality(String) CODEC(ZSTD(1));

-- DISTRIBUTED modern

ALTER TABLE {table:otel_traces}
ADD COLUMN IF NOT EXISTS Tenant LowCardinality(String);

ALTER TABLE {table:otel_logs}
ADD COLUMN IF NOT EXISTS Tenant LowCardinality(String);

ALTER TABLE {table:otel_metrics_gauge}
ADD COLUMN IF NOT EXISTS Tenant LowCardinality(String);

ALTER TABLE {table:otel_metrics_sum}
ADD COLUMN IF NOT EXISTS Tenant LowCardinality(String);

ALTER TABLE {table:otel_metrics_histogram}
ADD COLUMN IF NOT EXISTS Tenant LowCardinality(String);

ALTER TABLE {table:otel_metrics_exponential_histogram}
ADD COLUMN IF NOT EXISTS Tenant LowCardinality(String);

ALTER TABLE {table:otel_metrics_summary}
ADD COLUMN IF NOT EXISTS Tenant LowCardinality(String);
