"""Tables and views for LLM operations beside `genai_spans`: the rollup by minute, prices and what
they make calls cost, prompts and completions.

The SELECTs of views are made here, because the rollup's has three users: its view, the command that
rebuilds it, and the legacy dialect, where it is no table.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from headrace_schema.genai import (
    CONTENT_COLUMN,
    CONTENT_SINCE,
    EVENT,
    FIELDS_BY_NAME,
    INPUT,
    INSTRUCTIONS,
    MAPS,
    OUTPUT,
    SPAN_FIELDS,
    TENANTS,
    as_of,
    expression,
    is_llm_span,
)
from headrace_schema.model import DELTA, LABEL, STRING, TIME, Column, Dialect, Table

_TOKENS = ("InputTokens", "CachedTokens", "CacheWriteTokens", "OutputTokens", "ReasoningTokens")
USAGE_KEYS = (
    "Environment",
    "ServiceName",
    "Kind",
    "Operation",
    "Provider",
    "Model",
    "BilledModel",
    "Route",
    "Tier",
)
_QUANTILES = "0.5, 0.95, 0.99"
_SUM = "SimpleAggregateFunction(sum, UInt64)"

USAGE = Table(
    name="genai_usage_1m",
    columns=(
        Column("Minute", "DateTime", DELTA),
        *(Column(name, LABEL) for name in USAGE_KEYS),
        Column("Calls", _SUM),
        Column("Errors", _SUM),
        *(Column(name, _SUM) for name in _TOKENS),
        Column("Latency", f"AggregateFunction(quantilesTDigest({_QUANTILES}), Float64)"),
        Column(
            "FirstChunk", f"AggregateFunction(quantilesTDigestIf({_QUANTILES}), Float64, UInt8)"
        ),
        FIELDS_BY_NAME["Tenant"].column,
    ),
    time="Minute",
    order_by=(
        "ServiceName",
        "Model",
        "Minute",
        *(k for k in USAGE_KEYS if k not in ("ServiceName", "Model")),
    ),
    keyed=((TENANTS, "Tenant"),),
    kept_as="rollups",
    engine="AggregatingMergeTree",
    dialects=("modern",),
)


def usage_select(source: str, dialect: Dialect, where: str = "1", *, at: int) -> str:
    """Rows of `genai_usage_1m` from a table like otel_traces. The view that fills it, the command
    that rebuilds it and the legacy dialect's view of that name are all made of this.

    `where` is one more condition on columns of the source; `at` is the migration as of which.
    """

    def of(name: str) -> str:
        return expression(FIELDS_BY_NAME[name].expression, dialect)

    keys = ",\n".join(f"    {of(name)} AS {name}" for name in USAGE_KEYS)
    # Last, where ALTER has put it in the table.
    later = _tenant(dialect, at)
    ending = "".join(f",\n    {of(name)} AS {name}" for name in later)
    tokens = ",\n".join(
        f"    sumIf({of(name)}, {of('Kind')} = 'model') AS {name}" for name in _TOKENS
    )
    return (
        # The cast takes off the time zone that 18.16 names in the type.
        f"SELECT\n    CAST(toStartOfMinute({of('Time')}) AS DateTime) AS Minute,\n{keys},\n"
        f"    count() AS Calls,\n    sum({of('Failed')}) AS Errors,\n{tokens},\n"
        f"    quantilesTDigestState({_QUANTILES})({of('LatencyMs')}) AS Latency,\n"
        f"    quantilesTDigestIfState({_QUANTILES})({of('FirstChunkMs')}, "
        f"{of('FirstChunkMs')} > 0) AS FirstChunk{ending}\n"
        f"FROM {source}\nWHERE {is_llm_span(dialect)} AND {where}\n"
        f"GROUP BY Minute, {', '.join((*USAGE_KEYS, *later))}"
    )


def _tenant(dialect: Dialect, migration: int) -> tuple[str, ...]:
    return ("Tenant",) if FIELDS_BY_NAME["Tenant"].is_in(dialect, migration) else ()


PRICE = "Decimal(18, 6)"
"""Of a million tokens."""
PRICE_KINDS = ("InputPrice", "CachedPrice", "CacheWritePrice", "OutputPrice", "ReasoningPrice")

PRICES = Table(
    name="genai_prices",
    columns=(
        Column("Provider", LABEL),
        Column("Model", STRING),
        Column("ValidFrom", "DateTime"),
        Column("Version", "UInt32"),
        Column("Currency", LABEL),
        *(Column(kind, PRICE) for kind in PRICE_KINDS),
        Column("Source", STRING),
        Column("SetAt", "DateTime"),
    ),
    time="",
    order_by=("Model", "Provider", "ValidFrom", "Version"),
    everywhere=True,
)

CONTENT = Table(
    name="genai_content",
    columns=(
        Column("Timestamp", TIME, DELTA),
        Column("TraceId", STRING),
        Column("SpanId", STRING),
        Column("ServiceName", LABEL),
        Column("EventName", LABEL),
        Column("SystemInstructions", STRING),
        Column("Input", STRING),
        Column("Output", STRING),
        Column("IngestId", "UInt64"),
        Column("Tenant", LABEL, since=CONTENT_SINCE, modern=True),
    ),
    time="Timestamp",
    kept_as="content",
    order_by=("TraceId", "SpanId", "toDateTime({Timestamp})"),
    dialects=("modern",),
)


def content_select(signal: str, source: str, dialect: Dialect, migration: int) -> str:
    """Rows of `genai_content` from a table like otel_traces (`span`) or otel_logs (`log`), as the
    migration of this number has them.

    Since v1.37 the texts are attributes, of spans or of one event per call; before, each message
    was an event with a body.
    """
    listed = ", ".join(repr(name) for name in (*INSTRUCTIONS, *INPUT, *OUTPUT))
    maps = (MAPS[signal], CONTENT_COLUMN) if migration >= CONTENT_SINCE else (MAPS[signal],)
    keys = [f"{column}.Key" if dialect == "legacy" else f"mapKeys({column})" for column in maps]
    has_text = " OR ".join(f"hasAny({column}, [{listed}])" for column in keys)
    instructions, asked, answered = (
        as_of(migration, f"content of {signal}[{'|'.join(names)}]")
        for names in (INSTRUCTIONS, INPUT, OUTPUT)
    )
    event, where = "''", has_text
    if signal == "log":
        event = EVENT
        of_old = f"startsWith({EVENT}, 'gen_ai.')"
        asks = f"{of_old} AND endsWith({EVENT}, '.message')"
        answers = f"{EVENT} IN ('gen_ai.choice', 'gen_ai.assistant.message')"
        body = "if(Body != '', Body, content[body])" if migration >= CONTENT_SINCE else "Body"
        asked = f"if({asked} = '' AND {asks} AND NOT {answers}, {body}, {asked})"
        answered = f"if({answered} = '' AND {answers}, {body}, {answered})"
        where = f"{has_text} OR {asks} OR {answers}"
    lines = (
        "Timestamp", "TraceId", "SpanId", "ServiceName",
        f"{event} AS EventName", f"{instructions} AS SystemInstructions",
        f"{asked} AS Input", f"{answered} AS Output", "IngestId",
        *(["Tenant"] if migration >= CONTENT_SINCE and dialect == "modern" else []),
    )  # fmt: skip
    listed = ",\n".join(f"    {expression(line, dialect)}" for line in lines)
    return f"SELECT\n{listed}\nFROM {source}\nWHERE {expression(where, dialect)}"


COSTED: Mapping[str, tuple[str, ...]] = {
    "genai_usage_1m": ("Minute", *USAGE_KEYS, "Calls", *_TOKENS),
    "genai_spans": (
        *("Timestamp", "Time", "TraceId", "SpanId", "ParentSpanId", "SpanName"),
        *USAGE_KEYS,
        *("User", "ConversationId", "SessionId", "AgentName", "PromptName", "PromptVersion"),
        *("ResponseId", "LatencyMs", "FirstChunkMs", "Failed"),
        *_TOKENS,
    ),
}
"""What stands beside the cost, by the table or view whose rows get one; then comes the tenant."""


def costed(view: str, dialect: Dialect, migration: int) -> tuple[str, ...]:
    """The columns of COSTED as of a migration."""
    return (*COSTED[view], *_tenant(dialect, migration))


_COST = (
    Column("Currency", STRING),
    Column("PriceVersion", "UInt32"),
    Column("Cost", "Nullable(Decimal(38, 12))"),
    Column("UnpricedCalls", "UInt64"),
)
_SPANS = {field.name: field.column for field in SPAN_FIELDS}
_KEYS = tuple(
    _SPANS[name] if name == "ServiceName" else Column(name, LABEL, legacy=STRING)
    for name in USAGE_KEYS
)
_OFFER = (
    "Tuple(Tuple(UInt8, Int64, UInt8, Int64, Int64), DateTime, UInt32, String, "
    f"{', '.join([PRICE] * len(PRICE_KINDS))})"
)
VIEWS: Mapping[str, tuple[Column, ...]] = {
    "genai_spans": tuple(_SPANS.values()),
    "genai_evaluations": (
        Column("Timestamp", TIME),
        Column("Time", "DateTime"),
        *(Column(name, STRING) for name in ("TraceId", "SpanId")),
        Column("ServiceName", LABEL),
        *(Column(name, STRING) for name in ("Environment", "ResponseId", "Name")),
        Column("Score", "Nullable(Float64)"),
        *(Column(name, STRING) for name in ("Label", "Explanation")),
        Column("IngestId", "UInt64"),
        _SPANS["Tenant"],
    ),
    "genai_model_prices": (
        Column("Provider", LABEL, legacy=STRING),
        Column("BilledModel", LABEL, legacy=STRING),
        Column("Offers", f"Array({_OFFER})"),
    ),
    "genai_costs_1m": (
        Column("Minute", "DateTime"),
        *_KEYS,
        *(Column(name, "UInt64") for name in ("Calls", *_TOKENS)),
        _SPANS["Tenant"],
        *_COST,
    ),
    "genai_span_costs": (
        *(_SPANS[name] for name in (*COSTED["genai_spans"], "Tenant")),
        *_COST,
    ),
}
"""What the views show, in both dialects."""
LEGACY_VIEWS: Mapping[str, tuple[Column, ...]] = {
    USAGE.name: (
        Column("Minute", "DateTime"),
        *_KEYS,
        *(column for column in USAGE.columns if column.name not in ("Minute", *USAGE_KEYS)),
    ),
    CONTENT.name: tuple(
        replace(column, legacy=STRING) if column.name == "EventName" else column
        for column in CONTENT.columns
    ),
}
"""Views of the legacy dialect that are tables in the modern one."""


def costs_select(source: str, view: str, names: Sequence[str], offers: str) -> str:
    """The calls of models in `source`, which is the `view` of COSTED, with their cost.

    `names` are the columns beside it, `offers` is genai_model_prices. Cached, written and reasoning
    tokens are parts of the input and the output, so they are taken off before the rest is priced.
    Without an offer the cost is NULL, so that it can't pass for nothing, and the calls are counted
    in UnpricedCalls.
    """
    columns = ", ".join(names)
    time, calls, read = "Time", "1", columns
    if view == "genai_usage_1m":
        time, calls = "Minute", "Calls"
        # Plain numbers, not the rollup's SimpleAggregateFunction.
        read = ", ".join(
            f"toUInt64({name}) AS {name}" if name in ("Calls", *_TOKENS) else name for name in names
        )
    rest_in = "InputTokens - least(InputTokens, CachedTokens + CacheWriteTokens)"
    rest_out = "OutputTokens - least(OutputTokens, ReasoningTokens)"
    priced = (
        (rest_in, 5),
        ("CachedTokens", 6),
        ("CacheWriteTokens", 7),
        (rest_out, 8),
        ("ReasoningTokens", 9),
    )
    # Token × price per million × a millionth: twelve digits behind the point, none rounded away.
    sums = "\n        + ".join(
        f"toDecimal128({tokens}, 0) * Offers[At].{place}" for tokens, place in priced
    )
    return (
        f"SELECT {columns},\n"  # noqa: S608
        "    toString(Offers[At].4) AS Currency,\n    Offers[At].3 AS PriceVersion,\n"
        f"    if(At = 0, NULL, ({sums}) * toDecimal128('0.000001', 6)) AS Cost,\n"
        f"    toUInt64(if(At = 0, {calls}, 0)) AS UnpricedCalls\n"
        # Three steps, and the time as an array: 18.16 forgets columns that only a lambda reads.
        f"FROM\n(\n    SELECT {columns}, Offers,\n"
        "        arrayFirstIndex((offer, at) -> offer.2 <= at, Offers, "
        f"arrayResize([{time}], length(Offers), {time})) AS At\n"
        f"    FROM\n    (\n        SELECT {columns}, Offers\n"
        f"        FROM (SELECT {read} FROM {source} WHERE Kind = 'model') AS calls\n"
        "        GLOBAL ANY LEFT JOIN\n"
        f"        (SELECT Provider, BilledModel, Offers FROM {offers}) AS offers\n"
        "        USING (Provider, BilledModel)\n    ) AS joined\n) AS chosen"
    )
