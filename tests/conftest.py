"""Fixtures for all tests."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from support.cluster import Cluster, running

# The same examples every time, however slow the machine: a change is judged by what it changed.
# The other profile looks for new ones.
_SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large]
settings.register_profile("explore", deadline=None, suppress_health_check=_SLOW, max_examples=1000)
settings.register_profile(
    "fixed", deadline=None, suppress_health_check=_SLOW, derandomize=True, database=None
)
settings.load_profile("fixed")


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
