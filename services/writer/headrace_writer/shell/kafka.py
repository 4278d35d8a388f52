"""Kafka through confluent-kafka: the group's consumer, the topic's id.

Offsets are committed synchronously, on the polling thread, with metadata; librdkafka neither stores
nor commits any itself.
"""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Protocol

from confluent_kafka import (
    OFFSET_BEGINNING,
    OFFSET_END,
    Consumer,
    KafkaError,
    KafkaException,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka import Message as KafkaMessage
from confluent_kafka.admin import AdminClient

from headrace_writer.core.backlog import Message
from headrace_writer.core.delivery_effects import CommitResult, Position
from headrace_writer.errors import Fatal, Retryable
from headrace_writer.shell.clock import Clock, Deadline
from headrace_writer.shell.end_offsets import EndOffsets

# The broker's answer is awaited this long before a request is repeated.
REQUEST_TIMEOUT_S = 10.0
# What is only for metrics is asked again soon anyway, and a writer that ends waits for it.
ENDS_TIMEOUT_S = 3.0
# A member that has not polled for so long leaves the group; librdkafka's default, stated because
# commits are refused here before that.
MAX_POLL_INTERVAL_S = 300.0
# Reading a batch again: 32 MiB at a slow 1 MB/s.
READ_TIMEOUT_S = 60.0
# This member is not (or not any more) what the broker takes it for.
_FENCED = {
    KafkaError.ILLEGAL_GENERATION,
    KafkaError.UNKNOWN_MEMBER_ID,
    KafkaError.REBALANCE_IN_PROGRESS,
    KafkaError.FENCED_INSTANCE_ID,
    KafkaError.STALE_MEMBER_EPOCH,
    KafkaError.FENCED_MEMBER_EPOCH,
    KafkaError._ASSIGNMENT_LOST,
    KafkaError._STATE,
    KafkaError._FENCED,
}

# The log begins later, or ends sooner, than what was asked for; or it was cut off and written anew.
OUT_OF_RANGE = {KafkaError.OFFSET_OUT_OF_RANGE, KafkaError._AUTO_OFFSET_RESET}


class Listener(Protocol):
    """Called on the polling thread, inside `poll`."""

    def assigned(self, partitions: list[int]) -> None:
        """Held from now on, and paused."""

    def revoked(self, partitions: list[int]) -> None:
        """Still held until this returns."""

    def lost(self, partitions: list[int]) -> None:
        """Somebody else's already."""

    def unreadable(self, partition: int) -> None:
        """The broker does not have what comes next in a partition. Nothing more of it is fetched
        before it is assigned again."""


@dataclass(frozen=True, slots=True)
class GroupConfig:
    """What a consumer needs; `extra` goes to librdkafka as it is."""

    bootstrap_servers: str
    group: str
    topic: str
    protocol: str = "consumer"
    session_timeout_ms: int = 6_000
    fetch_backlog_kbytes: int = 32_768
    extra: Mapping[str, Any] = field(default_factory=dict)
    tenant_header: str = ""
    """The header that names a message's tenant; empty for none."""

    def client(self) -> dict[str, Any]:
        """What any client of these brokers needs."""
        return {"bootstrap.servers": self.bootstrap_servers, **self.extra}

    def librdkafka(self) -> dict[str, Any]:
        """The configuration of the group's consumer."""
        settings: dict[str, Any] = {
            "group.id": self.group,
            "group.protocol": self.protocol,
            "enable.partition.eof": False,
            "max.poll.interval.ms": int(MAX_POLL_INTERVAL_S * 1000),
            "queued.max.messages.kbytes": self.fetch_backlog_kbytes,
            "fetch.max.bytes": 32 << 20,
            # Per partition, and before decompression: the answer to one fetch is in memory whole,
            # five to ten times as large. A larger message comes alone.
            "fetch.message.max.bytes": 1 << 20,
            "receive.message.max.bytes": 64 << 20,
            "fetch.wait.max.ms": 100,
            # After the queue was full. By default a second, in which a writer that catches up has
            # nothing to do.
            "fetch.queue.backoff.ms": 20,
            **self.client(),
            # Not anybody's to change: where reading goes on is decided here alone.
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "auto.offset.reset": "error",
        }
        if self.protocol == "classic":
            # Under the consumer protocol the broker decides both.
            settings["session.timeout.ms"] = self.session_timeout_ms
            settings["partition.assignment.strategy"] = "cooperative-sticky"
        return settings

    def unjoined(self) -> dict[str, Any]:
        """The configuration of a consumer that reads without joining. librdkafka wants a group
        id for `assign` even though nothing is joined or committed."""
        settings = self.librdkafka() | {"group.protocol": "classic"}
        # Nothing to miss without a membership, and librdkafka would hold them against each other.
        for name in (
            "partition.assignment.strategy",
            "session.timeout.ms",
            "max.poll.interval.ms",
        ):
            settings.pop(name, None)
        return settings


class EndReader:
    """Asks for the ends of partitions, by a consumer that joins nothing, on a thread of its own.

    Not by an admin client: librdkafka 2.16 spins two threads for as long as one of its requests
    waits for a partition's leader that is down. On few cores that keeps the brokers from electing
    another.
    """

    def __init__(self, config: GroupConfig) -> None:
        self._topic = config.topic
        self._consumer = Consumer(config.unjoined())
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="ends")
        self._complete = True
        """Whether the newest request was answered for all of its partitions."""
        self._closed = False

    def ask(self, partitions: list[int]) -> "Future[Mapping[int, int]]":
        """Partition → end, of those that a broker answered for."""
        return self._worker.submit(self._ends, partitions)

    def close(self) -> None:
        """Waits for nothing: a request that is on its way ends in ENDS_TIMEOUT_S. Once is enough,
        twice is no error."""
        if not self._closed:
            self._closed = True
            self._worker.submit(self._consumer.close)
            self._worker.shutdown(wait=False)

    def _ends(self, partitions: list[int]) -> Mapping[int, int]:
        if not self._complete:
            # Who leads a partition is not asked anew by a consumer that fetches nothing: it would
            # wait for a broker that is gone until its metadata is a quarter of an hour old.
            self._consumer.list_topics(self._topic, timeout=ENDS_TIMEOUT_S)
        self._complete = False
        # As a time, OFFSET_END asks for what the log's end is now.
        wanted = [TopicPartition(self._topic, p, OFFSET_END) for p in partitions]
        found = self._consumer.offsets_for_times(wanted, timeout=ENDS_TIMEOUT_S)
        known = {tp.partition: tp.offset for tp in found if tp.error is None and tp.offset >= 0}
        self._complete = len(known) == len(partitions)
        return known


