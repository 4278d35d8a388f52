-- LLM operations: the rollup by minute, prices, and prompts and completions in a place of their
-- own. On servers of the legacy dialect nothing is computed per insert: there views take their
-- place (0007).

-- LOCAL modern

CREATE TABLE IF NOT EXISTS {local:genai_usage_1m}
{columns:genai_usage_1m}
ENGINE = {engine:genai_usage_1m}
PARTITION BY {day:genai_usage_1m}
ORDER BY {order:genai_usage_1m}
SETTINGS {settings};

-- A repeated insert is dropped here too: the writer asks for
-- deduplicate_blocks_in_dependent_materialized_views. `headrace rollup rebuild` mends the rest.
CREATE MATERIALIZED VIEW IF NOT EXISTS {table:genai_usage_1m_mv}
TO {local:genai_usage_1m}
AS {usage:local otel_traces};

CREATE TABLE IF NOT EXISTS {local:genai_content}
{columns:genai_content}
ENGINE = {engine:genai_content}
PARTITION BY {day:genai_content}
ORDER BY {order:genai_content}
SETTINGS {settings};

CREATE MATERIALIZED VIEW IF NOT EXISTS {table:genai_content_of_spans_mv}
TO {local:genai_content}
AS {content:span local otel_traces};

CREATE MATERIALIZED VIEW IF NOT EXISTS {table:genai_content_of_logs_mv}
TO {local:genai_content}
AS {content:log local otel_logs};

-- LOCAL

CREATE TABLE IF NOT EXISTS {table:genai_prices}
{columns:genai_prices}
ENGINE = {engine:genai_prices}
PARTITION BY {day:genai_prices}
ORDER BY {order:genai_prices}
SETTINGS {settings};

-- DISTRIBUTED modern

CREATE TABLE IF NOT EXISTS {table:genai_usage_1m}
AS {local:genai_usage_1m}
ENGINE = Distributed({cluster}, {database}, genai_usage_1m_local, rand());

CREATE TABLE IF NOT EXISTS {table:genai_content}
AS {local:genai_content}
ENGINE = Distributed({cluster}, {database}, genai_content_local, cityHash64(TraceId));
