"""The cluster as the writer sees it: shards of replicas; inserts repeat, counts ask everyone."""

import random
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any, TypeVar

from headrace_writer.core.block import Block, Layout
from headrace_writer.errors import HeadraceError, Retryable
from headrace_writer.shell.clock import Clock, Deadline
from headrace_writer.shell.replica import Address, Login, Replica

T = TypeVar("T")
R = TypeVar("R")

FIRST_BACKOFF_S = 0.1
# 2 s: a replica that comes back is used again well inside the ten seconds of the metrics promise,
# and a refused connection costs nothing.
LONGEST_BACKOFF_S = 2.0
ASK_AGAIN_S = 1.0
# A count answers in milliseconds; a replica that needs longer is as good as silent.
COUNT_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Attempt:
    """One failed try, for metrics and logs."""

    shard: int
    replica: Address
    error: HeadraceError
    backoff_s: float


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """One block's clean attempt, for metrics."""

    shard: int
    replica: Address
    seconds: float


class Stopping(Retryable):
    """The process is ending; the attempt in hand is left as it is."""


class Overdue(Retryable):
    """No answer before the deadline."""

    def __init__(self, shard: int, *, sent: bool) -> None:
        super().__init__(f"shard {shard}: no answer in time")
        self.sent = sent
        """Something was sent, so it may be stored."""


class Shard:
    """The replicas of one shard. Each worker thread has connections of its own."""

    def __init__(
        self, number: int, addresses: Sequence[Address], login: Login, clock: Clock
    ) -> None:
        self.number = number
        self.addresses = list(addresses)
        self._login = login
        self._clock = clock
        self._local = threading.local()
        self._connections: list[Replica] = []
        self._preferred = number % len(self.addresses)
        self.count_timeout_s = COUNT_TIMEOUT_S
        self.on_failure: Callable[[Attempt], None] = lambda _attempt: None
        self.on_acknowledged: Callable[[Acknowledged], None] = lambda _done: None
        self.stopping: Callable[[], bool] = lambda: False

    def insert(
        self, table: str, layout: Layout, block: Block, deadline: Deadline | None = None
    ) -> bool:
        """Insert until acknowledged, the same bytes to any replica; no attempt begins behind the
        deadline.

        Returns whether the first attempt was clean. Raises Poison, Fatal, Overdue and Stopping.
        """
        clean = True
        sent = False

        def once(replica: Replica) -> Acknowledged:
            nonlocal sent
            if deadline is not None and deadline.passed:
                raise Overdue(self.number, sent=sent)
            begun = self._clock.monotonic()
            try:
                replica.insert(table, layout, block)
            finally:
                sent = sent or replica.sent
            return Acknowledged(self.number, replica.address, self._clock.monotonic() - begun)

        def failed(_attempt: Attempt) -> None:
            nonlocal clean
            clean = False

        self.on_acknowledged(self._until_done(once, failed))
        return clean

    def knows_tokens(self) -> bool:
        """Whether repeated inserts are dropped by their tokens."""
        return self._until_done(Replica.knows_tokens, lambda _attempt: None)

    def layout(self, table: str) -> Layout:
        """The INSERT header, from whichever replica answers first."""
        return self._until_done(lambda replica: replica.layout(table), lambda _attempt: None)

    def insert_rows(self, sql: str, rows: list[tuple[Any, ...]], token: int) -> None:
        """Insert few rows until acknowledged."""
        self._until_done(
            lambda replica: replica.insert_rows(sql, rows, token), lambda _attempt: None
        )

    def ask_everyone(
        self, sql: str, parameters: dict[str, Any] | None = None
    ) -> list[list[tuple[Any, ...]] | None]:
        """The answer of each replica; None where there is none."""
        answers: list[list[tuple[Any, ...]] | None] = []
        for address in self.addresses:
            try:
                answers.append(self._connection(address, counting=True).query(sql, parameters))
            except Retryable:
                answers.append(None)
        return answers

    def ask(self, sql: str, parameters: dict[str, Any] | None = None) -> list[tuple[Any, ...]]:
        """Rows of all replicas, asked until one of them answers: silence is not "no rows".

        Raises Stopping.
        """
        while True:
            answers = self.ask_everyone(sql, parameters)
            if any(rows is not None for rows in answers):
                return [row for rows in answers for row in rows or ()]
            if self.stopping():
                names = ", ".join(map(str, self.addresses))
                msg = f"shard {self.number}: given up before one of {names} answered"
                raise Stopping(msg)
            self._clock.sleep(ASK_AGAIN_S)

    def _until_done(self, action: Callable[[Replica], T], failed: Callable[[Attempt], None]) -> T:
        backoff_s = FIRST_BACKOFF_S
        while True:
            for _ in self.addresses:
                address = self.addresses[self._preferred]
                try:
                    return action(self._connection(address))
                except Overdue:
                    raise
                except Retryable as error:
                    # A token that was sent may be stored: from here on the outcome is in doubt.
                    self._preferred = (self._preferred + 1) % len(self.addresses)
                    attempt = Attempt(self.number, address, error, backoff_s)
                    failed(attempt)
                    self.on_failure(attempt)
                    if self.stopping():
                        msg = f"shard {self.number}: given up before an answer; last: {error}"
                        raise Stopping(msg) from error
            self._clock.sleep(backoff_s * random.uniform(0.5, 1.0))
            backoff_s = min(backoff_s * 2, LONGEST_BACKOFF_S)

    def _connection(self, address: Address, *, counting: bool = False) -> Replica:
        """This thread's connection. Counting has its own, with a timeout of its own."""
        known: dict[tuple[Address, bool], Replica] = self._local.__dict__.setdefault("known", {})
        replica = known.get((address, counting))
        if replica is None:
            login = self._login
            if counting:
                login = login._replace(answer_timeout_s=self.count_timeout_s)
            replica = known[address, counting] = Replica(address, login)
            self._connections.append(replica)
        return replica

    def close(self) -> None:
        """Hang up every thread's connections; no thread may be using them."""
        for replica in self._connections:
            replica.close()


class Shards:
    """All shards, each with a worker thread that inserts its blocks one after the other."""

    def __init__(self, shards: Sequence[Shard]) -> None:
        self.shards = list(shards)
        self._workers = ThreadPoolExecutor(len(self.shards), thread_name_prefix="insert")

    def __len__(self) -> int:
        return len(self.shards)

    def __getitem__(self, number: int) -> Shard:
        return self.shards[number]

    def know_tokens(self) -> bool:
        """Whether every shard drops repeated inserts by their tokens."""
        return all(shard.knows_tokens() for shard in self.shards)

    def each(self, jobs: Sequence[T], run: Callable[[T], R]) -> list[R]:
        """Run jobs on the workers, wait for all of them, then raise the first error if any."""
        futures = [self._workers.submit(run, job) for job in jobs]
        wait(futures)
        return [future.result() for future in futures]

    def close(self) -> None:
        self._workers.shutdown(wait=True, cancel_futures=True)
        for shard in self.shards:
            shard.close()
