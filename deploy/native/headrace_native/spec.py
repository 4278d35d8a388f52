"""The description of a cluster: cluster.toml, with overrides from the environment."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headrace_native.errors import UsageError

ROOT = Path(__file__).resolve().parents[3]
DESCRIPTION = ROOT / "deploy" / "native" / "cluster.toml"
SIGNALS = ("traces", "metrics", "logs")

# Environment variable → place in cluster.toml. Later entries win.
OVERRIDES = {
    "HEADRACE_CLUSTER": ("cluster", "name"),
    "HEADRACE_PORT_OFFSET": ("cluster", "port_offset"),
    "BROKERS": ("kafka", "brokers"),
    "PARTITIONS": ("kafka", "partitions"),
    "SHARDS": ("clickhouse", "shards"),
    "REPLICAS": ("clickhouse", "replicas"),
    "MIGRATE": ("clickhouse", "migrate"),
    "RETENTION": ("clickhouse", "retention"),
    "MERGE_ALL": ("clickhouse", "merge_all"),
    "GATEWAYS": ("gateways", "count"),
    "WRITERS_TRACES": ("writers", "traces"),
    "WRITERS_METRICS": ("writers", "metrics"),
    "WRITERS_LOGS": ("writers", "logs"),
    "BATCH_MAX_MIB": ("writers", "batch_max_mib"),
    "INSERT_QUORUM": ("writers", "insert_quorum"),
    "TRACE_EVERY_S": ("writers", "trace_every_s"),
}

# Inclusive bounds. The upper ones are where the port ranges of cluster.toml would meet.
BOUNDS = {
    ("cluster", "port_offset"): (0, 50_000),
    ("kafka", "brokers"): (1, 9),
    ("kafka", "partitions"): (1, 1_000),
    ("clickhouse", "shards"): (1, 8),
    ("clickhouse", "replicas"): (1, 4),
    ("gateways", "count"): (1, 16),
    ("writers", "traces"): (0, 16),
    ("writers", "metrics"): (0, 16),
    ("writers", "logs"): (0, 16),
    ("writers", "batch_max_mib"): (1, 200),
    ("writers", "insert_quorum"): (0, 4),
    ("writers", "trace_every_s"): (0, 86_400),
}


@dataclass(frozen=True)
class Spec:
    """One cluster as described. `values` is cluster.toml's tables after the overrides."""

    values: Mapping[str, Mapping[str, Any]]

    @property
    def name(self) -> str:
        return str(self.values["cluster"]["name"])

    @property
    def offset(self) -> int:
        return int(self.values["cluster"]["port_offset"])

    @property
    def brokers(self) -> int:
        return int(self.values["kafka"]["brokers"])

    @property
    def replication(self) -> int:
        """Copies of each Kafka partition: three, or as many as there are brokers."""
        return min(3, self.brokers)

    @property
    def min_insync(self) -> int:
        """In-sync replicas an acknowledgement needs: one broker of three may be away."""
        return max(1, self.replication - 1)

    @property
    def shards(self) -> int:
        return int(self.values["clickhouse"]["shards"])

    @property
    def replicas(self) -> int:
        return int(self.values["clickhouse"]["replicas"])

    @property
    def gateways(self) -> int:
        return int(self.values["gateways"]["count"])

    def writers(self, signal: str) -> int:
        return int(self.values["writers"][signal])

    def port(self, kind: str, index: int = 0, step: int = 1) -> int:
        """The port of the `index`-th (from 0) component that listens as `kind`."""
        return int(self.values["ports"][kind]) + index * step + self.offset

    @property
    def shape(self) -> dict[str, int]:
        """What data on disk depends on; it cannot change without a wipe."""
        return {"brokers": self.brokers, "shards": self.shards, "replicas": self.replicas}


def load(environ: Mapping[str, str], path: Path = DESCRIPTION) -> Spec:
    """Read the description. Raises UsageError with the name of the setting to change."""
    values = tomllib.loads(path.read_text())
    for variable, (table, key) in OVERRIDES.items():
        text = environ.get(variable, "").strip()
        if text:
            values[table][key] = _convert(variable, text, values[table][key])
    for (table, key), (low, high) in BOUNDS.items():
        value = values[table][key]
        if not low <= value <= high:
            msg = f"{table}.{key} is {value}; it must be between {low} and {high}"
            raise UsageError(msg)
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,30}", values["cluster"]["name"]):
        msg = f"cluster name {values['cluster']['name']!r}: use a-z, 0-9 and -, at most 31"
        raise UsageError(msg)
    return Spec(values)


def _convert(variable: str, text: str, default: Any) -> Any:
    """`text` as the type of the default it replaces."""
    if isinstance(default, bool):
        if text.lower() not in {"0", "1", "true", "false"}:
            msg = f"{variable}={text!r}: say 1 or 0"
            raise UsageError(msg)
        return text.lower() in {"1", "true"}
    if isinstance(default, int):
        if not text.isdecimal():
            msg = f"{variable}={text!r} is not a whole number"
            raise UsageError(msg)
        return int(text)
    return text
