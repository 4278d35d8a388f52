"""LLM spans: the one place where the names of attributes, old and new, become columns.

The base are the GenAI semantic conventions v1.41.1 of OpenTelemetry, the last that the main
repository had, and what open-telemetry/semantic-conventions-genai changed since. Beside them stand
the names of earlier releases and those of our own agents (`agent.*`, `route`, `customer_tier`).

An expression is SQL with marks that the dialects spell differently:

    span[a|b], resource[a|b], log[a|b]   the first of these attributes that is not empty, else ''
    content[a|b]                         likewise of ContentAttributes
    content of span[a|b], … of log[a|b]  of ContentAttributes, else of the record's own attributes
    time(Timestamp)                      that column as DateTime

An attribute may carry two names at once, in a time of transition: the first listed counts.
"""

import re
from dataclasses import dataclass

from headrace_schema.model import LABEL, STRING, TIME, Column, Dialect

TENANTS = 11
"""The migration that brings the tenant to views and to what views fill; modern dialect only."""

PREVIEW_CHARACTERS = 200
"""Of prompts and completions in `genai_spans`; the whole texts are in `genai_content`."""

MAPS = {"span": "SpanAttributes", "resource": "ResourceAttributes", "log": "LogAttributes"}
CONTENT_COLUMN = "ContentAttributes"
CONTENT_SINCE = 12
"""The migration that brings it. Views of earlier ones read the record's own attributes alone."""
# A span that claims more is lying; uncapped, one such span would wrap a minute's sum.
MOST_TOKENS = 1_000_000_000_000


@dataclass(frozen=True, slots=True)
class Field:
    """One column of a view over telemetry, and what it is made of."""

    name: str
    type: str
    expression: str
    since: int = 1
    """The migration that brings it."""
    modern: bool = False
    """Whether the legacy dialect does without it."""

    @property
    def column(self) -> Column:
        return Column(self.name, self.type, since=self.since, modern=self.modern)

    def is_in(self, dialect: Dialect, migration: int) -> bool:
        """Whether a dialect has it once that migration is applied."""
        return self.since <= migration and not (self.modern and dialect == "legacy")


def expression(text: str, dialect: Dialect) -> str:
    """The SQL of an expression with marks, in one dialect."""

    def attributes(match: re.Match[str]) -> str:
        column = CONTENT_COLUMN if match[1] == "content" else MAPS[match[1]]
        return _first([column], match[2].split("|"), dialect)

    def texts(match: re.Match[str]) -> str:
        return _first([CONTENT_COLUMN, MAPS[match[1]]], match[2].split("|"), dialect)

    filled = re.sub(r"\bcontent of (span|log)\[([^\]]+)\]", texts, text)
    filled = re.sub(r"\b(span|resource|log|content)\[([^\]]+)\]", attributes, filled)
    seconds = r"toDateTime(intDiv(\1, 1000000000))" if dialect == "legacy" else r"toDateTime(\1)"
    return re.sub(r"\btime\((\w+)\)", seconds, filled)


def _first(columns: list[str], names: list[str], dialect: Dialect) -> str:
    shape = "{0}.Value[indexOf({0}.Key, '{1}')]" if dialect == "legacy" else "{0}['{1}']"
    values = [shape.format(column, name) for column in columns for name in names]
    if len(values) == 1:
        return values[0]
    pairs = ", ".join(f"{value} != '', {value}" for value in values[:-1])
    return f"multiIf({pairs}, {values[-1]})"


def _preview(names: tuple[str, ...]) -> str:
    return f"substringUTF8(content of span[{'|'.join(names)}], 1, {PREVIEW_CHARACTERS})"


def _count(*names: str) -> str:
    """A number of tokens: 0 where there is none, or no whole number."""
    return f"least(toUInt64OrZero(span[{'|'.join(names)}]), {MOST_TOKENS})"


