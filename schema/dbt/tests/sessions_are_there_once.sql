-- A session has one row in each tenant.
SELECT tenant, session_id, count() AS times
FROM {{ ref('genai_sessions') }}
GROUP BY tenant, session_id
HAVING times > 1
