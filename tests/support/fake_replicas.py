"""Replicas for the migration runner's tests: they remember statements and their ledger."""

import re
from dataclasses import dataclass, field
from typing import Any

from headrace_schema.connection import Node, Refused, Unreachable


@dataclass
class FakeReplica:
    """One replica. Plans of trouble: `down`, and `fails_at`, a text that a statement contains."""

    version: str = "26.9.2.1"
    down: bool = False
    fails_at: str = ""
    refuses: bool = False
    """What `fails_at` does: refuse the statement, or (False) break the connection."""
    refusal: tuple[int, str] = (57, "no")
    statements: list[str] = field(default_factory=list)
    ledger: list[tuple[int, str, str, str, int]] = field(default_factory=list)
    connections: int = 0

    @property
    def ddl(self) -> list[str]:
        """Statements of migrations, without the preparation."""
        return [
            sql
            for sql in self.statements
            if re.match("CREATE|ALTER", sql) and "DATABASE" not in sql and "_migrations" not in sql
        ]

    def answer(self, sql: str) -> list[tuple[Any, ...]]:
        if self.down:
            raise Unreachable("connection refused")
        if self.fails_at and self.fails_at in sql:
            if self.refuses:
                raise Refused(*self.refusal)
            self.down = True
            raise Unreachable("connection lost")
        if sql == "SELECT version()":
            return [(self.version,)]
        if sql.startswith("EXISTS TABLE"):
            return [(int(bool(self.ledger)),)]
        if sql.startswith("SHOW CREATE TABLE "):
            return [(f"CREATE TABLE {sql.removeprefix('SHOW CREATE TABLE ')} (grown)",)]
        if sql.startswith("SELECT number"):
            return sorted(self.ledger)
        if sql.startswith("INSERT INTO"):
            self._record(sql)
        else:
            self.statements.append(sql)
        return []

    def _record(self, sql: str) -> None:
        match = re.search(r"toUInt32\((\d+)\), '(\w+)', '(\w+)', '([\w/]+)', now\(\)", sql)
        assert match, sql
        self.ledger.append((int(match[1]), match[2], match[3], match[4], 1_790_000_000))


class FakeConnection:
    def __init__(self, replica: FakeReplica) -> None:
        self._replica = replica
        replica.connections += 1

    def execute(self, sql: str) -> list[tuple[Any, ...]]:
        return self._replica.answer(sql)

    def close(self) -> None:
        self._replica.connections -= 1


class FakeCluster:
    """`shards` × `replicas` replicas on ports 9001, 9002, …; a Connect."""

    def __init__(self, shards: int = 2, replicas: int = 2) -> None:
        self.shards = [
            [("host", 9001 + shard * replicas + replica) for replica in range(replicas)]
            for shard in range(shards)
        ]
        self.nodes = [
            Node(s, r, host, port)
            for s, ports in enumerate(self.shards, 1)
            for r, (host, port) in enumerate(ports, 1)
        ]
        self.replicas = {node.port: FakeReplica() for node in self.nodes}

    def __getitem__(self, number: int) -> FakeReplica:
        """The replica of that number, from 1."""
        return self.replicas[9000 + number]

    def __call__(self, node: Node) -> FakeConnection:
        replica = self.replicas[node.port]
        replica.answer("SELECT version()")
        return FakeConnection(replica)
