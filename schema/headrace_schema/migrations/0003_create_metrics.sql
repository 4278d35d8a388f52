-- Metric data points, one table per kind.

-- LOCAL

CREATE TABLE IF NOT EXISTS {local:otel_metrics_gauge}
{columns:otel_metrics_gauge}
ENGINE = {engine:otel_metrics_gauge}
PARTITION BY {day:otel_metrics_gauge}
ORDER BY {order:otel_metrics_gauge}
SETTINGS {settings};

CREATE TABLE IF NOT EXISTS {local:otel_metrics_sum}
{columns:otel_metrics_sum}
ENGINE = {engine:otel_metrics_sum}
PARTITION BY {day:otel_metrics_sum}
ORDER BY {order:otel_metrics_sum}
SETTINGS {settings};

CREATE TABLE IF NOT EXISTS {local:otel_metrics_histogram}
{columns:otel_metrics_histogram}
ENGINE = {engine:otel_metrics_histogram}
PARTITION BY {day:otel_metrics_histogram}
ORDER BY {order:otel_metrics_histogram}
SETTINGS {settings};

CREATE TABLE IF NOT EXISTS {local:otel_metrics_exponential_histogram}
{columns:otel_metrics_exponential_histogram}
ENGINE = {engine:otel_metrics_exponential_histogram}
PARTITION BY {day:otel_metrics_exponential_histogram}
ORDER BY {order:otel_metrics_exponential_histogram}
SETTINGS {settings};

CREATE TABLE IF NOT EXISTS {local:otel_metrics_summary}
{columns:otel_metrics_summary}
ENGINE = {engine:otel_metrics_summary}
PARTITION BY {day:otel_metrics_summary}
ORDER BY {order:otel_metrics_summary}
SETTINGS {settings};

-- DISTRIBUTED

-- The writer puts all points of a series on one shard, by a hash of service, metric and
-- attributes in wire order that SQL cannot repeat. rand() says so: with it the server never
-- believes that it could leave a shard out. Whoever inserts here rather than by the writer
-- scatters series, which costs compression and nothing else.

CREATE TABLE IF NOT EXISTS {table:otel_metrics_gauge}
AS {local:otel_metrics_gauge}
ENGINE = Distributed({cluster}, {database}, otel_metrics_gauge_local, rand());

CREATE TABLE IF NOT EXISTS {table:otel_metrics_sum}
AS {local:otel_metrics_sum}
ENGINE = Distributed({cluster}, {database}, otel_metrics_sum_local, rand());

CREATE TABLE IF NOT EXISTS {table:otel_metrics_histogram}
AS {local:otel_metrics_histogram}
ENGINE = Distributed({cluster}, {database}, otel_metrics_histogram_local, rand());

CREATE TABLE IF NOT EXISTS {table:otel_metrics_exponential_histogram}
AS {local:otel_metrics_exponential_histogram}
ENGINE = Distributed({cluster}, {database}, otel_metrics_exponential_histogram_local, rand());

CREATE TABLE IF NOT EXISTS {table:otel_metrics_summary}
AS {local:otel_metrics_summary}
ENGINE = Distributed({cluster}, {database}, otel_metrics_summary_local, rand());
