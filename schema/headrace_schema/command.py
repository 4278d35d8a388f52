"""What the commands on the tables share: which replicas, which deployment, how to answer."""

import argparse
import json
import logging
import sys
from collections.abc import Callable, Sequence
from typing import Any, TextIO, TypeVar, cast, get_args

from headrace_schema.cli import FAILED, UNREACHABLE, USAGE, MigrateSettings
from headrace_schema.connection import Connect, Connection, Node, driver_connect
from headrace_schema.model import Dialect
from headrace_schema.render import Deployment, MigrationError, Topology
from headrace_schema.runner import Fleet, MigrationRefused, detect_dialect, versions

T = TypeVar("T")


class Silent(Exception):
    """No replica that is needed answers; the text names them."""


class Tables:
    """The replicas of a deployment, connected."""

    def __init__(self, settings: MigrateSettings, connect: Connect | None = None) -> None:
        logging.getLogger("clickhouse_driver").setLevel(logging.CRITICAL)
        nodes = [
            Node(shard, replica, host, port)
            for shard, replicas in enumerate(settings.clickhouse_shards, start=1)
            for replica, (host, port) in enumerate(replicas, start=1)
        ]
        self._settings = settings
        self._fleet = Fleet(
            nodes,
            connect
            or driver_connect(
                settings.clickhouse_user, settings.clickhouse_password, **settings.clickhouse_tls
            ),
        )

    def __enter__(self) -> "Tables":
        self._fleet.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._fleet.close()

    def deployment(self) -> Deployment:
        """Raises Silent when no replica says which dialect it speaks, MigrationError for a setting
        that means nothing."""
        settings = self._settings
        dialect = settings.clickhouse_dialect
        if dialect == "auto":
            known = versions(self._fleet)
            if not known:
                raise Silent(self._missing())
            dialect = detect_dialect(known)
        if settings.clickhouse_topology not in get_args(Topology):
            msg = f"clickhouse_topology is {settings.clickhouse_topology!r}"
            raise MigrationError(msg)
        return Deployment(
            cast("Topology", settings.clickhouse_topology),
            cast("Dialect", dialect),
            settings.clickhouse_database,
            settings.clickhouse_cluster,
        )

    def shards(self) -> list[int]:
        return sorted({node.shard for node in self._fleet.nodes})

    def ask(self, work: Callable[[Connection], T], shard: int | None = None) -> T:
        """`work` on the first replica (of a shard) that answers; on the next one when it breaks.

        Raises Silent when none is left, MigrationRefused when the server answers with an error.
        """
        nodes = [node for node in self._fleet.nodes if shard in (None, node.shard)]
        for node in self._fleet.reachable(nodes):
            found: list[T] = []

            def keep(connection: Connection, found: list[T] = found) -> None:
                found.append(work(connection))

            if self._fleet.attempt(node, keep):
                return found[0]
        raise Silent(self._missing())

    def _missing(self) -> str:
        lost = "; ".join(f"{node}: {why}" for node, why in self._fleet.unreachable.items())
        return f"no replica answers: {lost}"


class Answer:
    """What a command prints: lines, or one JSON document."""

    def __init__(self, name: str, args: argparse.Namespace, out: TextIO | None) -> None:
        self._name = name
        self._json = bool(args.json)
        self._out = out or sys.stdout

    def give(self, document: Any, lines: Sequence[str]) -> None:
        text = json.dumps(document, indent=2, default=str) if self._json else "\n".join(lines)
        self._out.write(f"{text}\n")

    def fail(self, code: int, message: str) -> int:
        if self._json:
            self._out.write(json.dumps({"error": message}, indent=2) + "\n")
        else:
            sys.stderr.write(f"headrace {self._name}: {message}\n")
        return code

    def guard(self, work: Callable[[], int]) -> int:
        """Run a command; its errors become exit codes."""
        try:
            return work()
        except Silent as error:
            return self.fail(UNREACHABLE, str(error))
        except MigrationError as error:
            return self.fail(USAGE, str(error))
        except MigrationRefused as error:
            return self.fail(FAILED, str(error))
