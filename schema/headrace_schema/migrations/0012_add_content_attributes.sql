-- Prompts and completions apart from the record's other attributes, with a retention of their own;
-- see docs/genai.md and docs/decisions/0028. What is copied has its tenant, as the rest has since 0011.

-- LOCAL

{change_local:otel_traces};

{change_local:otel_logs};

-- LOCAL modern

{change_local:genai_content};

ALTER TABLE {table:genai_content_of_spans_mv} MODIFY QUERY
{content:span local otel_traces};

ALTER TABLE {table:genai_content_of_logs_mv} MODIFY QUERY
{content:log local otel_logs};

-- DISTRIBUTED

{change_distributed:otel_traces};

{change_distributed:otel_logs};

-- DISTRIBUTED modern

{change_distributed:genai_content};

-- VIEW modern

CREATE OR REPLACE VIEW {table:genai_spans} AS
{spans:table otel_traces};

-- VIEW legacy

{drop_view:genai_spans};

CREATE VIEW IF NOT EXISTS {table:genai_spans} AS
{spans:table otel_traces};

{drop_view:genai_content};

CREATE VIEW IF NOT EXISTS {table:genai_content} AS
{content:span table otel_traces}
UNION ALL
{content:log table otel_logs};
