-- LLM operations in views: computed when somebody asks, at no cost per insert, and exactly once
-- because the spans are. docs/genai.md describes them.

-- VIEW

CREATE VIEW IF NOT EXISTS {table:genai_spans} AS
{spans:table otel_traces};

CREATE VIEW IF NOT EXISTS {table:genai_evaluations} AS
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
    IngestId
FROM {table:otel_logs}
WHERE {event} = 'gen_ai.evaluation.result';

-- VIEW legacy

CREATE VIEW IF NOT EXISTS {table:genai_usage_1m} AS
{usage:table otel_traces};

CREATE VIEW IF NOT EXISTS {table:genai_content} AS
{content:span table otel_traces}
UNION ALL
{content:log table otel_logs};

-- VIEW

-- For each provider and model that was called: the offers that fit its name, the best first. An
-- exact name is better than a prefix (`gpt-5*`), a longer prefix better than a shorter one, a
-- named provider better than none; then the latest date, and its last version.
CREATE VIEW IF NOT EXISTS {table:genai_model_prices} AS
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
        FROM {called}
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
        FROM {table:genai_prices}
    ) AS prices
    WHERE (PriceOf = '' OR PriceOf = Provider)
      AND (
        Pattern = BilledModel
        OR (endsWith(Pattern, '*')
            AND startsWith(BilledModel, substring(Pattern, 1, length(Pattern) - 1))))
) AS fitting
GROUP BY Provider, BilledModel;

CREATE VIEW IF NOT EXISTS {table:genai_costs_1m} AS
{costs:table genai_usage_1m};

CREATE VIEW IF NOT EXISTS {table:genai_span_costs} AS
{costs:table genai_spans};
