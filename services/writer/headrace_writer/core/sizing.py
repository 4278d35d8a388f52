"""How large a deployment must be: arithmetic on measured coefficients, nothing else.

The coefficients come from docs/sizing.md, where it says how they were measured.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from headrace_writer.core.block import Signal

Component = Literal["gateway", "kafka", "writer", "clickhouse", "keeper"]

MANY_DIVISORS = (6, 12, 24, 36, 48, 60, 120, 180, 240, 360, 720, 1_440)
"""Partition counts that spread evenly over many numbers of writers."""

PARTITION_BYTES_PER_S = 10e6
"""What a partition takes with ease, compressed or not."""

BROKER_BYTES_PER_S = 100e6
"""What a broker writes and replicates on one ordinary disk."""

SMALL_RECORD = 0.4
"""Part of a record's cost that does not shrink with its bytes."""

DAY_S = 86_400
MONTH_H = 730


@dataclass(frozen=True, slots=True)
class Coefficients:
    """Of one signal's records: CPU µs by component, and bytes."""

    cpu_us: Mapping[Component, float]
    """`clickhouse`: insert and merges on one replica; each further one costs `replica_us`."""
    replica_us: float
    wire_bytes: float
    kafka_bytes: float
    """In the log of one broker, compressed."""
    disk_bytes: float
    """On the disk of one replica, compressed, indexes included."""


MEASURED: Mapping[Signal, Coefficients] = {
    "traces": Coefficients(
        {"gateway": 3.634, "kafka": 1.831, "writer": 1.598, "clickhouse": 3.179, "keeper": 0.472},
        2.286, 384, 54.0, 39.8,
    ),
    "metrics": Coefficients(
        {"gateway": 1.887, "kafka": 1.715, "writer": 0.949, "clickhouse": 6.681, "keeper": 1.027},
        5.726, 131, 24.0, 10.8,
    ),
    "logs": Coefficients(
        {"gateway": 1.753, "kafka": 1.049, "writer": 0.738, "clickhouse": 1.648, "keeper": 0.261},
        0.827, 155, 28.0, 22.3,
    ),
}  # fmt: skip
"""docs/benchmarks/coefficients.json; a test holds one to the other."""


@dataclass(frozen=True, slots=True)
class Load:
    """What arrives: records per second, their size, and how long they are kept."""

    rates: Mapping[Signal, float]
    bytes: Mapping[Signal, float]
    """Protobuf bytes per record."""
    retention_days: Mapping[Signal, float]


@dataclass(frozen=True, slots=True)
class Policy:
    """What the operator decides."""

    utilization: float = 0.5
    """Share of a core that is planned to be busy; the rest takes peaks and catching up."""
    replicas: int = 2
    kafka_replicas: int = 3
    kafka_hours: float = 24
    clickhouse_cores: int = 16
    clickhouse_disk_gb: float = 8_000
    core_month: float = 25.0
    """Money per core and month, memory included."""
    gb_month: float = 0.08


@dataclass(slots=True)
class Size:
    """What to deploy. Cores are planned ones, at the policy's utilization."""

    partitions: dict[Signal, int] = field(default_factory=dict)
    writers: dict[Signal, int] = field(default_factory=dict)
    gateways: int = 2
    brokers: int = 3
    shards: int = 1
    replicas: int = 2
    cores: dict[Component, float] = field(default_factory=dict)
    kafka_disk_gb: float = 0.0
    clickhouse_disk_gb: float = 0.0
    """Over all shards and replicas."""
    network_in_mb_s: float = 0.0
    money_per_month: float = 0.0
    cpu_us_per_record: float = 0.0


def size(load: Load, policy: Policy, measured: Mapping[Signal, Coefficients] = MEASURED) -> Size:
    """The smallest deployment that carries the load within the policy."""
    found = Size(replicas=policy.replicas)
    busy: dict[Component, float] = dict.fromkeys(
        ("gateway", "kafka", "writer", "clickhouse", "keeper"), 0.0
    )
    kafka_bytes_s = 0.0
    for signal, rate in load.rates.items():
        one = measured[signal]
        heavier = load.bytes[signal] / one.wire_bytes
        cost = max(SMALL_RECORD, heavier)
        for component, us in one.cpu_us.items():
            copies = policy.kafka_replicas if component == "kafka" else 1
            busy[component] += rate * us * cost * copies / 1e6
        busy["clickhouse"] += rate * one.replica_us * cost * (policy.replicas - 1) / 1e6
        writer_cores = rate * one.cpu_us["writer"] * cost / 1e6
        writers = max(2, math.ceil(writer_cores / policy.utilization)) if rate else 0
        stored = rate * one.kafka_bytes * heavier
        kafka_bytes_s += stored
        found.writers[signal] = writers
        found.partitions[signal] = (
            partitions(max(stored / PARTITION_BYTES_PER_S, writers)) if rate else 0
        )
        found.kafka_disk_gb += stored * policy.kafka_hours * 3_600 * policy.kafka_replicas / 1e9
        found.clickhouse_disk_gb += (
            rate * one.disk_bytes * heavier * load.retention_days[signal] * DAY_S
            * policy.replicas / 1e9
        )  # fmt: skip
        found.network_in_mb_s += rate * load.bytes[signal] / 1e6
    found.cores = {name: cpu / policy.utilization for name, cpu in busy.items()}
    found.gateways = max(2, math.ceil(found.cores["gateway"] / 4))
    found.brokers = max(
        policy.kafka_replicas,
        math.ceil(kafka_bytes_s * policy.kafka_replicas / BROKER_BYTES_PER_S),
    )
    found.shards = max(
        1,
        math.ceil(found.cores["clickhouse"] / policy.replicas / policy.clickhouse_cores),
        math.ceil(found.clickhouse_disk_gb / policy.replicas / policy.clickhouse_disk_gb),
    )
    disks = found.kafka_disk_gb + found.clickhouse_disk_gb
    found.money_per_month = sum(found.cores.values()) * policy.core_month + disks * policy.gb_month
    total = sum(load.rates.values())
    found.cpu_us_per_record = sum(busy.values()) * 1e6 / total if total else 0.0
    return found


def partitions(least: float) -> int:
    """The smallest convenient partition count that is no smaller."""
    for count in MANY_DIVISORS:
        if count >= least:
            return count
    step = MANY_DIVISORS[-1]
    return math.ceil(least / step) * step
