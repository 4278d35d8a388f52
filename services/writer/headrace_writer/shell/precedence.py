"""Spans and logs that catch up give way to metrics that are late.

After an outage all signals wait for the same servers, and only metrics are promised within ten
seconds: so their backlog goes first, and then the others' at full speed.
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

from confluent_kafka import KafkaException

from headrace_writer.errors import HeadraceError
from headrace_writer.shell.clock import Clock
from headrace_writer.shell.kafka import GroupConfig
from headrace_writer.shell.kafka_view import GroupView

# Metrics that are older than this and not stored are late: half of what is promised, and more than
# a batch by age takes.
LATE_S = 5.0
ASK_EVERY_S = 0.5
# Without an answer for so long nobody is waited for.
ANSWER_WITHIN_S = 2.0


class Lateness(Protocol):
    """Knows whether metrics are late."""

    def ask(self) -> "Future[bool]":
        """Whether they are now. The result may be a HeadraceError or a KafkaException."""


class Precedence(Protocol):
    """What the loop asks before each batch while it is behind."""

    def waits(self) -> bool:
        """Whether another signal goes first."""


class NoPrecedence:
    """Waits for nobody."""

    def waits(self) -> bool:
        return False


class MetricsFirst:
    """Waits while metrics are late, up to `at_most_s` in a row.

    Time that was not waited counts against time that was: of metrics that stay late, whatever the
    reason, half of the time is theirs.
    """

    def __init__(self, lateness: Lateness, at_most_s: float, clock: Clock) -> None:
        self._lateness = lateness
        self._at_most_s = self._left_s = at_most_s
        self._clock = clock
        self._looked_at = self._asked_at = self._answered_at = float("-inf")
        self._asked: Future[bool] | None = None
        self._late = False
        self._waits = False
        self.on_waited: Callable[[float], None] = lambda _seconds: None

    def waits(self) -> bool:
        """Never blocks: the question is answered in the background."""
        now = self._clock.monotonic()
        passed_s = now - self._looked_at
        self._looked_at = now
        # Who was not asked for longer had nothing to store, and did not wait.
        if self._waits and passed_s < ANSWER_WITHIN_S:
            self._left_s = max(0.0, self._left_s - passed_s)
            self.on_waited(passed_s)
        else:
            self._left_s = min(self._at_most_s, self._left_s + passed_s)
        self._take_answer(now)
        if self._asked is None and now - self._asked_at >= ASK_EVERY_S:
            self._asked, self._asked_at = self._lateness.ask(), now
        waiting_for_answer = self._asked is not None and now - self._asked_at < ANSWER_WITHIN_S
        known = now - self._answered_at < ANSWER_WITHIN_S
        self._waits = self._left_s > 0 and (self._late if known else waiting_for_answer)
        return self._waits

    def _take_answer(self, now: float) -> None:
        if self._asked is None or not self._asked.done():
            return
        try:
            self._late = self._asked.result()
        except (HeadraceError, KafkaException):
            self._late = False  # nobody is given way to on a guess
        self._asked, self._answered_at = None, now


class GroupLateness:
    """Asks the brokers how far a group is, without joining it, on a thread of its own."""

    def __init__(self, config: GroupConfig, clock: Clock) -> None:
        self._config = config
        self._clock = clock
        self._view: GroupView | None = None
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="lateness")

    def ask(self) -> "Future[bool]":
        return self._worker.submit(self._late)

    def _late(self) -> bool:
        if self._view is None:
            self._view = GroupView(self._config, ANSWER_WITHIN_S)
        return self._view.behind(int((self._clock.now() - LATE_S) * 1000))
