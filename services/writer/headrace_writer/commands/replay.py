"""`headrace replay`: read a time range of a topic again; what is stored already is not doubled.

Ranges that the ledger has are counted, and their missing blocks built and inserted again. Ranges
that it does not have, and that the writers have passed, are stored as new batches. Both go through
the delivery protocol in a consumer group of their own, so that a replay that dies is finished by
the next one.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from typing import Any, TypeVar

from headrace_writer import wiring
from headrace_writer.commands.options import milliseconds, moment, signal_of
from headrace_writer.config import Settings
from headrace_writer.core import audit, delivery
from headrace_writer.core.audit import LedgerRange, Place
from headrace_writer.core.block import Signal
from headrace_writer.core.decode import load_backend
from headrace_writer.core.delivery_effects import Abandoned, Outcome, Steps, Stopped, Stored
from headrace_writer.core.delivery_plan import Plan, Range, decode_plan
from headrace_writer.core.ownership import Ownership
from headrace_writer.errors import Fatal, Retryable
from headrace_writer.shell import kafka
from headrace_writer.shell.batch_store import BatchStore, InsertEvents, OffsetsGone
from headrace_writer.shell.clock import Deadline, SystemClock
from headrace_writer.shell.dead_letter import DeadLetterTopic
from headrace_writer.shell.delivery_runner import Delivery
from headrace_writer.shell.guardrails_source import GuardrailsSource
from headrace_writer.shell.kafka_view import GroupView, PartitionView
from headrace_writer.shell.ledger_reader import LedgerReader
from headrace_writer.shell.range_reader import RangeReader

T = TypeVar("T")

POLL_S = 0.05
JOIN_TIMEOUT_S = 60.0

EXAMPLES = """examples:
  headrace replay --topic otlp_spans --from 2026-11-23T10:00Z --to 2026-11-23T11:00Z
  headrace replay --topic otlp_metrics --from 2h --json
"""


@dataclass
class Result:
    """Of one run. A range that could not be brought in has a line in `failures`."""

    intact: int = 0
    """Stored batches of which nothing was missing."""
    repaired: int = 0
    """Stored batches that lacked rows."""
    stored: int = 0
    """New batches, of offsets that the ledger did not have."""
    rows: int = 0
    """Rows of repaired and of new batches."""
    failures: list[str] = field(default_factory=list)


def replay_group(settings: Settings, signal: Signal) -> kafka.GroupConfig:
    """The group in whose commits a replay keeps its plans."""
    group = wiring.group_config(settings, signal)
    return replace(group, group=f"{settings.kafka_group_prefix}-replay-{signal}")


def add_parser(commands: Any, parents: list[argparse.ArgumentParser]) -> None:
    """Adds `replay` to the subcommands."""
    parser = commands.add_parser(
        "replay",
        parents=parents,
        help="read a time range of a topic again; nothing is doubled",
        description=__doc__.split("\n\n", 1)[1] if __doc__ else None,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--topic", required=True, help="such as otlp_spans")
    parser.add_argument(
        "--from", dest="since", type=moment, required=True, metavar="TIME", help="2h, or ISO 8601"
    )
    parser.add_argument(
        "--to", dest="until", type=moment, metavar="TIME", help="likewise; default now"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Replay and print. Returns the exit code: 1 when something could not be brought in."""
    signal = signal_of(settings, args.topic)
    until = None if args.until is None else milliseconds(args.until)
    with Replay(settings, signal) as replay:
        result = replay.run(milliseconds(args.since), until)
    if args.json:
        print(json.dumps(asdict(result), indent=2))
    else:
        print(
            f"{result.intact} batches were whole, {result.repaired} were repaired, "
            f"{result.stored} new ones stored: {result.rows:,} rows brought in"
        )
        for failure in result.failures:
            print(f"not brought in: {failure}", file=sys.stderr)
    return 1 if result.failures else 0


class Member:
    """The listener of the replay's group."""

    def __init__(self) -> None:
        self.ownership = Ownership()

    def assigned(self, partitions: list[int]) -> None:
        self.ownership.assign(partitions)

    def revoked(self, partitions: list[int]) -> None:
        self.ownership.drop(partitions)

    def lost(self, partitions: list[int]) -> None:
        self.ownership.drop(partitions)

    def unreadable(self, partition: int) -> None:
        """Nothing is fetched here: what a replay needs it reads by offset."""


