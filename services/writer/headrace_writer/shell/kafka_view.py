"""Looking at a group and its topic without joining: what the audit and replays start from."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from confluent_kafka import Consumer, KafkaException, TopicPartition

from headrace_writer.errors import Fatal, Retryable
from headrace_writer.shell.kafka import REQUEST_TIMEOUT_S, GroupConfig


@dataclass(frozen=True, slots=True)
class PartitionView:
    """One partition now. `committed` is None without a commit; `metadata` is a plan or empty."""

    low: int
    high: int
    committed: int | None
    metadata: str


class GroupView:
    """Reads offsets. Close it after use; every method raises Retryable when nobody answers."""

    def __init__(self, config: GroupConfig, timeout_s: float = REQUEST_TIMEOUT_S) -> None:
        """`timeout_s` is for each request."""
        self._config = config
        self._timeout_s = timeout_s
        # What retention has deleted is passed over: it is only looked at.
        settings = config.unjoined() | {"auto.offset.reset": "earliest", "log_level": 0}
        self._consumer = Consumer(settings)

    def partitions(self) -> list[int]:
        """Partitions of the topic. Raises Fatal when it does not exist."""
        topic = self._config.topic
        with self._answering():
            found = self._consumer.list_topics(topic, timeout=self._timeout_s).topics[topic]
        if found.error is not None:
            msg = f"topic {topic} on {self._config.bootstrap_servers}: {found.error.str()}"
            raise Fatal(msg)
        return sorted(found.partitions)

    def read(self) -> dict[int, PartitionView]:
        """Every partition's range and commit. The commits are read first."""
        topic = self._config.topic
        places = [TopicPartition(topic, number) for number in self.partitions()]
        found = {}
        with self._answering():
            committed = self._consumer.committed(places, timeout=self._timeout_s)
            for place in committed:
                low, high = self._consumer.get_watermark_offsets(place, timeout=self._timeout_s)
                offset = place.offset if place.offset >= 0 else None
                found[place.partition] = PartitionView(low, high, offset, place.metadata or "")
        return found

    def offsets_at(self, timestamp_ms: int) -> dict[int, int]:
        """Partition → first offset whose message is not older; the end where there is none."""
        topic = self._config.topic
        asked = [TopicPartition(topic, number, timestamp_ms) for number in self.partitions()]
        found = {}
        with self._answering():
            for place in self._consumer.offsets_for_times(asked, timeout=self._timeout_s):
                if place.offset >= 0:
                    found[place.partition] = place.offset
                else:
                    _, found[place.partition] = self._consumer.get_watermark_offsets(
                        place, timeout=self._timeout_s
                    )
        return found

    def behind(self, timestamp_ms: int) -> bool:
        """Whether a message from before that time is not committed. A partition without a commit
        does not count: nobody reads it."""
        first = self.offsets_at(timestamp_ms)
        places = [TopicPartition(self._config.topic, number) for number in first]
        with self._answering():
            committed = self._consumer.committed(places, timeout=self._timeout_s)
        return any(0 <= place.offset < first[place.partition] for place in committed)

    def times_at(self, offsets: Mapping[int, int], timeout_s: float) -> dict[int, int]:
        """Partition → Kafka timestamp (ms) of the first message at or after that offset.

        Those that did not come within the timeout are missing.
        """
        topic = self._config.topic
        wanted = dict(offsets)
        found: dict[int, int] = {}
        end = time.monotonic() + timeout_s
        with self._answering():
            self._consumer.assign([TopicPartition(topic, p, at) for p, at in wanted.items()])
            while wanted and (left := end - time.monotonic()) > 0:
                message = self._consumer.poll(left)
                if message is None or message.error():
                    continue
                number = message.partition()
                if number is not None and wanted.pop(number, None) is not None:
                    found[number] = message.timestamp()[1]
                    self._consumer.incremental_unassign([TopicPartition(topic, number)])
            self._consumer.unassign()
        return found

    def close(self) -> None:
        self._consumer.close()

    @contextmanager
    def _answering(self) -> Iterator[None]:
        try:
            yield
        except KafkaException as failure:
            msg = f"Kafka at {self._config.bootstrap_servers}: {failure.args[0].str()}"
            raise Retryable(msg) from failure
