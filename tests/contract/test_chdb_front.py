"""The chDB front behaves towards clickhouse-driver as a server does."""

import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from clickhouse_driver import Client
from clickhouse_driver.errors import ServerException

from support.native_server import REVISION
from support.raw_insert import insert_block, server_header
from support.schema_server import SchemaServer

COMPRESSIONS = (False, "lz4")


@pytest.fixture(params=COMPRESSIONS, ids=("plain", "lz4"))
def client(request: pytest.FixtureRequest, modern: SchemaServer) -> Client:
    """A client of a database of its own."""
    with modern.client(request.param) as creator:
        creator.execute("CREATE DATABASE IF NOT EXISTS front")
    with Client(
        "127.0.0.1", port=modern.port, database="front", compression=request.param
    ) as client:
        yield client


def test_hello_and_ping(client: Client) -> None:
    assert client.execute("SELECT currentDatabase()") == [("front",)]
    assert client.connection.ping()
    info = client.connection.server_info
    assert (info.version_major, info.used_revision) == (26, REVISION)


def test_results_of_many_blocks_keep_their_order(client: Client) -> None:
    rows = client.execute(
        "SELECT number, toString(number), if(number % 2, NULL, number) FROM numbers(100000)",
        settings={"max_block_size": 7000},
    )
    assert len(rows) == 100_000
    assert rows[70_001] == (70_001, "70001", None)
    assert rows[-1] == (99_999, "99999", None)


def test_a_result_without_rows_has_its_columns(client: Client) -> None:
    rows, columns = client.execute(
        "SELECT 1 AS a, CAST('x', 'LowCardinality(String)') AS b WHERE 0", with_column_types=True
    )
    assert rows == []
    assert columns == [("a", "UInt8"), ("b", "LowCardinality(String)")]


def test_an_error_has_the_servers_code_and_leaves_the_connection_usable(client: Client) -> None:
    for sql, code in (("SELECT * FROM missing", 60), ("SELEC 1", 62), ("SELECT 1 / 'a'", 43)):
        with pytest.raises(ServerException) as caught:
            client.execute(sql)
        assert caught.value.code == code
    assert client.execute("SELECT 1;") == [(1,)]


def test_settings_last_for_their_query_and_set_for_the_connection(client: Client) -> None:
    get = "SELECT getSetting('max_block_size')"
    (before,) = client.execute(get)
    assert client.execute(get, settings={"max_block_size": 11}) == [(11,)]
    assert client.execute(get) == [before]
    client.execute("SET max_block_size = 12")
    assert client.execute(get) == [(12,)]


def test_an_unknown_setting_is_ignored_unless_important(modern: SchemaServer) -> None:
    with modern.client() as client:
        assert client.execute("SELECT 1", settings={"no_such_setting": 1}) == [(1,)]
    with modern.client(settings_is_important=True) as client:
        with pytest.raises(ServerException) as caught:
            client.execute("SELECT 1", settings={"no_such_setting": 1})
        assert caught.value.code == 115


def test_an_insert_takes_blocks_and_reports_rows(client: Client) -> None:
    client.execute("DROP TABLE IF EXISTS many")
    client.execute(
        "CREATE TABLE many (n UInt64, s LowCardinality(String), `d.x` Array(String), "
        "twice UInt64 MATERIALIZED n * 2) ENGINE = MergeTree ORDER BY n"
    )
    assert server_header(client, "many") == [
        ("n", "UInt64"),
        ("s", "LowCardinality(String)"),
        ("d.x", "Array(String)"),
    ]
    rows = [(n, f"s{n % 7}", [str(n)]) for n in range(50_000)]
    written = client.execute(
        "INSERT INTO many (n, s, d.x) VALUES", rows, settings={"insert_block_size": 9_000}
    )
    assert written == 50_000
    assert client.last_query.progress.written_rows == 50_000
    assert client.execute("SELECT count(), sum(twice), uniq(s) FROM many") == [
        (50_000, 49_999 * 50_000, 7)
    ]
    assert client.execute("INSERT INTO many (n) SELECT 1") == []
    client.execute("INSERT INTO many (s, n) VALUES", [("swapped", 60_000)])
    assert client.execute("SELECT s FROM many WHERE n = 60000") == [("swapped",)]


def test_a_refused_insert_leaves_the_connection_usable(client: Client) -> None:
    client.execute("DROP TABLE IF EXISTS checked")
    client.execute(
        "CREATE TABLE checked (n UInt64, CONSTRAINT small CHECK n < 10) "
        "ENGINE = MergeTree ORDER BY n"
    )
    with pytest.raises(ServerException) as caught:
        client.execute("INSERT INTO checked VALUES", [(5,), (50,)])
    assert caught.value.code == 469
    with pytest.raises(ServerException) as caught:
        client.execute("INSERT INTO checked (m) VALUES", [(5,)])
    assert caught.value.code == 16
    with pytest.raises(ServerException) as caught:
        client.execute("INSERT INTO nowhere VALUES", [(5,)])
    assert caught.value.code == 60
    assert client.execute("SELECT count() FROM checked") == [(0,)]


def test_a_block_of_garbage_is_refused(modern: SchemaServer) -> None:
    with modern.client("lz4") as client, pytest.raises((ServerException, EOFError)) as caught:
        insert_block(client, "otel_logs", b"\x07" * 400)
    assert isinstance(caught.value, EOFError) or caught.value.code == 101


def test_a_client_that_vanishes_in_the_middle_inserts_nothing(modern: SchemaServer) -> None:
    with modern.client() as client:
        connection = client.connection
        connection.force_connect()
        connection.send_query("INSERT INTO otel_logs (Body) VALUES")
        connection.socket.shutdown(socket.SHUT_WR)
    with modern.client() as client:
        assert client.execute("SELECT 1") == [(1,)]


def test_many_clients_at_once(modern: SchemaServer) -> None:
    barrier = threading.Barrier(6)

    def work(number: int) -> int:
        with modern.client("lz4" if number % 2 else False) as client:
            barrier.wait()
            for step in range(5):
                row = {"Timestamp": 1_790_000_000_000_000_000, "Body": f"c{number}-{step}"}
                client.execute("INSERT INTO otel_logs (Timestamp, Body) VALUES", [row])
            (found,) = client.execute(
                f"SELECT count() FROM otel_logs WHERE startsWith(Body, 'c{number}-')"
            )
            return int(found[0])

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(work, range(6))) == [5] * 6


def test_a_wrong_password_is_refused(modern: SchemaServer) -> None:
    client = Client("127.0.0.1", port=modern.port, password="no")
    with client, pytest.raises(ServerException) as caught:
        client.execute("SELECT 1")
    assert caught.value.code == 516


def test_a_client_of_an_old_revision_is_told(modern: SchemaServer) -> None:
    client = Client("127.0.0.1", port=modern.port, client_revision=54400)
    with client, pytest.raises(ServerException, match="needs 54451"):
        client.execute("SELECT 1")
