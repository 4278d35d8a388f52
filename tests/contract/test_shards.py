"""One contract for the store of blocks: the one in memory, on which the loop's tests stand, and
`Shards` on ClickHouse, 18.16 replicated and 26.9 (chDB)."""

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any, cast

import pytest
from clickhouse_driver import Client

from headrace_writer.core.batch import Origin
from headrace_writer.core.block import Block, Layout, Target
from headrace_writer.core.delivery_plan import Plan, Range
from headrace_writer.errors import LayoutError, Poison
from headrace_writer.shell.batch_store import BatchStore, LedgerRows, Tables
from headrace_writer.shell.clock import SystemClock
from headrace_writer.shell.ledger import Ledger
from headrace_writer.shell.replica import Address, Login, Replica
from headrace_writer.shell.shards import Shard, Shards
from support import builders
from support.cluster import Cluster
from support.decoders import KERNEL, layouts_of
from support.memory_shards import MemoryLedger, MemoryShards
from support.schema_server import SchemaServer

TABLE = "otel_logs"
LEDGER = "otel_ingest_ledger"
TOPIC_ID = "topic-1"
# Replication of a few rows takes some milliseconds, after a replica's start some seconds.
REPLICATED_WITHIN_S = 30.0
DAY = "2026-09-21"
NO_DAY = "no day"
INGEST_IDS = count(1 << 63)


@dataclass
class Store:
    """Shards with empty tables. A body that is not a day is refused: NO_DAY is."""

    shards: Shards
    replicas: int
    suffix: str = ""
    ledger: LedgerRows = field(default_factory=MemoryLedger)
    layout: Layout = ()
    without_replica: Callable[[int, int], Any] = lambda _shard, _replica: None
    """Inside this context one replica is away; shards and replicas count from 0."""

    def __post_init__(self) -> None:
        nobody = cast(Any, None)
        origin = Origin(TOPIC_ID, len(self.shards), "print")
        tables = Tables({}, lambda table: table + self.suffix, nobody, origin)
        # Counts with the writer's own query.
        self._counter = BatchStore(
            tables, self.shards, nobody, nobody, self.ledger, SystemClock(), 900.0
        )

    def block(self, rows: int, body: str = DAY) -> Block:
        """A block of so many log records with an IngestId of its own."""
        builder = KERNEL.builder("logs", {TABLE: self.layout}, 1, "lz4")
        batch = builders.logs(*[builders.log(body)] * rows).SerializeToString()
        assert builder.append_many([batch]) == []
        (block,) = builder.finish({Target(TABLE, 0): next(INGEST_IDS)})
        return block

    def insert(self, *blocks: Block, shard: int = 0) -> list[bool]:
        """On the workers; says of each block whether its first attempt was clean."""
        table = TABLE + self.suffix
        return self.shards.each(
            blocks, lambda block: self.shards[shard].insert(table, self.layout, block)
        )

    def count(self, *blocks: Block, shard: int = 0) -> list[int | None]:
        return self._counter.count(Target(TABLE, shard), tuple(b.ingest_id for b in blocks))

    def reaches(self, expected: list[int | None], *blocks: Block, shard: int = 0) -> None:
        """Counts become those expected, within the time that replication may take."""
        deadline = time.monotonic() + REPLICATED_WITHIN_S
        while (found := self.count(*blocks, shard=shard)) != expected:
            assert time.monotonic() < deadline, f"{found} of {expected}"
            time.sleep(0.05)

    def on_every_replica(self, rows: int) -> list[int | None]:
        return [rows] * self.replicas


def memory_store() -> Store:
    shards = MemoryShards(2, replicas=2)
    for shard in shards.shards:
        shard.refuses = lambda block: block.ingest_id in refused

    @contextmanager
    def without_replica(shard: int, replica: int) -> Iterator[None]:
        shards[shard].down.add(replica)
        yield
        shards[shard].down.remove(replica)

    refused: set[int] = set()

    class MemoryStore(Store):
        def block(self, rows: int, body: str = DAY) -> Block:
            block = super().block(rows, body)
            if body == NO_DAY:
                refused.add(block.ingest_id)
            return block

    return MemoryStore(
        cast(Shards, shards),
        2,
        "_local",
        layout=layouts_of("logs", "modern")[TABLE],
        without_replica=without_replica,
    )


