"""The readable decoder: what the kernel does, row by row, to be read and to be compared with.

A payload passes these steps, one module each:

1. `reference_wire`     bytes → opentelemetry-proto message, or Poison("malformed")
2. `reference_guard`    attributes and bodies, after the guardrails
3. `reference_rows`, `reference_metrics`   message → rows, one dict per span, log, data point;
   `reference_content`  prompts and completions into a column of their own
4. `reference_routing`  row → shard
5. `reference_layout`   the server's header → columns, each with a way to show a row's field
6. `reference_native`   columns → block, block → compressed frames

It is correct before it is fast. It also serves where no compiler is.
"""

import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from headrace_writer.core.block import Block, Compression, Layout, Rejection, Signal, Target
from headrace_writer.core.guardrails import NOTHING, Treatment
from headrace_writer.core.reference_content import move, sources
from headrace_writer.core.reference_fields import INGEST_ID, TABLES
from headrace_writer.core.reference_guard import Guard
from headrace_writer.core.reference_layout import MAX_TIME_NS, Column, plan
from headrace_writer.core.reference_metrics import metric_rows
from headrace_writer.core.reference_native import block, frames
from headrace_writer.core.reference_rows import Row, log_rows, trace_rows
from headrace_writer.core.reference_values import Attributes
from headrace_writer.core.reference_wire import parse
from headrace_writer.errors import LayoutError, Poison


class Limits(NamedTuple):
    """What one payload may become. Resource attributes repeat in every row, so a small message
    can grow without bound."""

    rows: int = 500_000
    bytes: int = 256 << 20
    """Of columns, before compression."""


_SIGNALS: Mapping[Signal, tuple[type[Message], Callable[[Any, int], Iterator[Row]]]] = {
    "traces": (ExportTraceServiceRequest, trace_rows),
    "logs": (ExportLogsServiceRequest, log_rows),
    "metrics": (ExportMetricsServiceRequest, metric_rows),
}


class _Pending:
    """The rows of one target."""

    def __init__(self) -> None:
        self.values: list[list[Any]] = []
        """One list per row, in the order of the columns."""
        self.times: list[int] = []
        self.nbytes = 0


