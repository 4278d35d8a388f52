"""Messages that were fetched and are not in a batch yet, and when they become one."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple

# Their ranges have to fit into a plan, and plans into Kafka's 4,096 bytes of commit metadata.
MAX_BATCH_PARTITIONS = 64

CloseReason = Literal["bytes", "age", "drain"]


class Message(NamedTuple):
    """One Kafka message: one OTLP export request."""

    partition: int
    offset: int
    timestamp_ms: int
    """The broker's or producer's time, milliseconds since the epoch."""
    key: bytes | None
    value: bytes
    tenant: bytes = b""
    """What the header of setting `tenant_header` says, in UTF-8."""


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """When a batch closes, and how much may wait behind it."""

    max_bytes: int
    """Payload bytes of one batch; one message may exceed it alone."""
    max_age_s: float
    """Seconds that the oldest message may wait."""
    max_backlog_bytes: int
    """Payload bytes above which fetching pauses."""


class Backlog:
    """Fetched messages in arrival order. Within a partition that is offset order."""

    def __init__(self, limits: BatchLimits) -> None:
        self._limits = limits
        self._messages: deque[tuple[float, Message]] = deque()
        self.nbytes = 0

    def __len__(self) -> int:
        return len(self._messages)

    @property
    def full(self) -> bool:
        """Fetching should pause."""
        return self.nbytes >= self._limits.max_backlog_bytes

    @property
    def drained_enough(self) -> bool:
        """Fetching may resume: half is the distance that keeps pausing from flapping."""
        return self.nbytes <= self._limits.max_backlog_bytes // 2

    def waited(self, now: float) -> float:
        """Seconds since the message that waits longest was fetched; 0 without one."""
        return now - self._messages[0][0] if self._messages else 0.0

    def oldest(self) -> dict[int, int]:
        """Timestamp (ms) of each partition's first waiting message."""
        first: dict[int, int] = {}
        for _, message in self._messages:
            first.setdefault(message.partition, message.timestamp_ms)
        return first

    def add(self, messages: Iterable[Message], now: float) -> None:
        """Take what was fetched at `now` (monotonic seconds)."""
        for message in messages:
            self._messages.append((now, message))
            self.nbytes += len(message.value)

    def drop(self, partitions: Iterable[int]) -> None:
        """Forget messages of partitions that are not ours any more."""
        gone = frozenset(partitions)
        kept = [entry for entry in self._messages if entry[1].partition not in gone]
        self._messages = deque(kept)
        self.nbytes = sum(len(message.value) for _, message in kept)

    def closes(self, now: float) -> CloseReason | None:
        """Why a batch is due now, or None."""
        if self.nbytes >= self._limits.max_bytes:
            return "bytes"
        if self._messages and now - self._messages[0][0] >= self._limits.max_age_s:
            return "age"
        return None

    def cut(self) -> list[Message]:
        """The next batch: oldest first up to the byte limit, then ordered by partition.

        The order of rows must not depend on the order in which partitions happened to be
        fetched, because a replay reads them one after the other.
        """
        batch: list[Message] = []
        partitions: set[int] = set()
        nbytes = 0
        while self._messages:
            message = self._messages[0][1]
            size = len(message.value)
            if batch and nbytes + size > self._limits.max_bytes:
                break
            if len(partitions | {message.partition}) > MAX_BATCH_PARTITIONS:
                break
            partitions.add(message.partition)
            batch.append(self._messages.popleft()[1])
            nbytes += size
        self.nbytes -= nbytes
        batch.sort(key=lambda message: message[:2])
        return batch

    def put_back(self, messages: list[Message], now: float) -> None:
        """Return the rest of a batch that held too many rows; it is the oldest again."""
        self._messages.extendleft((now, message) for message in reversed(messages))
        self.nbytes += sum(len(message.value) for message in messages)
