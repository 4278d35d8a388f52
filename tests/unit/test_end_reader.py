"""Who leads a partition is asked anew where an answer was not whole, and only there."""

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from headrace_writer.shell import kafka
from headrace_writer.shell.kafka import EndReader, GroupConfig

CONFIG = GroupConfig("127.0.0.1:1", "g", "t")


class FakeConsumer:
    """Answers as told, and keeps the order of what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.leaderless: set[int] = set()
        self.silent = False
        self.closed = 0

    def list_topics(self, topic: str, timeout: float) -> None:
        assert timeout > 0
        self.asked.append(f"who leads {topic}")

    def offsets_for_times(
        self, wanted: list[TopicPartition], timeout: float
    ) -> list[TopicPartition]:
        assert timeout > 0
        self.asked.append("ends")
        if self.silent:
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
        return [Answer(tp.partition, tp.partition in self.leaderless) for tp in wanted]  # type: ignore[misc]

    def close(self) -> None:
        self.closed += 1


class Answer:
    """A TopicPartition whose error can be set."""

    def __init__(self, partition: int, failed: bool) -> None:
        self.partition = partition
        self.offset = -1001 if failed else 10 + partition
        self.error = KafkaError(KafkaError.LEADER_NOT_AVAILABLE) if failed else None


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> tuple[EndReader, FakeConsumer]:
    consumer = FakeConsumer()
    monkeypatch.setattr(kafka, "Consumer", lambda _settings: consumer)
    return EndReader(CONFIG), consumer


def test_whole_answers_are_one_request_each(made: tuple[EndReader, FakeConsumer]) -> None:
    reader, consumer = made
    assert reader.ask([0, 1]).result(5) == {0: 10, 1: 11}
    assert reader.ask([0, 1]).result(5) == {0: 10, 1: 11}
    assert consumer.asked == ["ends", "ends"]


def test_after_a_silent_leader_the_next_request_asks_who_leads(
    made: tuple[EndReader, FakeConsumer],
) -> None:
    reader, consumer = made
    consumer.silent = True
    with pytest.raises(KafkaException):
        reader.ask([0]).result(5)
    consumer.silent = False
    assert reader.ask([0]).result(5) == {0: 10}
    reader.ask([0]).result(5)
    assert consumer.asked == ["ends", "who leads t", "ends", "ends"]


def test_a_partition_without_a_leader_hides_no_other_and_is_asked_for_again(
    made: tuple[EndReader, FakeConsumer],
) -> None:
    reader, consumer = made
    consumer.leaderless = {1}
    assert reader.ask([0, 1]).result(5) == {0: 10}
    consumer.leaderless = set()
    assert reader.ask([0, 1]).result(5) == {0: 10, 1: 11}
    assert consumer.asked == ["ends", "who leads t", "ends"]


def test_closing_twice_closes_once(made: tuple[EndReader, FakeConsumer]) -> None:
    reader, consumer = made
    reader.close()
    reader.close()
    reader._worker.shutdown(wait=True)
    assert consumer.closed == 1