class ReferenceBuilder:
    """A `BlockBuilder` out of plain Python."""

    def __init__(
        self,
        signal: Signal,
        layouts: Mapping[str, Layout],
        shards: int,
        compression: Compression = "lz4",
        *,
        limits: Limits | None = None,
        treatment: Treatment = NOTHING,
    ) -> None:
        for table in layouts:
            if table not in TABLES[signal]:
                fills = ", ".join(TABLES[signal])
                raise LayoutError(f"table {table}: {signal} fill only {fills}")
        for table in TABLES[signal]:
            if table not in layouts:
                raise LayoutError(f"table {table}: no header given, its rows would have no place")
        self._columns = {table: plan(table, layout) for table, layout in layouts.items()}
        self.signal: Signal = signal
        self._sources = {table: sources(columns) for table, columns in self._columns.items()}
        self._content = [name.encode() for name in treatment.content]
        self._message, self._rows = _SIGNALS[signal]
        self._head = max(map(_head_bytes, self._columns.values()))
        self._shards = shards
        self._compression = compression
        self._limits = limits or Limits()
        self._guard = Guard(treatment.of(signal), treatment.hash_key)
        self._tenant_attribute = treatment.tenant_attribute.encode()
        self._pending: dict[Target, _Pending] = {}
        self._replaced = 0

    @property
    def rows(self) -> int:
        return sum(len(pending.values) for pending in self._pending.values())

    @property
    def nbytes(self) -> int:
        return sum(pending.nbytes for pending in self._pending.values())

    @property
    def replaced_utf8(self) -> int:
        return self._replaced

    @property
    def rule_counts(self) -> list[int]:
        return list(self._guard.counts)

    def append_many(self, payloads: Sequence[bytes]) -> list[Rejection]:
        return self.append_within(payloads, (), sys.maxsize)[1]

    def append_within(
        self, payloads: Sequence[bytes], tenants: Sequence[bytes], max_block_bytes: int
    ) -> tuple[int, list[Rejection]]:
        rejections: list[Rejection] = []
        for index, payload in enumerate(payloads):
            counts = list(self._guard.counts)
            try:
                if not self._append(payload, tenants[index] if tenants else b"", max_block_bytes):
                    self._guard.counts = counts
                    return index, rejections
            except Poison as poison:
                self._guard.counts = counts
                rejections.append(Rejection(index, poison.reason, poison.detail))
        return len(payloads), rejections

    def _append(self, payload: bytes, tenant: bytes, max_block_bytes: int) -> bool:
        """All rows of a payload, or none. False: a block would become too large."""
        message = self._message()
        replaced = parse(message, bytes(payload))
        decoded = list(self._measured(message, tenant))
        sizes: Counter[Target] = Counter()
        for target, _, _, size in decoded:
            sizes[target] += size
        before = Counter({target: pending.nbytes for target, pending in self._pending.items()})
        if any(size > max_block_bytes - self._head for size in (sizes + before).values()):
            return False
        for target, time_ns, values, size in decoded:
            pending = self._pending.setdefault(target, _Pending())
            pending.values.append(values)
            pending.times.append(min(time_ns, MAX_TIME_NS))
            pending.nbytes += size
        self._replaced += replaced
        return True

    def _treated(self, message: Message, tenant: bytes) -> Iterator[Row]:
        """Rows after the guardrails. The shard is that of the row before them: whatever the
        rules, a batch has the same rows in the same blocks."""
        guarded = type(message)()
        guarded.CopyFrom(message)
        self._guard.apply(guarded)
        sent = self._rows(message, self._shards)
        for before, row in zip(sent, self._rows(guarded, self._shards), strict=True):
            attributes: Attributes = row.fields["ResourceAttributes"]
            if not tenant and self._tenant_attribute:
                row.fields["Tenant"] = attributes.first(self._tenant_attribute)
            else:
                row.fields["Tenant"] = tenant
            move(row.fields, self._sources[row.table], self._content)
            yield row._replace(shard=before.shard)

    def _measured(
        self, message: Message, tenant: bytes
    ) -> Iterator[tuple[Target, int, list[Any], int]]:
        """Target, time, column values and size of each row. Raises Poison at a limit."""
        keys: defaultdict[tuple[str, str], set[bytes]] = defaultdict(set)
        left = self._limits.bytes
        for number, row in enumerate(self._treated(message, tenant)):
            if number == self._limits.rows:
                raise Poison("too_many_records", f"more than {self._limits.rows} records")
            columns = self._columns[row.table]
            values = [_show(column, row) for column in columns]
            size = sum(
                column.codec.size(value, keys[row.table, column.name])
                for column, value in zip(columns, values, strict=True)
            )
            left -= size
            if left < 0:
                msg = f"the message expands to more than {self._limits.bytes} bytes of columns"
                raise Poison("too_large", msg)
            yield Target(row.table, row.shard), row.time_ns, values, size

    def pending(self) -> list[tuple[Target, int]]:
        return sorted((target, len(pending.values)) for target, pending in self._pending.items())

    def finish(self, ingest_ids: Mapping[Target, int]) -> list[Block]:
        ids = {target: ingest_ids[target] for target, _ in self.pending()}
        blocks = [self._block(target, ingest_id) for target, ingest_id in ids.items()]
        self._pending.clear()
        return blocks

    def _block(self, target: Target, ingest_id: int) -> Block:
        pending = self._pending[target]
        rows = len(pending.values)
        columns = []
        for column, values in zip(
            self._columns[target.table], zip(*pending.values, strict=True), strict=True
        ):
            shown = [ingest_id] * rows if column.source == INGEST_ID else values
            columns.append((column.name, column.type_name, column.codec, shown))
        body = block(rows, columns)
        return Block(
            target=target,
            rows=rows,
            ingest_id=ingest_id,
            body=b"".join(frames(body)) if self._compression == "lz4" else body,
            raw_bytes=len(body),
            min_time_ns=min(pending.times),
            max_time_ns=max(pending.times),
        )


def _head_bytes(columns: Sequence[Column]) -> int:
    """Bytes of a block's body besides its rows, at most."""
    empty = block(0, [(one.name, one.type_name, one.codec, []) for one in columns])
    # Flags, count of keys and count of values of a column's keys and of its values.
    return len(empty) + len(columns) * 2 * 24 + 10


def _show(column: Column, row: Row) -> Any:
    return 0 if column.source == INGEST_ID else column.convert(row.fields[column.source])


class ReferenceBackend:
    """The `DecoderBackend` that is always there."""

    name: Literal["native", "reference"] = "reference"

    def builder(
        self,
        signal: Signal,
        layouts: Mapping[str, Layout],
        shards: int,
        compression: Compression = "lz4",
        treatment: Treatment | None = None,
    ) -> ReferenceBuilder:
        """See `DecoderBackend.builder`."""
        return ReferenceBuilder(
            signal, layouts, shards, compression, treatment=treatment or NOTHING
        )