_OPERATION = "span[gen_ai.operation.name|llm.request.type|traceloop.span.kind]"
_REQUESTED = "span[gen_ai.request.model|llm.request.model|llm.model_name|model]"
_ANSWERED = "span[gen_ai.response.model|llm.response.model]"
# Where prompts and completions are.
INSTRUCTIONS = ("gen_ai.system_instructions", "gen_ai.system_instruction")
INPUT = (
    "gen_ai.input.messages",
    "gen_ai.prompt",
    "gen_ai.prompt.0.content",
    "llm.prompts.0.content",
    "input.value",
)
OUTPUT = (
    "gen_ai.output.messages",
    "gen_ai.completion",
    "gen_ai.completion.0.content",
    "llm.completions.0.content",
    "output.value",
)
# What the writer keeps apart, in ContentAttributes: these keys, and their numbered parts
# (`gen_ai.prompt.0.content`). Names that `genai_content` shows, and others for what is said.
CONTENT = (
    *INSTRUCTIONS,
    *(name for name in (*INPUT, *OUTPUT) if ".0." not in name),
    "gen_ai.tool.call.arguments",
    "gen_ai.tool.call.result",
    "gen_ai.tool.definitions",
    "gen_ai.retrieval.query.text",
    "gen_ai.retrieval.documents",
    "llm.prompts",
    "llm.completions",
    "llm.input_messages",
    "llm.output_messages",
    "traceloop.entity.input",
    "traceloop.entity.output",
)
_FIRST_CHUNK_S = (
    "span[gen_ai.response.time_to_first_chunk|gen_ai.response.time_to_first_token"
    "|gen_ai.server.time_to_first_token|gen_ai.server.ttft]"
)

# A span is an LLM span when it has one of these. One pass over its keys; nothing else of a span
# that is not one is looked at.
MARKS_OF_LLM_SPANS = (
    "gen_ai.operation.name",
    "gen_ai.request.model",
    "gen_ai.provider.name",
    "gen_ai.system",
    "gen_ai.tool.name",
    "gen_ai.agent.name",
    "llm.request.type",
    "llm.model_name",
    "agent.response_latency_ms",
    "agent.output_tokens",
    "agent.success",
)


def is_llm_span(dialect: Dialect) -> str:
    """The condition."""
    keys = "SpanAttributes.Key" if dialect == "legacy" else "mapKeys(SpanAttributes)"
    listed = ", ".join(f"'{name}'" for name in MARKS_OF_LLM_SPANS)
    return f"hasAny({keys}, [{listed}])"


