"""Connections to replicas over loopback: a server that is told what to do instead of storing."""

import ssl
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

import pytest

from headrace_writer.config import load
from headrace_writer.errors import Fatal, LayoutError, Poison, Retryable
from headrace_writer.shell.replica import Address, Replica
from support.child import free_ports
from support.scripted_server import (
    BLOCK,
    LAYOUT,
    NATIVE,
    TABLE,
    ScriptedServer,
    first_time,
    hang_up,
    listening,
    login,
    refusing,
)


@pytest.fixture
def server() -> ScriptedServer:
    return ScriptedServer()


@pytest.fixture
def replica(server: ScriptedServer) -> Iterator[Replica]:
    with listening(server) as (address,):
        connection = Replica(address, login())
        yield connection
        connection.close()


def test_the_layout_is_the_servers_header(replica: Replica, server: ScriptedServer) -> None:
    assert replica.layout(TABLE) == LAYOUT
    assert server.stored == []
    assert replica.layout(TABLE) == LAYOUT
    assert server.sessions == 1, "the connection stays usable"


def test_a_block_arrives_as_it_was_built(replica: Replica, server: ScriptedServer) -> None:
    for _ in range(2):
        replica.insert(TABLE, LAYOUT, BLOCK)
    assert server.stored == [NATIVE, NATIVE]
    assert {query.sql for query in server.queries} == {"INSERT INTO `otel`.`probes` VALUES"}
    assert server.sessions == 1


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        (
            (22, 2, 1),
            {
                "insert_deduplicate": "1",
                "insert_deduplication_token": str((1 << 64) - 3),
                "max_partitions_per_insert_block": "0",
            },
        ),
        ((22, 1, 9), {}),
        ((18, 16, 1), {}),
    ],
)
def test_servers_that_know_tokens_get_the_ingest_id(
    replica: Replica,
    server: ScriptedServer,
    version: tuple[int, int, int],
    expected: Mapping[str, str],
) -> None:
    server.version = version
    replica.insert(TABLE, LAYOUT, BLOCK)
    (query,) = server.queries
    about_inserts = {k: v for k, v in query.settings.items() if "insert" in k}
    assert about_inserts == expected
    # A repeated block must reach the views, whose tables drop what they have.
    to_views = query.settings.get("deduplicate_blocks_in_dependent_materialized_views", "0")
    assert (to_views == "1") == ("insert_deduplication_token" in expected)
    assert query.settings["max_execution_time"] == "0"


def test_a_changed_table_gets_no_data(replica: Replica, server: ScriptedServer) -> None:
    server.columns = (*LAYOUT, ("More", "String"))
    with pytest.raises(LayoutError, match="restart"):
        replica.insert(TABLE, LAYOUT, BLOCK)
    assert server.stored == []
    server.columns = tuple(LAYOUT)
    replica.insert(TABLE, LAYOUT, BLOCK)
    assert server.stored == [NATIVE]


@pytest.mark.parametrize("when", ["on_query", "on_finish"])
def test_a_refused_block_is_poison_and_the_next_is_stored(
    replica: Replica, server: ScriptedServer, when: str
) -> None:
    setattr(server, when, first_time(refusing(469)))
    with pytest.raises(Poison, match="at row 1") as caught:
        replica.insert(TABLE, LAYOUT, BLOCK)
    assert caught.value.reason == "clickhouse_469"
    replica.insert(TABLE, LAYOUT, BLOCK)
    assert server.stored == [NATIVE]


@pytest.mark.parametrize("when", ["on_query", "on_finish"])
def test_a_connection_that_breaks_can_be_used_again(
    replica: Replica, server: ScriptedServer, when: str
) -> None:
    setattr(server, when, first_time(hang_up))
    with pytest.raises(Retryable, match=str(replica.address)):
        replica.insert(TABLE, LAYOUT, BLOCK)
    replica.insert(TABLE, LAYOUT, BLOCK)
    assert server.stored == [NATIVE]
    assert server.sessions == 2


def test_an_answer_that_does_not_come_in_time_is_not_taken_for_the_next_one(
    server: ScriptedServer,
) -> None:
    released = threading.Event()
    server.on_finish = first_time(lambda: ignore(released.wait(5)))
    with listening(server) as (address,):
        replica = Replica(address, login(answer_timeout_s=0.3))
        with pytest.raises(Retryable):
            replica.insert(TABLE, LAYOUT, BLOCK)
        released.set()
        server.on_finish = refusing(469)
        with pytest.raises(Poison):
            replica.insert(TABLE, LAYOUT, BLOCK)


def ignore(_result: object) -> None:
    pass


def test_nobody_listening_is_retryable() -> None:
    (port,) = free_ports(1)
    replica = Replica(Address("127.0.0.1", port), login())
    for action in (
        lambda: replica.insert(TABLE, LAYOUT, BLOCK),
        lambda: replica.insert_rows("INSERT INTO probes VALUES", [(1, "x")], 5),
        lambda: replica.query("SELECT 1"),
        lambda: replica.layout(TABLE),
    ):
        with pytest.raises(Retryable, match=str(port)):
            action()


def test_a_wrong_password_is_fatal() -> None:
    with listening(ScriptedServer(password="secret")) as (address,):
        replica = Replica(address, login("guessed"))
        with pytest.raises(Fatal, match="clickhouse_password"):
            replica.insert(TABLE, LAYOUT, BLOCK)
        with pytest.raises(Fatal, match="clickhouse_password"):
            replica.query("SELECT 1")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Key and self-signed certificate of 127.0.0.1 in one PEM file."""
    file = tmp_path_factory.mktemp("tls") / "server.pem"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "2",
    ]
    command += ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    command += ["-keyout", str(file), "-out", f"{file}.crt"]
    subprocess.run(command, check=True, capture_output=True)
    with file.open("a") as whole:
        whole.write(Path(f"{file}.crt").read_text())
    return file


def test_blocks_go_over_tls_to_whom_we_trust_and_to_nobody_else(
    server: ScriptedServer, certificate: Path
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with listening(server, tls=context) as (address,):
        strict = load({"clickhouse_secure": True}, {})
        trusting = load({"clickhouse_secure": True, "clickhouse_ca_file": f"{certificate}.crt"}, {})
        with closing(Replica(address, login()._replace(tls=trusting.clickhouse_tls))) as replica:
            replica.insert(TABLE, LAYOUT, BLOCK)
        stranger = Replica(address, login()._replace(tls=strict.clickhouse_tls))
        with pytest.raises(Retryable, match="certificate"):
            stranger.insert(TABLE, LAYOUT, BLOCK)
        plain = Replica(address, login(answer_timeout_s=1.0))
        with pytest.raises(Retryable):
            plain.insert(TABLE, LAYOUT, BLOCK)
    assert server.stored == [NATIVE]


def test_few_rows_go_with_their_token(replica: Replica, server: ScriptedServer) -> None:
    replica.insert_rows("INSERT INTO probes (Id, Text) VALUES", [(7, "seven")], 99)
    assert server.stored == [NATIVE]
    assert server.queries[0].settings["insert_deduplication_token"] == "99"
