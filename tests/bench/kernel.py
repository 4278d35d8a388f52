"""CPU seconds of decoding alone: wire bytes to compressed blocks, in this process."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from bench.corpus import RECORDS, requests
from headrace_loadgen.profiles import PROFILES, Profile
from headrace_schema.columns import TABLES_BY_SIGNAL, insert_layout
from headrace_writer.core.block import DecoderBackend, Signal
from headrace_writer.core.guardrails import NOTHING, Treatment


@dataclass(frozen=True, slots=True)
class Timing:
    """Microseconds of CPU per record over repeats."""

    per_record_us: list[float]
    wire_bytes: float
    """Per record, as received."""
    block_bytes: float
    """Per record, as sent to ClickHouse."""

    @property
    def median(self) -> float:
        return round(median(self.per_record_us), 3)

    @property
    def spread(self) -> tuple[float, float]:
        return round(min(self.per_record_us), 3), round(max(self.per_record_us), 3)


def joined(timings: Sequence[Timing]) -> Timing:
    """The repeats of several measurements of the same payloads."""
    first = timings[0]
    each = [us for timing in timings for us in timing.per_record_us]
    return Timing(each, first.wire_bytes, first.block_bytes)


def measure(
    backend: DecoderBackend,
    signal: Signal,
    count: int,
    repeats: int,
    records: int = RECORDS,
    *,
    profile: Profile = PROFILES["genai"],
    shards: int = 2,
    treatment: Treatment = NOTHING,
) -> Timing:
    """Decode `count` requests into finished lz4 blocks, `repeats` times after one to warm up.

    By one builder, as a writer does batch after batch.
    """
    payloads = requests(signal, count, records, profile)
    layouts = {table: insert_layout(table, "modern") for table in TABLES_BY_SIGNAL[signal]}
    builder = backend.builder(signal, layouts, shards, treatment=treatment)
    times: list[float] = []
    sent = 0
    for _ in range(repeats + 1):
        begun = time.process_time()
        rejected = builder.append_many(payloads)
        blocks = builder.finish({target: 7 for target, _ in builder.pending()})
        times.append((time.process_time() - begun) * 1e6 / (count * records))
        assert not rejected
        assert sum(block.rows for block in blocks) == count * records
        sent = sum(len(block.body) for block in blocks)
    received = sum(map(len, payloads))
    return Timing(times[1:], received / (count * records), sent / (count * records))