@pytest.fixture(scope="module", autouse=True)
def hang_up() -> Iterator[None]:
    """`Shards.close` leaves connections to the garbage collector, which warns of each."""
    made: list[Replica] = []

    class Remembered(Replica):
        def __init__(self, address: Address, login: Login) -> None:
            super().__init__(address, login)
            made.append(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("headrace_writer.shell.shards.Replica", Remembered)
        yield
    for replica in made:
        replica.close()


@contextmanager
def real_shards(addresses: list[list[Address]], database: str) -> Iterator[Shards]:
    login = Login(database, "default", "", connect_timeout_s=3.0, answer_timeout_s=20.0)
    shards = Shards([Shard(n, each, login, SystemClock()) for n, each in enumerate(addresses)])
    yield shards
    shards.close()


@pytest.fixture(scope="module")
def on_cluster(request: pytest.FixtureRequest) -> Iterator[Store]:
    """18.16 has no constraints; what it refuses is a partition key that cannot be parsed."""
    cluster: Cluster = request.getfixturevalue("cluster")
    database = f"contract_{uuid.uuid4().hex[:8]}"
    path = "/clickhouse/tables/{cluster}/{shard}/" + database
    addresses = [
        [Address(host, int(port)) for host, port in (each.split(":") for each in replicas)]
        for replicas in cluster.json["clickhouse"]["shards"]
    ]
    with ExitStack() as stack:
        for address in (a for shard in addresses for a in shard):
            client = stack.enter_context(Client(address.host, port=address.port))
            client.execute(f"CREATE DATABASE {database}")
            stack.callback(client.execute, f"DROP DATABASE {database}")
            for table, key in ((TABLE, "toDate(Body)"), (LEDGER, "Topic")):
                client.execute(
                    f"CREATE TABLE {database}.{table}_local AS otel.{table}_local "
                    f"ENGINE = ReplicatedMergeTree('{path}/{table}', '{{replica}}') "
                    f"PARTITION BY {key} ORDER BY tuple()"
                )
        shards = stack.enter_context(real_shards(addresses, database))

        @contextmanager
        def without_replica(shard: int, replica: int) -> Iterator[None]:
            name = f"clickhouse-{shard + 1}-{replica + 1}"
            # Orderly, though 18.16 waits ten seconds for its clients: a killed one does not
            # replicate before its ZooKeeper session of thirty seconds is over.
            cluster.control.stop(name)
            try:
                yield
            finally:
                cluster.control.start(name)

        yield Store(
            shards,
            2,
            "_local",
            Ledger(shards, f"{LEDGER}_local", "topic"),
            shards[0].layout(f"{TABLE}_local"),
            without_replica,
        )


@pytest.fixture(scope="module")
def on_chdb(modern: SchemaServer) -> Iterator[Store]:
    with modern.client() as client:
        client.execute("CREATE DATABASE contract")
        for table in (TABLE, LEDGER):
            client.execute(
                f"CREATE TABLE contract.{table} AS otel.{table} ENGINE = MergeTree "
                "ORDER BY tuple() SETTINGS non_replicated_deduplication_window = 100"
            )
        client.execute(
            f"ALTER TABLE contract.{TABLE} ADD CONSTRAINT day CHECK Body LIKE '____-__-__'"
        )
        with real_shards([[Address("127.0.0.1", modern.port)]], "contract") as shards:
            ledger = Ledger(shards, LEDGER, "topic")
            yield Store(shards, 1, "", ledger, shards[0].layout(TABLE))
        client.execute("DROP DATABASE contract")


CLUSTER = pytest.param("on_cluster", marks=pytest.mark.integration)


@pytest.fixture(params=["memory", CLUSTER, "on_chdb"])
def store(request: pytest.FixtureRequest) -> Store:
    if request.param == "memory":
        return memory_store()
    found: Store = request.getfixturevalue(request.param)
    return found


@pytest.fixture(params=["memory", CLUSTER])
def replicated(request: pytest.FixtureRequest) -> Store:
    """Two shards of two replicas."""
    if request.param == "memory":
        return memory_store()
    found: Store = request.getfixturevalue(request.param)
    return found


def test_an_inserted_block_is_counted_on_every_replica(store: Store) -> None:
    block = store.block(rows=3)
    assert store.count(block) == store.on_every_replica(0)
    assert store.insert(block) == [True]
    store.reaches(store.on_every_replica(3), block)


def test_the_same_block_again_changes_nothing(store: Store) -> None:
    block = store.block(rows=3)
    assert store.insert(block, block) == [True, True]
    assert store.insert(block) == [True]
    store.reaches(store.on_every_replica(3), block)


def test_equal_records_under_another_ingest_id_are_added(store: Store) -> None:
    first, second = store.block(rows=3), store.block(rows=3)
    store.insert(first, second)
    store.reaches(store.on_every_replica(3), first)
    store.reaches(store.on_every_replica(6), first, second)
    store.reaches(store.on_every_replica(6), first, second, first)


def test_a_refused_block_is_poison_and_leaves_its_neighbours(store: Store) -> None:
    before, after = store.block(rows=1), store.block(rows=2)
    poison = store.block(rows=5, body=NO_DAY)
    with pytest.raises(Poison, match=r"clickhouse_\d+"):
        store.insert(before, poison, after)
    store.reaches(store.on_every_replica(3), before, after)
    assert store.count(poison) == store.on_every_replica(0)
    with pytest.raises(Poison):
        store.insert(poison)
    assert store.insert(store.block(rows=1)) == [True]


def test_a_block_for_another_layout_is_not_inserted(store: Store) -> None:
    block = store.block(rows=1)
    store.insert(store.block(rows=1))
    with pytest.raises(LayoutError):
        store.shards[0].insert(TABLE + store.suffix, list(store.layout)[1:], block)
    assert store.count(block) == store.on_every_replica(0)
    assert store.insert(block) == [True]


def test_each_job_runs_before_the_first_error_is_raised(store: Store) -> None:
    begun: list[int] = []

    def job(number: int) -> int:
        begun.append(number)
        if number in (1, 2):
            raise Poison("test", str(number))
        return number * 10

    with pytest.raises(Poison, match="test: 1"):
        store.shards.each([0, 1, 2, 3], job)
    assert sorted(begun) == [0, 1, 2, 3]
    assert store.shards.each([5, 3, 0], job) == [50, 30, 0]


def test_shards_have_blocks_of_their_own(replicated: Store) -> None:
    block = replicated.block(rows=3)
    assert len(replicated.shards) == 2
    assert replicated.insert(block, shard=1) == [True]
    replicated.reaches([3, 3], block, shard=1)
    assert replicated.count(block, shard=0) == [0, 0]


def test_a_replica_that_is_away_is_passed_over(replicated: Store) -> None:
    early, first, second = (replicated.block(rows) for rows in (1, 2, 3))
    replicated.insert(early)
    replicated.reaches([1, 1], early)
    with replicated.without_replica(0, 0):
        assert replicated.insert(first) == [False], "the preferred replica did not answer"
        assert replicated.insert(second) == [True], "another one is preferred now"
        assert replicated.count(early) == [None, 1]
        assert replicated.count(first, second) == [None, 5]
        assert replicated.insert(first) == [True]
        elsewhere = replicated.block(rows=4)
        assert replicated.insert(elsewhere, shard=1) == [True]
        replicated.reaches([4, 4], elsewhere, shard=1)
    replicated.reaches([6, 6], early, first, second)


def plan_of(*ranges: tuple[int, int, int], topic_id: str = TOPIC_ID) -> Plan:
    rows = {Target(TABLE, 0): 7}
    return Plan(topic_id, tuple(Range(*r) for r in ranges), 2, "print", 1, 1_790_000_000_000, rows)


def test_the_ledger_knows_ranges_that_end_behind_an_offset(store: Store) -> None:
    plans = [plan_of((0, 10, 20), (1, 5, 6)), plan_of((0, 0, 10)), plan_of((0, 20, 25))]
    for plan in (*plans, plans[0]):
        store.ledger.write(plan, verified=True)
    assert store.ledger.ahead(TOPIC_ID, 0, 0) == [(0, 10), (10, 20), (20, 25)]
    assert store.ledger.ahead(TOPIC_ID, 0, 10) == [(10, 20), (20, 25)]
    assert store.ledger.ahead(TOPIC_ID, 0, 25) == []
    assert store.ledger.ahead(TOPIC_ID, 1, 0) == [(5, 6)]
    assert store.ledger.ahead("recreated topic", 0, 0) == []
    assert store.ledger.plans(TOPIC_ID, Range(1, 5, 6)) == [plans[0]]
    assert store.ledger.plans(TOPIC_ID, Range(0, 0, 20)) == []
    assert store.ledger.plans("recreated topic", Range(1, 5, 6)) == []
