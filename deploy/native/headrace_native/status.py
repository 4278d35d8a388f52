"""How a cluster is: health of components, lag, rows, replica queues."""

import json
import time
from dataclasses import asdict, dataclass, field
from typing import Any

import psutil
from confluent_kafka import KafkaException
from rich.console import Console
from rich.table import Table

from headrace_native import clickhouse, kafka_lag, probe
from headrace_native.layout import DEAD_LETTERS, TOPICS, Layout
from headrace_native.supervise import Supervisor


@dataclass(frozen=True)
class Health:
    """One component. `missing` is empty when it is ready; memory in MiB, uptime in seconds."""

    name: str
    state: str
    ready: bool
    missing: str
    pid: int
    uptime_seconds: int
    memory_mib: int


@dataclass(frozen=True)
class ReplicaQueue:
    """One replicated table on one server (system.replicas)."""

    server: str
    table: str
    readonly: bool
    session_expired: bool
    queue_size: int
    delay_seconds: int
    active_replicas: int
    total_replicas: int

    @property
    def healthy(self) -> bool:
        all_there = self.active_replicas == self.total_replicas
        return all_there and not self.readonly and not self.session_expired


@dataclass
class Status:
    """Everything of one look. `rows`: table → server → rows, on the servers' own disks."""

    name: str
    components: list[Health]
    lag: list[kafka_lag.Lag] = field(default_factory=list)
    dead_letters: int = 0
    rows: dict[str, dict[str, int]] = field(default_factory=dict)
    queues: list[ReplicaQueue] = field(default_factory=list)

    @property
    def healthy(self) -> bool:
        return all(each.ready for each in self.components) and all(
            each.healthy for each in self.queues
        )

    def as_json(self) -> dict[str, Any]:
        return {"healthy": self.healthy, **asdict(self)}


def read(layout: Layout) -> Status:
    """Look at everything once. Components that are down are reported, never raised."""
    supervisor = Supervisor(layout.socket)
    states = supervisor.states() if supervisor.answers() else {}
    status = Status(layout.spec.name, [_health(layout, name, states) for name in layout.components])
    ready = {each.name for each in status.components if each.ready}
    if any(name.startswith("kafka") for name in ready):
        try:
            status.lag, status.dead_letters = kafka_lag.read(layout.bootstrap)
        except KafkaException as error:
            status.components.append(_failed("kafka offsets", str(error)))
    for replica in layout.replicas:
        if replica.name in ready:
            _tables(layout, replica.http, replica.name, status)
    return status


def _health(layout: Layout, name: str, states: dict[str, Any]) -> Health:
    state = states.get(name)
    if state is None or not state.pid:
        word = state.state if state else "DOWN"
        return Health(name, word, False, "not running", 0, 0, 0)
    missing = probe.why_not_ready(layout, layout.components[name])
    try:
        memory = psutil.Process(state.pid).memory_info().rss >> 20
    except psutil.Error:
        memory = 0
    uptime = int(time.time() - state.start)
    return Health(name, state.state, not missing, missing, state.pid, uptime, memory)


def _failed(name: str, why: str) -> Health:
    return Health(name, "ERROR", False, why, 0, 0, 0)


def _tables(layout: Layout, port: int, server: str, status: Status) -> None:
    """Add one server's rows and replica queues to the status."""
    database = layout.spec.values["clickhouse"]["database"]
    try:
        rows = clickhouse.query(
            port,
            "SELECT table, sum(rows) FROM system.parts "  # noqa: S608
            f"WHERE active AND database = '{database}' GROUP BY table",
        )
        queues = clickhouse.query(
            port,
            "SELECT table, is_readonly, is_session_expired, queue_size, absolute_delay, "  # noqa: S608
            "active_replicas, total_replicas FROM system.replicas "
            f"WHERE database = '{database}' ORDER BY table",
        )
    except clickhouse.UnreachableError as error:
        status.components.append(_failed(f"{server} tables", str(error)))
        return
    for table, count in rows:
        status.rows.setdefault(table, {})[server] = int(count)
    for table, *numbers in queues:
        readonly, expired, size, delay, active, total = map(int, numbers)
        status.queues.append(
            ReplicaQueue(server, table, bool(readonly), bool(expired), size, delay, active, total)
        )


def main(layout: Layout, as_json: bool) -> int:
    """Print the status; 0 when healthy, 1 when not."""
    status = read(layout)
    if as_json:
        Console(soft_wrap=True, highlight=False, markup=False).print(
            json.dumps(status.as_json(), indent=2)
        )
    else:
        show(layout, status)
    return 0 if status.healthy else 1


def show(layout: Layout, status: Status) -> None:
    """Tables for a person."""
    console = Console(highlight=False)
    console.print(_component_table(status))
    if status.lag:
        console.print(_lag_table(status))
        console.print(f"dead letters ({DEAD_LETTERS}): {status.dead_letters}")
    if status.rows:
        console.print(_row_table(layout, status))
    if status.queues:
        console.print(_queue_line(status))
    bad = [each.name for each in status.components if not each.ready]
    bad += [f"{each.server}/{each.table}" for each in status.queues if not each.healthy]
    if bad:
        console.print(f"[bold red]not healthy[/]: {', '.join(bad)}; logs in {layout.logs}")
    else:
        console.print(f"[bold green]healthy[/]; logs in {layout.logs}")


def _component_table(status: Status) -> Table:
    table = Table("component", "state", "pid", "up", "MiB", title=f"cluster {status.name}")
    for each in status.components:
        text = "[green]ready[/]" if each.ready else f"[red]{each.state.lower()}[/] {each.missing}"
        up = f"{each.uptime_seconds // 60}m{each.uptime_seconds % 60:02}s" if each.pid else ""
        table.add_row(each.name, text, str(each.pid or ""), up, str(each.memory_mib or ""))
    total = sum(each.memory_mib for each in status.components)
    table.add_row("", "", "", "[dim]all[/]", str(total))
    return table


def _lag_table(status: Status) -> Table:
    """One line per topic; lag of partition 0, 1, 2 … in messages (each one export request)."""
    table = Table("topic", "messages", "lag", "lag by partition", title="Kafka")
    for topic in TOPICS.values():
        lags = [each for each in status.lag if each.topic == topic]
        by_partition = " ".join(str(each.lag) for each in lags)
        stored, behind = sum(each.end for each in lags), sum(each.lag for each in lags)
        table.add_row(topic, str(stored), str(behind), by_partition)
    return table


def _row_table(layout: Layout, status: Status) -> Table:
    """Rows per server; the replicas of a shard side by side, so that a difference shows."""
    servers = [f"{each.shard}-{each.replica}" for each in layout.replicas]
    table = Table("table", *servers, title="rows on disk, by shard-replica")
    for name in sorted(status.rows):
        counts = status.rows[name]
        table.add_row(name, *(str(counts.get(each.name, 0)) for each in layout.replicas))
    return table


def _queue_line(status: Status) -> str:
    queued = sum(each.queue_size for each in status.queues)
    delay = max(each.delay_seconds for each in status.queues)
    readonly = sum(each.readonly for each in status.queues)
    return (
        f"replication: {queued} entries queued, {delay} s behind at most, "
        f"{readonly} of {len(status.queues)} replicas read-only"
    )
