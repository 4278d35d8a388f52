"""The cheap half of the audit, again and again: do the ledger's ranges tile what is committed?

Rows are not counted (`headrace audit` does). Each look reads the ledger from where the last one
found it whole, so it costs the same however long the ledger is, and a gap stays a finding until it
is closed.
"""

import time
from collections.abc import Mapping

from headrace_writer import wiring
from headrace_writer.config import Settings
from headrace_writer.core import audit
from headrace_writer.core.audit import LedgerRange, Offsets, PartitionAudit, Place
from headrace_writer.core.block import Signal
from headrace_writer.errors import Retryable
from headrace_writer.shell import kafka
from headrace_writer.shell.clock import Deadline, SystemClock
from headrace_writer.shell.kafka_view import GroupView
from headrace_writer.shell.ledger_reader import LedgerReader
from headrace_writer.shell.snapshots import Sample

FIRST_LOOK_S = 3_600.0
PATIENCE_S = 20.0
KINDS: tuple[audit.Kind, ...] = ("gap", "overlap", "deleted_unread")


class LedgerWatch:
    """Use on one thread; connects on first use."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._shards = wiring.make_shards(settings, SystemClock())
        self._views: dict[Signal, GroupView] = {}
        self._whole_until: dict[Place, int] = {}

    def read(self) -> list[Sample]:
        """Findings of every signal. Raises Retryable when a whole shard or Kafka is silent."""
        deadline = Deadline(SystemClock(), PATIENCE_S)
        for shard in self._shards.shards:
            shard.stopping = lambda: deadline.passed
        reader = LedgerReader(self._shards, wiring.local_namer(self._settings)(""))
        found = []
        for signal in self._settings.signals:
            partitions = self._look(signal, reader)
            kinds = [finding.kind for one in partitions for finding in one.findings]
            found += [
                Sample("headrace_ledger_findings", (signal, kind), kinds.count(kind))
                for kind in KINDS
            ]
        return found

    def _look(self, signal: Signal, reader: LedgerReader) -> list[PartitionAudit]:
        group = wiring.group_config(self._settings, signal)
        view = self._views.setdefault(signal, GroupView(group))
        # Offsets first: a writer that goes on meanwhile only makes the ledger longer.
        identity = kafka.topic_id(group)
        offsets = {
            Place(group.topic, identity, number): Offsets(one.low, one.high, one.committed)
            for number, one in view.read().items()
        }
        rows, before = self._ledger(group.topic, reader, offsets)
        self._check_shards(reader)
        partitions = audit.coverage(audit.distinct(rows), before, offsets)
        for one in partitions:
            if one.end is not None:
                starts = [f.start for f in one.findings if f.start is not None]
                self._whole_until[one.place] = min([one.end, *starts])
        return partitions

    def _ledger(
        self, topic: str, reader: LedgerReader, offsets: Mapping[Place, Offsets]
    ) -> tuple[list[LedgerRange], dict[Place, int]]:
        known = {place: at for place, at in self._whole_until.items() if place in offsets}
        if len(known) < len(offsets):
            starts = reader.starts([topic], int((time.time() - FIRST_LOOK_S) * 10**9))
            before = reader.ends([topic], starts)
        else:
            starts = before = known
        rows = [row for place, at in starts.items() for row in reader.ranges(place, at)]
        return rows, before

    def _check_shards(self, reader: LedgerReader) -> None:
        """A shard that is silent as a whole holds ledger rows that nobody else has."""
        for shard in self._shards.shards:
            if all(str(address) in reader.silent for address in shard.addresses):
                msg = f"shard {shard.number} does not answer"
                raise Retryable(msg)

    def close(self) -> None:
        for view in self._views.values():
            view.close()
        self._shards.close()
