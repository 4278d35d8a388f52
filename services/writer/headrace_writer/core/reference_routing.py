"""Which shard a row belongs to.

CityHash64 v1.0.2 is what ClickHouse's `cityHash64(String)` computes, so a query can name the
shard of a trace. Spans and logs of one trace share a shard; so do the points of one series.
"""

from collections.abc import Iterable

from clickhouse_cityhash.cityhash import CityHash64


def trace_shard(trace_id: bytes, shards: int) -> int:
    """`trace_id` as stored in a String column: lower-case hex, or empty."""
    return _shard(trace_id, shards)


def log_shard(trace_id: bytes, time_ns: int, shards: int) -> int:
    """Logs without a trace spread by their time."""
    return _shard(trace_id or time_ns.to_bytes(8, "little"), shards)


def series_shard(
    service: bytes, metric: bytes, attributes: Iterable[tuple[bytes, bytes]], shards: int
) -> int:
    """`attributes` are the data point's, in the order of the wire: senders keep to an order."""
    labels = b"".join(b"%b\x01%b\x02" % pair for pair in attributes)
    return _shard(b"%b\x00%b\x00%b" % (service, metric, labels), shards)


def _shard(data: bytes, shards: int) -> int:
    number: int = CityHash64(data) % shards
    return number
