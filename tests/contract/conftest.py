"""Real servers for contract tests, started once per session."""

from collections.abc import Iterator

import pytest

from support.schema_server import SchemaServer, legacy_server, modern_server


@pytest.fixture(scope="session")
def modern(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SchemaServer]:
    """chDB 26.9 behind the native protocol, with headrace's tables."""
    with modern_server(tmp_path_factory.mktemp("modern")) as server:
        yield server


@pytest.fixture(scope="session")
def legacy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SchemaServer]:
    """ClickHouse 18.16 with headrace's tables."""
    with legacy_server(tmp_path_factory.mktemp("legacy")) as server:
        yield server


@pytest.fixture(scope="session", params=["modern", "legacy"])
def server(request: pytest.FixtureRequest) -> SchemaServer:
    """Both, one after the other."""
    found: SchemaServer = request.getfixturevalue(request.param)
    return found
