"""The replicas of a shard: who is asked, how often, and what an attempt leaves in doubt."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from headrace_writer.errors import Fatal, Poison, Retryable
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
