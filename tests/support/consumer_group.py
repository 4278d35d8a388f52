"""A topic with its consumer group, as the contract of a member needs it: on the broker in memory,
and on Kafka through `GroupConsumer` and `RangeReader`."""

import time
import uuid
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from typing import Any, Protocol

from confluent_kafka import KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from headrace_writer.core.backlog import Message
from headrace_writer.core.delivery_plan import Plan
from headrace_writer.shell.clock import SystemClock
from headrace_writer.shell.group_member import GroupMember
from headrace_writer.shell.kafka import GroupConfig, GroupConsumer
from headrace_writer.shell.range_reader import RangeReader
from support.local_broker import LocalBroker, LocalMember
from support.timing import ManualClock

PARTITIONS = 4
T0_MS = 1_790_000_000_000


class Member:
    """A member and its listener: remembers callbacks and what was fetched."""

    def __init__(self) -> None:
        self.consumer: GroupMember
        self.held: set[int] = set()
        self.calls: list[str] = []
        self.fetched: list[Message] = []
        self.when_revoked: Callable[[list[int]], None] = lambda _partitions: None

    def assigned(self, partitions: list[int]) -> None:
        assert not self.held & set(partitions)
        self.calls.append("assigned")
        self.held |= set(partitions)

    def revoked(self, partitions: list[int]) -> None:
        self.calls.append("revoked")
        self.when_revoked(partitions)
        self.held -= set(partitions)

    def lost(self, partitions: list[int]) -> None:
        self.calls.append("lost")
        self.held -= set(partitions)

    def unreadable(self, partition: int) -> None:
        self.calls.append(f"unreadable {partition}")

    def poll(self) -> None:
        self.fetched += self.consumer.poll(100, 0.05)

    def offsets(self, partition: int) -> list[int]:
        """Of what was fetched, in the order it came."""
        return [message.offset for message in self.fetched if message.partition == partition]


class Group(Protocol):
    """One topic with its group."""

    patience_s: float
    """How long what should happen may take."""
    quiet_s: float
    """How long what should not happen is waited for."""

    def produce(self, partition: int, *values: bytes) -> None:
        """Keyed by the value's first byte, stamped one millisecond after the other from T0_MS."""

    def transact(self, partition: int, value: bytes) -> None:
        """The same in a transaction, whose end takes an offset, too."""

    def delete_before(self, partition: int, offset: int) -> None:
        """As retention does."""

    def recreate(self) -> None:
        """Delete the topic, and create one of the same name."""

    def join(self, *, poll_at_least_every_s: float = 300.0) -> Member:
        """One member more."""

    def fall_silent(self, member: Member) -> None:
        """From now on the member is not polled, longer than it said."""

    def read(self, plan: Plan) -> list[Message]:
        """By offset, outside the group."""

    def close(self) -> None: ...


class LocalGroup:
    patience_s = 0.2
    quiet_s = 0.0

    def __init__(self) -> None:
        self.broker = LocalBroker(PARTITIONS)
        self.members: dict[Member, LocalMember] = {}

    def produce(self, partition: int, *values: bytes) -> None:
        for at, value in enumerate(values):
            self.broker.produce(partition, value, T0_MS + at, value[:1])

    def transact(self, partition: int, value: bytes) -> None:
        self.produce(partition, value)
        self.broker.mark(partition)

    def delete_before(self, partition: int, offset: int) -> None:
        self.broker.delete_before(partition, offset)

    def recreate(self) -> None:
        self.broker.recreate()

    def join(self, *, poll_at_least_every_s: float = 300.0) -> Member:
        member = Member()
        member.consumer = self.members[member] = self.broker.join(member)
        return member

    def fall_silent(self, member: Member) -> None:
        self.broker.expel(self.members[member])

    def read(self, plan: Plan) -> list[Message]:
        return self.broker.read(plan)

    def close(self) -> None:
        pass


class KafkaGroup:
    patience_s = 20.0
    quiet_s = 0.4

    def __init__(self, bootstrap: str, protocol: str) -> None:
        name = f"contract-{uuid.uuid4().hex[:8]}"
        self._admin = AdminClient({"bootstrap.servers": bootstrap})
        self._create(name)
        self._producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 0})
        self._config = GroupConfig(bootstrap, name, name, protocol, extra={"log_level": 3})
        self._members: list[Member] = []

    def produce(self, partition: int, *values: bytes) -> None:
        for at, value in enumerate(values):
            self._producer.produce(
                self._config.topic, value, value[:1], partition, timestamp=T0_MS + at
            )
        assert self._producer.flush(20) == 0

    def transact(self, partition: int, value: bytes) -> None:
        settings = {**self._config.client(), "transactional.id": self._config.topic}
        producer = Producer(settings)
        producer.init_transactions(20)
        producer.begin_transaction()
        producer.produce(self._config.topic, value, value[:1], partition, timestamp=T0_MS)
        producer.commit_transaction(20)
        # The end is written behind the answer; whoever begins anew waits until it is.
        Producer(settings).init_transactions(20)

    def delete_before(self, partition: int, offset: int) -> None:
        place = TopicPartition(self._config.topic, partition, offset)
        done(self._admin.delete_records([place]))

    def _create(self, name: str) -> None:
        # T0_MS lies behind any retention time: only `delete_before` may delete.
        for_ever = {"retention.ms": "-1"}
        done(self._admin.create_topics([NewTopic(name, PARTITIONS, 1, config=for_ever)]))

    def recreate(self) -> None:
        done(self._admin.delete_topics([self._config.topic]))
        deadline = time.monotonic() + self.patience_s
        while True:
            try:
                return self._create(self._config.topic)
            except KafkaException:  # the old one is still being deleted
                assert time.monotonic() < deadline
                time.sleep(0.1)

    def join(self, *, poll_at_least_every_s: float = 300.0) -> Member:
        member = Member()
        extra = {**self._config.extra, "max.poll.interval.ms": int(poll_at_least_every_s * 1000)}
        if self._config.protocol == "classic":
            # A member learns of a rebalance at its next heartbeat, by default after 3 s.
            extra["heartbeat.interval.ms"] = 200
        config = replace(self._config, extra=extra)
        member.consumer = GroupConsumer(config, member, HastyClock())
        self._members.append(member)
        return member

    def fall_silent(self, member: Member) -> None:
        """Nothing to do: who is not polled is silent."""

    def read(self, plan: Plan) -> list[Message]:
        return RangeReader(self._config, SystemClock()).read(plan)

    def close(self) -> None:
        for member in self._members:
            member.when_revoked = lambda _partitions: None
            member.consumer.close()
        done(self._admin.delete_topics([self._config.topic]))


class HastyClock(ManualClock):
    """Goes ten times as fast: a seek that cannot succeed gives up after 1 s instead of 10."""

    def monotonic(self) -> float:
        return 10 * time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds / 10)


def done(futures: dict[Any, "Future[Any]"]) -> None:
    """Wait for an admin client's requests; raises the first error."""
    for future in futures.values():
        future.result(20)
