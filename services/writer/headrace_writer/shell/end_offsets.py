"""Where partitions end, asked in the background: what waits in Kafka, also while it is paused.

librdkafka knows a partition's end from the answers to its fetches, so for a paused partition it
stands still, and that is when a backlog grows. A request of its own needs no fetch, and is waited
for on a thread of its own.
"""

from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from typing import Protocol

from confluent_kafka import KafkaException

from headrace_writer.shell.clock import Clock

# Below any scrape interval; one small request per broker.
ASK_EVERY_S = 2.0


class EndSource(Protocol):
    """Asks the brokers."""

    def ask(self, partitions: list[int]) -> "Future[Mapping[int, int]]":
        """Partition → offset behind its last message, of those that could be asked. The result
        may be a KafkaException."""


class EndOffsets:
    """The newest known end of each partition. Never waits, never raises for a broker's sake."""

    def __init__(self, source: EndSource, clock: Clock) -> None:
        self._source = source
        self._clock = clock
        self._asked_at = float("-inf")
        self._asked: tuple[list[int], Future[Mapping[int, int]]] | None = None
        self._known: dict[int, int] = {}

    def read(self, partitions: Iterable[int]) -> dict[int, int]:
        """Partition → offset behind its last message, of those among `partitions` that are known.

        A partition that was given up meanwhile is forgotten, so that no old end of it comes back.
        """
        wanted = sorted(partitions)
        self._take_answers()
        self._known = {p: end for p, end in self._known.items() if p in wanted}
        now = self._clock.monotonic()
        if wanted and self._asked is None and now - self._asked_at >= ASK_EVERY_S:
            self._asked_at = now
            self._asked = (wanted, self._source.ask(wanted))
        return dict(self._known)

    def _take_answers(self) -> None:
        if self._asked is None or not self._asked[1].done():
            return
        asked, future = self._asked
        self._asked = None
        try:
            found = future.result()
        except KafkaException:
            found = {}
        # Unknown is better than old: the backlog would look as if it stood still.
        others = {p: end for p, end in self._known.items() if p not in asked}
        self._known = others | dict(found)
