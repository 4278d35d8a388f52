"""A small world of LLM calls whose sums can be done by hand, in the names of all times.

Hour 14:00 of 21 September 2026 (UTC):
  A  40 chats with gpt-5-mini for tier pro in today's names, 20 a quarter of an hour, 2 failed
  B  10 chats with claude-sonnet-4-5 for tier enterprise in the names of 2024
  C  4 calls of mystery-1, which nobody priced, for tier free in the seed's names, 1 failed
Hour 16:00:
  D  one run of an agent: two tools, two chats with gpt-5 under two versions of a prompt
Next day, 14:00:
  E  5 chats with gpt-5-mini, whose price has changed at midnight

Beside them one process tells its calls of gpt-5-mini by the histograms of the conventions: ten
before 14:00, forty after.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from clickhouse_driver import Client
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import AGGREGATION_TEMPORALITY_CUMULATIVE, Metric
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from headrace_schema.genai import CONTENT
from headrace_schema.model import Dialect
from headrace_writer.core.block import Signal
from headrace_writer.core.guardrails import Treatment
from headrace_writer.shell.replica import Address, Login, Replica
from support import builders
from support.decoders import KERNEL, layouts_of
from support.schema_server import MigrateSettings, SchemaServer, migrate

HOUR_S = 1_789_999_200  # 21 September 2026, 14:00:00 UTC
DAY_S = 86_400
MS = 1_000_000
RESOURCE = {"service.name": "support-agent", "deployment.environment.name": "production"}
LONG_PROMPT = "please " * 100
TRACE_OF_D = "d0" * 16

# Per million tokens: input, cached, written to the cache, output, reasoning.
PRICES: tuple[tuple[Any, ...], ...] = (
    ("openai", "gpt-5-mini*", "2026-01-01", 1, "0.25", "0.025", "0.25", "2", "2"),
    ("openai", "gpt-5-mini*", "2026-09-22", 2, "0.5", "0.05", "0.5", "4", "4"),
    ("", "claude-sonnet-4-5*", "2026-01-01", 1, "3", "0.3", "3.75", "15", "15"),
    ("", "gpt-5", "2026-01-01", 1, "1.25", "0.125", "1.25", "10", "10"),
    ("", "gpt-*", "2020-01-01", 1, "999", "999", "999", "999", "999"),
)


def _call(at_s: int, ms: float, *, number: str, error: str = "", **fields: Any) -> Span:
    """A span that began `at_s` seconds after 14:00, of `ms` milliseconds."""
    start = (HOUR_S + at_s) * builders.SECOND
    attributes = {key.replace("__", "."): value for key, value in fields.pop("named", {}).items()}
    code = Status.STATUS_CODE_ERROR if error else Status.STATUS_CODE_OK
    return builders.span(
        "llm.call",
        attributes=attributes,
        **{
            "trace_id": bytes.fromhex(f"{number:0>32}"),
            "span_id": bytes.fromhex(f"{number:0>16}"),
            "start_time_unix_nano": start,
            "end_time_unix_nano": start + int(ms * MS),
            "status": Status(code=code, message=error),
            **fields,
        },
    )


def mini(number: int) -> Span:
    """One of A: quarter 0 takes 300 ms, its last three 2,000; quarter 1 takes 500."""
    quarter, place = divmod(number, 20)
    ms = 500 if quarter else (2_000 if place >= 17 else 300)
    named: dict[str, Any] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.system": "old name of the provider, to be ignored",
        "gen_ai.request.model": "gpt-5-mini",
        "gen_ai.response.model": "gpt-5-mini-2025-08-07",
        "gen_ai.response.id": f"resp-{number}",
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.response.time_to_first_chunk": 0.12,
        "gen_ai.usage.input_tokens": 1_000,
        "gen_ai.usage.cache_read.input_tokens": 400,
        "gen_ai.usage.output_tokens": 200,
        "gen_ai.usage.reasoning.output_tokens": 50,
        "gen_ai.conversation.id": f"conversation-{quarter}",
        "gen_ai.prompt.version": f"v{quarter}",
        "session.id": f"s-{quarter}",
        "customer_tier": "pro",
        "route": "/chat",
    }
    if number == 0:
        named["gen_ai.input.messages"] = LONG_PROMPT
        named["gen_ai.output.messages"] = "an answer"
    error = "rate limited" if number < 2 else ""
    if error:
        named["error.type"] = "429"
    at_s = (quarter * 15 + place % 15) * 60
    return _call(at_s, ms, number=f"a{number:03d}", error=error, named=named)


def _old(number: int) -> Span:
    """One of B."""
    named = {
        "gen_ai.system": "anthropic",
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "claude-sonnet-4-5",
        "gen_ai.response.id": f"old-{number}",
        "gen_ai.usage.prompt_tokens": 2_000,
        "gen_ai.usage.cache_read_input_tokens": 1_000,
        "gen_ai.usage.cache_creation.input_tokens": 500,
        "gen_ai.usage.completion_tokens": 1_000,
        "gen_ai.prompt": "short",
        "session.id": "s-old",
        "customer_tier": "enterprise",
        "route": "/agent/plan",
    }
    return _call(number * 60, 1_500, number=f"b{number:03d}", named=named)


def _seed(number: int) -> Span:
    """One of C; its span takes a second, which is not what the agent measured."""
    named = {
        "model": "mystery-1",
        "gen_ai.provider.name": "acme",
        "agent.response_latency_ms": 800.5,
        "agent.output_tokens": 100,
        "agent.success": number != 0,
        "session.id": "s-seed",
        "customer_tier": "free",
        "route": "/chat",
    }
    return _call(number * 60, 1_000, number=f"c{number:03d}", named=named)


def _run() -> Iterator[Span]:
    """D. The agent's own span repeats the tokens of its calls."""
    hour = 2 * 3_600
    common = {"session.id": "s-run", "customer_tier": "pro", "route": "/agent/act"}
    agent = bytes.fromhex("d0" * 8)

    def part(place: int, at_s: int, ms: float, named: dict[str, Any], error: str = "") -> Span:
        return _call(
            hour + at_s, ms, number="d", error=error, named={**common, **named},
            trace_id=bytes.fromhex(TRACE_OF_D), span_id=bytes([0xD1, place] * 4),
            parent_span_id=agent,
        )  # fmt: skip

    yield _call(
        hour, 8_000, number="d", trace_id=bytes.fromhex(TRACE_OF_D), span_id=agent,
        named={**common, "gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "planner",
               "gen_ai.usage.input_tokens": 4_800, "gen_ai.usage.output_tokens": 1_100},
    )  # fmt: skip
    for place, (version, asked, answered, ms) in enumerate((("v1", 4_000, 1_000, 4_000),
                                                            ("v2", 800, 100, 600))):  # fmt: skip
        yield part(
            place, 1 + place, ms,
            {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai",
             "gen_ai.request.model": "gpt-5", "gen_ai.usage.input_tokens": asked,
             "gen_ai.usage.output_tokens": answered, "gen_ai.prompt.name": "plan",
             "gen_ai.prompt.version": version},
        )  # fmt: skip
    for place, (tool, ms, error) in enumerate(
        (("search", 3_000, ""), ("calc", 200, "overflow")), 2
    ):
        yield part(
            place, 3 + place, ms,
            {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": tool}, error,
        )  # fmt: skip


def _next_day(number: int) -> Span:
    """One of E."""
    named = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-5-mini",
        "gen_ai.usage.input_tokens": 1_000,
        "session.id": "s-next",
        "customer_tier": "pro",
        "route": "/chat",
    }
    return _call(DAY_S + number, 100, number=f"e{number:03d}", named=named)


