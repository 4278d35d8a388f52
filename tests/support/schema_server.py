"""A server of either dialect with headrace's tables in it, for tests."""

import argparse
import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clickhouse_driver import Client

from headrace_schema.cli import add_migrate_parser, run_migrate
from headrace_schema.connection import Connect, Node, driver_connect
from headrace_schema.model import Dialect
from headrace_schema.render import Deployment, Topology, migrations
from headrace_schema.runner import Fleet, Runner
from support.chdb_front import chdb_front
from support.clickhouse_server import clickhouse_server

CONNECT = driver_connect("default", "")


@dataclass(frozen=True, slots=True)
class MigrateSettings:
    """Settings as `run_migrate` takes them."""

    clickhouse_shards: Sequence[Sequence[tuple[str, int]]]
    clickhouse_topology: str = "embedded"
    clickhouse_dialect: str = "auto"
    clickhouse_database: str = "otel"
    clickhouse_user: str = "default"
    clickhouse_password: str = ""
    clickhouse_cluster: str = "headrace"
    clickhouse_tls: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SchemaServer:
    """One server on 127.0.0.1:`port` that has the tables of `deployment`."""

    port: int
    deployment: Deployment

    @property
    def dialect(self) -> Dialect:
        return self.deployment.dialect

    @property
    def node(self) -> Node:
        return Node(1, 1, "127.0.0.1", self.port)

    def client(self, compression: str | bool = False, **options: Any) -> Client:
        """A client of database `otel`; the caller disconnects (it is a context manager)."""
        return Client(
            "127.0.0.1",
            port=self.port,
            database=self.deployment.database,
            compression=compression,
            client_revision=54453,
            **options,
        )


def migrate(settings: MigrateSettings, *argv: str) -> tuple[int, str]:
    """Run `headrace migrate …`; returns its exit code and what it printed."""
    parser = argparse.ArgumentParser()
    add_migrate_parser(parser.add_subparsers())
    out = io.StringIO()
    code = run_migrate(parser.parse_args(["migrate", *argv]), settings, out=out, err=out)
    return code, out.getvalue()


def create_tables(
    port: int,
    topology: Topology,
    dialect: Dialect,
    connect: Connect = CONNECT,
    database: str = "otel",
) -> SchemaServer:
    """Apply all migrations to one server."""
    server = SchemaServer(port, Deployment(topology, dialect, database))
    upgrade(server, connect=connect)
    return server


def upgrade(server: SchemaServer, last: int | None = None, connect: Connect = CONNECT) -> None:
    """Apply migrations up to number `last`, or all that are left."""
    with Fleet([server.node], connect) as fleet:
        chosen = migrations(server.deployment)[:last]
        Runner(fleet, server.deployment, chosen).apply(lambda _: None)
        assert not fleet.unreachable


@contextmanager
def modern_server(folder: Path) -> Iterator[SchemaServer]:
    """ClickHouse 26.9 (chDB), topology `embedded`."""
    with chdb_front(folder) as port:
        yield create_tables(port, "embedded", "modern")


@contextmanager
def legacy_server(folder: Path) -> Iterator[SchemaServer]:
    """ClickHouse 18.16, topology `embedded`."""
    with clickhouse_server(folder) as server:
        yield create_tables(server.port, "embedded", "legacy")
