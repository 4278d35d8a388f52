"""One signal's consume loop: poll, cut, deliver, and what a rebalance does to it.

Everything here runs on one thread, which is also the only one that polls and commits. At most one
delivery is on its way at a time, so one range per partition is; while it is, fetching goes on into
the backlog until that is full.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

import structlog

from headrace_writer.core import delivery
from headrace_writer.core.backlog import Backlog, Message
from headrace_writer.core.delivery_effects import Abandoned, Effect, Ledger, Stopped, Stored
from headrace_writer.core.delivery_plan import Plan
from headrace_writer.core.ownership import Ownership
from headrace_writer.errors import Fatal
from headrace_writer.shell.batch_store import BatchStore
from headrace_writer.shell.clock import Clock, Deadline
from headrace_writer.shell.delivery_runner import Delivery, Observe
from headrace_writer.shell.group_member import GroupMember
from headrace_writer.shell.in_sequence import InSequence
from headrace_writer.shell.precedence import NoPrecedence, Precedence
from headrace_writer.shell.tracer import NoTracer, Tracer
from headrace_writer.telemetry import SignalMetrics

# While a delivery is on its way the loop looks after it this often; otherwise it may wait longer.
BUSY_POLL_S = 0.02
IDLE_POLL_S = 0.1
# For so long a full backlog waits for the delivery on its way without polling, which a revoke would
# wait for, too. Paused partitions lose what librdkafka has fetched ahead, and go on half a second
# after they are resumed: that is for a ClickHouse that stands still.
PAUSE_AFTER_S = 5.0
# A first assignment takes a heartbeat or two; who has none by then is a spare.
SURPLUS_AFTER_S = 10.0
# A new writer is taken for ready once it has stored what waited when it began. One that cannot
# keep up would never be, and a rollout that brings the remedy must not wait for it.
CATCH_UP_WITHIN_S = 120.0
# One call fetches at most this many; messages hold up to thousands of records each.
POLL_MESSAGES = 500
# And about so many bytes: they are there twice until the call returns.
POLL_BYTES = 8 << 20


@dataclass(frozen=True, slots=True)
class LoopSettings:
    """Times in seconds."""

    settle_after_s: float
    """Commit the ends of stored ranges when no next plan carries them for so long."""
    drain_deadline_s: float
    """How long a revoke or the end may wait for the delivery on its way."""


CUT_OFF = "Kafka lost messages that it had acknowledged (an unclean leader election?)"


def deleted(offset: int, low: int) -> str:
    """What is said of a partition whose retention was shorter than its lag."""
    return f"the broker deleted offsets [{offset}, {low}) before they were read"


def at_once(messages: Sequence[Message]) -> int:
    """How many messages of this size one call may fetch; 0 without messages."""
    nbytes = sum(len(message.value) for message in messages)
    return min(POLL_MESSAGES, 1 + POLL_BYTES * len(messages) // max(nbytes, 1)) if messages else 0


class SignalLoop:
    """Also the listener of its consumer."""

    def __init__(
        self,
        backlog: Backlog,
        store: BatchStore,
        settings: LoopSettings,
        clock: Clock,
        metrics: SignalMetrics,
        worker: Executor,
    ) -> None:
        self.ownership = Ownership()
        self._consumer: GroupMember
        self._backlog = backlog
        self._store = store
        self._settings = settings
        self._clock = clock
        self._metrics = metrics
        self._log = structlog.get_logger().bind(signal=metrics.signal)
        self._worker = worker
        self._delivery: Delivery[Any] | None = None
        self._finish: Callable[[Any], None] = lambda _result: None
        self._in_flight: tuple[Plan, list[Message]] | None = None
        self._stored_at = clock.monotonic()
        self._full_since: float | None = None
        self._paused = False
        self._sequence = InSequence()
        self._ended: dict[int, str] = {}
        """Partitions that cannot be read on, and why: they stop when what was read is stored."""
        self._assigned_once = False
        self._at_first: dict[int, int | None] = {}
        self._attached_at = clock.monotonic()
        self.given_up = False
        """The drain deadline has passed: inserts that still repeat may end."""
        self._at_once = 1
        self._behind = False
        """When the last batch was stored, the next one was full already."""
        self.tracer: Tracer = NoTracer()
        self.precedence: Precedence = NoPrecedence()

    def attach(self, consumer: GroupMember) -> None:
        """The consumer needs its listener first; so it arrives after."""
        self._consumer = consumer
        self._attached_at = self._clock.monotonic()

    @property
    def joined(self) -> bool:
        """An assignment has come, or none does because there are more members than partitions:
        the consumer protocol reports no empty one."""
        waited = self._clock.monotonic() - self._attached_at
        return self._assigned_once or waited > SURPLUS_AFTER_S

    @property
    def catching_up(self) -> bool:
        """What waited when the partitions came is not stored yet; never again after it was."""
        waited = self._clock.monotonic() - self._attached_at
        return bool(self._at_first) and waited <= CATCH_UP_WITHIN_S

    def run(self, stopping: Callable[[], bool]) -> None:
        """Until `stopping`, then drain. Raises what makes the process end."""
        try:
            while not stopping():
                self.turn()
            self._drain()
        finally:
            self._worker.shutdown(wait=False, cancel_futures=True)
            self._consumer.close()

    def turn(self) -> None:
        """One turn: fetch, look after the delivery, begin the next."""
        messages = self._fetch()
        self._at_once = at_once(messages) or self._at_once
        wanted = self._sequence.sift(messages, self.ownership.position, self._consumer.start)
        self._backlog.add(wanted, self._clock.monotonic())
        self._metrics.fetched(wanted, self._clock.now())
        self._flow()
        self._advance()
        if self._delivery is None:
            self._begin()
            self._advance()
        position = self.ownership.position
        paused = len(position) if self._paused else 0
        self._metrics.state(self.ownership, self._backlog, self._in_flight, paused)
        ends = self._consumer.ends(position)
        self._metrics.offsets(position, ends)
        self._catch_up(ends)

    def _catch_up(self, ends: Mapping[int, int]) -> None:
        """Strike out the partitions whose first known end is stored, and those that are gone."""
        for partition, end in list(self._at_first.items()):
            stored = self.ownership.position.get(partition)
            if partition not in self.ownership.held:
                del self._at_first[partition]
            elif end is None:
                self._at_first[partition] = ends.get(partition)
            elif stored is not None and stored >= end:
                del self._at_first[partition]

    def _fetch(self) -> list[Message]:
        """What has come; of a backlog that is just full, wait for the delivery instead."""
        if self._full_since is None or self._paused:
            busy = self._delivery is not None
            return self._consumer.poll(self._at_once, BUSY_POLL_S if busy else IDLE_POLL_S)
        if self._delivery is not None:
            self._delivery.wait(BUSY_POLL_S)
        else:
            self._clock.sleep(BUSY_POLL_S)
        return []

    def _flow(self) -> None:
        """Take nothing more while the backlog is full; pause fetching where that lasts."""
        now = self._clock.monotonic()
        if self._backlog.drained_enough:
            self._full_since = None
            if self._paused:
                self._paused = False
                self._consumer.resume(sorted(self.ownership.position))
        elif self._full_since is None:
            self._full_since = now if self._backlog.full else None
        elif not self._paused and now - self._full_since >= PAUSE_AFTER_S:
            self._paused = True
            self._consumer.pause(sorted(self.ownership.position))

    def _advance(self) -> None:
        delivery_now = self._delivery
        if delivery_now is None:
            return
        if delivery_now.advance(self._consumer, self._store, self._clock, self._worker):
            self._delivery = None
            self._finish(delivery_now.result)

    def _begin(self) -> None:
        """Recover first, then the next batch, then the ends that nothing carries."""
        self._store.refresh()
        self._stop_ended()
        now = self._clock.monotonic()
        new = self.ownership.unrecovered
        reason = self._backlog.closes(now)
        if new:
            self._check_topic()
            origin = self._store.tables.origin
            steps = delivery.recover(origin.topic_id, new, origin.encoding)
            self._start(steps, self._recovered, self._replaying)
        elif reason is not None and not (self._behind and self.precedence.waits()):
            self._deliver(reason)
        elif self.ownership.completed and now - self._stored_at >= self._settings.settle_after_s:
            self._settle()

    def _check_topic(self) -> None:
        """Offsets mean nothing in another topic of the same name."""
        known, now = self._store.tables.origin.topic_id, self._consumer.topic_id()
        if now != known:
            msg = (
                f"the topic of {self._metrics.signal} was deleted and created again under this "
                f"writer (its id was {known} and is {now}): the next start reads the new one"
            )
            raise Fatal(msg)

    def _start(
        self, steps: Any, finish: Callable[[Any], None], observe: Observe | None = None
    ) -> None:
        self._delivery = Delivery(steps, self.ownership.since_now(), observe or self._observe)
        self._finish = finish

    def _observe(self, effect: Effect, begun_s: float, ended_s: float) -> None:
        self.tracer.effect(effect, begun_s, ended_s)
        self._metrics.stage(type(effect).__name__.lower(), ended_s - begun_s)

    def _replaying(self, effect: Effect, begun_s: float, ended_s: float) -> None:
        """A ledger row written by a recovery is that of a plan somebody had left."""
        if isinstance(effect, Ledger):
            self._metrics.replayed()
        self._observe(effect, begun_s, ended_s)

    def _deliver(self, reason: str) -> None:
        waited_s = self._backlog.waited(self._clock.monotonic())
        messages = self._backlog.cut()
        self.tracer.begin(reason, messages, waited_s)
        begun = self._clock.monotonic()
        plan, rest = self._store.decode(messages, self.ownership.position)
        self._metrics.stage("decode", self._clock.monotonic() - begun)
        self._backlog.put_back(rest, self._clock.monotonic())
        self.tracer.decoded()
        self._metrics.batch_closed(reason, plan)
        self._in_flight = (plan, messages[: len(messages) - len(rest)])
        completed, self.ownership.completed = self.ownership.completed, {}
        self._start(delivery.deliver(plan, completed), self._delivered)

    def _delivered(self, outcome: Stored | Abandoned | Stopped) -> None:
        assert self._in_flight is not None
        plan, messages = self._in_flight
        self._in_flight = None
        now = self._stored_at = self._clock.monotonic()
        self._behind = self._backlog.closes(now) == "bytes"
        self.tracer.end(outcome)
        if isinstance(outcome, Stored):
            for partition, end in plan.ends.items():
                if partition in self.ownership.position:
                    self.ownership.position[partition] = end
                    self.ownership.completed[partition] = end
            self._metrics.stored(outcome.plan, messages, self._clock.now())
        elif isinstance(outcome, Abandoned):
            self._log.info("delivery abandoned", why=outcome.why)
            self._recover_again(self.ownership.held)
        else:
            self._stop(plan.partitions, outcome.why)

    def _recovered(self, found: dict[int, delivery.Recovered]) -> None:
        for partition, place in found.items():
            if partition not in self.ownership.held or isinstance(place, Abandoned):
                continue
            if isinstance(place, Stopped):
                self._stop([partition], place.why)
                continue
            low, _ = self._consumer.watermarks(partition)
            offset = low if place is None else place
            if offset < low:
                self._stop([partition], deleted(offset, low))
                continue
            self.ownership.position[partition] = offset
            self._sequence.begin(partition, offset)
            if place is not None:
                # A plan that was finished here leaves the commit at its start.
                self.ownership.completed[partition] = offset
            self._consumer.start(partition, offset)
            if self._paused:
                self._consumer.pause([partition])
        self._log.info("partitions recovered", positions=dict(self.ownership.position))

    def _recover_again(self, partitions: frozenset[int]) -> None:
        """After an abandoned delivery it is unknown what was committed: ask the broker."""
        self._consumer.pause(sorted(partitions))
        self._backlog.drop(partitions)
        self.ownership.forget(partitions)

    def _stop(self, partitions: Any, why: str) -> None:
        for partition in partitions:
            if partition in self.ownership.held:
                self.ownership.stopped[partition] = why
                self._consumer.pause([partition])
                self.ownership.forget([partition])
        self._backlog.drop(partitions)
        self._log.error("partition stopped", partitions=list(partitions), why=why)

    def _stop_ended(self) -> None:
        """What was read before is stored and committed first: it may be nowhere else any more."""
        for partition, why in list(self._ended.items()):
            if partition not in self.ownership.position:
                del self._ended[partition]
            elif partition not in self.ownership.completed | self._backlog.oldest():
                self._stop([partition], why)

    def _settle(self) -> None:
        completed, self.ownership.completed = self.ownership.completed, {}
        self._start(delivery.settle(completed), lambda _done: None)

    def _finish_delivery(self, deadline: Deadline) -> None:
        """Bring the delivery on its way to its end, if the deadline allows."""
        while self._delivery is not None and not deadline.passed:
            self._advance()
            if self._delivery is not None:
                self._clock.sleep(BUSY_POLL_S)

    def _drain(self) -> None:
        """Store and commit what was fetched; what does not fit the deadline is left as planned."""
        deadline = Deadline(self._clock, self._settings.drain_deadline_s)
        self._consumer.pause(sorted(self.ownership.held))
        self._finish_delivery(deadline)
        while self._delivery is None and len(self._backlog) and not deadline.passed:
            self._deliver("drain")
            self._finish_delivery(deadline)
        if self._delivery is None and self.ownership.completed:
            self._settle()
            self._finish_delivery(deadline)
        left = self._delivery is not None
        self.given_up = True
        # What is left stays as planned: whoever gets the partitions next finishes it.
        self._delivery = None
        self._log.info("drained", in_time=not left, backlog=len(self._backlog))

    # --- the listener's side, inside poll

    def assigned(self, partitions: list[int]) -> None:
        if not self._assigned_once:
            self._at_first = dict.fromkeys(partitions)
        self._assigned_once = True
        self.ownership.assign(partitions)
        self._metrics.rebalanced("assigned", partitions)
        self._log.info("partitions assigned", partitions=sorted(partitions))

    def revoked(self, partitions: list[int]) -> None:
        """Finish what is on its way, so that the next owner finds no plan; else leave it."""
        deadline = Deadline(self._clock, self._settings.drain_deadline_s)
        self._finish_delivery(deadline)
        ends = {p: e for p, e in self.ownership.completed.items() if p in partitions}
        if self._delivery is None and ends:
            for partition in ends:
                del self.ownership.completed[partition]
            self._start(delivery.settle(ends), lambda _done: None)
            self._finish_delivery(deadline)
        self._metrics.rebalanced("revoked", partitions)
        self._forget(partitions)

    def lost(self, partitions: list[int]) -> None:
        self._metrics.rebalanced("lost", partitions)
        self._forget(partitions)

    def unreadable(self, partition: int) -> None:
        if partition not in self.ownership.position:
            return  # fetched before it was known where to go on
        self._check_topic()
        offset = self._sequence.expected(partition)
        low, high = self._consumer.watermarks(partition)
        if offset < low:
            why = deleted(offset, low)
        elif offset > high:
            why = f"the log ends at {high}, and it was read up to {offset}: {CUT_OFF}"
        else:
            why = f"the broker holds [{low}, {high}), and refuses to read at {offset}: {CUT_OFF}"
        self._ended[partition] = why
        self._log.error("partition cannot be read on", partition=partition, why=why)

    def _forget(self, partitions: list[int]) -> None:
        self.ownership.drop(partitions)
        self._backlog.drop(partitions)
        self._log.info("partitions given up", partitions=sorted(partitions))