def spans() -> ExportTraceServiceRequest:
    """All of them, and a span that has nothing to do with models."""
    return builders.traces(
        *map(mini, range(40)),
        *map(_old, range(10)),
        *map(_seed, range(4)),
        *_run(),
        *map(_next_day, range(5)),
        _call(0, 5, number="f", named={"http.route": "/health"}),
        resource=RESOURCE,
    )


def records() -> ExportLogsServiceRequest:
    """Two error logs of A, five scores, and prompts that came as events, new and old."""

    def at(span: Span, **fields: Any) -> dict[str, Any]:
        return {
            "time_unix_nano": span.start_time_unix_nano + MS,
            "trace_id": span.trace_id,
            "span_id": span.span_id,
            **fields,
        }

    failures = [
        builders.log("rate limited", severity_number=17, severity_text="ERROR", **at(mini(number)))
        for number in range(2)
    ]
    scores = [
        builders.log(
            None,
            attributes={
                "gen_ai.evaluation.name": "relevance",
                "gen_ai.evaluation.score.value": score,
                "gen_ai.evaluation.score.label": "good" if score >= 0.5 else "bad",
                "gen_ai.evaluation.explanation": "because",
                "gen_ai.response.id": response,
            },
            **at(mini(0), event_name="gen_ai.evaluation.result"),
        )
        for response, score in (
            *(("resp-0", 0.5), ("resp-1", 1.0)),
            *(("resp-20", 0.25), ("resp-21", 0.25), ("old-0", 0.0)),
        )
    ]
    told = builders.log(
        None,
        attributes={"gen_ai.input.messages": "asked in an event"},
        **at(mini(5), event_name="gen_ai.client.inference.operation.details"),
    )
    # Before v1.37 each message was an event, whose name was an attribute.
    asked, answered = (
        builders.log(body, attributes={"event.name": name}, **at(mini(6)))
        for body, name in (
            ("asked in the old way", "gen_ai.user.message"),
            ("answered in the old way", "gen_ai.choice"),
        )
    )
    # With the name in its field the body is content.
    body = builders.log("asked in a body", **at(mini(7), event_name="gen_ai.user.message"))
    return builders.logs(*failures, *scores, told, asked, answered, body, resource=RESOURCE)


