"""The dashboard of an LLM platform team: how fast, how well, how dear, and which trace to open.

It asks the views of docs/genai.md, which have the same names on every server.
"""

# ruff: noqa: S608 (all of it is ours)

from headrace_dashboards.sql_panels import Column, SqlDashboard, SqlPanel, Variable

UID = "headrace-llm"
# 18.16 hands conditions into views only when told to; newer servers do anyway.
INTO_VIEWS = "SETTINGS enable_optimize_predicate_expression = 1"
CHOSEN = (
    "('$environment' = '' OR Environment = '$environment') AND ('$model' = '' OR Model = '$model')"
)
CALLS = f"Kind = 'model' AND $__timeFilter(Minute) AND {CHOSEN}"
COSTS = f"$__timeFilter(Minute) AND {CHOSEN}"
SPANS = f"$__timeFilter(Time) AND {CHOSEN}"
# Agents and tools have no model that could be chosen.
IN_TIME = "$__timeFilter(Time) AND ('$environment' = '' OR Environment = '$environment')"
THE_TRACE = "TraceId = '$trace' AND $__timeFilter(Time)"
PER_MINUTE = "($__interval_s / 60)"
THIS_TRACE = f"/d/{UID}?var-trace=${{__value.raw}}&${{__url_time_range}}"
# In a column of 18.16 a log's time is nanoseconds; the box above the dashboard says which it is.
LOGS_TIME = "${logs_time}"


def _bucket(column: str) -> str:
    return f"toDateTime(intDiv(toUInt32({column}), $__interval_s) * $__interval_s) AS time"


def _over_time(by: str, value: str, source: str, where: str, column: str = "Minute") -> str:
    """A time series per value of `by`, or a single one."""
    named, grouped = (f"{by}, ", f", {by}") if by else ("", "")
    return (
        f"SELECT {_bucket(column)}, {named}{value}\nFROM {source}\nWHERE {where}\n"
        f"GROUP BY time{grouped}\nORDER BY time{grouped}\n{INTO_VIEWS}"
    )


def _latency(place: int, name: str) -> str:
    return f"quantilesTDigestMerge(0.5, 0.95, 0.99)(Latency)[{place}] AS {name}"


def _single(value: str, source: str, where: str) -> str:
    return f"SELECT {value}\nFROM {source}\nWHERE {where}\n{INTO_VIEWS}"


NOW = (
    SqlPanel(
        "Calls per minute", "Calls of models in the chosen time, over its minutes.", "none",
        _single("sum(Calls) / greatest(1, ($__toTime - $__fromTime) / 60) AS calls",
                "genai_usage_1m", CALLS),
        "stat", 4, 4,
    ),
    SqlPanel(
        "Success", "Share of the calls without an error.", "percentunit",
        _single("1 - sum(Errors) / sum(Calls) AS success", "genai_usage_1m", CALLS),
        "stat", 4, 4, warn=0.99, bad=0.95, low=True, top=1,
    ),
    SqlPanel(
        "Latency p95", "Over all models, from request to the end of the answer.", "ms",
        _single(_latency(2, "p95"), "genai_usage_1m", CALLS),
        "stat", 4, 4, warn=5_000, bad=15_000,
    ),
    SqlPanel(
        "Cost", "Of the chosen time, by the offers in genai_prices that are in US dollars.",
        "currencyUSD",
        _single("toFloat64(sum(Cost)) AS cost", "genai_costs_1m", f"{COSTS} AND Currency = 'USD'"),
        "stat", 4, 4,
    ),
    SqlPanel(
        "Calls without a price", "Missing in every cost here: headrace prices unknown.", "none",
        _single("sum(UnpricedCalls) AS calls", "genai_costs_1m", COSTS),
        "stat", 4, 4, bad=1,
    ),
    SqlPanel(
        "Sessions", "Sessions, or conversations where no session is named, with any span.", "none",
        _single("uniqExact(SessionId) AS sessions", "genai_spans", f"SessionId != '' AND {SPANS}"),
        "stat", 4, 4,
    ),
)  # fmt: skip

LATENCY = (
    SqlPanel(
        "Latency p95 by model",
        "One model above its usual line: its provider. All of them: the network, or long prompts.",
        "ms", _over_time("Model", _latency(2, "p95"), "genai_usage_1m", CALLS),
        width=8, warn=5_000, bad=15_000,
    ),
    SqlPanel(
        "Latency p50 by model", "What a usual call takes.", "ms",
        _over_time("Model", _latency(1, "p50"), "genai_usage_1m", CALLS), width=8,
    ),
    SqlPanel(
        "First chunk p95 by model", "How long users look at nothing; streamed answers only.", "ms",
        _over_time(
            "Model", "quantilesTDigestIfMerge(0.5, 0.95, 0.99)(FirstChunk)[2] AS p95",
            "genai_usage_1m", CALLS,
        ).replace("\nORDER BY", "\nHAVING isFinite(p95)\nORDER BY"),
        width=8, warn=1_000, bad=3_000,
    ),
)  # fmt: skip

