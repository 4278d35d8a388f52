"""Where partitions end, asked in the background: what waits in Kafka, also while it is paused.

librdkafka knows a partition's end from the answers to its fetches, so for a paused partition it
stands still, and that is when a backlog grows. An admin request needs no fetch and no waiting.
"""

from collections.abc import Iterable
from concurrent.futures import Future
from typing import Any, Protocol

from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import OffsetSpec  # type: ignore[attr-defined]

from headrace_writer.shell.clock import Clock

# Below any scrape interval; one small request per broker.
ASK_EVERY_S = 2.0
# Long enough for a leader to be found again; only one request is on its way at a time.
ANSWER_WITHIN_S = 10.0


class OffsetAdmin(Protocol):
    """The one call of confluent-kafka's AdminClient that is needed."""

    def list_offsets(
        self, topic_partition_offsets: dict[TopicPartition, OffsetSpec], **kwargs: Any
    ) -> dict[TopicPartition, "Future[Any]"]:
        """Partition → a future whose result has `offset`."""


class EndOffsets:
    """The newest known end of each partition. Never waits, never raises for a broker's sake."""

    def __init__(self, admin: OffsetAdmin, topic: str, clock: Clock) -> None:
        self._admin = admin
        self._topic = topic
        self._clock = clock
        self._asked_at = float("-inf")
        self._asked: dict[TopicPartition, Future[Any]] = {}
        self._known: dict[int, int] = {}

    def read(self, partitions: Iterable[int]) -> dict[int, int]:
        """Partition → offset behind its last message, of those among `partitions` that are known.

        A partition that was given up meanwhile is forgotten, so that no old end of it comes back.
        """
        wanted = sorted(partitions)
        self._take_answers()
        self._known = {p: end for p, end in self._known.items() if p in wanted}
        now = self._clock.monotonic()
        if wanted and not self._asked and now - self._asked_at >= ASK_EVERY_S:
            self._asked_at = now
            latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
            places = {TopicPartition(self._topic, p): latest for p in wanted}
            self._asked = self._admin.list_offsets(places, request_timeout=ANSWER_WITHIN_S)
        return dict(self._known)

    def _take_answers(self) -> None:
        if not all(future.done() for future in self._asked.values()):
            return
        for place, future in self._asked.items():
            try:
                self._known[place.partition] = int(future.result().offset)
            except KafkaException:
                # Unknown is better than old: the backlog would look as if it stood still.
                self._known.pop(place.partition, None)
        self._asked = {}
