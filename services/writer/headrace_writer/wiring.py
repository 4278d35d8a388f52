"""From settings to parts: the one place where the writer's and the commands' parts are made."""

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headrace_schema.columns import TABLES_BY_SIGNAL
from headrace_writer.config import Settings
from headrace_writer.core.batch import BlockLimits, Origin
from headrace_writer.core.block import DecoderBackend, Layout, Signal
from headrace_writer.core.dedup_window import Window, remedy, shortcoming, window_of
from headrace_writer.core.guardrails import Treatment
from headrace_writer.errors import Fatal
from headrace_writer.shell import kafka
from headrace_writer.shell.batch_store import BatchStore, DeadLetters, InsertEvents, Tables
from headrace_writer.shell.clock import Clock
from headrace_writer.shell.guardrails_source import GuardrailsSource
from headrace_writer.shell.ledger import TABLE as LEDGER
from headrace_writer.shell.ledger import Ledger
from headrace_writer.shell.range_reader import RangeReader
from headrace_writer.shell.replica import Address, Login
from headrace_writer.shell.shards import Shard, Shards

if TYPE_CHECKING:
    from headrace_writer.shell.span_exporter import SpanExporter

# Changes when the same messages would give other block bytes.
BLOCK_FORMAT = "1"


def kafka_extra(settings: Settings) -> dict[str, str | int | bool]:
    """Settings for every Kafka client, the password in the clear. Raises ConfigError."""
    password = settings.kafka_password
    return settings.kafka_extra | ({} if password is None else {"sasl.password": password})


def kafka_client(settings: Settings) -> dict[str, Any]:
    """What a Kafka client outside the groups needs. Raises ConfigError."""
    return {"bootstrap.servers": settings.kafka_bootstrap_servers, **kafka_extra(settings)}


def group_config(settings: Settings, signal: Signal) -> kafka.GroupConfig:
    """The consumer group of one signal."""
    return kafka.GroupConfig(
        bootstrap_servers=settings.kafka_bootstrap_servers,
        group=f"{settings.kafka_group_prefix}-{signal}",
        topic=settings.topic(signal),
        protocol=settings.kafka_group_protocol,
        session_timeout_ms=settings.kafka_session_timeout_ms,
        extra=kafka_extra(settings),
        tenant_header=settings.tenant_header,
    )


def make_exporter(settings: Settings, on_outcome: Callable[[str], None]) -> "SpanExporter | None":
    """Where the writer's own spans go; None when nowhere."""
    if not settings.trace_endpoint:
        return None
    # Here, because gRPC takes 20 MB that a writer without traces need not have.
    from headrace_writer.shell.span_exporter import SpanExporter  # noqa: PLC0415

    return SpanExporter(settings.trace_endpoint, on_outcome)


def login(settings: Settings) -> Login:
    """What every connection to ClickHouse needs. Raises ConfigError."""
    return Login(
        settings.clickhouse_database,
        settings.clickhouse_user,
        settings.password,
        settings.clickhouse_connect_timeout_s,
        settings.clickhouse_answer_timeout_s,
        settings.clickhouse_insert_quorum,
        settings.clickhouse_tls,
    )


def make_shards(settings: Settings, clock: Clock) -> Shards:
    """The ClickHouse cluster of the settings; connects on first use."""
    known = login(settings)
    return Shards(
        [
            Shard(number, [Address(*replica) for replica in replicas], known, clock)
            for number, replicas in enumerate(settings.clickhouse_shards)
        ]
    )


def local_namer(settings: Settings) -> Callable[[str], str]:
    """Plain table name → the name of the table that holds rows."""
    suffix = "_local" if settings.clickhouse_topology == "cluster" else ""
    return lambda table: table + suffix


def fingerprint(layouts: dict[str, Layout], treatment: Treatment, *, tokens: bool) -> str:
    """Of what decides whether another writer's plan can be finished as it is.

    That is the tables' headers and, on servers without deduplication tokens, what is done to
    records. Where there are tokens, other rules build other bytes for the same IngestId, and
    ClickHouse takes whichever comes first (docs/decisions/0015).
    """
    parts: list[Any] = [sorted((t, list(layout)) for t, layout in layouts.items())]
    if treatment.fingerprint and not tokens:
        parts.append(treatment.fingerprint)
    text = repr((BLOCK_FORMAT, *parts))
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()


