"""The writer process: a loop per signal, signals of the OS, health."""

import logging
import signal as signals_of_the_os
import sys
import threading
import types
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib.metadata import version
from typing import TextIO, TypeVar

import structlog
from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)

from headrace_writer import wiring
from headrace_writer.config import Settings, config_hash, parse_endpoint
from headrace_writer.core.backlog import Backlog, BatchLimits
from headrace_writer.core.block import Block, DecoderBackend, Signal
from headrace_writer.core.decode import load_backend
from headrace_writer.errors import Fatal, HeadraceError, Retryable
from headrace_writer.shell import kafka
from headrace_writer.shell.batch_store import BatchStore, InsertEvents
from headrace_writer.shell.clock import Clock, Deadline, SystemClock
from headrace_writer.shell.dead_letter import DeadLetterTopic
from headrace_writer.shell.guardrails_source import GuardrailsSource
from headrace_writer.shell.health import HealthServer
from headrace_writer.shell.loop import LoopSettings, SignalLoop
from headrace_writer.shell.precedence import GroupLateness, MetricsFirst
from headrace_writer.shell.shards import Attempt
from headrace_writer.shell.tracer import BatchTracer
from headrace_writer.telemetry import SignalMetrics, WriterMetrics

T = TypeVar("T")

START_RETRY_S = 0.5

log = structlog.get_logger()


