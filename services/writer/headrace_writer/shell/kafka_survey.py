"""Kafka's state for the exporter: brokers, replicas of partitions, and each group's lag."""

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from headrace_writer.core.block import Signal
from headrace_writer.errors import Retryable
from headrace_writer.shell.kafka import GroupConfig
from headrace_writer.shell.kafka_view import GroupView, PartitionView
from headrace_writer.shell.snapshots import Sample

ANSWER_TIMEOUT_S = 5.0
# For the messages at the committed offsets; those that come later are asked for in the next round.
OLDEST_WITHIN_S = 2.0

SILENT = [Sample("headrace_kafka_up", (), 0)]


class KafkaSurvey:
    """Asks brokers without joining a group; use on one thread."""

    def __init__(
        self, client: Mapping[str, Any], groups: Mapping[Signal, GroupConfig], dead_letters: str
    ) -> None:
        self._admin = AdminClient({**client, "log_level": 0})
        self._views = {signal: GroupView(group) for signal, group in groups.items()}
        any_group = next(iter(groups.values()))
        self._dead_letters = GroupView(replace(any_group, topic=dead_letters))
        self._oldest: dict[tuple[Signal, int], tuple[int, int]] = {}
        """Partition → committed offset and the time of its message: one that stands still is not
        read again."""

    def read(self) -> list[Sample]:
        """Everything now. Raises Retryable when Kafka does not answer."""
        found = [Sample("headrace_kafka_up", (), 1), *self._cluster()]
        for signal, view in self._views.items():
            found += self._group(signal, view)
        waiting = sum(one.high - one.low for one in self._dead_letters.read().values())
        return [*found, Sample("headrace_kafka_dead_letters", (), waiting)]

    def _cluster(self) -> list[Sample]:
        try:
            return cluster_samples(self._admin.list_topics(timeout=ANSWER_TIMEOUT_S))
        except KafkaException as failure:
            raise Retryable(f"Kafka: {failure.args[0].str()}") from failure

    def _group(self, signal: Signal, view: GroupView) -> list[Sample]:
        partitions = view.read()
        now = time.time()
        oldest = self._times(signal, view, partitions)
        found = []
        for number, one in partitions.items():
            labels = (signal, str(number))
            at = _position(one)
            found += [
                Sample("headrace_kafka_partition_end_offset", labels, one.high),
                Sample("headrace_kafka_group_committed_offset", labels, at),
                Sample("headrace_kafka_group_lag_messages", labels, max(0, one.high - at)),
            ]
            if at >= one.high:
                found.append(Sample("headrace_kafka_group_lag_seconds", labels, 0))
            elif number in oldest:
                seconds = max(0.0, now - oldest[number] / 1000)
                found.append(Sample("headrace_kafka_group_lag_seconds", labels, seconds))
        return found

    def _times(
        self, signal: Signal, view: GroupView, partitions: Mapping[int, PartitionView]
    ) -> dict[int, int]:
        """Partition → Kafka time (ms) of the first message not committed, where one waits."""
        behind = {n: _position(one) for n, one in partitions.items() if _position(one) < one.high}
        known = {
            number: self._oldest[signal, number][1]
            for number, at in behind.items()
            if self._oldest.get((signal, number), (-1, 0))[0] == at
        }
        unknown = {number: at for number, at in behind.items() if number not in known}
        if unknown:
            for number, milliseconds in view.times_at(unknown, OLDEST_WITHIN_S).items():
                self._oldest[signal, number] = (unknown[number], milliseconds)
                known[number] = milliseconds
        return known

    def close(self) -> None:
        for view in (*self._views.values(), self._dead_letters):
            view.close()


def cluster_samples(seen: Any) -> list[Sample]:
    """Brokers and replicas of partitions, from a metadata answer (confluent_kafka's
    ClusterMetadata)."""
    partitions = [
        (name, one) for name, topic in seen.topics.items() for one in topic.partitions.values()
    ]
    named = set(seen.brokers) | {n for _, one in partitions for n in one.replicas}
    leads = Counter(one.leader for _, one in partitions)
    found = [Sample("headrace_kafka_controllers", (), float(seen.controller_id in seen.brokers))]
    for broker in sorted(named):
        labels = (str(broker),)
        found.append(Sample("headrace_kafka_broker_up", labels, float(broker in seen.brokers)))
        found.append(Sample("headrace_kafka_broker_leaders", labels, leads[broker]))
    lacking = Counter(name for name, one in partitions if len(one.isrs) < len(one.replicas))
    offline = Counter(name for name, one in partitions if one.leader < 0)
    for name in seen.topics:
        found.append(Sample("headrace_kafka_under_replicated_partitions", (name,), lacking[name]))
        found.append(Sample("headrace_kafka_offline_partitions", (name,), offline[name]))
    return found


def _position(one: PartitionView) -> int:
    """What is committed; without a commit, or behind what was deleted, the oldest offset."""
    return one.low if one.committed is None else max(one.committed, one.low)
