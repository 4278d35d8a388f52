"""Fixtures for all tests."""

import os
from collections.abc import Iterator

import pytest

from support.cluster import Cluster, running


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The native cluster `test`: Kafka, 2×2 ClickHouse, two gateways, writers, Prometheus.

    With HEADRACE_TEST_ENGINE=docker the one of deploy/compose.
    """
    if os.environ.get("HEADRACE_TEST_ENGINE", "native") == "docker":
        # Imported here, because nobody else needs it.
        from support.compose_cluster import running_in_containers  # noqa: PLC0415

        with running_in_containers(tmp_path_factory.mktemp("compose")) as up:
            yield up
    else:
        with running() as up:
            yield up
