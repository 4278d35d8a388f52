"""Dead letters read and sent again, without a broker: what makes two of them one, and what a
replayed message carries."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from headrace_writer.core.block import Target
from headrace_writer.shell import dead_letter_reader
from headrace_writer.shell.dead_letter_reader import DeadLetterReader, Letter

REFUSED = {"headrace.table": "otel_traces", "headrace.shard": "1", "headrace.shards": "2"}


class FakeMessage:
    """One message of the dead-letter topic."""

    def __init__(self, offset: int, headers: dict[str, str], value: bytes = b"payload") -> None:
        self._offset = offset
        self._headers = [(name, text.encode()) for name, text in headers.items()]
        self._value = value

    def partition(self) -> int:
        return 0

    def offset(self) -> int:
        return self._offset

    def timestamp(self) -> tuple[int, int]:
        return 1, 1_790_000_000_000 + self._offset

    def headers(self) -> list[tuple[str, bytes]]:
        return self._headers

    def key(self) -> bytes:
        return b"key"

    def value(self) -> bytes:
        return self._value


@dataclass
class FakeProducer:
    """Remembers what each committed transaction holds."""

    open: list[dict[str, Any]] = field(default_factory=list)
    committed: list[dict[str, Any]] = field(default_factory=list)

    def init_transactions(self, _timeout_s: float) -> None:
        """Nothing to do."""

    def begin_transaction(self) -> None:
        self.open = []

    def produce(self, topic: str, value: bytes, **rest: Any) -> None:
        self.open.append({"topic": topic, "value": value, **rest})

    def commit_transaction(self, _timeout_s: float) -> None:
        self.committed += self.open


def origin(offset: int, timestamp_ms: int, **more: str) -> dict[str, str]:
    return {
        "headrace.reason": "refused_by_clickhouse",
        "headrace.topic": "otlp_spans",
        "headrace.partition": "3",
        "headrace.offset": str(offset),
        "headrace.timestamp_ms": str(timestamp_ms),
        **{f"headrace.{name}": text for name, text in more.items()},
    }


@pytest.fixture
def reader() -> Iterator[DeadLetterReader]:
    made = DeadLetterReader({"bootstrap.servers": "127.0.0.1:1"}, "otlp_dlq", "x-tenant")
    yield made
    made.close()


def read(
    reader: DeadLetterReader, monkeypatch: pytest.MonkeyPatch, *messages: FakeMessage
) -> list[Letter]:
    monkeypatch.setattr(DeadLetterReader, "_messages", lambda _self: iter(messages))
    return reader.read()


def test_a_letter_that_was_sent_twice_is_one(
    reader: DeadLetterReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    twice = [FakeMessage(offset, origin(7, 1_000)) for offset in (0, 1)]
    other_block = FakeMessage(2, origin(7, 1_000) | REFUSED)
    found = read(reader, monkeypatch, *twice, other_block)
    assert [letter.place for letter in found] == ["0/0", "0/2"]
    assert [letter.target for letter in found] == [None, Target("otel_traces", 1)]


def test_letters_of_a_topic_that_was_created_again_are_others(
    reader: DeadLetterReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its offsets are the same, its times are not."""
    found = read(
        reader,
        monkeypatch,
        FakeMessage(0, origin(7, 1_000)),
        FakeMessage(1, origin(7, 2_000)),
        FakeMessage(2, {dead_letter_reader.MARK: "0/0"}, b""),
    )
    assert [(letter.place, letter.replayed) for letter in found] == [("0/0", True), ("0/1", False)]


def test_a_replayed_message_says_where_it_comes_from_and_is_marked_with_it(
    reader: DeadLetterReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    producer = FakeProducer()
    monkeypatch.setattr(dead_letter_reader, "Producer", lambda _settings: producer)
    letters = read(reader, monkeypatch, FakeMessage(4, origin(7, 1_000, tenant="acme") | REFUSED))
    told: list[int] = []
    assert reader.replay(letters, lambda _letter: b"mended", told.append) == 1
    message, mark = producer.committed
    assert message == {
        "topic": "otlp_spans",
        "value": b"mended",
        "key": b"key",
        "headers": {"headrace.replayed_from": b"otlp_dlq/0/4", "x-tenant": b"acme"},
    }
    assert (mark["topic"], mark["partition"]) == ("otlp_dlq", 0)
    assert mark["headers"] == {"headrace.replayed": b"0/4"}
    assert told == [1]
