"""Metrics go first: for how long, how fast it is heard, and what happens when nobody answers."""

from concurrent.futures import Future

import pytest
from confluent_kafka import KafkaError, KafkaException

from headrace_writer.errors import Retryable
from headrace_writer.shell.precedence import ANSWER_WITHIN_S, ASK_EVERY_S, MetricsFirst
from support.timing import ManualClock

AT_MOST_S = 30.0
TURN_S = 0.125  # sums of it are exact


class Metrics:
    """Late or not, or a failure; answers at once unless `held`."""

    def __init__(self) -> None:
        self.late: bool | Exception = True
        self.held = False
        self.asked = 0

    def ask(self) -> "Future[bool]":
        self.asked += 1
        answer: Future[bool] = Future()
        if self.held:
            return answer
        if isinstance(self.late, Exception):
            answer.set_exception(self.late)
        else:
            answer.set_result(self.late)
        return answer


class World:
    def __init__(self) -> None:
        self.metrics = Metrics()
        self.clock = ManualClock()
        self.first = MetricsFirst(self.metrics, AT_MOST_S, self.clock)
        self.waited = 0.0
        self.first.on_waited = self._waited

    def _waited(self, seconds: float) -> None:
        self.waited += seconds

    def waits_for(self, at_most_s: float) -> float:
        """Seconds until the next batch may go."""
        begun = self.clock.monotonic()
        while self.first.waits() and self.clock.monotonic() - begun < at_most_s:
            self.clock.sleep(TURN_S)
        return self.clock.monotonic() - begun


@pytest.fixture
def world() -> World:
    return World()


def test_it_waits_until_metrics_are_in_time(world: World) -> None:
    assert world.waits_for(7.0) == 7.0
    world.metrics.late = False
    assert world.waits_for(7.0) <= 2 * ASK_EVERY_S
    assert world.waited == pytest.approx(7.0, abs=2 * ASK_EVERY_S)
    assert world.waits_for(7.0) == 0
    assert world.metrics.asked < 7.0 / ASK_EVERY_S + 4


def test_it_goes_on_at_once_where_they_never_were_late(world: World) -> None:
    world.metrics.late = False
    assert world.waits_for(5.0) <= TURN_S


def test_of_metrics_that_stay_late_half_of_the_time_is_theirs(world: World) -> None:
    assert world.waits_for(100.0) == pytest.approx(AT_MOST_S, abs=2 * TURN_S)
    waited = 0.0
    for _ in range(20):
        world.clock.sleep(2.0)  # a batch
        waited += world.waits_for(100.0)
    assert waited == pytest.approx(40.0, rel=0.1)


def test_a_long_quiet_time_saves_no_more_than_the_most(world: World) -> None:
    world.waits_for(100.0)
    world.clock.sleep(10 * AT_MOST_S)
    assert world.waits_for(100.0) == pytest.approx(AT_MOST_S, abs=2 * TURN_S)


def test_who_had_nothing_to_store_meanwhile_did_not_wait(world: World) -> None:
    assert world.waits_for(20.0) == 20.0
    world.clock.sleep(600.0)  # the partitions went to another writer
    assert world.waits_for(100.0) == pytest.approx(AT_MOST_S, abs=2 * TURN_S)
    assert world.waited == pytest.approx(20.0 + AT_MOST_S, abs=4 * TURN_S)


def test_an_answer_of_long_ago_is_not_used(world: World) -> None:
    world.metrics.late = False
    world.waits_for(5.0)
    world.clock.sleep(60.0)
    world.metrics.late = True
    assert world.waits_for(5.0) == 5.0


def test_where_nobody_answers_nobody_is_waited_for(world: World) -> None:
    world.metrics.held = True
    assert world.waits_for(60.0) == pytest.approx(ANSWER_WITHIN_S, abs=2 * TURN_S)
    world.clock.sleep(60.0)
    assert world.waits_for(60.0) == 0, "the question is still on its way"
    assert world.metrics.asked == 1


@pytest.mark.parametrize(
    "failure", [Retryable("no broker"), KafkaException(KafkaError(KafkaError._TRANSPORT))]
)
def test_where_asking_fails_nobody_is_waited_for(world: World, failure: Exception) -> None:
    world.waits_for(1.0)
    world.metrics.late = failure
    assert world.waits_for(60.0) <= 2 * ASK_EVERY_S
