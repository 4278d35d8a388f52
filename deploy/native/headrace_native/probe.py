"""Readiness: does a component do its work now? Each probe answers in at most two seconds."""

import json
import socket
import urllib.error
import urllib.request

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from headrace_native import clickhouse
from headrace_native.component import Component
from headrace_native.layout import Layout

TIMEOUT_SECONDS = 2.0


def why_not_ready(layout: Layout, component: Component) -> str:
    """Empty when ready, else what is missing. Never raises for a component that is down."""
    try:
        return _PROBES[component.kind](layout, component)
    except (OSError, clickhouse.UnreachableError, KafkaException) as error:
        return str(error) or type(error).__name__


def _get(url: str) -> str:
    """Body of a 2xx answer. Raises OSError with the body's first words otherwise."""
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310
            return str(answer.read().decode("utf-8", "replace"))
    except urllib.error.HTTPError as error:
        body = error.read().decode("utf-8", "replace").strip()
        msg = f"HTTP {error.code}: {body[:200]}"
        raise OSError(msg) from error


def _zookeeper(_: Layout, component: Component) -> str:
    address = ("127.0.0.1", component.ports["zookeeper"])
    with socket.create_connection(address, timeout=TIMEOUT_SECONDS) as connection:
        connection.sendall(b"srvr")
        answer = b""
        while chunk := connection.recv(4096):
            answer += chunk
    return "" if b"Mode:" in answer else "no mode yet"


def admin(bootstrap: str) -> AdminClient:
    """A Kafka admin client that keeps quiet about brokers that are not up yet."""
    return AdminClient(
        {
            "bootstrap.servers": bootstrap,
            "log_level": 0,
            "socket.timeout.ms": 5_000,
            "reconnect.backoff.max.ms": 250,
        }
    )


def _kafka(_: Layout, component: Component) -> str:
    port = component.ports["kafka"]
    with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_SECONDS):
        pass  # librdkafka would take its time to say that nobody listens
    metadata = admin(f"127.0.0.1:{port}").list_topics(timeout=TIMEOUT_SECONDS)
    node = int(component.name.rpartition("-")[2])
    return "" if node in metadata.brokers else "not registered with the controller yet"


def _clickhouse(_: Layout, component: Component) -> str:
    port = component.ports["clickhouse_http"]
    sql = "SELECT count() > 0 FROM system.zookeeper WHERE path = '/'"
    rows = clickhouse.query(port, sql, TIMEOUT_SECONDS)
    return "" if rows == [["1"]] else "does not see ZooKeeper"


def _gateway(_: Layout, component: Component) -> str:
    answer = _get(f"http://127.0.0.1:{component.ports['gateway_health']}/")
    status = json.loads(answer).get("status", "")
    return "" if status == "Server available" else f"health check says {status!r}"


def _haproxy(layout: Layout, component: Component) -> str:
    """Ready when every gateway is up behind both entrances, and both entrances listen."""
    table = _get(f"http://127.0.0.1:{component.ports['haproxy_stats']}/;csv")
    header, *lines = table.lstrip("# ").splitlines()
    columns = header.split(",")
    rows = [dict(zip(columns, line.split(","), strict=False)) for line in lines]
    down = [
        f"{row['pxname']}/{row['svname']} is {row['status']}"
        for row in rows
        if row["svname"] in {each.name for each in layout.gateways}
        and not row["status"].startswith("UP")
    ]
    return ", ".join(down)


def _prometheus(_: Layout, component: Component) -> str:
    _get(f"http://127.0.0.1:{component.ports['prometheus']}/-/ready")
    return ""


def _writer(_: Layout, component: Component) -> str:
    _get(f"http://127.0.0.1:{component.ports['writer']}/ready")
    return ""


def _exporter(_: Layout, component: Component) -> str:
    _get(f"http://127.0.0.1:{component.ports['exporter']}/ready")
    return ""


def _retention(_: Layout, __: Component) -> str:
    return ""  # It waits for its hour.


_PROBES = {
    "zookeeper": _zookeeper,
    "kafka": _kafka,
    "clickhouse": _clickhouse,
    "gateway": _gateway,
    "haproxy": _haproxy,
    "prometheus": _prometheus,
    "writer": _writer,
    "exporter": _exporter,
    "retention": _retention,
}
