{{ config(order_by='(day, service, model)', unique_key='day') }}

-- Days by tenant, service, model and tier, from the rollup: it outlives the spans.
SELECT
    toDate(Minute) AS day,
    Tenant AS tenant,
    ServiceName AS service,
    Environment AS environment,
    Provider AS provider,
    Model AS model,
    Tier AS tier,
    Currency AS currency,
    sum(Calls) AS calls,
    sum(InputTokens) AS input_tokens,
    sum(CachedTokens) AS cached_tokens,
    sum(OutputTokens) AS output_tokens,
    sum(Cost) AS cost,
    sum(UnpricedCalls) AS unpriced_calls
FROM {{ source('telemetry', 'genai_costs_1m') }}
{% if is_incremental() %}
WHERE Minute >= toDateTime(today() - {{ var('lookback_days') }})
{% endif %}
GROUP BY day, tenant, service, environment, provider, model, tier, currency
