{{ config(order_by='(day, session_id)', unique_key=['tenant', 'session_id']) }}

-- Sessions that were active in the last days, counted whole as far as their spans are kept. A session
-- whose spans are gone keeps the row it had. Agents and tools count, too; money is for calls of models. Two
-- tenants may use one id.
{% set active %}
SessionId != ''
{% if is_incremental() %}
  AND (Tenant, SessionId) IN (
    SELECT Tenant, SessionId
    FROM {{ source('telemetry', 'genai_spans') }}
    WHERE Time >= now() - INTERVAL {{ var('lookback_days') }} DAY
  )
{% endif %}
{% endset %}
SELECT *
FROM
(
    SELECT
        Tenant AS tenant,
        SessionId AS session_id,
        toDate(min(Time)) AS day,
        any(ServiceName) AS service,
        any(Environment) AS environment,
        anyIf(Tier, Tier != '') AS tier,
        min(Time) AS began_at,
        maxIf(Time, Kind = 'model') AS last_call_at,
        (max(toUnixTimestamp64Nano(Timestamp) + Duration) - min(toUnixTimestamp64Nano(Timestamp))) / 1e9
            AS seconds,
        uniqExact(TraceId) AS turns,
        countIf(Kind = 'model') AS calls,
        sum(Failed) AS errors,
        sumIf(InputTokens, Kind = 'model') AS input_tokens,
        sumIf(OutputTokens, Kind = 'model') AS output_tokens,
        maxIf(LatencyMs, Kind = 'model') AS slowest_ms
    FROM {{ source('telemetry', 'genai_spans') }}
    WHERE {{ active }}
    GROUP BY Tenant, SessionId
) AS spans
LEFT JOIN
(
    SELECT
        Tenant AS tenant,
        SessionId AS session_id,
        any(Currency) AS currency,
        sum(Cost) AS cost,
        sum(UnpricedCalls) AS unpriced_calls
    FROM {{ source('telemetry', 'genai_span_costs') }}
    WHERE {{ active }}
    GROUP BY Tenant, SessionId
) AS costs
USING (tenant, session_id)
