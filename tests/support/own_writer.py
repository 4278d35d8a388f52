"""A writer process of a test's own on the native cluster: its own topic, group and settings."""

import json
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from headrace_writer.core.block import Signal
from support.child import Child, free_ports
from support.cluster import Cluster

HEADRACE = Path(sys.executable).with_name("headrace")
MESSAGE_BYTES = 18 << 20


@dataclass(frozen=True)
class OwnWriter:
    """A running one, the only member of its group."""

    cluster: Cluster
    topic: str
    listen: str
    environment: dict[str, str]
    child: Child

    def produce(self, *values: bytes) -> None:
        """Messages into the topic's only partition, acknowledged."""
        client = {"bootstrap.servers": self.cluster.bootstrap, "acks": "all"}
        producer = Producer({**client, "message.max.bytes": MESSAGE_BYTES})
        for value in values:
            producer.produce(self.topic, value)
        assert producer.flush(20) == 0

    def metrics(self) -> str:
        """The page of its metrics."""
        with urllib.request.urlopen(f"http://{self.listen}/metrics", timeout=10) as answer:
            return str(answer.read().decode())

    def metric(self, series: str) -> float:
        """The value of one series as the page spells it; 0 where it is not there."""
        found = [line for line in self.metrics().splitlines() if line.startswith(f"{series} ")]
        return float(found[0].rpartition(" ")[2]) if found else 0.0

    def wait_for(self, series: str, least: float, within_s: float = 30.0) -> None:
        """Until one series has at least that value."""
        deadline = time.monotonic() + within_s
        while (seen := self.metric(series)) < least:
            assert time.monotonic() < deadline, f"{series} is {seen}"
            time.sleep(0.2)

    def audit(self) -> dict[str, Any]:
        """What `headrace audit` finds of its topic."""
        done = subprocess.run(
            [HEADRACE, "audit", "--json", "--patience", "5s"],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stdout, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found


@contextmanager
def own_writer(
    cluster: Cluster, folder: Path, signal: Signal, **settings: object
) -> Iterator[OwnWriter]:
    """`settings` by their names in headrace.toml."""
    topic = f"{signal}-{uuid.uuid4().hex[:8]}"
    admin = AdminClient({"bootstrap.servers": cluster.bootstrap})
    new = NewTopic(topic, 1, 1, config={"max.message.bytes": str(MESSAGE_BYTES)})
    for made in admin.create_topics([new]).values():
        made.result(20)
    listen = f"127.0.0.1:{free_ports(1)[0]}"
    environment = {
        **cluster.layout.writer_environment,
        "HEADRACE_HTTP_LISTEN": listen,
        f"HEADRACE_TOPIC_{signal.upper()}": topic,
        "HEADRACE_KAFKA_GROUP_PREFIX": topic,
        "HEADRACE_SIGNALS": signal,
        **{f"HEADRACE_{name.upper()}": str(value) for name, value in settings.items()},
    }
    with Child([str(HEADRACE), "write"], folder / "writer.log", env=environment) as child:
        yield OwnWriter(cluster, topic, listen, environment, child)
