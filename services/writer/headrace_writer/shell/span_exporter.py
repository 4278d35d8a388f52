"""Sends the writer's own spans by OTLP/gRPC, on a thread that nothing waits for."""

import os
import platform
import queue
import secrets
import threading
from collections.abc import Callable
from importlib.metadata import version
from typing import Literal

import grpc
import structlog

from headrace_writer.core.batch_trace import BatchTrace, request

METHOD = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
TIMEOUT_S = 5.0
# A trace is a few kilobytes, and there is one per signal and `trace_every_s`: what does not fit
# waits for an endpoint that has been away for minutes.
MOST_WAITING = 16

Outcome = Literal["sent", "failed", "dropped"]

log = structlog.get_logger()


class SpanExporter:
    """`submit` returns at once; a trace that cannot be sent is counted and forgotten."""

    def __init__(self, endpoint: str, on_outcome: Callable[[Outcome], None]) -> None:
        # The path is to the endpoint, not to a proxy that the environment names.
        self._channel = grpc.insecure_channel(endpoint, [("grpc.enable_http_proxy", 0)])
        self._export = self._channel.unary_unary(METHOD)
        self._endpoint = endpoint
        self._on_outcome = on_outcome
        self._waiting: queue.Queue[BatchTrace | None] = queue.Queue(MOST_WAITING)
        self._complained = False
        self._resource = {
            "service.version": version("headrace"),
            "service.instance.id": f"{platform.node()}:{os.getpid()}",
        }
        self._thread = threading.Thread(target=self._run, name="spans", daemon=True)
        self._thread.start()

    def submit(self, trace: BatchTrace) -> None:
        """Never blocks, never raises."""
        try:
            self._waiting.put_nowait(trace)
        except queue.Full:
            self._on_outcome("dropped")

    def close(self, timeout_s: float = 1.0) -> None:
        """Give what waits that long."""
        try:
            self._waiting.put_nowait(None)
        except queue.Full:
            return
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while (trace := self._waiting.get()) is not None:
            try:
                body = request(trace, self._resource, secrets.token_bytes)
                self._export(body, timeout=TIMEOUT_S)
            except Exception as error:  # whatever it is: a trace is never worth a writer
                self._on_outcome("failed")
                if not self._complained:
                    # Once until it works again: the pipeline's own alerts tell of a gateway.
                    why = error.code() if isinstance(error, grpc.RpcError) else error
                    log.warning("own spans were not sent", endpoint=self._endpoint, why=str(why))
                self._complained = True
            else:
                self._complained = False
                self._on_outcome("sent")
        self._channel.close()