SPAN_FIELDS = (
    Field("Timestamp", TIME, "Timestamp"),
    Field("Time", "DateTime", "time(Timestamp)"),
    Field("TraceId", STRING, "TraceId"),
    Field("SpanId", STRING, "SpanId"),
    Field("ParentSpanId", STRING, "ParentSpanId"),
    Field("SpanName", LABEL, "SpanName"),
    Field("ServiceName", LABEL, "ServiceName"),
    Field("Environment", STRING, "resource[deployment.environment.name|deployment.environment]"),
    Field("Operation", STRING, _OPERATION),
    # What kind of work: only `model` spans bear tokens that are billed. An agent's span often
    # repeats the sum of its calls, which must not be counted again.
    Field(
        "Kind",
        STRING,
        f"multiIf({_OPERATION} IN ('execute_tool', 'tool'), 'tool', "
        f"{_OPERATION} IN ('invoke_agent', 'create_agent', 'agent'), 'agent', "
        f"{_OPERATION} IN ('invoke_workflow', 'workflow'), 'workflow', "
        f"{_OPERATION} IN ('retrieval', 'task'), 'other', "
        f"{_REQUESTED} != '' OR {_ANSWERED} != '', 'model', "
        "span[gen_ai.tool.name] != '', 'tool', "
        "span[gen_ai.agent.name] != '', 'agent', "
        "span[agent.output_tokens|agent.response_latency_ms] != '', 'model', 'other')",
    ),
    Field("Provider", STRING, "span[gen_ai.provider.name|gen_ai.system|llm.vendor]"),
    # Asked for; what answered, else asked for, is billed.
    Field(
        "Model",
        STRING,
        "span[gen_ai.request.model|llm.request.model|llm.model_name|model"
        "|gen_ai.response.model|llm.response.model]",
    ),
    Field(
        "BilledModel",
        STRING,
        "span[gen_ai.response.model|llm.response.model"
        "|gen_ai.request.model|llm.request.model|llm.model_name|model]",
    ),
    Field("ResponseId", STRING, "span[gen_ai.response.id]"),
    Field(
        "FinishReasons",
        STRING,
        "span[gen_ai.response.finish_reasons|gen_ai.response.finish_reason"
        "|llm.response.finish_reason]",
    ),
    Field("Route", STRING, "span[route|http.route|url.template]"),
    Field("Tier", STRING, "span[customer_tier|customer.tier]"),
    Field("User", STRING, "span[enduser.id|user.id|enduser.pseudo.id]"),
    Field("ConversationId", STRING, "span[gen_ai.conversation.id|gen_ai.thread.id]"),
    Field(
        "SessionId",
        STRING,
        "span[session.id|gen_ai.session.id|gen_ai.conversation.id|gen_ai.thread.id]",
    ),
    Field("AgentName", STRING, "span[gen_ai.agent.name|gen_ai.agent.id]"),
    Field("AgentVersion", STRING, "span[gen_ai.agent.version]"),
    Field("ToolName", STRING, "span[gen_ai.tool.name|tool.name]"),
    Field(
        "PromptName",
        STRING,
        "span[gen_ai.prompt.name|prompt.name|traceloop.prompt.key|langfuse.prompt.name]",
    ),
    Field(
        "PromptVersion",
        STRING,
        "span[gen_ai.prompt.version|prompt.version|traceloop.prompt.version|langfuse.prompt.version]",
    ),
    Field("Duration", "UInt64", "Duration"),
    # What the application measured, else how long the span was.
    Field(
        "LatencyMs",
        "Float64",
        "if(span[agent.response_latency_ms] != '', "
        "toFloat64OrZero(span[agent.response_latency_ms]), Duration / 1000000)",
    ),
    # 0 where the answer was not streamed.
    Field("FirstChunkMs", "Float64", f"toFloat64OrZero({_FIRST_CHUNK_S}) * 1000"),
    # Input tokens include cached ones and those written to the cache, output tokens include
    # reasoning: so the conventions have it.
    Field(
        "InputTokens",
        "UInt64",
        _count(
            "gen_ai.usage.input_tokens",
            "gen_ai.usage.prompt_tokens",
            "llm.usage.prompt_tokens",
            "agent.input_tokens",
        ),
    ),
    Field(
        "CachedTokens",
        "UInt64",
        _count(
            "gen_ai.usage.cache_read.input_tokens",
            "gen_ai.usage.cache_read_input_tokens",
            "gen_ai.usage.cached_tokens",
        ),
    ),
    Field(
        "CacheWriteTokens",
        "UInt64",
        _count(
            "gen_ai.usage.cache_write.input_tokens",
            "gen_ai.usage.cache_creation.input_tokens",
            "gen_ai.usage.cache_write_input_tokens",
            "gen_ai.usage.cache_creation_input_tokens",
        ),
    ),
    Field(
        "OutputTokens",
        "UInt64",
        _count(
            "gen_ai.usage.output_tokens",
            "gen_ai.usage.completion_tokens",
            "llm.usage.completion_tokens",
            "agent.output_tokens",
        ),
    ),
    Field(
        "ReasoningTokens",
        "UInt64",
        _count("gen_ai.usage.reasoning.output_tokens", "gen_ai.usage.reasoning_tokens"),
    ),
    Field(
        "Failed",
        "UInt8",
        "StatusCode = 'Error' OR span[error.type] != '' OR span[agent.success] = 'false'",
    ),
    Field(
        "ErrorType",
        STRING,
        "multiIf(span[error.type] != '', span[error.type], "
        "StatusCode = 'Error' AND StatusMessage != '', substring(StatusMessage, 1, 200), "
        "StatusCode = 'Error' OR span[agent.success] = 'false', 'unknown', '')",
    ),
    Field("PromptPreview", STRING, _preview(INPUT)),
    Field("CompletionPreview", STRING, _preview(OUTPUT)),
    Field("IngestId", "UInt64", "IngestId"),
    Field("Tenant", LABEL, "Tenant", since=TENANTS, modern=True),
)

FIELDS_BY_NAME = {field.name: field for field in SPAN_FIELDS}


def as_of(migration: int, text: str) -> str:
    """An expression as a migration has it: before the column of contents came, they were attributes
    like all others."""
    return text if migration >= CONTENT_SINCE else text.replace("content of ", "")


def spans_select(source: str, dialect: Dialect, migration: int) -> str:
    """The normalised spans of a table like otel_traces, which may be named with its database, as
    of a migration."""
    listed = ",\n".join(
        f"    {expression(as_of(migration, field.expression), dialect)} AS {field.name}"
        for field in SPAN_FIELDS
        if field.is_in(dialect, migration)
    )
    return f"SELECT\n{listed}\nFROM {source}\nWHERE {is_llm_span(dialect)}"


# Until v1.30 an event carried its name in an attribute.
EVENT = "if(EventName != '', EventName, log[event.name])"


def fields_table() -> str:
    """The columns of `genai_spans` and the attributes they are made from, in Markdown.

    docs/genai.md holds it; a test compares.
    """
    lines = ["| column | type | from, the first that is not empty |", "| --- | --- | --- |"]
    for field in SPAN_FIELDS:
        names = dict.fromkeys(
            f"`{name}`"
            for _, listed in re.findall(r"\b(span|resource|log)\[([^\]]+)\]", field.expression)
            for name in listed.split("|")
        )
        origin = ", ".join(names) or "the span's own field"
        lines.append(f"| `{field.name}` | {field.type} | {origin} |")
    return "\n".join(lines) + "\n"
