"""One replica's state for the exporter, by system tables that 18.16 and today's servers have."""

from headrace_writer.errors import HeadraceError, Retryable
from headrace_writer.shell.replica import Address, Login, Replica
from headrace_writer.shell.snapshots import Sample

# A replica that needs longer to tell its state is as good as silent.
ANSWER_TIMEOUT_S = 5.0

STATE = """
SELECT
  (SELECT max(n) FROM (SELECT count() AS n FROM system.parts
    WHERE active AND database = currentDatabase() GROUP BY table, partition)),
  (SELECT toUInt64(any(value)) FROM system.merge_tree_settings
    WHERE name = 'parts_to_delay_insert'),
  (SELECT sum(is_readonly) FROM system.replicas WHERE database = currentDatabase()),
  (SELECT sum(queue_size) FROM system.replicas WHERE database = currentDatabase()),
  (SELECT max(absolute_delay) FROM system.replicas WHERE database = currentDatabase()),
  (SELECT count() FROM system.merges WHERE database = currentDatabase()),
  (SELECT max(elapsed) FROM system.merges WHERE database = currentDatabase())
"""
STATE_METRICS = (
    "parts_max",
    "parts_limit",
    "readonly_tables",
    "replication_queue_size",
    "replica_delay_seconds",
    "merges_running",
    "merge_longest_seconds",
)

TABLES = """
SELECT table, count(), sum(rows), sum(bytes_on_disk) FROM system.parts
WHERE active AND database = currentDatabase() GROUP BY table
"""
TABLE_METRICS = ("table_parts", "table_rows", "table_bytes")

EVENTS = "SELECT event, value FROM system.events"
EVENT_METRICS = {
    "DelayedInserts": "inserts_delayed_total",
    "RejectedInserts": "inserts_rejected_total",
    "InsertedRows": "inserted_rows_total",
    "MergedRows": "merged_rows_total",
}

HAS_DISKS = "SELECT count() FROM system.tables WHERE database = 'system' AND name = 'disks'"
DISKS = "SELECT name, free_space, total_space FROM system.disks"


class ReplicaSurvey:
    """Asks one replica over one connection; use on one thread."""

    def __init__(self, shard: int, address: Address, login: Login) -> None:
        self._server = str(address)
        self._labels = (str(shard), self._server)
        self._replica = Replica(address, login._replace(answer_timeout_s=ANSWER_TIMEOUT_S))

    @property
    def silent(self) -> list[Sample]:
        """What there is to say of a replica that does not answer."""
        return [Sample("headrace_clickhouse_up", self._labels, 0)]

    def read(self) -> list[Sample]:
        """Everything now. Raises Retryable."""
        try:
            return self._read()
        except Retryable:
            raise
        except HeadraceError as error:
            # Fatal for a writer (no such database, no permission); here it may pass.
            raise Retryable(str(error)) from error

    def _read(self) -> list[Sample]:
        ask = self._replica.query
        found = [self._of("up", 1)]
        for name, value in zip(STATE_METRICS, ask(STATE)[0], strict=True):
            found.append(self._of(name, float(value or 0)))
        for table, *numbers in ask(TABLES):
            for name, value in zip(TABLE_METRICS, numbers, strict=True):
                metric = f"headrace_clickhouse_{name}"
                found.append(Sample(metric, (*self._labels, str(table)), float(value)))
        # An event that has not happened yet is not in the table.
        counts = dict(ask(EVENTS))
        for event, name in EVENT_METRICS.items():
            found.append(self._of(name, float(counts.get(event, 0))))
        if ask(HAS_DISKS)[0][0]:
            for disk, free, total in ask(DISKS):
                labels = (self._server, str(disk))
                found.append(Sample("headrace_disk_free_bytes", labels, float(free)))
                found.append(Sample("headrace_disk_total_bytes", labels, float(total)))
        return found

    def _of(self, name: str, value: float) -> Sample:
        return Sample(f"headrace_clickhouse_{name}", self._labels, value)

    def close(self) -> None:
        self._replica.close()
