"""What the commands on the tables share: options, replicas, the deployment, and how to answer."""

import argparse
import json
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any, Protocol, Self, TextIO, TypeVar, cast, get_args

from headrace_schema.connection import Connect, Connection, Node, driver_connect
from headrace_schema.model import Dialect
from headrace_schema.render import Deployment, MigrationError, Topology
from headrace_schema.runner import Fleet, MigrationRefused, detect_dialect, versions

T = TypeVar("T")

# The exit codes of all of headrace's commands.
OK, FAILED, USAGE, UNREACHABLE = range(4)


class MigrateSettings(Protocol):
    """What these commands read of the settings; docs/configuration.md describes each."""

    @property
    def clickhouse_shards(self) -> Sequence[Sequence[tuple[str, int]]]: ...
    @property
    def clickhouse_database(self) -> str: ...
    @property
    def clickhouse_user(self) -> str: ...
    @property
    def clickhouse_password(self) -> str: ...
    @property
    def clickhouse_topology(self) -> str: ...
    @property
    def clickhouse_dialect(self) -> str: ...
    @property
    def clickhouse_cluster(self) -> str: ...
    @property
    def clickhouse_tls(self) -> Mapping[str, Any]: ...


class Actions:
    """A command's parser, and that of each of its actions: all take `parents` and --json."""

    def __init__(
        self,
        subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]",
        name: str,
        parents: Sequence[argparse.ArgumentParser],
        *,
        says: str,
        examples: str = "",
    ) -> None:
        self.parser: argparse.ArgumentParser = subparsers.add_parser(
            name, help=says, epilog=examples, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        shared = argparse.ArgumentParser(add_help=False)
        shared.add_argument("--json", action="store_true", help="print JSON instead of text")
        self._parents = [*parents, shared]
        self._actions = self.parser.add_subparsers(
            dest=f"{name}_action", required=True, metavar="ACTION"
        )

    def add(
        self, name: str, *parents: argparse.ArgumentParser, says: str, **options: Any
    ) -> argparse.ArgumentParser:
        """One action; `options` are what add_parser takes besides."""
        added: argparse.ArgumentParser = self._actions.add_parser(
            name, parents=[*self._parents, *parents], help=says, **options
        )
        return added


def day(text: str) -> date:
    """`2026-11-24`. Raises argparse's error."""
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        msg = f"{text!r} is no day: write 2026-11-24"
        raise argparse.ArgumentTypeError(msg) from error


class Silent(Exception):
    """No replica that is needed answers; the text names them."""


class Tables:
    """The replicas of a deployment. As a context manager it connects, and hangs up at the end."""

    def __init__(self, settings: MigrateSettings, connect: Connect | None = None) -> None:
        # The driver logs each failed connection with a stack trace; ours is one message.
        logging.getLogger("clickhouse_driver").setLevel(logging.CRITICAL)
        nodes = [
            Node(shard, replica, host, port)
            for shard, replicas in enumerate(settings.clickhouse_shards, start=1)
            for replica, (host, port) in enumerate(replicas, start=1)
        ]
        self._settings = settings
        self.fleet = Fleet(
            nodes,
            connect
            or driver_connect(
                settings.clickhouse_user, settings.clickhouse_password, **settings.clickhouse_tls
            ),
        )

    def __enter__(self) -> Self:
        self.check_settings()
        self.fleet.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.fleet.close()

    @property
    def dialect(self) -> str:
        """As the settings have it: `modern`, `legacy`, or `auto` for what the replicas say."""
        return self._settings.clickhouse_dialect

    def check_settings(self) -> None:
        """Raises MigrationError for a setting that means nothing."""
        for name, value, allowed in (
            ("topology", self._settings.clickhouse_topology, get_args(Topology)),
            ("dialect", self.dialect, ("auto", *get_args(Dialect))),
        ):
            if value not in allowed:
                msg = f"clickhouse_{name} is {value!r}; choose one of {', '.join(allowed)}"
                raise MigrationError(msg)

    def deployment(self) -> Deployment:
        """Raises Silent when no replica says which dialect it speaks, MigrationRefused when they
        speak several, MigrationError for names that SQL would need quotes for."""
        settings = self._settings
        dialect = self.dialect
        if dialect == "auto":
            known = versions(self.fleet)
            if not known:
                raise Silent(self._nobody())
            dialect = detect_dialect(known)
        return Deployment(
            cast("Topology", settings.clickhouse_topology),
            cast("Dialect", dialect),
            settings.clickhouse_database,
            settings.clickhouse_cluster,
        )

    def shards(self) -> list[int]:
        return sorted({node.shard for node in self.fleet.nodes})

    def require(self, *, every: bool = False) -> None:
        """Raises Silent when no replica is connected, or not every one."""
        lost = len(self.fleet.unreachable)
        if every and lost:
            msg = f"every replica is needed: {self.missing()}"
            raise Silent(msg)
        if lost == len(self.fleet.nodes):
            raise Silent(self._nobody())

    def ask(self, work: Callable[[Connection], T], shard: int | None = None) -> T:
        """`work` on the first replica (of a shard) that answers; on the next one when it breaks.

        Raises Silent when none is left, MigrationRefused when the server answers with an error.
        """
        nodes = [node for node in self.fleet.nodes if shard in (None, node.shard)]
        for node in self.fleet.reachable(nodes):
            found: list[T] = []

            def keep(connection: Connection, found: list[T] = found) -> None:
                found.append(work(connection))

            if self.fleet.attempt(node, keep):
                return found[0]
        raise Silent(self._nobody())

    def ask_each(self, work: Callable[[Connection], T]) -> dict[Node, T]:
        """`work` on every replica that answers. Raises MigrationRefused."""
        found: dict[Node, T] = {}
        for node in self.fleet.reachable():

            def keep(connection: Connection, node: Node = node) -> None:
                found[node] = work(connection)

            self.fleet.attempt(node, keep)
        return found

    def unreachable(self) -> dict[str, str]:
        """Why, by replica."""
        return {str(node): why for node, why in self.fleet.unreachable.items()}

    def missing(self) -> str:
        """The same in one line."""
        return "; ".join(f"{node}: {why}" for node, why in self.unreachable().items())

    def _nobody(self) -> str:
        return f"no replica answers: {self.missing()}"


def run(*statements: str) -> Callable[[Connection], None]:
    """Work that runs statements one after another."""

    def execute(connection: Connection) -> None:
        for sql in statements:
            connection.execute(sql)

    return execute


class Answer:
    """What a command prints: lines, or one JSON document."""

    def __init__(
        self,
        name: str,
        args: argparse.Namespace,
        out: TextIO | None,
        err: TextIO | None = None,
        also: Callable[[], Mapping[str, Any]] = dict,
    ) -> None:
        """`also` is what every error in JSON says besides."""
        self._name = name
        self.json = bool(args.json)
        self._out = out or sys.stdout
        self._err = err or sys.stderr
        self._also = also

    def give(self, document: Any, lines: Sequence[str]) -> None:
        if self.json:
            self.line(json.dumps(document, indent=2, default=str))
        else:
            self.line("\n".join(lines))

    def line(self, text: str) -> None:
        self._out.write(f"{text}\n")

    def fail(self, code: int, message: str) -> int:
        if self.json:
            self.give({"error": message, **self._also()}, ())
        else:
            self._err.write(f"headrace {self._name}: {message}\n")
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
