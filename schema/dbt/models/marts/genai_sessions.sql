{{ config(order_by='(day, session_id)', unique_key=['tenant', 'session_id']) }}

-- Sessions that were active in the last days, counted whole as far as their spans are kept. A session
-- whose spans are gone keeps the row it had. Two tenants may use one id.
SELECT
    Tenant AS tenant,
    SessionId AS session_id,
    toDate(min(Time)) AS day,
    any(ServiceName) AS service,
    any(Environment) AS environment,
    any(Tier) AS tier,
    min(Time) AS began_at,
    max(Time) AS last_call_at,
    count() AS turns,
    uniqExact(TraceId) AS traces,
    sum(Failed) AS errors,
    sum(InputTokens) AS input_tokens,
    sum(OutputTokens) AS output_tokens,
    max(LatencyMs) AS slowest_ms,
    any(Currency) AS currency,
    sum(Cost) AS cost,
    sum(UnpricedCalls) AS unpriced_calls
FROM {{ source('telemetry', 'genai_span_costs') }}
WHERE SessionId != ''
{% if is_incremental() %}
  AND (Tenant, SessionId) IN (
    SELECT Tenant, SessionId
    FROM {{ source('telemetry', 'genai_span_costs') }}
    WHERE Time >= now() - INTERVAL {{ var('lookback_days') }} DAY
  )
{% endif %}
GROUP BY Tenant, SessionId
