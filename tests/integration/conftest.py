"""What a real agent sent, and who reads it: once for all tests."""

from collections.abc import Iterator

import pytest

from support.cluster import Cluster
from support.downstream import Reader
from support.own_database import OwnDatabase, own_database
from support.real_agent import Emitted, insert, run_agent, wait_until_stored
from support.schema_server import modern_server


@pytest.fixture(scope="session")
def emitted(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Emitted:
    """One run of the agent."""
    return run_agent(cluster, tmp_path_factory.mktemp("agent") / "expect.json")


@pytest.fixture(scope="session")
def own(cluster: Cluster) -> Iterator[OwnDatabase]:
    """A database of its own on the cluster's servers, where nobody else's rows are."""
    with own_database(cluster) as made:
        yield made


@pytest.fixture(scope="session", params=["cluster", "embedded"])
def reader(
    request: pytest.FixtureRequest,
    cluster: Cluster,
    emitted: Emitted,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Reader]:
    """The downstream tool on a server that holds everything the agent sent."""
    if request.param == "cluster":
        client = cluster.clickhouse()
        wait_until_stored(client, emitted)
        yield Reader(client, cluster.dialect)
        client.disconnect()
        return
    with modern_server(tmp_path_factory.mktemp("modern")) as server:
        for signal, payloads in emitted.messages.items():
            insert(server.port, signal, payloads)
        with server.client() as client:
            yield Reader(client, "modern")
