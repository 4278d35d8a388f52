"""Fixtures for all tests."""

from collections.abc import Iterator

import pytest

from support.cluster import Cluster, running


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """The native cluster `test`: Kafka, 2×2 ClickHouse, two gateways, writers, Prometheus."""
    with running() as up:
        yield up
