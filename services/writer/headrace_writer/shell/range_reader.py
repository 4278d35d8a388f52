"""Planned ranges read again, by offset and outside any group."""

import math

from confluent_kafka import Consumer, KafkaException, TopicPartition

from headrace_writer.core.backlog import Message
from headrace_writer.core.delivery_plan import Plan
from headrace_writer.errors import Retryable
from headrace_writer.shell.batch_store import OffsetsGone
from headrace_writer.shell.clock import Clock, Deadline
from headrace_writer.shell.kafka import (
    OUT_OF_RANGE,
    READ_TIMEOUT_S,
    REQUEST_TIMEOUT_S,
    GroupConfig,
    message_of,
    raise_if_serious,
)


class RangeReader:
    """Reads planned ranges by offset, outside any group."""

    def __init__(self, config: GroupConfig, clock: Clock) -> None:
        self._config = config
        self._clock = clock

    def read(self, plan: Plan) -> list[Message]:
        """The plan's messages ordered by partition and offset.

        Raises OffsetsGone when the broker starts later than a range does.
        """
        consumer = self._consumer()
        try:
            messages = []
            for partition, start, end in plan.ranges:
                messages += self._range(consumer, partition, start, end)[0]
            return messages
        finally:
            consumer.close()

    def _consumer(self) -> Consumer:
        return Consumer(self._config.unjoined())

    def read_slice(
        self, partition: int, start: int, end: int, max_bytes: int
    ) -> tuple[list[Message], int]:
        """Messages of [start, end) up to about `max_bytes`, and the offset they reach.

        Raises OffsetsGone and Retryable.
        """
        consumer = self._consumer()
        try:
            messages, reached = self._range(consumer, partition, start, end, max_bytes)
        finally:
            consumer.close()
        nbytes = 0
        for taken, message in enumerate(messages):
            nbytes += len(message.value)
            if taken and nbytes > max_bytes:
                return messages[:taken], messages[taken - 1].offset + 1
        return messages, min(end, reached)

    def _range(
        self, consumer: Consumer, partition: int, start: int, end: int, max_bytes: float = math.inf
    ) -> tuple[list[Message], int]:
        """Messages of [start, end), or of its beginning, and the offset to go on from."""
        place = TopicPartition(self._config.topic, partition, start)
        deadline = Deadline(self._clock, READ_TIMEOUT_S)
        low, high = self._watermarks(consumer, place, deadline)
        if low > start or high < end:
            raise OffsetsGone(f"partition {partition} holds [{low}, {high}), not [{start}, {end})")
        consumer.assign([place])
        messages: list[Message] = []
        nbytes = 0
        while not deadline.passed:
            for message in consumer.consume(500, 0.5):
                error = message.error()
                if error is not None:
                    if error.code() in OUT_OF_RANGE:
                        raise OffsetsGone(f"partition {partition} [{start}, {end}): {error.str()}")
                    raise_if_serious(error)
                    continue
                taken = message_of(message, self._config.tenant_header)
                if taken.offset < end:
                    messages.append(taken)
                    nbytes += len(taken.value)
            reached = consumer.position([place])[0].offset
            if reached >= end or nbytes >= max_bytes:
                return messages, reached
        msg = f"partition {partition}: [{start}, {end}) could not be read in {READ_TIMEOUT_S} s"
        raise Retryable(msg)

    def _watermarks(
        self, consumer: Consumer, place: TopicPartition, deadline: Deadline
    ) -> tuple[int, int]:
        """The range that the broker holds, asked until answered."""
        while True:
            try:
                low, high = consumer.get_watermark_offsets(place, timeout=REQUEST_TIMEOUT_S)
            except KafkaException as failure:
                raise_if_serious(failure.args[0])
                if deadline.passed:
                    msg = f"partition {place.partition}: {failure.args[0].str()}"
                    raise Retryable(msg) from failure
                self._clock.sleep(0.1)
            else:
                return low, high
