"""`headrace audit`: is everything that was acknowledged in ClickHouse, exactly once?

Read the offsets, then the ledger, then count rows by IngestId on every replica. Exit 0 when all of
it fits, 1 with findings, 3 when Kafka or all of ClickHouse does not answer.
"""

import argparse
import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from rich.console import Console
from rich.table import Table

from headrace_schema.columns import TABLES_BY_SIGNAL
from headrace_writer import wiring
from headrace_writer.commands.options import duration, moment
from headrace_writer.config import Settings
from headrace_writer.core import audit
from headrace_writer.core.audit import Expected, Finding, LedgerRange, Offsets, Place
from headrace_writer.core.block import Signal, Target
from headrace_writer.core.delivery_plan import PlanUnreadable, decode_plan
from headrace_writer.errors import Retryable
from headrace_writer.shell import kafka
from headrace_writer.shell.clock import Deadline, SystemClock
from headrace_writer.shell.kafka_view import GroupView
from headrace_writer.shell.ledger_reader import LedgerReader, header_time
from headrace_writer.shell.shards import Shards

# Rows are a little older than the plan that stored them; those much older are counted one by one.
SLACK_NS = 600 * 10**9
# Replication is usually done in well under a second.
LOOK_AGAIN_S = 1.0
COUNT_TIMEOUT_S = 300.0

EXAMPLES = """examples:
  headrace audit                       the last hour, every signal
  headrace audit --since 1d --signals traces
  headrace audit --since 2026-11-23T10:00Z --json
"""


@dataclass
class Result:
    """Of one run."""

    since: str
    partitions: list[audit.PartitionAudit] = field(default_factory=list)
    blocks: int = 0
    rows: int = 0
    findings: list[Finding] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def clean(self) -> bool:
        return not self.findings

    def as_json(self) -> dict[str, Any]:
        partitions = [
            {**one.place._asdict(), **{k: v for k, v in asdict(one).items() if k != "place"}}
            for one in self.partitions
        ]
        for one in partitions:
            del one["findings"]
        return {
            "clean": self.clean,
            "since": self.since,
            "blocks": self.blocks,
            "rows": self.rows,
            "seconds": round(self.seconds, 2),
            "partitions": partitions,
            "findings": [asdict(one) for one in self.findings],
        }