def layouts(settings: Settings, signal: Signal, shards: Shards) -> dict[str, Layout]:
    """The INSERT headers of a signal's tables. Raises Fatal when shards differ."""
    local = local_namer(settings)
    found: dict[str, Layout] = {}
    for table in TABLES_BY_SIGNAL[signal]:
        found[table] = shards[0].layout(local(table))
        for shard in shards.shards[1:]:
            if list(shard.layout(local(table))) != list(found[table]):
                msg = f"{table} differs between shards: finish `headrace migrate apply`"
                raise Fatal(msg)
    return found


def check_windows(
    settings: Settings, signal: Signal, shards: Shards, *, modern: bool
) -> dict[str, float]:
    """Blocks a second, over all shards, that each table remembers for `dedup_window_s`.

    Raises Fatal where a table forgets inserts before a writer would repeat them: it has to
    remember, for `dedup_window_s`, at least the blocks that one writer inserts when each batch
    closes by age.
    """
    seconds = settings.dedup_window_s
    needed = Window(math.ceil(seconds / settings.max_age_s(signal)), seconds)
    local = local_namer(settings)
    tables = {local(table): table for table in TABLES_BY_SIGNAL[signal]}
    names = ", ".join(f"'{name}'" for name in tables)
    where = f"database = currentDatabase() AND name IN ({names})"
    least: dict[str, float] = {}
    for shard in shards.shards:
        defaults = dict(shard.ask("SELECT name, value FROM system.merge_tree_settings"))
        sql = f"SELECT name, engine_full FROM system.tables WHERE {where}"  # noqa: S608 (our names)
        for name, engine in shard.ask(sql):
            window = window_of(engine, defaults)
            table = tables[name]
            least[table] = min(window.blocks, least.get(table, window.blocks))
            lack = shortcoming(window, needed)
            if lack:
                replicated = engine.startswith("Replicated")
                full = f"{settings.clickhouse_database}.{name}"
                msg = (
                    f"{name} on shard {shard.number} {lack} in dedup_window_s ({seconds:.0f} s): a "
                    "repeated insert could be stored twice. Mend it on every replica: "
                    + remedy(full, replicated=replicated, modern=modern)
                )
                raise Fatal(msg)
    return {table: blocks * len(shards.shards) / seconds for table, blocks in least.items()}


@dataclass(frozen=True, slots=True)
class Parts:
    """What a store is made of."""

    settings: Settings
    signal: Signal
    backend: DecoderBackend
    topic_id: str
    shards: Shards
    dead_letters: DeadLetters
    clock: Clock
    guardrails: GuardrailsSource


def make_store(parts: Parts, events: InsertEvents) -> BatchStore:
    """The store of one signal; asks ClickHouse for its tables. Raises Fatal, LayoutError."""
    settings, signal, shards = parts.settings, parts.signal, parts.shards
    group = group_config(settings, signal)
    headers = layouts(settings, signal, shards)
    tokens = shards.know_tokens()
    events.remembered(check_windows(settings, signal, shards, modern=tokens))

    def tables(treatment: Treatment) -> Tables:
        limits = BlockLimits(bytes=settings.block_max_bytes)
        print_of = fingerprint(headers, treatment, tokens=tokens)
        return Tables(
            headers,
            local_namer(settings),
            lambda count: parts.backend.builder(signal, headers, count, treatment=treatment),
            Origin(parts.topic_id, len(shards), print_of, limits),
            treatment,
            treatment.of(signal),
        )

    def reload(before: Tables) -> Tables | None:
        treatment = parts.guardrails.changed(before.treatment)
        return None if treatment is None else tables(treatment)

    first = tables(parts.guardrails.now)
    # A column that no encoder fills stops the start, not the first batch.
    first.new_builder()
    return BatchStore(
        first,
        shards,
        RangeReader(group, parts.clock),
        parts.dead_letters,
        Ledger(shards, local_namer(settings)(LEDGER), group.topic),
        parts.clock,
        settings.dedup_window_s / 4,
        events,
        reload,
    )
