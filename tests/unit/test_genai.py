"""The names of attributes: every spelling we promise is read, and the page lists them."""

from pathlib import Path

import pytest

from headrace_schema.genai import SPAN_FIELDS, expression, fields_table
from headrace_schema.genai_tables import COSTED, USAGE, USAGE_KEYS
from headrace_schema.model import Dialect

DIALECTS: tuple[Dialect, ...] = ("modern", "legacy")
PAGE = Path(__file__).resolve().parents[2] / "docs" / "genai.md"
PROMISED = {
    "Provider": ["gen_ai.provider.name", "gen_ai.system"],
    "Model": ["gen_ai.request.model", "model", "gen_ai.response.model"],
    "Operation": ["gen_ai.operation.name"],
    "InputTokens": ["gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens"],
    "CachedTokens": ["gen_ai.usage.cache_read.input_tokens"],
    "CacheWriteTokens": [
        "gen_ai.usage.cache_write.input_tokens",
        "gen_ai.usage.cache_creation.input_tokens",
    ],
    "OutputTokens": [
        "gen_ai.usage.output_tokens",
        "gen_ai.usage.completion_tokens",
        "agent.output_tokens",
    ],
    "ReasoningTokens": ["gen_ai.usage.reasoning.output_tokens"],
    "LatencyMs": ["agent.response_latency_ms"],
    "FirstChunkMs": ["gen_ai.response.time_to_first_chunk"],
    "Failed": ["error.type", "agent.success"],
    "Route": ["route"],
    "Tier": ["customer_tier"],
    "ResponseId": ["gen_ai.response.id"],
    "FinishReasons": ["gen_ai.response.finish_reasons"],
    "ConversationId": ["gen_ai.conversation.id"],
    "SessionId": ["session.id", "gen_ai.conversation.id"],
    "AgentName": ["gen_ai.agent.name"],
    "ToolName": ["gen_ai.tool.name"],
    "PromptName": ["gen_ai.prompt.name"],
    "PromptVersion": ["gen_ai.prompt.version"],
    "Environment": ["deployment.environment.name", "deployment.environment"],
}


@pytest.mark.parametrize("name", PROMISED)
def test_the_promised_names_are_read_the_new_before_the_old(name: str) -> None:
    (text,) = (field.expression for field in SPAN_FIELDS if field.name == name)
    for dialect in DIALECTS:
        sql = expression(text, dialect)
        places = [sql.index(f"'{attribute}'") for attribute in PROMISED[name]]
        assert places == sorted(places)
        assert "span[" not in sql
        assert "resource[" not in sql


def test_the_page_lists_every_column_and_its_origins() -> None:
    assert fields_table() in PAGE.read_text(), "put genai.fields_table() into docs/genai.md"


def test_the_page_names_every_column_of_the_rollup() -> None:
    text = PAGE.read_text()
    missing = [column.name for column in USAGE.columns if f"`{column.name}`" not in text]
    assert missing == []


def test_marks_become_each_dialects_own() -> None:
    assert expression("span[a|b]", "modern") == (
        "multiIf(SpanAttributes['a'] != '', SpanAttributes['a'], SpanAttributes['b'])"
    )
    assert expression("log[a]", "legacy") == (
        "LogAttributes.Value[indexOf(LogAttributes.Key, 'a')]"
    )
    assert expression("time(Timestamp)", "modern") == "toDateTime(Timestamp)"
    assert expression("time(Timestamp)", "legacy") == "toDateTime(intDiv(Timestamp, 1000000000))"


def test_costs_are_cut_by_what_there_is() -> None:
    names = {field.name for field in SPAN_FIELDS}
    assert set(COSTED["genai_spans"]) <= names
    assert set(USAGE_KEYS) <= set(USAGE.order_by)
