"""Connections to replicas over loopback: a server that is told what to do instead of storing."""

import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from headrace_writer.config import load
from headrace_writer.errors import Fatal, LayoutError, Poison, Retryable
from headrace_writer.shell.clock import Deadline
from headrace_writer.shell.replica import Address, Login, Replica
from headrace_writer.shell.shards import (
    FIRST_BACKOFF_S,
    LONGEST_BACKOFF_S,
    Attempt,
    Overdue,
    Shard,
    Shards,
    Stopping,
)
from support.child import free_ports
from support.scripted_server import (
    BLOCK,
    LAYOUT,
    NATIVE,
    TABLE,
    ScriptedServer,
    first_time,
    hang_up,
    listening,
    login,
    refusing,
)
from support.timing import ManualClock


@pytest.fixture
def server() -> ScriptedServer:
    return ScriptedServer()


@pytest.fixture
def replica(server: ScriptedServer) -> Iterator[Replica]:
    with listening(server) as (address,):
        connection = Replica(address, login())
        yield connection
        connection.close()


# --- one connection


def test_the_layout_is_the_servers_header(replica: Replica, server: ScriptedServer) -> None:
    assert replica.layout(TABLE) == LAYOUT
    assert server.stored == []
    assert replica.layout(TABLE) == LAYOUT
    assert server.sessions == 1, "the connection stays usable"


def test_a_block_arrives_as_it_was_built(replica: Replica, server: ScriptedServer) -> None:
    for _ in range(2):
        replica.insert(TABLE, LAYOUT, BLOCK)
    assert server.stored == [NATIVE, NATIVE]
    assert {query.sql for query in server.queries} == {"INSERT INTO `otel`.`probes` VALUES"}
    assert server.sessions == 1


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        (
            (22, 2, 1),
            {
                "insert_deduplicate": "1",
                "insert_deduplication_token": str((1 << 64) - 3),
                "max_partitions_per_insert_block": "0",
            },
        ),
        ((22, 1, 9), {}),
        ((18, 16, 1), {}),
    ],
)
def test_servers_that_know_tokens_get_the_ingest_id(
    replica: Replica,
    server: ScriptedServer,
    version: tuple[int, int, int],
    expected: Mapping[str, str],
) -> None:
    server.version = version
    replica.insert(TABLE, LAYOUT, BLOCK)
    (query,) = server.queries
    about_inserts = {k: v for k, v in query.settings.items() if "insert" in k}
    assert about_inserts == expected
    # A repeated block must reach the views, whose tables drop what they have.
    to_views = query.settings.get("deduplicate_blocks_in_dependent_materialized_views", "0")
    assert (to_views == "1") == ("insert_deduplication_token" in expected)
    assert query.settings["max_execution_time"] == "0"


def test_a_changed_table_gets_no_data(replica: Replica, server: ScriptedServer) -> None:
    server.columns = (*LAYOUT, ("More", "String"))
    with pytest.raises(LayoutError, match="restart"):
        replica.insert(TABLE, LAYOUT, BLOCK)
    assert server.stored == []
    server.columns = tuple(LAYOUT)
    replica.insert(TABLE, LAYOUT, BLOCK)
    assert server.stored == [NATIVE]


@pytest.mark.parametrize("when", ["on_query", "on_finish"])
def test_a_refused_block_is_poison_and_the_next_is_stored(
    replica: Replica, server: ScriptedServer, when: str
) -> None:
    setattr(server, when, first_time(refusing(469)))
    with pytest.raises(Poison, match="at row 1") as caught:
        replica.insert(TABLE, LAYOUT, BLOCK)
    assert caught.value.reason == "clickhouse_469"
    replica.insert(TABLE, LAYOUT, BLOCK)
    assert server.stored == [NATIVE]


@pytest.mark.parametrize("when", ["on_query", "on_finish"])
def test_a_connection_that_breaks_can_be_used_again(
    replica: Replica, server: ScriptedServer, when: str
) -> None:
    setattr(server, when, first_time(hang_up))
    with pytest.raises(Retryable, match=str(replica.address)):
        replica.insert(TABLE, LAYOUT, BLOCK)
    replica.insert(TABLE, LAYOUT, BLOCK)
    assert server.stored == [NATIVE]
    assert server.sessions == 2


def test_an_answer_that_does_not_come_in_time_is_not_taken_for_the_next_one(
    server: ScriptedServer,
) -> None:
    released = threading.Event()
    server.on_finish = first_time(lambda: ignore(released.wait(5)))
    with listening(server) as (address,):
        replica = Replica(address, login(answer_timeout_s=0.3))
        with pytest.raises(Retryable):
            replica.insert(TABLE, LAYOUT, BLOCK)
        released.set()
        server.on_finish = refusing(469)
        with pytest.raises(Poison):
            replica.insert(TABLE, LAYOUT, BLOCK)


def ignore(_result: object) -> None:
    pass


