"""A consume loop with Kafka, ClickHouse, ledger, dead letters and clock in memory."""

from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry

from headrace_writer.core.backlog import Backlog, BatchLimits
from headrace_writer.core.batch import NEW_BATCH, BadMessage, BlockLimits, Origin
from headrace_writer.core.block import BlockBuilder
from headrace_writer.core.decode_reference import ReferenceBackend
from headrace_writer.core.guardrails import NOTHING, Treatment
from headrace_writer.shell.batch_store import BatchStore, InsertEvents, Tables
from headrace_writer.shell.loop import LoopSettings, SignalLoop
from headrace_writer.telemetry import SignalMetrics, WriterMetrics
from support import builders
from support.decoders import layouts_of
from support.local_broker import LocalBroker, LocalMember
from support.memory_shards import MemoryLedger, MemoryShard, MemoryShards
from support.timing import ManualClock, ManualExecutor

TABLE = "otel_traces_local"
LAYOUTS = layouts_of("traces", "modern")
AGE_S = 2.0


@dataclass
class DeadLetters:
    sent: list[BadMessage] = field(default_factory=list)

    def send(self, bad: "list[BadMessage]") -> None:
        self.sent += bad


@dataclass
class World:
    """What outlives a writer: Kafka, ClickHouse, the ledger, the dead letters."""

    broker: LocalBroker = field(default_factory=lambda: LocalBroker(3))
    shards: MemoryShards = field(default_factory=lambda: MemoryShards(2))
    ledger: MemoryLedger = field(default_factory=MemoryLedger)
    dead_letters: DeadLetters = field(default_factory=DeadLetters)
    clock: ManualClock = field(default_factory=ManualClock)
    fingerprint: str = "print"
    treatment: Treatment = NOTHING
    """What writers take over between two batches."""
    limits: BlockLimits = NEW_BATCH

    def produce(self, partition: int, spans: int = 4) -> None:
        offset = len(self.broker.logs[partition])
        made = [
            builders.span(trace_id=bytes([partition + 1, offset + 1, i + 1] * 5 + [1]))
            for i in range(spans)
        ]
        now_ms = int(self.clock.now() * 1000)
        self.broker.produce(partition, builders.traces(*made).SerializeToString(), now_ms)

    def offsets(self) -> dict[int, int]:
        """The committed one of each partition."""
        return {p: offset for p, (offset, _) in self.broker.committed.items()}

    def add_shard(self) -> None:
        """Writers that begin from now on know it."""
        self.shards.shards.append(MemoryShard())

    def writer(
        self, *partitions: int, max_bytes: int = 1 << 20, shards: int | None = None
    ) -> "Writer":
        """`shards`: how many of them the writer's list names; all, unless told."""
        return Writer(self, partitions, max_bytes, self.shards.first(shards or len(self.shards)))


class Writer:
    """One loop with its group member and a worker that can be held."""

    def __init__(
        self, world: World, partitions: tuple[int, ...], max_bytes: int, shards: MemoryShards
    ) -> None:
        self.world = world
        self.shards = shards
        self.executor = ManualExecutor()
        self.builders_made = 0
        self.topic_id = world.broker.topic_id
        self.registry = CollectorRegistry()
        metrics = SignalMetrics(WriterMetrics(self.registry), "traces", "otlp_spans")
        store = BatchStore(
            self._tables(world.treatment),
            shards,  # type: ignore[arg-type]
            world.broker,
            world.dead_letters,  # type: ignore[arg-type]
            world.ledger,
            world.clock,
            max_plan_age_s=900.0,
            events=InsertEvents(metrics.inserted, metrics.repaired, metrics.guarded),
            reload=self._reload,
        )
        self.loop = SignalLoop(
            Backlog(BatchLimits(max_bytes, AGE_S, 2 * max_bytes)),
            store,
            LoopSettings(settle_after_s=4.0, drain_deadline_s=5.0),
            world.clock,
            metrics,
            self.executor,
        )
        self.member = LocalMember(world.broker, self.loop)
        self.loop.attach(self.member)
        self.member.assign(*partitions)

    def _tables(self, treatment: Treatment) -> Tables:
        def builder(shards: int) -> BlockBuilder:
            self.builders_made += 1
            return ReferenceBackend().builder("traces", LAYOUTS, shards, "none", treatment)

        origin = Origin(self.topic_id, len(self.shards), self.world.fingerprint, self.world.limits)
        rules = treatment.of("traces")
        return Tables(LAYOUTS, lambda table: table + "_local", builder, origin, treatment, rules)

    def _reload(self, before: Tables) -> Tables | None:
        now = self.world.treatment
        return self._tables(now) if now != before.treatment else None

    def turns(self, count: int = 3) -> None:
        for _ in range(count):
            self.loop.turn()

    def store_what_is_there(self) -> None:
        """Fetch, let the batch come of age, deliver."""
        self.turns()
        self.world.clock.sleep(AGE_S)
        self.turns()

    def metric(self, name: str, **labels: str) -> float:
        value = self.registry.get_sample_value(f"headrace_writer_{name}", labels)
        assert value is not None, name
        return value


def produce_while_held(world: World, writer: Writer, every_s: float) -> None:
    """Twenty messages, a turn after each; nothing that goes to ClickHouse ends."""
    writer.turns()
    writer.executor.held = True
    for _ in range(20):
        world.produce(0)
        writer.loop.turn()
        world.clock.sleep(every_s)
