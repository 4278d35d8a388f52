"""A writer process under guardrails: rules hold, a reload takes over, a broken file does not."""

import os
import signal
import sys
import time
import urllib.request
import uuid
from pathlib import Path

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from headrace_schema.genai import expression
from support import builders
from support.child import Child, free_ports
from support.cluster import Cluster

pytestmark = pytest.mark.integration

VISIBLE_WITHIN_S = 30.0
HEADRACE = Path(sys.executable).with_name("headrace")
DROP = '[[rule]]\nid = "first"\naction = "drop"\nkeys = ["secret"]\n'
MASK = '[[rule]]\nid = "second"\naction = "redact"\n'


def test_rules_hold_and_are_reloaded(cluster: Cluster, tmp_path: Path) -> None:
    topic = f"logs-{uuid.uuid4().hex[:8]}"
    admin = AdminClient({"bootstrap.servers": cluster.bootstrap})
    for made in admin.create_topics([NewTopic(topic, 1, 1)]).values():
        made.result(20)
    rules = tmp_path / "guardrails.toml"
    rules.write_text(DROP)
    listen = f"127.0.0.1:{free_ports(1)[0]}"
    environment = {
        "HEADRACE_HTTP_LISTEN": listen,
        "HEADRACE_TOPIC_LOGS": topic,
        "HEADRACE_KAFKA_GROUP_PREFIX": topic,
        "HEADRACE_GUARDRAILS_FILE": str(rules),
    }
    config = str(cluster.layout.dir / "headrace.toml")
    command = [str(HEADRACE), "write", "--signals", "logs", "--config", config]
    with Child(command, tmp_path / "writer.log", env=environment) as writer:
        assert stored(cluster, topic, "one") == ("to a@mail.example.org", "")
        rules.write_text(MASK)
        os.kill(writer.pid, signal.SIGHUP)
        wait_for(listen, 'actions_total{action="redact",rule="second"', cluster, topic)
        assert stored(cluster, topic, "two") == ("to [redacted]", "a@[redacted]")
        rules.write_text("[[rule]]\n")
        os.kill(writer.pid, signal.SIGHUP)
        wait_for(listen, "headrace_writer_guardrails_outdated 1.0", cluster, topic)
        assert stored(cluster, topic, "three") == ("to [redacted]", "a@[redacted]")
    assert f"{rules}:1:3: the rule has no action" in (tmp_path / "writer.log").read_text()


def send(cluster: Cluster, topic: str, service: str) -> None:
    log = builders.log("to a@mail.example.org", attributes={"secret": "a@b@c.org"})
    body = builders.logs(log, resource={"service.name": service}).SerializeToString()
    producer = Producer({"bootstrap.servers": cluster.bootstrap, "acks": "all"})
    producer.produce(topic, body)
    assert producer.flush(20) == 0


def stored(cluster: Cluster, topic: str, name: str) -> tuple[str, str]:
    """Body and attribute of the one record that arrives, of a log with an address in both."""
    service = f"{topic}-{name}"
    send(cluster, topic, service)
    secret = expression("log[secret]", cluster.dialect)
    sql = f"SELECT Body, {secret} FROM otel_logs WHERE ServiceName = %(service)s"
    deadline = time.monotonic() + VISIBLE_WITHIN_S
    with cluster.clickhouse() as client:
        while not (rows := client.execute(sql, {"service": service})):
            assert time.monotonic() < deadline, f"{service} is not stored"
            time.sleep(0.2)
    ((body, found),) = rows
    return body, found


def wait_for(listen: str, line: str, cluster: Cluster, topic: str) -> None:
    """Until the metrics show it; records keep coming, so that batches do."""
    deadline = time.monotonic() + VISIBLE_WITHIN_S
    while True:
        with urllib.request.urlopen(f"http://{listen}/metrics", timeout=10) as answer:
            if line in answer.read().decode():
                return
        assert time.monotonic() < deadline, line
        send(cluster, topic, f"{topic}-between")
        time.sleep(1)