class Replay:
    """One replay of one signal. A context manager: it leaves the group at the end."""

    def __init__(self, settings: Settings, signal: Signal) -> None:
        self._settings = settings
        self._clock = SystemClock()
        self._group = wiring.group_config(settings, signal)
        self._topic_id = kafka.topic_id(self._group)
        self._shards = wiring.make_shards(settings, self._clock)
        deadline = Deadline(self._clock, settings.start_timeout_s)
        for shard in self._shards.shards:
            shard.stopping = lambda: deadline.passed
        self._store = self._make_store(signal)
        for shard in self._shards.shards:
            shard.stopping = lambda: False
        self._ledger = LedgerReader(self._shards, wiring.local_namer(settings)(""))
        self._member = Member()
        self._consumer = kafka.GroupConsumer(
            replay_group(settings, signal), self._member, self._clock
        )
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="replay")
        self._reader = RangeReader(self._group, self._clock)
        self._result = Result()

    def _make_store(self, signal: Signal) -> BatchStore:
        settings = self._settings
        dead_letters = DeadLetterTopic(
            self._group.client(),
            settings.topic_dlq,
            self._group.topic,
            len(self._shards),
            self._clock,
        )
        backend = load_backend(settings.decoder).backend
        return wiring.make_store(
            wiring.Parts(
                settings,
                signal,
                backend,
                self._topic_id,
                self._shards,
                dead_letters,
                self._clock,
                GuardrailsSource(settings, self._clock),
            ),
            InsertEvents(),
        )

    def __enter__(self) -> "Replay":
        return self

    def __exit__(self, *_error: object) -> None:
        self._worker.shutdown(wait=True, cancel_futures=True)
        self._consumer.close()
        self._shards.close()

    def run(self, since_ms: int, until_ms: int | None) -> Result:
        """Everything of the time range. Raises Retryable, Fatal."""
        view = GroupView(self._group)
        try:
            now = view.read()
            starts = view.offsets_at(since_ms)
            ends = {p: one.high for p, one in now.items()}
            if until_ms is not None:
                ends = view.offsets_at(until_ms)
        finally:
            view.close()
        self._join(tuple(now))
        self._finish_earlier(tuple(now))
        done: set[tuple[int, int, int]] = set()
        for partition, one in sorted(now.items()):
            self._partition(partition, one, starts[partition], ends[partition], done)
        return self._result

    def _join(self, partitions: tuple[int, ...]) -> None:
        deadline = Deadline(self._clock, JOIN_TIMEOUT_S)
        while set(partitions) - self._member.ownership.held:
            self._consumer.poll(1, POLL_S)
            if deadline.passed:
                missing = sorted(set(partitions) - self._member.ownership.held)
                msg = f"partitions {missing} were not assigned: does another replay run?"
                raise Retryable(msg)

    def _finish_earlier(self, partitions: tuple[int, ...]) -> None:
        """Bring a replay that died to its end."""
        today = self._store.tables.origin.encoding
        found = self._do(delivery.finish_plans(self._topic_id, partitions, today))
        for partition, place in found.items():
            if isinstance(place, Stopped | Abandoned):
                msg = f"an earlier replay left partition {partition} unfinished: {place.why}"
                raise Fatal(msg)
        ends = {p: place for p, place in found.items() if isinstance(place, int)}
        if ends:
            self._do(delivery.settle(ends))

    def _partition(
        self,
        partition: int,
        view: PartitionView,
        start: int,
        end: int,
        done: set[tuple[int, int, int]],
    ) -> None:
        place = Place(self._group.topic, self._topic_id, partition)
        stop = min(end, view.committed or 0)
        at = start
        for one in audit.distinct(self._ledger.ranges(place, 0, stop)):
            if one.end <= start:
                continue
            self._gap(partition, at, min(one.start, stop), view.low)
            self._stored_range(one, done)
            at = max(at, one.end)
        self._gap(partition, at, stop, view.low)
        print(f"partition {partition}: [{start}, {stop}) done", file=sys.stderr)

    def _stored_range(self, one: LedgerRange, done: set[tuple[int, int, int]]) -> None:
        """Repair the batch of a ledger row, once for all partitions that it joins."""
        plan = decode_plan(one.plan)
        if plan is None:
            self._result.failures.append(f"the ledger row of {one.place} [{one.start}) has no plan")
            return
        key = (*plan.ranges[0],)
        if key in done:
            return
        done.add(key)
        outcome = self._do(delivery.repair(plan, self._store.tables.origin.encoding))
        if isinstance(outcome, delivery.Intact):
            self._result.intact += 1
        elif isinstance(outcome, Stored):
            self._result.repaired += 1
            self._settled(outcome)
        else:
            self._result.failures.append(outcome.why)

    def _gap(self, partition: int, start: int, end: int, low: int) -> None:
        """Store offsets that the ledger does not have."""
        if start < low and start < end:
            gone = min(low, end)
            why = f"partition {partition} [{start}, {gone}) is not kept by Kafka any more"
            self._result.failures.append(why)
            start = gone
        for plan in self._batches(partition, start, end):
            outcome: Outcome = self._do(delivery.deliver(plan, {}))
            if not isinstance(outcome, Stored):
                self._result.failures.append(outcome.why)
                return
            self._result.stored += 1
            self._settled(outcome)

    def _settled(self, outcome: Stored) -> None:
        self._result.rows += sum(outcome.plan.rows.values())
        self._do(delivery.settle(outcome.plan.ends))

    def _batches(self, partition: int, start: int, end: int) -> Iterator[Plan]:
        """Plans that tile [start, end), each made when the one before is stored."""
        while start < end:
            try:
                messages, reached = self._reader.read_slice(
                    partition, start, end, self._settings.batch_max_bytes
                )
            except OffsetsGone as error:
                self._result.failures.append(str(error))
                return
            if messages:
                plan, rest = self._store.decode(messages, {partition: start})
                if not rest:
                    # Offsets behind the last message that hold nothing belong to the range.
                    plan = replace(plan, ranges=(Range(partition, start, reached),))
            else:
                plan = self._empty(partition, start, reached)
            yield plan
            start = plan.ends[partition]

    def _empty(self, partition: int, start: int, end: int) -> Plan:
        """Offsets that hold no message: compacted away, or a transaction's marks."""
        origin = self._store.tables.origin
        now_ms = int(self._clock.now() * 1000)
        ranges = (Range(partition, start, end),)
        return Plan(
            origin.topic_id, ranges, origin.shards, origin.fingerprint, 0, now_ms, {}, sizes=(0,)
        )

    def _do(self, steps: Steps[T]) -> T:
        """Run one generator of the protocol while polling goes on."""
        running = Delivery(steps, self._member.ownership.since_now())
        while not running.advance(self._consumer, self._store, self._clock, self._worker):
            self._consumer.poll(1, POLL_S)
        return running.result  # type: ignore[return-value]
