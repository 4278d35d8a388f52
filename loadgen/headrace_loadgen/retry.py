"""Whether and when a failed export is sent again: the OTLP specification, section "Failures".

Some codes may be retried, RESOURCE_EXHAUSTED only if the server says when (google.rpc.RetryInfo in
the status details), everything else must be dropped by the client.
"""

import random
from collections.abc import Iterable
from dataclasses import dataclass

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import DecodeError
from google.protobuf.unknown_fields import UnknownFieldSet

RETRYABLE = frozenset(
    {
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.OUT_OF_RANGE,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DATA_LOSS,
    }
)
STATUS_DETAILS = "grpc-status-details-bin"
_LENGTH_DELIMITED = 2


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential with jitter, as SDKs do: `first_s`, doubling up to `longest_s`."""

    # Sooner than an SDK's 1 s: a short run should see the request through.
    first_s: float = 0.2
    longest_s: float = 10.0

    def delay_s(
        self, code: grpc.StatusCode, retry_info_s: float | None, attempt: int, rng: random.Random
    ) -> float | None:
        """Seconds until attempt number `attempt` + 1, or None when the request must be dropped.

        A server that names a delay is obeyed to the letter: it has its own jitter, and coming
        earlier is what it asked not to do.
        """
        if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
            return retry_info_s
        if code not in RETRYABLE:
            return None
        if retry_info_s is not None:
            return retry_info_s
        # The exponent is bounded before the power is taken: attempts may go on for an hour.
        backoff = min(self.first_s * 2.0 ** min(attempt - 1, 30), self.longest_s)
        return backoff * rng.uniform(0.5, 1.5)


def retry_info_s(trailers: Iterable[tuple[str, str | bytes]] | None) -> float | None:
    """The delay of a RetryInfo among a call's trailing metadata; None without a valid one."""
    for key, value in trailers or ():
        if key == STATUS_DETAILS and isinstance(value, bytes):
            try:
                return _delay_in_status(value)
            except DecodeError:
                # Details are advice; a server that garbles them gets the ordinary backoff.
                return None
    return None


def _delay_in_status(status: bytes) -> float | None:
    """google.rpc.Status: field 3 holds details as Any; google.rpc.RetryInfo: field 1 a Duration.

    These two messages are not part of protobuf's own package, and four field numbers do not
    justify another dependency.
    """
    for detail in _fields(status, 3):
        packed = AnyMessage.FromString(detail)
        if packed.type_url.rpartition("/")[2] == "google.rpc.RetryInfo":
            for encoded in _fields(packed.value, 1):
                delay = Duration.FromString(encoded)
                return max(0.0, float(delay.seconds) + float(delay.nanos) / 1e9)
    return None


def _fields(message: bytes, number: int) -> list[bytes]:
    """The length-delimited fields of that number in a serialized message."""
    found = UnknownFieldSet(Empty.FromString(message))
    fields = [found[i] for i in range(len(found))]
    return [
        field.data
        for field in fields
        if field.field_number == number and field.wire_type == _LENGTH_DELIMITED
    ]