class GroupConsumer:
    """One member of a consumer group on one topic. Use on one thread."""

    def __init__(self, config: GroupConfig, listener: Listener, clock: Clock) -> None:
        self._config = config
        self._topic = config.topic
        self._tenant_header = config.tenant_header
        self._clock = clock
        self._listener = listener
        self._polled_at = clock.monotonic()
        self._end_reader = EndReader(config)
        self._ends = EndOffsets(self._end_reader, clock)
        self._consumer = Consumer(config.librdkafka())
        self._consumer.subscribe(
            [config.topic],
            on_assign=self._on_assign,
            on_revoke=self._on_revoke,
            on_lost=self._on_lost,
        )

    def poll(self, max_messages: int, timeout_s: float) -> list[Message]:
        """Fetched messages; the listener is called in here. Raises Fatal, Retryable."""
        messages = []
        self._polled_at = self._clock.monotonic()
        for message in self._consumer.consume(max_messages, timeout_s):
            error = message.error()
            if error is not None:
                raise_if_serious(error)
                partition = message.partition()
                if error.code() in OUT_OF_RANGE and partition is not None:
                    self._listener.unreadable(partition)
                continue
            messages.append(message_of(message, self._tenant_header))
        return messages

    def commit(self, positions: Mapping[int, Position]) -> CommitResult:
        """Commit on this thread and wait for the answer.

        A member that has not polled for long is FENCED here: librdkafka leaves the group then, and
        a broker takes the commits of anybody for a group without members.
        """
        if self._clock.monotonic() - self._polled_at > 0.8 * MAX_POLL_INTERVAL_S:
            return CommitResult.FENCED
        offsets = [
            TopicPartition(self._topic, p, offset, metadata)
            for p, (offset, metadata) in sorted(positions.items())
        ]
        try:
            answers = self._consumer.commit(offsets=offsets, asynchronous=False)
        except KafkaException as failure:
            return _commit_result(failure.args[0])
        results = {_commit_result(a.error) for a in answers or () if a.error is not None}
        if CommitResult.FENCED in results:
            return CommitResult.FENCED
        return results.pop() if results else CommitResult.OK

    def committed(self, partitions: tuple[int, ...]) -> dict[int, Position]:
        """Committed positions and metadata, repeated until the coordinator answers."""
        wanted = [TopicPartition(self._topic, p) for p in partitions]
        while True:
            try:
                found = self._consumer.committed(wanted, timeout=REQUEST_TIMEOUT_S)
            except KafkaException as failure:
                raise_if_serious(failure.args[0])
                continue
            if all(tp.error is None for tp in found):
                return {
                    tp.partition: (tp.offset, tp.metadata or "") for tp in found if tp.offset >= 0
                }

    def watermarks(self, partition: int) -> tuple[int, int]:
        """The oldest offset that the broker still has, and the one behind the newest. Repeated
        until answered."""
        while True:
            try:
                low, high = self._consumer.get_watermark_offsets(
                    TopicPartition(self._topic, partition), timeout=REQUEST_TIMEOUT_S
                )
            except KafkaException as failure:
                raise_if_serious(failure.args[0])
            else:
                return int(low), int(high)

    def topic_id(self) -> str:
        """The topic's id now. Repeated until answered. Raises Fatal when there is no such topic."""
        while True:
            try:
                return topic_id(self._config)
            except Retryable:
                self._clock.sleep(0.1)

    def ends(self, partitions: Iterable[int]) -> dict[int, int]:
        """Where these end, as far as the broker has said; a few seconds old, never waited for."""
        return self._ends.read(partitions)

    def start(self, partition: int, offset: int) -> None:
        """Fetch a held, paused partition from `offset` on."""
        position = TopicPartition(self._topic, partition, offset)
        deadline = Deadline(self._clock, REQUEST_TIMEOUT_S)
        while True:
            try:
                self._consumer.seek(position)
                break
            except KafkaException as failure:
                # Right after its assignment a partition's fetcher may not run yet.
                if deadline.passed:
                    msg = f"cannot seek partition {partition} to {offset}: {failure}"
                    raise Retryable(msg) from failure
                self._clock.sleep(0.02)
        self._consumer.resume([position])

    def pause(self, partitions: Sequence[int]) -> None:
        self._consumer.pause([TopicPartition(self._topic, p) for p in partitions])

    def resume(self, partitions: Sequence[int]) -> None:
        self._consumer.resume([TopicPartition(self._topic, p) for p in partitions])

    def close(self) -> None:
        """Leave the group; partitions still held are revoked first."""
        self._end_reader.close()
        self._consumer.close()

    def _on_assign(self, consumer: Consumer, assigned: list[TopicPartition]) -> None:
        # Nothing is read before it is known where the last owner got to. A place is named because
        # a fetcher without a committed offset would give up: see "auto.offset.reset".
        begin = [TopicPartition(tp.topic, tp.partition, OFFSET_BEGINNING) for tp in assigned]
        consumer.incremental_assign(begin)
        consumer.pause(assigned)
        self._listener.assigned([tp.partition for tp in assigned])

    def _on_revoke(self, consumer: Consumer, revoked: list[TopicPartition]) -> None:
        self._listener.revoked([tp.partition for tp in revoked])
        consumer.incremental_unassign(revoked)

    def _on_lost(self, consumer: Consumer, lost: list[TopicPartition]) -> None:
        self._listener.lost([tp.partition for tp in lost])
        consumer.incremental_unassign(lost)


