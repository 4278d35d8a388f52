"""The dead-letter topic: the message as it came, and why and from where it came here."""

import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka import Message as KafkaMessage

from headrace_writer.core.batch import BadMessage
from headrace_writer.errors import Retryable
from headrace_writer.shell.clock import Clock

RETRY_S = 1.0
# The origin header that holds what the message's own tenant header said.
TENANT = "headrace.tenant"
# All copies of a message are in before its offset is committed, or the send is repeated.
DELIVERY_TIMEOUT_S = 30.0


class DeadLetterTopic:
    """Shared by the signals of a process; thread-safe."""

    def __init__(
        self, client: Mapping[str, Any], topic: str, source_topic: str, shards: int, clock: Clock
    ) -> None:
        self._topic = topic
        self._shards = shards
        self._source = source_topic
        self._clock = clock
        self._lock = threading.Lock()
        self._producer = Producer(
            {
                **client,
                "acks": "all",
                "enable.idempotence": True,
                "compression.type": "lz4",
                # As large as the largest message that a gateway may have written.
                "message.max.bytes": 20 << 20,
                "delivery.timeout.ms": int(DELIVERY_TIMEOUT_S * 1000),
            }
        )
        self.on_sent: Callable[[BadMessage], None] = lambda _bad: None

    def send(self, bad: Iterable[BadMessage]) -> None:
        """Store all durably; repeats until the broker has them. A repeated one is the same
        record twice: its origin headers tell."""
        waiting = list(bad)
        while waiting:
            with self._lock:
                waiting = self._try(waiting)
            if waiting:
                self._clock.sleep(RETRY_S)

    def _try(self, waiting: list[BadMessage]) -> list[BadMessage]:
        """One attempt. Returns what has to be sent again."""
        failed: list[BadMessage] = []
        for one in waiting:

            def done(error: KafkaError | None, _sent: KafkaMessage, one: BadMessage = one) -> None:
                if error is not None:
                    failed.append(one)
                else:
                    self.on_sent(one)

            try:
                self._producer.produce(
                    self._topic,
                    value=one.message.value,
                    key=one.message.key,
                    headers=self._headers(one),
                    on_delivery=done,
                )
            except (BufferError, KafkaException):
                failed.append(one)
        self._producer.flush(DELIVERY_TIMEOUT_S + 5)
        return failed

    def _headers(self, bad: BadMessage) -> Any:
        origin = {
            "headrace.reason": bad.reason,
            "headrace.detail": bad.detail,
            "headrace.topic": self._source,
            "headrace.partition": str(bad.message.partition),
            "headrace.offset": str(bad.message.offset),
            "headrace.timestamp_ms": str(bad.message.timestamp_ms),
        }
        if bad.message.tenant:
            origin[TENANT] = bad.message.tenant.decode()
        if bad.target is not None:
            # Its other records are stored: only this block's are missing.
            origin["headrace.table"] = bad.target.table
            origin["headrace.shard"] = str(bad.target.shard)
            origin["headrace.shards"] = str(self._shards)
        if bad.records is not None:
            # Stored in pieces: the other pieces' records on that shard are there.
            origin["headrace.records"] = "-".join(map(str, bad.records))
        return [(name, value.encode()) for name, value in origin.items()]

    def check(self) -> None:
        """Raise Retryable when the topic is not there."""
        found = self._producer.list_topics(self._topic, timeout=10).topics.get(self._topic)
        if found is None or found.error is not None:
            msg = f"dead-letter topic {self._topic} does not exist: create it (dlq_topic)"
            raise Retryable(msg)