# Nothing above has a tenant: a test that wants tenants names them in its resource.
TREATMENT = Treatment(tenant_attribute="tenant.id", content=CONTENT)
# Boundaries that the conventions advise, and the bucket [low, high] of each.
DURATION_BOUNDS_S = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24)
TOKEN_BOUNDS = (1, 4, 16, 64, 256, 1_024, 4_096, 16_384, 65_536)


def _cumulative(
    name: str, bounds: Sequence[float], counted: Mapping[float, Sequence[int]], **more: str
) -> Metric:
    """One series. `counted`: upper bound of a bucket → calls in it a minute before 14:00, and a
    minute after."""
    points = []
    for place, at_s in enumerate((-60, 60)):
        counts = [0] * (len(bounds) + 1)
        for bound, told in counted.items():
            counts[bounds.index(bound)] = told[place]
        points.append(
            builders.histogram_point(
                counts,
                bounds,
                attributes={"gen_ai.request.model": "gpt-5-mini", **more},
                start_time_unix_nano=(HOUR_S - 3_600) * builders.SECOND,
                time_unix_nano=(HOUR_S + at_s) * builders.SECOND,
            )
        )
    metric = builders.histogram(*points, name=name)
    metric.histogram.aggregation_temporality = AGGREGATION_TEMPORALITY_CUMULATIVE
    return metric


def histograms() -> ExportMetricsServiceRequest:
    """Calls of gpt-5-mini: 20 of 0.16 to 0.32 s and 20 of 0.32 to 0.64 s, half of which failed,
    each with 257 to 1,024 tokens of input and 65 to 256 of output."""
    duration, usage = "gen_ai.client.operation.duration", "gen_ai.client.token.usage"
    return builders.metrics(
        _cumulative(duration, DURATION_BOUNDS_S, {0.32: (10, 30), 0.64: (0, 10)}),
        _cumulative(duration, DURATION_BOUNDS_S, {0.64: (0, 10)}, **{"error.type": "429"}),
        _cumulative(usage, TOKEN_BOUNDS, {1_024: (10, 50)}, **{"gen_ai.token.type": "input"}),
        _cumulative(usage, TOKEN_BOUNDS, {256: (10, 50)}, **{"gen_ai.token.type": "output"}),
        resource=RESOURCE,
    )


def replica(port: int, database: str) -> Replica:
    return Replica(Address("127.0.0.1", port), Login(database, "default", "", 5, 30))


def store(
    into: Replica, dialect: Dialect, signal: Signal, payload: bytes, ingest_id: int = 1_000
) -> None:
    """What a writer does with one message; the same `ingest_id` is the same block again."""
    layouts = layouts_of(signal, dialect)
    builder = KERNEL.builder(signal, layouts, 1, treatment=TREATMENT)
    assert builder.append_many([payload]) == []
    for block in builder.finish({target: ingest_id for target, _ in builder.pending()}):
        into.insert(block.target.table, layouts[block.target.table], block)


PRICE_COLUMNS = (
    "Provider, Model, ValidFrom, Version, Currency, InputPrice, CachedPrice, CacheWritePrice, "
    "OutputPrice, ReasoningPrice"
)


@dataclass(frozen=True, slots=True)
class World:
    """A database of its own that holds all of this."""

    server: SchemaServer
    database: str

    @property
    def settings(self) -> MigrateSettings:
        return MigrateSettings(
            [[("127.0.0.1", self.server.port)]], clickhouse_database=self.database
        )

    def client(self, **settings: Any) -> Client:
        return Client(
            "127.0.0.1",
            port=self.server.port,
            database=self.database,
            client_revision=54453,
            settings=settings,
        )

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with self.client() as client:
            found: list[tuple[Any, ...]] = client.execute(sql)
        return found


def prices_sql() -> Iterator[str]:
    """Statements that store PRICES."""
    for provider, model, since, version, *prices in PRICES:
        decimals = ", ".join(f"toDecimal64('{price}', 6)" for price in prices)
        yield (
            f"INSERT INTO genai_prices ({PRICE_COLUMNS}) SELECT '{provider}', '{model}', "
            f"toDateTime('{since} 00:00:00'), toUInt32({version}), 'USD', {decimals}"
        )


@contextmanager
def world(server: SchemaServer, database: str) -> Iterator[World]:
    """The tables, filled as the writer fills them, with PRICES."""
    made = World(server, database)
    code, said = migrate(made.settings, "apply")
    assert code == 0, said
    into = replica(server.port, database)
    store(into, server.dialect, "traces", spans().SerializeToString())
    store(into, server.dialect, "logs", records().SerializeToString())
    store(into, server.dialect, "metrics", histograms().SerializeToString())
    into.close()
    for sql in prices_sql():
        made.rows(sql)
    yield made
    made.rows(f"DROP DATABASE {database}")