class Writer:
    """One process: a loop and a thread per signal."""

    def __init__(self, settings: Settings, clock: Clock | None = None) -> None:
        self._settings = settings
        self._clock = clock or SystemClock()
        self._stopping = threading.Event()
        self._failure: HeadraceError | None = None
        self._loops: dict[Signal, SignalLoop] = {}
        # An error in the rules stops the start.
        self._guardrails = GuardrailsSource(settings, self._clock)
        # Creation times would double the number of series and tell nothing that `up` does not.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=registry)
        self._metrics = WriterMetrics(registry)
        self._metrics["config_info"].labels(config_hash(settings)).set(1)
        self._spans = wiring.make_exporter(
            settings, lambda outcome: self._metrics["traces_total"].labels(outcome).inc()
        )
        outdated = self._metrics["guardrails_outdated"]
        self._guardrails.on_reload = lambda good: outdated.set(not good)
        self._health = HealthServer(
            parse_endpoint(settings.http_listen), registry, self._live, self._ready
        )

    def run(self) -> None:
        """Until SIGTERM or SIGINT. Raises Fatal, or Retryable when the start timed out."""
        for number in (signals_of_the_os.SIGTERM, signals_of_the_os.SIGINT):
            signals_of_the_os.signal(number, self._asked_to_stop)
        signals_of_the_os.signal(
            signals_of_the_os.SIGHUP, lambda _number, _frame: self._guardrails.ask()
        )
        try:
            backend = self._decoder()
            for name in self._settings.signals:
                self._loops[name] = self._loop(name, backend)
            threads = [
                threading.Thread(target=self._guarded, args=(loop,), name=name, daemon=True)
                for name, loop in self._loops.items()
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        finally:
            self._health.close()
            if self._spans is not None:
                self._spans.close()
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """Ask all loops to drain and end."""
        self._stopping.set()

    def _asked_to_stop(self, number: int, _frame: types.FrameType | None) -> None:
        if self._stopping.is_set():
            raise SystemExit(128 + number)
        log.info("stopping", signal=signals_of_the_os.Signals(number).name)
        self.stop()

    def _guarded(self, loop: SignalLoop) -> None:
        try:
            loop.run(self._stopping.is_set)
        except HeadraceError as error:
            self._failure = error
        except Exception as error:
            log.exception("unexpected error")
            self._failure = Fatal(f"unexpected {type(error).__name__}: {error}")
        finally:
            self.stop()

    def _decoder(self) -> DecoderBackend:
        loaded = load_backend(self._settings.decoder)
        if loaded.fell_back:
            log.warning("the slow reference decoder is running", why=loaded.reason)
        labels = (version("headrace"), loaded.backend.name)
        self._metrics["build_info"].labels(*labels).set(1)
        return loaded.backend

    def _loop(self, signal: Signal, backend: DecoderBackend) -> SignalLoop:
        settings, clock = self._settings, self._clock
        metrics = SignalMetrics(self._metrics, signal, settings.topic(signal))
        group = wiring.group_config(settings, signal)
        topic_id = self._patiently(lambda: kafka.topic_id(group))
        shards = wiring.make_shards(settings, clock)
        for shard in shards.shards:
            shard.on_failure = failure_reporter(metrics)
            shard.on_acknowledged = metrics.acknowledged
        dead_letters = DeadLetterTopic(
            group.client(), settings.topic_dlq, group.topic, len(shards), clock
        )
        dead_letters.on_sent = metrics.dead_lettered
        self._patiently(dead_letters.check)
        store = wiring.make_store(
            wiring.Parts(
                settings, signal, backend, topic_id, shards, dead_letters, clock, self._guardrails
            ),
            InsertEvents(metrics.inserted, metrics.repaired, metrics.guarded, metrics.remembered),
        )
        age = settings.max_age_s(signal)
        limits = BatchLimits(settings.batch_max_bytes, age, settings.backlog_max_bytes)
        times = LoopSettings(settle_after_s=age, drain_deadline_s=settings.drain_deadline_s)
        worker = ThreadPoolExecutor(1, thread_name_prefix=f"store-{signal}")
        loop = SignalLoop(Backlog(limits), store, times, clock, metrics, worker)
        self._trace(loop, store, metrics)
        self._give_way(loop, metrics)
        for shard in shards.shards:
            shard.stopping = lambda: loop.given_up
        loop.attach(kafka.GroupConsumer(group, loop, clock))
        log.info("signal ready", signal=signal, topic=group.topic, group=group.group)
        return loop

    def _trace(self, loop: SignalLoop, store: BatchStore, metrics: SignalMetrics) -> None:
        """Sampled spans of the loop's batches, if there is somewhere to send them."""
        if self._spans is None:
            return
        every_s = self._settings.trace_every_s
        topic = self._settings.topic(metrics.signal)
        tracer = BatchTracer(metrics.signal, topic, every_s, self._clock, self._spans.submit)
        loop.tracer = tracer

        def inserted(block: Block, seconds: float) -> None:
            metrics.inserted(block, seconds)
            tracer.inserted(block, seconds)

        # All other events stay as they were: guardrails are counted in traced writers, too.
        store.events = replace(store.events, inserted=inserted)

    def _give_way(self, loop: SignalLoop, metrics: SignalMetrics) -> None:
        """Spans and logs that are behind wait for metrics that are, too."""
        at_most_s = self._settings.metrics_first_s
        if metrics.signal == "metrics" or not at_most_s:
            return
        lateness = GroupLateness(wiring.group_config(self._settings, "metrics"), self._clock)
        precedence = MetricsFirst(lateness, at_most_s, self._clock)
        precedence.on_waited = lambda seconds: metrics.stage("yield", seconds)
        loop.precedence = precedence

    def _patiently(self, action: Callable[[], T]) -> T:
        """Repeat what is Retryable until the start timeout."""
        deadline = Deadline(self._clock, self._settings.start_timeout_s)
        while True:
            try:
                return action()
            except Retryable as error:
                if deadline.passed or self._stopping.is_set():
                    raise
                log.warning("waiting", why=str(error))
                self._clock.sleep(START_RETRY_S)

    def _live(self) -> str:
        return str(self._failure) if self._failure else ""

    def _ready(self) -> str:
        """Ready: every loop is up, knows its assignment, has caught up, and no
        partition stands still."""
        if len(self._loops) < len(self._settings.signals):
            return "starting: waiting for Kafka or ClickHouse"
        for name, loop in self._loops.items():
            if loop.ownership.stopped:
                return f"{name}: partitions stopped: {loop.ownership.stopped}"
            if not loop.joined:
                return f"{name}: waiting for a partition assignment"
            if loop.ownership.unrecovered:
                return f"{name}: recovering partitions {loop.ownership.unrecovered}"
            if loop.catching_up:
                return f"{name}: storing what waited when it began"
        return ""


def failure_reporter(metrics: SignalMetrics) -> Callable[[Attempt], None]:
    """Count each failed attempt and say why; attempts are backed off, so the log stays short."""

    def report(attempt: Attempt) -> None:
        metrics.insert_failed(attempt)
        log.warning(
            "attempt failed, repeating",
            signal=metrics.signal,
            shard=attempt.shard,
            replica=str(attempt.replica),
            why=str(attempt.error),
        )

    return report


def configure_logging(settings: Settings, file: TextIO = sys.stdout) -> None:
    """Structured logs."""
    processors: Sequence[structlog.typing.Processor] = (
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        structlog.processors.JSONRenderer()
        if settings.log_format == "json"
        else structlog.dev.ConsoleRenderer(),
    )
    level = {"debug": 10, "info": 20, "warning": 30, "error": 40}[settings.log_level]
    # Its traceback for each failed connection: what we raise instead says it in a line.
    logging.getLogger("clickhouse_driver").addHandler(logging.NullHandler())
    structlog.configure(
        logger_factory=structlog.PrintLoggerFactory(file),
        processors=list(processors),
        wrapper_class=structlog.make_filtering_bound_logger(level),
    )
