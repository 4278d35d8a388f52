"""Runs the delivery protocol's steps: commits on the polling thread, the rest beside it.

A rebalance callback must never run between the ownership check and the commit, nor while a commit
is unanswered; both hold because commits are made here, on the thread that polls, and because
waiting for an unanswered one blocks that thread. Everything slow (inserting, counting, reading
again) runs on a worker thread, so that polling goes on and the group membership lives.
"""

from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future
from concurrent.futures import wait as wait_for
from typing import Any, Generic, Protocol, TypeVar, cast

from headrace_writer.core.block import Target
from headrace_writer.core.delivery_effects import (
    Build,
    BuildProblem,
    Commit,
    CommitResult,
    Committed,
    Count,
    DeadLetter,
    Effect,
    Expired,
    Insert,
    Inserted,
    Ledger,
    LedgerAhead,
    LedgerPlans,
    Owned,
    Position,
    Steps,
    TablesUnchanged,
    Wait,
)
from headrace_writer.core.delivery_plan import Plan, Range
from headrace_writer.shell import fault_points
from headrace_writer.shell.clock import Clock

# A member that repeats an unanswered commit longer than its session is expelled, and the commit
# refused; half a second keeps the repetitions few and the answer quick.
COMMIT_RETRY_S = 0.5
LOOK_AGAIN_S = 1.0

T = TypeVar("T")

Observe = Callable[[Effect, float, float], None]
"""Told of each effect that takes time, with its begin and end in seconds since 1970; on any
thread."""


class Offsets(Protocol):
    """The group's offsets, used on the polling thread only."""

    def commit(self, positions: Mapping[int, Position]) -> CommitResult:
        """Commit synchronously."""

    def committed(self, partitions: tuple[int, ...]) -> dict[int, Position]:
        """Committed positions; partitions without one are absent. Retries until answered."""


class Store(Protocol):
    """The batch's blocks and where they go, used on a worker thread."""

    def build(self, plan: Plan) -> BuildProblem | None:
        """Make the plan's blocks ready to insert."""

    def check_tables(self) -> None:
        """Raise LayoutError when a table has another header than at the start."""

    def expired(self, plan: Plan, quarters: int) -> bool:
        """Whether the plan is older than so many quarters of the deduplication window."""

    def insert(self, plan: Plan, targets: frozenset[Target]) -> Inserted:
        """Insert until every block is acknowledged or refused, or for a quarter of the window."""

    def count(self, target: Target, ingest_ids: tuple[int, ...]) -> list[int | None]:
        """Rows with these IngestIds per replica; None where it does not answer."""

    def dead_letter(self, plan: Plan) -> None:
        """Store what the plan leaves out, durably."""

    def ledger(self, plan: Plan, verified: bool) -> None:
        """Store the ledger rows, durably."""

    def ledger_ahead(self, partition: int, offset: int) -> list[tuple[int, int]]:
        """Stored ranges that end after `offset`."""

    def ledger_plans(self, place: Range) -> list[Plan]:
        """Plans under which exactly this range was stored."""


class Delivery(Generic[T]):
    """One run of the protocol (`deliver`, `recover` or `settle`) on its way."""

    def __init__(
        self,
        steps: Steps[T],
        owned: Callable[[tuple[int, ...]], bool],
        observe: Observe = lambda _effect, _begun, _ended: None,
    ) -> None:
        self._steps = steps
        self._observe = observe
        self._owned = owned
        """Whether partitions are held since this run began, by their local epochs."""
        self._pending: Future[Any] | None = None
        self._answer: Any = None
        self._unanswered = False
        self.result: T | None = None
        self.done = False

    def advance(self, offsets: Offsets, store: Store, clock: Clock, executor: Executor) -> bool:
        """Run as far as possible without waiting. True when done: `result` is set.

        Raises what a worker raised: the protocol's state is then as after a crash, and the
        process should end as after one.
        """
        while not self.done:
            if self._pending is not None:
                if not self._pending.done():
                    return False
                self._answer = self._pending.result()
                self._pending = None
            try:
                effect = self._steps.send(self._answer)
            except StopIteration as end:
                self.result = cast(T, end.value)
                self.done = True
                break
            self._answer = None
            self._begin(effect, offsets, store, clock, executor)
        return True

    def wait(self, timeout_s: float) -> None:
        """Until the effect on its way has ended; without one, not at all."""
        if self._pending is not None:
            wait_for([self._pending], timeout_s)

    def _begin(
        self, effect: Effect, offsets: Offsets, store: Store, clock: Clock, executor: Executor
    ) -> None:
        match effect:
            case Owned(partitions):
                self._answer = self._owned(partitions)
            case Commit(positions):
                point = "plan" if any(text for _, text in positions.values()) else "settle"
                fault_points.passed(f"{point}.before")
                begun = clock.now()
                self._answer = self._commit(positions, offsets)
                self._observe(effect, begun, clock.now())
                fault_points.passed(f"{point}.after")
            case Committed(partitions):
                self._answer = offsets.committed(partitions)
            case Wait() if self._unanswered:
                clock.sleep(COMMIT_RETRY_S)
            case Wait():
                self._pending = executor.submit(clock.sleep, LOOK_AGAIN_S)
            case _:
                self._pending = executor.submit(self._observed, effect, store, clock)

    def _observed(self, effect: Effect, store: Store, clock: Clock) -> Any:
        begun = clock.now()
        try:
            return in_background(effect, store)
        finally:
            self._observe(effect, begun, clock.now())

    def _commit(self, positions: Mapping[int, Position], offsets: Offsets) -> CommitResult:
        if not self._owned(tuple(positions)):
            return CommitResult.FENCED
        result = offsets.commit(positions)
        self._unanswered = result is CommitResult.UNKNOWN
        return result


def in_background(effect: Effect, store: Store) -> Any:
    """Execute one of the effects that ClickHouse, or reading again, answers."""
    point = type(effect).__name__.lower()
    fault_points.passed(f"{point}.before")
    answer = _execute(effect, store)
    fault_points.passed(f"{point}.after")
    return answer


def _execute(effect: Effect, store: Store) -> Any:  # noqa: PLR0911 (one per effect)
    match effect:
        case Build(plan):
            return store.build(plan)
        case TablesUnchanged():
            return store.check_tables()
        case Expired(plan, quarters):
            return store.expired(plan, quarters)
        case Insert(plan, targets):
            return store.insert(plan, targets)
        case Count(target, ingest_ids):
            return store.count(target, ingest_ids)
        case DeadLetter(plan):
            return store.dead_letter(plan)
        case Ledger(plan, verified):
            return store.ledger(plan, verified)
        case LedgerAhead(partition, offset):
            return store.ledger_ahead(partition, offset)
        case LedgerPlans(place):
            return store.ledger_plans(place)
        case _:
            msg = f"no worker executes {type(effect).__name__}"
            raise AssertionError(msg)
