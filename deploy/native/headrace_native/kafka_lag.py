"""How far writers are behind, from Kafka's own numbers."""

import time
from collections.abc import Mapping
from concurrent.futures import Future, wait
from dataclasses import dataclass
from typing import TypeVar

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]

from headrace_native import probe
from headrace_native.layout import DEAD_LETTERS, GROUPS, TOPICS
from headrace_native.supervise import POLL_SECONDS

# Right after a broker's restart its partitions have no leader for a moment.
PATIENCE_SECONDS = 5.0

Key = TypeVar("Key")
Answer = TypeVar("Answer")
Place = tuple[str, int]


@dataclass(frozen=True)
class Lag:
    """One partition of a signal, in messages (each one export request).

    `committed` is -1 where the group has committed nothing yet; `lag` then counts from the oldest
    message still kept.
    """

    topic: str
    partition: int
    end: int
    committed: int
    lag: int


def read(bootstrap: str) -> tuple[list[Lag], int]:
    """Lag of every signal partition, and the number of dead letters. Raises KafkaException."""
    client = probe.admin(bootstrap)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return _read(client, bootstrap)
        except KafkaException:
            if time.monotonic() > deadline:
                raise
            time.sleep(POLL_SECONDS)


def _read(client: AdminClient, bootstrap: str) -> tuple[list[Lag], int]:
    found = client.list_topics(timeout=PATIENCE_SECONDS).topics
    topics = [each for each in (*TOPICS.values(), DEAD_LETTERS) if each in found]
    places = [(each, number) for each in topics for number in found[each].partitions]
    first = _offsets(client, places, OffsetSpec.earliest())  # type: ignore[no-untyped-call]
    last = _offsets(client, places, OffsetSpec.latest())  # type: ignore[no-untyped-call]
    committed: dict[Place, int] = {}
    for signal, topic in TOPICS.items():
        if own := [each for each in places if each[0] == topic]:
            committed |= _committed(bootstrap, GROUPS[signal], own)
    lags = []
    for place in sorted(places):
        if place[0] != DEAD_LETTERS:
            done = max(-1, committed[place])
            behind = last[place] - (done if done >= 0 else first[place])
            lags.append(Lag(*place, last[place], done, behind))
    return lags, sum(last[each] - first[each] for each in places if each[0] == DEAD_LETTERS)


def _offsets(client: AdminClient, places: list[Place], spec: OffsetSpec) -> dict[Place, int]:
    """The earliest or latest offset of each partition."""
    asked = {TopicPartition(*place): spec for place in places}
    if not asked:
        return {}
    answers = _all(client.list_offsets(asked, request_timeout=PATIENCE_SECONDS))
    return {(each.topic, each.partition): answer.offset for each, answer in answers.items()}


def _committed(bootstrap: str, group: str, places: list[Place]) -> dict[Place, int]:
    """Committed offset of each partition; negative where the group has committed nothing.

    Asked as a consumer that never joins. The admin client's list_consumer_group_offsets of
    librdkafka 2.16 crashes the process when the coordinator is still loading: it handles the error
    as if there were a group member to tell.
    """
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": group,
            "enable.auto.commit": False,
            "log_level": 0,
        }
    )
    try:
        found = consumer.committed(
            [TopicPartition(*place) for place in places], timeout=PATIENCE_SECONDS
        )
    finally:
        consumer.close()
    return {(each.topic, each.partition): each.offset for each in found}


def _all(asked: Mapping[Key, Future[Answer]]) -> dict[Key, Answer]:
    """Every answer, or the first error once all have come.

    A client that is dropped while an answer is under way can take the process down with it.
    """
    wait(asked.values())
    return {key: future.result() for key, future in asked.items()}
