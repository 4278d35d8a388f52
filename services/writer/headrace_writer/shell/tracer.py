"""Sampled spans of the writer's own batches, chosen by time: load never makes more of them."""

from collections.abc import Callable, Sequence
from typing import Protocol

from headrace_writer.core.backlog import Message
from headrace_writer.core.batch_trace import BatchTrace, Step, Value, is_own
from headrace_writer.core.block import Block, Signal
from headrace_writer.core.delivery_effects import (
    Abandoned,
    Build,
    Commit,
    Count,
    DeadLetter,
    Effect,
    Insert,
    Ledger,
    Stopped,
    Stored,
    Wait,
)
from headrace_writer.shell.clock import Clock

# Effects that take time; the others are questions to memory.
TIMED = (Build, Commit, Count, DeadLetter, Insert, Ledger, Wait)


class Tracer(Protocol):
    """What the loop tells of a batch. `begin` and `end` are called on the polling thread."""

    def begin(self, reason: str, messages: Sequence[Message], waited_s: float) -> None:
        """A batch was cut: its oldest message has waited so long for that."""

    def decoded(self) -> None:
        """It is decoded and planned."""

    def effect(self, effect: Effect, begun_s: float, ended_s: float) -> None:
        """One step of the delivery, on whichever thread it ran."""

    def inserted(self, block: Block, seconds: float) -> None:
        """A block was acknowledged just now, on an insert thread."""

    def end(self, outcome: Stored | Abandoned | Stopped) -> None:
        """The batch is done."""


class NoTracer:
    """Traces nothing."""

    def begin(self, reason: str, messages: Sequence[Message], waited_s: float) -> None: ...

    def decoded(self) -> None: ...

    def effect(self, effect: Effect, begun_s: float, ended_s: float) -> None: ...

    def inserted(self, block: Block, seconds: float) -> None: ...

    def end(self, outcome: Stored | Abandoned | Stopped) -> None: ...


class BatchTracer:
    """Of one signal: at most one batch per `every_s`, and none of the writer's own spans alone."""

    def __init__(
        self,
        signal: Signal,
        topic: str,
        every_s: float,
        clock: Clock,
        export: Callable[[BatchTrace], None],
    ) -> None:
        self._signal = signal
        self._topic = topic
        self._every_s = every_s
        self._clock = clock
        self._export = export
        self._next_at = clock.monotonic()
        self._trace: BatchTrace | None = None
        self._cut_at = 0.0

    def begin(self, reason: str, messages: Sequence[Message], waited_s: float) -> None:
        self._trace = None
        if self._clock.monotonic() < self._next_at or not messages or is_own(messages):
            return
        self._next_at = self._clock.monotonic() + self._every_s
        now = self._cut_at = self._clock.now()
        oldest_s = min(message.timestamp_ms for message in messages) / 1000
        attributes: dict[str, Value] = {
            "headrace.signal": self._signal,
            "headrace.batch.closed_by": reason,
            "headrace.batch.payload_bytes": sum(len(message.value) for message in messages),
            "headrace.batch.partitions": len({message.partition for message in messages}),
            "headrace.batch.oldest_record_age_s": round(now - oldest_s, 3),
            "messaging.system": "kafka",
            "messaging.destination.name": self._topic,
            "messaging.batch.message_count": len(messages),
        }
        begun = now - waited_s
        self._trace = BatchTrace(f"batch {self._signal}", begun, attributes)
        self._trace.steps.append(Step("fetch", begun, now))

    def decoded(self) -> None:
        if self._trace is not None:
            self._trace.steps.append(Step("decode", self._cut_at, self._clock.now()))

    def effect(self, effect: Effect, begun_s: float, ended_s: float) -> None:
        if self._trace is not None and isinstance(effect, TIMED):
            name = type(effect).__name__.lower()
            self._trace.steps.append(Step(name, begun_s, ended_s, _about(effect)))

    def inserted(self, block: Block, seconds: float) -> None:
        if self._trace is not None:
            table, shard, _ = block.target
            about: dict[str, Value] = {
                "db.system.name": "clickhouse",
                "db.collection.name": table,
                "headrace.shard": shard,
                "headrace.rows": block.rows,
                "headrace.block_bytes": len(block.body),
            }
            now = self._clock.now()
            step = Step(f"insert {table} shard {shard}", now - seconds, now, about, "insert")
            self._trace.steps.append(step)

    def end(self, outcome: Stored | Abandoned | Stopped) -> None:
        trace, self._trace = self._trace, None
        if trace is None:
            return
        trace.ended_s = self._clock.now()
        if not isinstance(outcome, Stored):
            trace.error = f"{type(outcome).__name__.lower()}: {outcome.why}"
        self._export(trace)


def _about(effect: Effect) -> dict[str, Value]:
    if isinstance(effect, Commit):
        plans = sum(bool(text) for _, text in effect.positions.values())
        return {"headrace.commit.partitions": len(effect.positions), "headrace.commit.plans": plans}
    if isinstance(effect, Wait):
        return {"headrace.why": effect.why}
    return {}