SUCCESS = (
    SqlPanel(
        "Success by route", "Share of the calls without an error. The line is the objective.",
        "percentunit",
        _over_time("Route", "1 - sum(Errors) / sum(Calls) AS success", "genai_usage_1m", CALLS),
        warn=0.99, bad=0.95, low=True, top=1,
    ),
    SqlPanel(
        "Errors by type", "Failed calls of models in the chosen time.", "none",
        "SELECT ErrorType AS error, Model AS model, count() AS errors, max(Time) AS last_seen\n"
        f"FROM genai_spans\nWHERE Kind = 'model' AND Failed AND {SPANS}\n"
        "GROUP BY error, model\nORDER BY errors DESC, error\nLIMIT 20\n" + INTO_VIEWS,
        "table",
    ),
)  # fmt: skip

MONEY = (
    SqlPanel(
        "Tokens per minute by tier", "Input (cached ones included) and output.", "none",
        _over_time("Tier", f"sum(InputTokens + OutputTokens) / {PER_MINUTE} AS tokens",
                   "genai_usage_1m", CALLS),
        width=8, stacked=True,
    ),
    SqlPanel(
        "Cost per minute by tier", "US dollars, without the calls that have no price.",
        "currencyUSD",
        _over_time("Tier", f"toFloat64(sum(Cost)) / {PER_MINUTE} AS cost", "genai_costs_1m",
                   f"{COSTS} AND Currency = 'USD'"),
        width=8, stacked=True,
    ),
    SqlPanel(
        "Cost by model", "Of the chosen time. Calls without a price are missing in the cost.",
        "none",
        "SELECT Model AS model, Tier AS tier, sum(Calls) AS calls,\n"
        "    sum(InputTokens) AS input_tokens, sum(OutputTokens) AS output_tokens,\n"
        "    toFloat64(sum(Cost)) AS cost, sum(UnpricedCalls) AS unpriced\n"
        f"FROM genai_costs_1m\nWHERE {COSTS}\nGROUP BY model, tier\n"
        "ORDER BY calls DESC, model, tier\nLIMIT 50\n" + INTO_VIEWS,
        "table", 8, columns=(Column("cost", "currencyUSD"), Column("input_tokens", "short"),
                             Column("output_tokens", "short")),
    ),
)  # fmt: skip

SESSIONS = (
    SqlPanel(
        "Sessions at work", "Sessions with a span that began in the interval.", "none",
        _over_time("", "uniqExact(SessionId) AS sessions", "genai_spans",
                   f"SessionId != '' AND {SPANS}", "Time"),
        width=8,
    ),
    SqlPanel(
        "Dearest sessions",
        "A turn is a trace; errors are those of tools and agents, too. Calls without a price cost "
        "nothing here.",
        "none",
        "SELECT session, tier, turns, calls, tokens, errors, seconds, cost\nFROM\n(\n"
        "    SELECT SessionId AS session, anyIf(Tier, Tier != '') AS tier,\n"
        "        uniqExact(TraceId) AS turns, countIf(Kind = 'model') AS calls,\n"
        "        sumIf(InputTokens + OutputTokens, Kind = 'model') AS tokens,\n"
        "        sum(Failed) AS errors, max(toUnixTimestamp(Time) + Duration / 1000000000)\n"
        "            - min(toUnixTimestamp(Time)) AS seconds\n"
        f"    FROM genai_spans\n    WHERE SessionId != '' AND {IN_TIME}\n    GROUP BY session\n"
        ") AS spans\nGLOBAL ANY INNER JOIN\n(\n"
        "    SELECT SessionId AS session, toFloat64(sum(Cost)) AS cost\n"
        f"    FROM genai_span_costs\n    WHERE SessionId != '' AND {SPANS}\n    GROUP BY session\n"
        ") AS costs\nUSING session\nORDER BY cost DESC, session\nLIMIT 20\n" + INTO_VIEWS,
        "table", 16, columns=(Column("cost", "currencyUSD"), Column("tokens", "short"),
                              Column("seconds", "s")),
    ),
)  # fmt: skip

