"""A writer process under guardrails: rules hold, a reload takes over, a broken file does not."""

import signal
import time
from pathlib import Path

import pytest

from headrace_schema.genai import expression
from support import builders
from support.cluster import Cluster
from support.own_writer import OwnWriter, own_writer

pytestmark = pytest.mark.integration

VISIBLE_WITHIN_S = 30.0
DROP = '[[rule]]\nid = "first"\naction = "drop"\nkeys = ["secret"]\n'
MASK = '[[rule]]\nid = "second"\naction = "redact"\n'
ACTIONS = "headrace_writer_guardrail_actions_total"


def test_rules_hold_and_are_reloaded(cluster: Cluster, tmp_path: Path) -> None:
    rules = tmp_path / "guardrails.toml"
    rules.write_text(DROP)
    with own_writer(cluster, tmp_path, "logs", guardrails_file=rules) as writer:
        assert stored(writer, "one") == ("to a@mail.example.org", "")
        rules.write_text(MASK)
        writer.child.signal(signal.SIGHUP)
        wait_for(writer, f'{ACTIONS}{{action="redact",rule="second",signal="logs"}}')
        assert stored(writer, "two") == ("to [redacted]", "a@[redacted]")
        rules.write_text("[[rule]]\n")
        writer.child.signal(signal.SIGHUP)
        wait_for(writer, "headrace_writer_guardrails_outdated")
        assert stored(writer, "three") == ("to [redacted]", "a@[redacted]")
    assert f"{rules}:1:3: the rule has no action" in writer.child.log.read_text()


def test_a_writer_traces_itself_while_rules_hold(cluster: Cluster, tmp_path: Path) -> None:
    """Both at once: spans of the batches come out, and what the rules did to them is counted."""
    rules = tmp_path / "guardrails.toml"
    rules.write_text(MASK)
    settings = {"trace_endpoint": cluster.otlp_grpc, "trace_every_s": 1, "guardrails_file": rules}
    with own_writer(cluster, tmp_path, "logs", **settings) as writer:
        actions = f'{ACTIONS}{{action="redact",rule="second",signal="logs"}}'
        assert stored(writer, "first") == ("to [redacted]", "a@[redacted]")
        counted = writer.metric(actions)
        assert counted == 2, "the body and the attribute of one record"
        time.sleep(1)
        assert stored(writer, "second") == ("to [redacted]", "a@[redacted]")
        assert writer.metric(actions) == 2 * counted
        writer.wait_for('headrace_writer_traces_total{outcome="sent"}', 2)
        assert writer.metric('headrace_writer_traces_total{outcome="failed"}') == 0
        found = own_spans(cluster, writer.child.pid)
    assert len(found) >= 2, "of each of the two batches"
    steps = {"batch logs", "fetch", "decode", "commit", "build", "insert", "ledger"}
    for names in found.values():
        assert steps <= names
        assert any(name.startswith("insert otel_logs shard") for name in names)


def own_spans(cluster: Cluster, pid: int) -> dict[str, set[str]]:
    """Trace → names of its spans, of the writer with that process id; two traces at least."""
    sql = (
        "SELECT TraceId, SpanName, ResourceAttributes.Value[indexOf(ResourceAttributes.Key, "
        "'service.instance.id')] FROM otel_traces WHERE ServiceName = 'headrace-writer'"
    )
    deadline = time.monotonic() + VISIBLE_WITHIN_S
    with cluster.clickhouse() as client:
        while True:
            found: dict[str, set[str]] = {}
            for trace, name, instance in client.execute(sql):
                if instance.endswith(f":{pid}"):
                    found.setdefault(trace, set()).add(name)
            if len(found) > 1 and all("ledger" in names for names in found.values()):
                return found
            assert time.monotonic() < deadline, found
            time.sleep(0.3)


def send(writer: OwnWriter, service: str) -> None:
    log = builders.log("to a@mail.example.org", attributes={"secret": "a@b@c.org"})
    writer.produce(builders.logs(log, resource={"service.name": service}).SerializeToString())


def stored(writer: OwnWriter, name: str) -> tuple[str, str]:
    """Body and attribute of the one record that arrives, of a log with an address in both."""
    service = f"{writer.topic}-{name}"
    send(writer, service)
    secret = expression("log[secret]", writer.cluster.dialect)
    sql = f"SELECT Body, {secret} FROM otel_logs WHERE ServiceName = %(service)s"
    deadline = time.monotonic() + VISIBLE_WITHIN_S
    with writer.cluster.clickhouse() as client:
        while not (rows := client.execute(sql, {"service": service})):
            assert time.monotonic() < deadline, f"{service} is not stored"
            time.sleep(0.2)
    ((body, found),) = rows
    return body, found


def wait_for(writer: OwnWriter, series: str) -> None:
    """Until the series is above zero; records keep coming, so that batches do."""
    deadline = time.monotonic() + VISIBLE_WITHIN_S
    while not writer.metric(series):
        assert time.monotonic() < deadline, series
        send(writer, f"{writer.topic}-between")
        time.sleep(1)
