"""The ends of partitions: asked in the background, forgotten with it, never in the way."""

from collections.abc import Mapping
from concurrent.futures import Future

from confluent_kafka import KafkaError, KafkaException

from headrace_writer.shell.end_offsets import ASK_EVERY_S, EndOffsets
from support.timing import ManualClock


class Source:
    """Answers when told to."""

    def __init__(self) -> None:
        self.asked: list[tuple[list[int], Future[Mapping[int, int]]]] = []

    def ask(self, partitions: list[int]) -> "Future[Mapping[int, int]]":
        self.asked.append((partitions, Future()))
        return self.asked[-1][1]

    def answer(self, **ends: int) -> None:
        """p0=5 and so on for the newest request; those not named are not answered for."""
        self.asked[-1][1].set_result({int(name[1:]): end for name, end in ends.items()})

    def fail(self) -> None:
        self.asked[-1][1].set_exception(KafkaException(KafkaError(KafkaError._TIMED_OUT)))


def made() -> tuple[Source, ManualClock, EndOffsets]:
    source, clock = Source(), ManualClock()
    return source, clock, EndOffsets(source, clock)


def test_nothing_is_waited_for_and_one_request_is_on_its_way() -> None:
    source, clock, ends = made()
    assert ends.read([0, 1]) == {}
    clock.sleep(10 * ASK_EVERY_S)
    assert ends.read([0, 1]) == {}
    assert len(source.asked) == 1
    source.answer(p0=5, p1=7)
    assert ends.read([0, 1]) == {0: 5, 1: 7}
    assert len(source.asked) == 2, "the next is due already"


def test_it_asks_no_more_often_than_every_two_seconds() -> None:
    source, clock, ends = made()
    ends.read([0])
    source.answer(p0=5)
    clock.sleep(ASK_EVERY_S / 2)
    assert ends.read([0]) == {0: 5}
    assert len(source.asked) == 1
    clock.sleep(ASK_EVERY_S / 2)
    ends.read([0])
    assert len(source.asked) == 2


def test_a_partition_that_went_and_came_back_is_asked_anew() -> None:
    source, clock, ends = made()
    ends.read([0, 1])
    source.answer(p0=5, p1=7)
    assert ends.read([0]) == {0: 5}
    assert ends.read([0, 1]) == {0: 5}
    clock.sleep(ASK_EVERY_S)
    ends.read([0, 1])
    source.answer(p0=6, p1=9)
    assert ends.read([0, 1]) == {0: 6, 1: 9}


def test_an_end_that_could_not_be_asked_is_unknown_and_the_others_are_not() -> None:
    source, clock, ends = made()
    ends.read([0, 1])
    source.answer(p0=5, p1=7)
    ends.read([0, 1])
    clock.sleep(ASK_EVERY_S)
    ends.read([0, 1])
    source.answer(p1=8)
    assert ends.read([0, 1]) == {1: 8}


def test_a_writer_without_partitions_asks_nothing() -> None:
    source, _, ends = made()
    assert ends.read([]) == {}
    assert source.asked == []


def test_after_a_request_that_failed_no_end_is_known() -> None:
    source, clock, ends = made()
    ends.read([0, 1])
    source.answer(p0=5, p1=7)
    assert ends.read([0, 1]) == {0: 5, 1: 7}
    clock.sleep(ASK_EVERY_S)
    ends.read([0, 1])
    source.fail()
    assert ends.read([0, 1]) == {}