def test_nobody_listening_is_retryable() -> None:
    (port,) = free_ports(1)
    replica = Replica(Address("127.0.0.1", port), login())
    for action in (
        lambda: replica.insert(TABLE, LAYOUT, BLOCK),
        lambda: replica.insert_rows("INSERT INTO probes VALUES", [(1, "x")], 5),
        lambda: replica.query("SELECT 1"),
        lambda: replica.layout(TABLE),
    ):
        with pytest.raises(Retryable, match=str(port)):
            action()


def test_a_wrong_password_is_fatal() -> None:
    with listening(ScriptedServer(password="secret")) as (address,):
        replica = Replica(address, login("guessed"))
        with pytest.raises(Fatal, match="clickhouse_password"):
            replica.insert(TABLE, LAYOUT, BLOCK)
        with pytest.raises(Fatal, match="clickhouse_password"):
            replica.query("SELECT 1")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Key and self-signed certificate of 127.0.0.1 in one PEM file."""
    file = tmp_path_factory.mktemp("tls") / "server.pem"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "2",
    ]
    command += ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    command += ["-keyout", str(file), "-out", f"{file}.crt"]
    subprocess.run(command, check=True, capture_output=True)
    with file.open("a") as whole:
        whole.write(Path(f"{file}.crt").read_text())
    return file


def test_blocks_go_over_tls_to_whom_we_trust_and_to_nobody_else(
    server: ScriptedServer, certificate: Path
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with listening(server, tls=context) as (address,):
        strict = load({"clickhouse_secure": True}, {})
        trusting = load({"clickhouse_secure": True, "clickhouse_ca_file": f"{certificate}.crt"}, {})
        with closing(Replica(address, login()._replace(tls=trusting.clickhouse_tls))) as replica:
            replica.insert(TABLE, LAYOUT, BLOCK)
        stranger = Replica(address, login()._replace(tls=strict.clickhouse_tls))
        with pytest.raises(Retryable, match="certificate"):
            stranger.insert(TABLE, LAYOUT, BLOCK)
        plain = Replica(address, login(answer_timeout_s=1.0))
        with pytest.raises(Retryable):
            plain.insert(TABLE, LAYOUT, BLOCK)
    assert server.stored == [NATIVE]


def test_few_rows_go_with_their_token(replica: Replica, server: ScriptedServer) -> None:
    replica.insert_rows("INSERT INTO probes (Id, Text) VALUES", [(7, "seven")], 99)
    assert server.stored == [NATIVE]
    assert server.queries[0].settings["insert_deduplication_token"] == "99"


# --- the replicas of a shard


@dataclass
class Pair:
    """Shard 0 with two replicas; the first one is preferred."""

    servers: list[ScriptedServer]
    shard: Shard
    clock: ManualClock
    attempts: list[Attempt]

    @property
    def stored(self) -> list[int]:
        return [len(server.stored) for server in self.servers]


@pytest.fixture
def pair(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pair]:
    made: list[Replica] = []

    class Remembered(Replica):
        def __init__(self, address: Address, login: Login) -> None:
            super().__init__(address, login)
            made.append(self)

    monkeypatch.setattr("headrace_writer.shell.shards.Replica", Remembered)
    servers = [ScriptedServer(), ScriptedServer()]
    clock = ManualClock()
    with listening(*servers) as addresses:
        shard = Shard(0, addresses, login(), clock)
        attempts: list[Attempt] = []
        shard.on_failure = attempts.append
        yield Pair(servers, shard, clock, attempts)
        for replica in made:
            replica.close()


def test_a_first_attempt_that_succeeds_is_clean(pair: Pair) -> None:
    assert pair.shard.insert(TABLE, LAYOUT, BLOCK) is True
    assert pair.stored == [1, 0]
    assert pair.attempts == []


@pytest.mark.parametrize("trouble", [hang_up, refusing(241), refusing(252)])
@pytest.mark.parametrize("when", ["on_query", "on_finish"])
def test_the_same_bytes_go_to_the_other_replica_and_count_as_unclean(
    pair: Pair, when: str, trouble: Callable[[], None]
) -> None:
    setattr(pair.servers[0], when, trouble)
    assert pair.shard.insert(TABLE, LAYOUT, BLOCK) is False
    assert pair.servers[1].stored == [NATIVE]
    (attempt,) = pair.attempts
    assert (attempt.shard, attempt.replica) == (0, pair.shard.addresses[0])
    assert isinstance(attempt.error, Retryable)
    assert pair.clock.time == 1_000.0, "the other replica is tried at once"


def test_the_replica_that_answered_is_preferred_from_then_on(pair: Pair) -> None:
    pair.servers[0].on_query = first_time(hang_up)
    assert pair.shard.insert(TABLE, LAYOUT, BLOCK) is False
    assert pair.shard.insert(TABLE, LAYOUT, BLOCK) is True
    assert pair.stored == [0, 2]
    pair.servers[1].on_query = first_time(hang_up)
    assert pair.shard.insert(TABLE, LAYOUT, BLOCK) is False
    assert pair.stored == [1, 2]


def test_a_lost_acknowledgement_is_unclean_though_the_rows_are_there(pair: Pair) -> None:
    server = pair.servers[0]

    def store_and_hang_up() -> None:
        server.stored.append(NATIVE)
        hang_up()

    server.on_finish = first_time(store_and_hang_up)
    assert pair.shard.insert(TABLE, LAYOUT, BLOCK) is False
    assert pair.stored == [1, 1]


@pytest.mark.parametrize(("code", "error"), [(469, Poison), (60, Fatal)])
def test_what_is_final_is_not_tried_elsewhere(
    pair: Pair, code: int, error: type[Exception]
) -> None:
    pair.servers[0].on_finish = refusing(code)
    with pytest.raises(error):
        pair.shard.insert(TABLE, LAYOUT, BLOCK)
    assert pair.servers[1].queries == []
    assert pair.attempts == []


def test_rounds_over_all_replicas_are_backed_off_until_one_answers(pair: Pair) -> None:
    rounds = 10
    for server in pair.servers:
        server.on_query = refusing(242)

    def recover(attempt: Attempt) -> None:
        pair.attempts.append(attempt)
        if len(pair.attempts) == 2 * rounds:
            pair.servers[0].on_query = lambda: None

    pair.shard.on_failure = recover
    assert pair.shard.insert(TABLE, LAYOUT, BLOCK) is False
    assert pair.stored == [1, 0]
    pauses = [attempt.backoff_s for attempt in pair.attempts[::2]]
    assert pauses[:3] == [FIRST_BACKOFF_S, 2 * FIRST_BACKOFF_S, 4 * FIRST_BACKOFF_S]
    assert pauses[-1] == LONGEST_BACKOFF_S
    # Jitter takes up to half of each pause.
    assert sum(pauses) / 2 <= pair.clock.time - 1_000.0 <= sum(pauses)


def test_an_insert_that_cannot_succeed_ends_when_the_writer_stops(pair: Pair) -> None:
    for server in pair.servers:
        server.on_query = hang_up
    pair.shard.stopping = lambda: len(pair.attempts) >= 5
    with pytest.raises(Stopping):
        pair.shard.insert(TABLE, LAYOUT, BLOCK)
    assert len(pair.attempts) == 5


@pytest.mark.parametrize(("when", "sent"), [("on_query", False), ("on_finish", True)])
def test_no_attempt_begins_behind_the_deadline(pair: Pair, when: str, sent: bool) -> None:
    """Who asked is told whether anything was sent: then the block may be stored."""
    for server in pair.servers:
        setattr(server, when, hang_up)
    with pytest.raises(Overdue) as overdue:
        pair.shard.insert(TABLE, LAYOUT, BLOCK, Deadline(pair.clock, 30.0))
    assert overdue.value.sent is sent
    assert 30.0 <= pair.clock.time - 1_000.0 < 30.0 + LONGEST_BACKOFF_S
    tried = len(pair.attempts)
    with pytest.raises(Overdue) as overdue:
        pair.shard.insert(TABLE, LAYOUT, BLOCK, Deadline(pair.clock, 0.0))
    assert (overdue.value.sent, len(pair.attempts)) == (False, tried)


def test_everyone_is_asked_and_silence_is_not_an_answer(pair: Pair) -> None:
    assert pair.shard.ask_everyone("SELECT count() FROM probes") == [[(41,)], [(41,)]]
    pair.servers[1].on_query = hang_up
    assert pair.shard.ask_everyone("SELECT count() FROM probes") == [[(41,)], None]
    pair.servers[0].on_query = refusing(241)
    pair.servers[1].on_query = lambda: None
    assert pair.shard.ask_everyone("SELECT count() FROM probes") == [None, [(41,)]]


def test_asking_does_not_change_who_is_preferred(pair: Pair) -> None:
    pair.servers[0].on_query = first_time(hang_up)
    assert pair.shard.ask_everyone("SELECT count() FROM probes") == [None, [(41,)]]
    assert pair.shard.insert(TABLE, LAYOUT, BLOCK) is True
    assert pair.stored == [1, 0]


def test_an_answer_that_no_retry_mends_is_raised(pair: Pair) -> None:
    pair.servers[1].on_query = refusing(60)
    with pytest.raises(Fatal, match="headrace migrate apply"):
        pair.shard.ask_everyone("SELECT count() FROM probes")


def test_layout_and_few_rows_fail_over_as_blocks_do(pair: Pair) -> None:
    pair.servers[0].on_query = hang_up
    assert pair.shard.layout(TABLE) == LAYOUT
    pair.shard.insert_rows("INSERT INTO probes (Id, Text) VALUES", [(7, "seven")], 99)
    assert pair.servers[1].stored == [NATIVE]
    assert len(pair.attempts) == 1


def test_each_worker_has_connections_of_its_own(pair: Pair) -> None:
    shards = Shards([pair.shard, pair.shard])
    both = threading.Barrier(2)

    def insert(_number: int) -> bool:
        both.wait(5)
        return pair.shard.insert(TABLE, LAYOUT, BLOCK)

    assert shards.each([0, 1], insert) == [True, True]
    assert pair.servers[0].sessions == 2
    shards.close()
