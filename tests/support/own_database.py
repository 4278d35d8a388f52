"""A database of its own on the cluster's servers, with writers of its own that fill it."""

import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

from clickhouse_driver import Client
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from support.child import Child, free_ports
from support.cluster import HEADRACE, Cluster

VISIBLE_WITHIN_S = 30.0


@dataclass(frozen=True, slots=True)
class OwnDatabase:
    """All of headrace's tables, on every replica, under another database's name."""

    cluster: Cluster
    name: str

    @property
    def replicas(self) -> list[tuple[int, int]]:
        """(shard, replica) of each server, counted from 1."""
        shards = self.cluster.json["clickhouse"]["shards"]
        return [(s, r) for s, listed in enumerate(shards, 1) for r in range(1, len(listed) + 1)]

    def client(self, shard: int = 1, replica: int = 1) -> Client:
        """A connection to one server. The caller disconnects (it is a context manager)."""
        return self.cluster.clickhouse(shard, replica, self.name)

    def headrace(self, *arguments: str) -> "CompletedProcess[str]":
        """A headrace command on this database; it must end well."""
        done = self.cluster.headrace(*arguments, HEADRACE_CLICKHOUSE_DATABASE=self.name)
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    def write(self, spans: Sequence[bytes], rows: int, log: Path) -> None:
        """Messages through Kafka and a writer into this database: until it has `rows` spans."""
        topic = f"{self.name}-spans"
        admin = AdminClient({"bootstrap.servers": self.cluster.bootstrap})
        for made in admin.create_topics([NewTopic(topic, 2, 1)]).values():
            made.result(20)
        producer = Producer({"bootstrap.servers": self.cluster.bootstrap, "acks": "all"})
        for body in spans:
            producer.produce(topic, body)
        assert producer.flush(20) == 0
        environment = {
            "HEADRACE_CLICKHOUSE_DATABASE": self.name,
            "HEADRACE_HTTP_LISTEN": f"127.0.0.1:{free_ports(1)[0]}",
            "HEADRACE_TOPIC_TRACES": topic,
            "HEADRACE_KAFKA_GROUP_PREFIX": self.name,
        }
        config = str(self.cluster.layout.dir / "headrace.toml")
        command = [str(HEADRACE), "write", "--signals", "traces", "--config", config]
        with Child(command, log, env=environment) as writer, self.client() as client:
            writer.wait_until(
                lambda: client.execute("SELECT count() FROM otel_traces") == [(rows,)],
                VISIBLE_WITHIN_S,
            )


@contextmanager
def own_database(cluster: Cluster) -> Iterator[OwnDatabase]:
    """Made by `headrace migrate apply`, dropped at the end."""
    made = OwnDatabase(cluster, f"own_{uuid.uuid4().hex[:8]}")
    made.headrace("migrate", "apply")
    yield made
    for shard, replica in made.replicas:
        with cluster.clickhouse(shard, replica) as client:
            client.execute(f"DROP DATABASE {made.name}")


def everywhere(own: OwnDatabase, sql: str, within_s: float = 30.0) -> list[tuple[Any, ...]]:
    """The rows of a query that every replica of every shard answers alike in the end."""
    deadline = time.monotonic() + within_s
    while True:
        answers = []
        for shard, replica in own.replicas:
            with own.client(shard, replica) as client:
                answers.append(client.execute(sql))
        if all(answer == answers[0] for answer in answers):
            rows: list[tuple[Any, ...]] = answers[0]
            return rows
        assert time.monotonic() < deadline, answers
        time.sleep(0.2)
