-- Every call of a session is a call of a day: the sessions of the last days can't cost more.
SELECT sessions, days
FROM
(
    SELECT
        (SELECT sum(cost) FROM {{ ref('genai_sessions') }}) AS sessions,
        (SELECT sum(cost) FROM {{ ref('genai_daily') }}) AS days
)
WHERE sessions > days