def message_of(message: KafkaMessage, tenant_header: str) -> Message:
    """A fetched message: what a fetched message without error always has, and its tenant."""
    partition, offset = message.partition(), message.offset()
    assert partition is not None
    assert offset is not None
    _, timestamp_ms = message.timestamp()
    tenant = _header(message, tenant_header) if tenant_header else b""
    return Message(partition, offset, timestamp_ms, message.key(), message.value() or b"", tenant)


def _header(message: KafkaMessage, name: str) -> bytes:
    """The first header of a name, as valid UTF-8; empty without one."""
    pairs: Any = message.headers() or ()
    for key, value in pairs:
        if key == name:
            return bytes(value or b"").decode(errors="replace").encode()
    return b""


def topic_id(config: GroupConfig) -> str:
    """The id of the group's topic (a UUID that a recreated topic does not share).

    Raises Fatal when the topic does not exist, Retryable when no broker answers.
    """
    bootstrap_servers, topic = config.bootstrap_servers, config.topic
    admin = AdminClient(config.client())
    future = admin.describe_topics(TopicCollection([topic]), request_timeout=REQUEST_TIMEOUT_S)[
        topic
    ]
    try:
        return str(future.result().topic_id)
    except KafkaException as failure:
        error = failure.args[0]
        if error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
            msg = (
                f"topic {topic} does not exist on {bootstrap_servers}: create it "
                "(automatic creation is off on purpose), or correct the topic setting"
            )
            raise Fatal(msg) from failure
        msg = f"no broker of {bootstrap_servers} answers: {error.str()}"
        raise Retryable(msg) from failure


def _commit_result(error: KafkaError) -> CommitResult:
    if error.code() in _FENCED:
        return CommitResult.FENCED
    if error.code() in (
        KafkaError.OFFSET_METADATA_TOO_LARGE,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
    ):
        msg = f"the broker will never take this commit: {error.str()}"
        raise Fatal(msg)
    return CommitResult.UNKNOWN


def raise_if_serious(error: KafkaError) -> None:
    """Most errors that a consumer reports pass by themselves."""
    if error.fatal() or error.code() in (
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.UNSUPPORTED_VERSION,
    ):
        raise Fatal(f"Kafka: {error.str()}")