def add_parser(commands: Any, parents: list[argparse.ArgumentParser]) -> None:
    """Adds `audit` to the subcommands."""
    parser = commands.add_parser(
        "audit",
        parents=parents,
        help="prove that every acknowledged record is stored exactly once",
        description="Holds the ledger against Kafka's offsets, and the rows of every replica "
        "against the ledger. Exit 0: all fits. Exit 1: findings.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--since", type=moment, default=None, metavar="TIME", help="1h (default), or ISO 8601"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument(
        "--patience",
        type=duration,
        default=timedelta(seconds=10),
        metavar="TIME",
        help="look again for so long at blocks that a replica lacks (default 10s)",
    )


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Audit and print. Returns the exit code."""
    since = args.since or datetime.now(UTC) - timedelta(hours=1)
    result = run_audit(settings, since, args.patience.total_seconds())
    if args.json:
        print(json.dumps(result.as_json(), indent=2))
    else:
        show(result)
    return 0 if result.clean else 1


def run_audit(settings: Settings, since: datetime, patience_s: float = 10.0) -> Result:
    """Everything of the settings' signals since then. Raises Retryable, Fatal."""
    begun = time.monotonic()
    clock = SystemClock()
    shards = wiring.make_shards(settings, clock)
    deadline = Deadline(clock, settings.start_timeout_s)
    try:
        for shard in shards.shards:
            shard.count_timeout_s = COUNT_TIMEOUT_S
            shard.stopping = lambda: deadline.passed
        auditor = _Auditor(settings, shards, int(since.timestamp() * 10**9), patience_s)
        result = Result(since.isoformat(timespec="seconds"))
        for signal in settings.signals:
            auditor.audit(signal, result)
    finally:
        shards.close()
    result.findings += [Finding("replica_silent", replica=name) for name in sorted(auditor.silent)]
    result.seconds = time.monotonic() - begun
    return result


class _Auditor:
    def __init__(
        self, settings: Settings, shards: Shards, since_ns: int, patience_s: float
    ) -> None:
        self._settings = settings
        self._shards = shards
        self._since_ns = since_ns
        self._patience_s = patience_s
        suffix = wiring.local_namer(settings)("")
        self._reader = LedgerReader(shards, suffix)
        self._suffix = suffix

    @property
    def silent(self) -> set[str]:
        return self._reader.silent

    def audit(self, signal: Signal, result: Result) -> None:
        group = wiring.group_config(self._settings, signal)
        view = GroupView(group)
        try:
            offsets = self._offsets(group, view)
            rows, before = self._ledger(group.topic)
            partitions = audit.coverage(rows, before, offsets)
            result.partitions += partitions
            for one in partitions:
                result.findings += one.findings
            stored = audit.expected_blocks(rows)
            result.findings += audit.on_unknown_shards(stored, len(self._shards))
            expected = {t: found for t, found in stored.items() if t.shard < len(self._shards)}
            result.blocks += sum(map(len, expected.values()))
            result.rows += sum(b.rows for blocks in expected.values() for b in blocks.values())
            result.findings += self._rows(signal, expected, view)
        finally:
            view.close()

    def _offsets(self, group: kafka.GroupConfig, view: GroupView) -> dict[Place, Offsets]:
        topic_id = kafka.topic_id(group)
        return {
            Place(group.topic, topic_id, number): Offsets(one.low, one.high, one.committed)
            for number, one in view.read().items()
        }

    def _ledger(self, topic: str) -> tuple[list[LedgerRange], dict[Place, int]]:
        starts = self._reader.starts([topic], self._since_ns)
        rows = [row for place, at in starts.items() for row in self._reader.ranges(place, at)]
        before = self._reader.ends([topic], starts)
        everyone = sum(len(shard.addresses) for shard in self._shards.shards)
        if len(self.silent) == everyone:
            msg = f"no replica answers: {', '.join(sorted(self.silent))}"
            raise Retryable(msg)
        return audit.distinct(rows), before

    def _rows(
        self, signal: Signal, expected: Mapping[Target, Mapping[int, Expected]], view: GroupView
    ) -> list[Finding]:
        findings: list[Finding] = []
        unknown: dict[Target, dict[str, dict[int, int]]] = {}
        for table in TABLES_BY_SIGNAL[signal]:
            time_column = header_time(self._shards[0].layout(table + self._suffix))
            for shard in range(len(self._shards)):
                target = Target(table, shard)
                counts = self._reader.rows_since(target, time_column, self._since_ns - SLACK_NS)
                blocks = expected.get(target, {})
                findings += self._judge(target, blocks, counts)
                unknown[target] = {
                    replica: {i: n for i, n in rows.items() if i not in blocks}
                    for replica, rows in counts.items()
                }
        return findings + self._unexplained(unknown, view)

    def _judge(
        self,
        target: Target,
        blocks: Mapping[int, Expected],
        counts: dict[str, dict[int, int]],
    ) -> list[Finding]:
        """Blocks that do not fit at first sight are counted again without a time limit, and
        those that some replica lacks again until the patience ends."""
        deadline = time.monotonic() + self._patience_s
        odd = _misfits(blocks.values(), counts)
        while odd:
            counts = self._reader.rows_of(target, [block.ingest_id for block in odd])
            odd = _misfits(odd, counts)
            lacking = any(
                rows.get(b.ingest_id, 0) < b.rows for b in odd for rows in counts.values()
            )
            if not lacking or time.monotonic() >= deadline:
                break
            time.sleep(LOOK_AGAIN_S)
        return [
            finding
            for block in odd
            for finding in audit.judge(
                block, {replica: rows.get(block.ingest_id, 0) for replica, rows in counts.items()}
            )
        ]

    def _unexplained(
        self, unknown: Mapping[Target, Mapping[str, Mapping[int, int]]], view: GroupView
    ) -> list[Finding]:
        """Rows of blocks that neither the ledger nor an unfinished plan names.

        The plans are read after the rows were counted, and the ledger after the plans: a block
        that was being stored meanwhile is in one of them.
        """
        ids = {i for replicas in unknown.values() for rows in replicas.values() for i in rows}
        if not ids:
            return []
        plans = []
        for partition in view.read().values():
            try:
                plan = decode_plan(partition.metadata)
            except PlanUnreadable:
                continue
            if plan is not None:
                plans.append(plan)
        ids -= audit.in_flight_ids(plans)
        ids -= self._reader.known_ids(ids)
        return [
            Finding(
                "unexplained_rows",
                table=target.table,
                shard=target.shard,
                replica=replica,
                ingest_id=number,
                expected=0,
                found=count,
                note="no ledger row and no plan names them",
            )
            for target, replicas in sorted(unknown.items())
            for replica, rows in sorted(replicas.items())
            for number, count in sorted(rows.items())
            if number in ids
        ]


def _misfits(blocks: Iterable[Expected], counts: Mapping[str, Mapping[int, int]]) -> list[Expected]:
    """Blocks that some replica that answered does not hold exactly."""
    return [
        block
        for block in blocks
        if any(rows.get(block.ingest_id, 0) != block.rows for rows in counts.values())
    ]


def show(result: Result) -> None:
    """Tables for a person."""
    console = Console(highlight=False)
    table = Table(title=f"ledger since {result.since}")
    table.add_column("partition", no_wrap=True)
    for name in ("stored", "committed", "in Kafka", "ranges", "DLQ"):
        table.add_column(name, justify="right")
    table.add_column("", no_wrap=True)
    for one in result.partitions:
        state = "[red]see below[/]" if one.findings else "[green]complete[/]"
        stored = "" if one.end is None else f"{_or(one.first, one.end)} … {one.end}"
        kept = "" if one.low is None else f"{one.low} … {one.high}"
        table.add_row(
            f"{one.place.topic}/{one.place.partition}",
            stored,
            _or(one.committed, "none"),
            kept,
            str(one.ranges),
            str(one.dead_letters),
            state,
        )
    console.print(table)
    console.print(
        f"{result.rows:,} rows in {result.blocks:,} blocks counted on every replica "
        f"in {result.seconds:.1f} s"
    )
    for finding in result.findings:
        console.print(f"[red]{finding}[/]", soft_wrap=True)
    if result.clean:
        console.print("[bold green]complete[/]: no gap, no overlap, no row missing, none doubled")
    else:
        console.print(f"[bold red]{len(result.findings)} findings[/]")


def _or(value: int | None, other: object) -> str:
    return str(other if value is None else value)
