"""The ends of partitions: asked in the background, forgotten with it, never in the way."""

from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import OffsetSpec  # type: ignore[attr-defined]

from headrace_writer.shell.end_offsets import ASK_EVERY_S, EndOffsets
from support.timing import ManualClock


class Admin:
    """Answers when told to."""

    def __init__(self) -> None:
        self.asked: list[dict[TopicPartition, Future[Any]]] = []

    def list_offsets(
        self, topic_partition_offsets: dict[TopicPartition, OffsetSpec], **kwargs: Any
    ) -> dict[TopicPartition, "Future[Any]"]:
        assert kwargs["request_timeout"] > 0
        self.asked.append({place: Future() for place in topic_partition_offsets})
        return self.asked[-1]

    def answer(self, **ends: int) -> None:
        """p0=5 and so on for the newest request; those not named fail."""
        for place, future in self.asked[-1].items():
            end = ends.get(f"p{place.partition}")
            if end is None:
                future.set_exception(KafkaException(KafkaError(KafkaError._TIMED_OUT)))
            else:
                future.set_result(SimpleNamespace(offset=end))


def made() -> tuple[Admin, ManualClock, EndOffsets]:
    admin, clock = Admin(), ManualClock()
    return admin, clock, EndOffsets(admin, "otlp_spans", clock)


def test_nothing_is_waited_for_and_one_request_is_on_its_way() -> None:
    admin, clock, ends = made()
    assert ends.read([0, 1]) == {}
    clock.sleep(10 * ASK_EVERY_S)
    assert ends.read([0, 1]) == {}
    assert len(admin.asked) == 1
    admin.answer(p0=5, p1=7)
    assert ends.read([0, 1]) == {0: 5, 1: 7}
    assert len(admin.asked) == 2, "the next is due already"


def test_it_asks_no_more_often_than_every_two_seconds() -> None:
    admin, clock, ends = made()
    ends.read([0])
    admin.answer(p0=5)
    clock.sleep(ASK_EVERY_S / 2)
    assert ends.read([0]) == {0: 5}
    assert len(admin.asked) == 1
    clock.sleep(ASK_EVERY_S / 2)
    ends.read([0])
    assert len(admin.asked) == 2


def test_a_partition_that_went_and_came_back_is_asked_anew() -> None:
    admin, clock, ends = made()
    ends.read([0, 1])
    admin.answer(p0=5, p1=7)
    assert ends.read([0]) == {0: 5}
    assert ends.read([0, 1]) == {0: 5}
    clock.sleep(ASK_EVERY_S)
    ends.read([0, 1])
    admin.answer(p0=6, p1=9)
    assert ends.read([0, 1]) == {0: 6, 1: 9}


def test_an_end_that_could_not_be_asked_is_unknown_and_the_others_are_not() -> None:
    admin, clock, ends = made()
    ends.read([0, 1])
    admin.answer(p0=5, p1=7)
    ends.read([0, 1])
    clock.sleep(ASK_EVERY_S)
    ends.read([0, 1])
    admin.answer(p1=8)
    assert ends.read([0, 1]) == {1: 8}


def test_a_writer_without_partitions_asks_nothing() -> None:
    admin, _, ends = made()
    assert ends.read([]) == {}
    assert admin.asked == []
