"""Reading, replaying and deleting dead letters.

A replay is a Kafka transaction: the message goes to its topic and a mark to the dead-letter topic,
both or neither. So a replay that was interrupted goes on where it stopped, and running it twice
stores nothing twice.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka import Message as KafkaMessage
from confluent_kafka.admin import AdminClient

from headrace_writer.core.block import Target
from headrace_writer.errors import Retryable
from headrace_writer.shell.clock import Deadline, SystemClock
from headrace_writer.shell.dead_letter import TENANT
from headrace_writer.shell.kafka import READ_TIMEOUT_S, REQUEST_TIMEOUT_S

MARK = "headrace.replayed"
PROVENANCE = "headrace.replayed_from"
# One transaction: few enough to be quick, many enough to cost little each.
PER_TRANSACTION = 100

Records = tuple[int, int]
Origin = tuple[str, int, int, int, Target | None, Records | None]
"""Topic, partition, offset and timestamp (ms) of a message, the block that lacks it, and which
records of it that would have held."""


@dataclass(frozen=True, slots=True)
class Letter:
    """One dead letter. `partition` and `offset` are its place in the dead-letter topic."""

    partition: int
    offset: int
    timestamp_ms: int
    reason: str
    detail: str
    topic: str
    source_partition: int
    source_offset: int
    source_timestamp_ms: int
    target: Target | None
    """The one block that lacks it; None when nothing of it is stored."""
    shards: int
    """How many shards there were then; 0 when `target` is None."""
    key: bytes | None
    value: bytes
    tenant: str = ""
    records: Records | None = None
    """The message's records [first, end) of which the block would have held some."""
    replayed: bool = False

    @property
    def place(self) -> str:
        return f"{self.partition}/{self.offset}"

    @property
    def origin(self) -> Origin:
        """A writer that died after sending sent it again: the same origin is the same letter.

        A topic that was created again has the same offsets, but not the same times.
        """
        place = self.topic, self.source_partition, self.source_offset
        return *place, self.source_timestamp_ms, self.target, self.records


class DeadLetterReader:
    """The dead-letter topic of one cluster. Close it after use."""

    def __init__(self, client: Mapping[str, Any], topic: str, tenant_header: str = "") -> None:
        self.topic = topic
        self._tenant_header = tenant_header
        self._client = dict(client)
        self._consumer = Consumer(
            {
                **client,
                "group.id": "headrace-dlq-reader",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "auto.offset.reset": "earliest",
                "log_level": 0,
            }
        )

    def read(self) -> list[Letter]:
        """Every letter, oldest first per partition, each origin once. Raises Retryable."""
        letters: dict[Origin, Letter] = {}
        marks: set[str] = set()
        for message in self._messages():
            pairs: Any = message.headers() or ()
            headers = {name: _text(value) for name, value in pairs}
            if MARK in headers:
                marks.add(headers[MARK])
                continue
            letter = _letter(message, headers)
            letters.setdefault(letter.origin, letter)
        return [
            replace(letter, replayed=letter.place in marks)
            for letter in sorted(letters.values(), key=lambda one: (one.timestamp_ms, one.place))
        ]

    def _messages(self) -> Iterable[KafkaMessage]:
        try:
            found = self._consumer.list_topics(self.topic, timeout=REQUEST_TIMEOUT_S)
        except KafkaException as failure:
            msg = f"Kafka at {self._client['bootstrap.servers']}: {failure.args[0].str()}"
            raise Retryable(msg) from failure
        known = found.topics[self.topic]
        if known.error is not None:
            msg = f"dead-letter topic {self.topic}: {known.error.str()} (topic_dlq)"
            raise Retryable(msg)
        waiting = set(known.partitions)
        self._consumer.assign([TopicPartition(self.topic, number, 0) for number in waiting])
        deadline = Deadline(SystemClock(), READ_TIMEOUT_S)
        while waiting:
            if deadline.passed:
                msg = f"{self.topic} could not be read in {READ_TIMEOUT_S} s"
                raise Retryable(msg)
            for message in self._consumer.consume(500, 0.5):
                error = message.error()
                if error is None:
                    yield message
                elif error.code() == KafkaError._PARTITION_EOF:
                    waiting.discard(message.partition() or 0)

    def replay(
        self,
        letters: Iterable[Letter],
        payload_of: Callable[[Letter], bytes],
        told: Callable[[int], None],
    ) -> int:
        """Send letters back into their topics and mark them. Returns how many.

        `told` hears the number done after each transaction. Raises Retryable.
        """
        producer = Producer(
            {
                **self._client,
                # A second replay at the same time fences the first one.
                "transactional.id": f"headrace-dlq-replay-{self.topic}",
                "compression.type": "lz4",
                "message.max.bytes": 20 << 20,
                "log_level": 0,
            }
        )
        done = 0
        waiting = list(letters)
        try:
            producer.init_transactions(REQUEST_TIMEOUT_S * 3)
            while waiting:
                part, waiting = waiting[:PER_TRANSACTION], waiting[PER_TRANSACTION:]
                producer.begin_transaction()
                for letter in part:
                    self._send(producer, letter, payload_of(letter))
                producer.commit_transaction(REQUEST_TIMEOUT_S * 3)
                done += len(part)
                told(done)
        except KafkaException as failure:
            msg = f"replayed {done} letters, then: {failure.args[0].str()}; run it again to go on"
            raise Retryable(msg) from failure
        return done

    def _send(self, producer: Producer, letter: Letter, payload: bytes) -> None:
        provenance = f"{self.topic}/{letter.place}".encode()
        headers: dict[str, str | bytes | None] = {PROVENANCE: provenance}
        if letter.tenant and self._tenant_header:
            headers[self._tenant_header] = letter.tenant.encode()
        producer.produce(letter.topic, payload, key=letter.key, headers=headers)
        producer.produce(
            self.topic, b"", partition=letter.partition, headers={MARK: letter.place.encode()}
        )

    def purge(self, before: Mapping[int, int]) -> None:
        """Delete the letters of each partition below an offset. Raises Retryable."""
        admin = AdminClient(self._client)
        asked = [TopicPartition(self.topic, p, offset) for p, offset in before.items()]
        for future in admin.delete_records(asked, request_timeout=REQUEST_TIMEOUT_S).values():
            try:
                future.result()
            except KafkaException as failure:
                msg = f"{self.topic}: {failure.args[0].str()}"
                raise Retryable(msg) from failure

    def close(self) -> None:
        self._consumer.close()


def _letter(message: KafkaMessage, headers: dict[str, str]) -> Letter:
    target, records = None, None
    if "headrace.table" in headers:
        target = Target(headers["headrace.table"], int(headers["headrace.shard"]))
    if "headrace.records" in headers:
        first, _, end = headers["headrace.records"].partition("-")
        records = int(first), int(end)
    return Letter(
        partition=message.partition() or 0,
        offset=message.offset() or 0,
        timestamp_ms=message.timestamp()[1],
        reason=headers.get("headrace.reason", ""),
        detail=headers.get("headrace.detail", ""),
        topic=headers.get("headrace.topic", ""),
        source_partition=int(headers.get("headrace.partition", -1)),
        source_offset=int(headers.get("headrace.offset", -1)),
        source_timestamp_ms=int(headers.get("headrace.timestamp_ms", -1)),
        target=target,
        shards=int(headers.get("headrace.shards", 0)),
        key=message.key(),
        value=message.value() or b"",
        tenant=headers.get(TENANT, ""),
        records=records,
    )


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value or "")