TRACES = (
    SqlPanel(
        "Slowest traces", "By their longest span; a click on one shows its spans below.", "none",
        "SELECT TraceId AS trace, min(Time) AS began, any(ServiceName) AS service,\n"
        "    any(SessionId) AS session, max(Duration) / 1000000 AS ms, count() AS spans,\n"
        "    sum(Failed) AS errors\n"
        f"FROM genai_spans\nWHERE {SPANS}\nGROUP BY trace\nORDER BY ms DESC, trace\n"
        "LIMIT 20\n" + INTO_VIEWS,
        "table", columns=(Column("trace", "", THIS_TRACE, "Spans of this trace"),
                          Column("ms", "ms")),
    ),
    SqlPanel(
        "The chosen trace",
        "Its spans in order: agent, tools, models. Empty until a trace is chosen, or its id is "
        "written in the box above.",
        "none",
        "SELECT Time AS began, SpanName AS span, Kind AS kind,\n"
        "    multiIf(Kind = 'tool', ToolName, Kind = 'agent', AgentName, Model) AS name,\n"
        "    Duration / 1000000 AS ms, InputTokens + OutputTokens AS tokens,\n"
        "    ErrorType AS error, PromptPreview AS prompt, CompletionPreview AS answer\n"
        f"FROM genai_spans\nWHERE {THE_TRACE}\n"
        "ORDER BY Timestamp, SpanId\nLIMIT 500\n" + INTO_VIEWS,
        "table", columns=(Column("ms", "ms"), Column("tokens", "short")),
    ),
    SqlPanel(
        "What made the chosen trace slow or dear",
        "By agent, tool, model and prompt version. Own time is a span's duration without that of "
        "its children.",
        "none",
        "SELECT Kind AS kind, multiIf(Kind = 'tool', ToolName, Kind = 'agent', AgentName, Model)\n"
        "        AS name,\n"
        "    Provider AS provider, PromptVersion AS prompt, count() AS spans,\n"
        "    sum(if(below < Duration, Duration - below, 0)) / 1000000 AS own_ms,\n"
        "    sum(Duration) / 1000000 AS ms, sum(Failed) AS errors, toFloat64(sum(spent)) AS cost\n"
        "FROM\n(\n"
        "    SELECT SpanId, Kind, ToolName, AgentName, Provider, Model, PromptVersion, Duration,\n"
        "        Failed, below\n    FROM\n    (\n"
        "        SELECT SpanId, Kind, ToolName, AgentName, Provider, Model, PromptVersion,\n"
        f"            Duration, Failed\n        FROM genai_spans\n        WHERE {THE_TRACE}\n"
        "    ) AS spans\n    GLOBAL ANY LEFT JOIN\n    (\n"
        "        SELECT ParentSpanId AS SpanId, sum(Duration) AS below\n"
        f"        FROM genai_spans\n        WHERE {THE_TRACE}\n        GROUP BY ParentSpanId\n"
        "    ) AS children\n    USING SpanId\n"
        ") AS spans\nGLOBAL ANY LEFT JOIN\n(\n"
        f"    SELECT SpanId, Cost AS spent FROM genai_span_costs WHERE {THE_TRACE}\n"
        ") AS costs\nUSING SpanId\nGROUP BY kind, name, provider, prompt\n"
        "ORDER BY own_ms DESC, name\nLIMIT 100\n" + INTO_VIEWS,
        "table", 24, columns=(Column("own_ms", "ms"), Column("ms", "ms"),
                              Column("cost", "currencyUSD")),
    ),
)  # fmt: skip

LOGS = (
    SqlPanel(
        "Error logs",
        "The last 100 of severity ERROR and above, of any service, with the call that wrote them.",
        "none",
        "SELECT time, ServiceName AS service, Body AS message, TraceId AS trace, Model AS model,\n"
        "    Route AS route, Tier AS tier, ErrorType AS error\n"
        "FROM\n(\n"
        f"    SELECT {LOGS_TIME} AS time, ServiceName, Body, TraceId, SpanId\n"
        "    FROM otel_logs\n"
        f"    WHERE SeverityNumber >= 17\n"
        f"      AND {LOGS_TIME} >= $__fromTime AND {LOGS_TIME} <= $__toTime\n"
        "    ORDER BY Timestamp DESC\n    LIMIT 100\n) AS logs\n"
        "GLOBAL ANY LEFT JOIN\n(\n"
        "    SELECT TraceId, SpanId, Model, Route, Tier, ErrorType\n"
        "    FROM genai_spans\n    WHERE Failed AND $__timeFilter(Time)\n) AS calls\n"
        "USING (TraceId, SpanId)\nORDER BY time DESC\n" + INTO_VIEWS,
        "table", 24, columns=(Column("trace", "", THIS_TRACE, "Spans of this trace"),),
    ),
)  # fmt: skip

LLM_DASHBOARD = SqlDashboard(
    UID,
    "headrace: LLM operations",
    "How fast models answer, how often they fail, what they cost, and which trace to open.",
    (
        ("Now", NOW),
        ("Latency", LATENCY),
        ("Success", SUCCESS),
        ("Tokens and money", MONEY),
        ("Sessions", SESSIONS),
        ("Traces", TRACES),
        ("Errors", LOGS),
    ),
    (
        Variable(
            "environment", "Environment",
            "SELECT DISTINCT Environment FROM genai_usage_1m WHERE $__timeFilter(Minute) "
            f"ORDER BY Environment {INTO_VIEWS}",
        ),
        Variable(
            "model", "Model",
            "SELECT DISTINCT Model FROM genai_usage_1m WHERE Kind = 'model' AND "
            f"$__timeFilter(Minute) ORDER BY Model {INTO_VIEWS}",
        ),
        Variable("trace", "Trace"),
        Variable(
            "logs_time", "Server",
            choices={
                "24.8 and later": "Timestamp",
                "18.16": "toDateTime(intDiv(Timestamp, 1000000000))",
            },
        ),
    ),
)  # fmt: skip
