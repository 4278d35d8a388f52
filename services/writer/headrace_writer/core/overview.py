"""What `headrace top` shows, from two looks at the system."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from headrace_writer.core.block import Signal

METRIC_LAG_LIMIT_S = 10.0
MANY_PARTS = 300
"""In one partition of a table: from here on servers slow inserts down (parts_to_delay_insert)."""
LONG_QUEUE = 100


@dataclass(frozen=True, slots=True)
class PartitionLook:
    """Offsets of one partition. `oldest_ms`: Kafka time of the first message not committed; None
    when there is none, or it did not come in time."""

    high: int
    committed: int
    oldest_ms: int | None = None


@dataclass(frozen=True, slots=True)
class ReplicaLook:
    """One ClickHouse server. `silent` says why it could not be asked."""

    shard: int
    address: str
    parts: int = 0
    """Most in one partition of any table."""
    queue: int = 0
    readonly: int = 0
    """Tables that take no inserts."""
    delay_s: int = 0
    merges: int = 0
    free_bytes: int | None = None
    silent: str = ""


@dataclass(frozen=True, slots=True)
class Look:
    """Everything at one moment (`at_s`: seconds since 1970)."""

    at_s: float
    partitions: Mapping[Signal, Mapping[int, PartitionLook]]
    replicas: tuple[ReplicaLook, ...]
    dead_letters: int = 0


@dataclass(frozen=True, slots=True)
class PartitionState:
    """`waiting`: messages between `committed` and `end`; `lag_s`: age of the oldest of them."""

    partition: int
    waiting: int
    lag_s: float
    committed: int
    end: int


@dataclass(frozen=True, slots=True)
class SignalState:
    """One signal: messages per second in and out, and how far behind."""

    signal: Signal
    arriving: float | None
    """None at the first look."""
    committed: float | None
    waiting: int
    lag_s: float
    """Age of the oldest message that is not committed."""
    partitions: int
    behind: int
    """Partitions with something waiting."""
    by_partition: tuple[PartitionState, ...] = ()


@dataclass(frozen=True, slots=True)
class Overview:
    """One screen."""

    at_s: float
    signals: tuple[SignalState, ...]
    replicas: tuple[ReplicaLook, ...]
    dead_letters: int
    problems: tuple[str, ...] = field(default=())

    @property
    def healthy(self) -> bool:
        return not self.problems


def overview(now: Look, before: Look | None = None) -> Overview:
    """Rates come from the difference of both looks; problems are what needs a person."""
    signals = tuple(_signal(signal, looks, now, before) for signal, looks in now.partitions.items())
    return Overview(
        now.at_s, signals, now.replicas, now.dead_letters, tuple(_problems(signals, now))
    )


def _signal(
    signal: Signal, looks: Mapping[int, PartitionLook], now: Look, before: Look | None
) -> SignalState:
    earlier = before.partitions.get(signal, {}) if before else {}
    seconds = now.at_s - before.at_s if before else 0.0
    arriving = committed = None
    if earlier and seconds > 0:
        both = [(looks[p], old) for p, old in earlier.items() if p in looks]
        arriving = sum(one.high - old.high for one, old in both) / seconds
        committed = sum(one.committed - old.committed for one, old in both) / seconds
    each = tuple(_partition(number, looks[number], now.at_s) for number in sorted(looks))
    return SignalState(
        signal,
        arriving,
        committed,
        sum(one.waiting for one in each),
        max((one.lag_s for one in each), default=0.0),
        len(each),
        sum(bool(one.waiting) for one in each),
        each,
    )


def _partition(number: int, look: PartitionLook, now_s: float) -> PartitionState:
    lag_s = 0.0 if look.oldest_ms is None else max(0.0, now_s - look.oldest_ms / 1_000)
    waiting = max(0, look.high - look.committed)
    return PartitionState(number, waiting, round(lag_s, 3), look.committed, look.high)


def _problems(signals: tuple[SignalState, ...], now: Look) -> list[str]:
    found = []
    for one in signals:
        if one.signal == "metrics" and one.lag_s > METRIC_LAG_LIMIT_S:
            found.append(f"metrics: {one.lag_s:.1f} s behind, {METRIC_LAG_LIMIT_S:.0f} s promised")
        if one.waiting and one.committed == 0 and one.lag_s > METRIC_LAG_LIMIT_S:
            found.append(f"{one.signal}: messages wait and no writer moves (headrace write)")
    for replica in now.replicas:
        where = f"{replica.address} (shard {replica.shard + 1})"
        if replica.silent:
            found.append(f"{where} does not answer: {replica.silent}")
        if replica.readonly:
            found.append(f"{where}: {replica.readonly} tables are read-only (ZooKeeper)")
        if replica.parts >= MANY_PARTS:
            found.append(f"{where}: {replica.parts} parts in one partition, inserts are slowed")
        if replica.queue >= LONG_QUEUE:
            found.append(f"{where}: {replica.queue} replication tasks wait")
        if replica.delay_s > METRIC_LAG_LIMIT_S:
            found.append(f"{where}: lags its shard by {replica.delay_s} s")
    if now.dead_letters:
        found.append(f"{now.dead_letters:,} dead letters (headrace dlq list)")
    return found
