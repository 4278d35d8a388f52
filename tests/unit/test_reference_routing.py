"""Shards: by trace, by time for logs without one, by series for metrics."""

from clickhouse_cityhash.cityhash import CityHash64

from headrace_writer.core.reference_metrics import metric_rows
from headrace_writer.core.reference_routing import log_shard, series_shard, trace_shard
from headrace_writer.core.reference_rows import log_rows, trace_rows
from support import builders as make
from support.builders import T0, TRACE_ID

HEX = TRACE_ID.hex().encode()


def test_the_hash_is_clickhouse_s() -> None:
    """`SELECT cityHash64('')`, `cityHash64('abc')` on a server."""
    assert CityHash64(b"") == 11160318154034397263
    assert CityHash64(b"abc") == 4220206313085259313


def test_spans_and_logs_of_a_trace_share_a_shard() -> None:
    shards = 7
    want = CityHash64(HEX) % shards
    assert trace_shard(HEX, shards) == log_shard(HEX, 1, shards) == want
    (span,) = trace_rows(make.traces(make.span()), shards)
    (log,) = log_rows(make.logs(make.log()), shards)
    assert (span.shard, log.shard) == (want, want)


def test_logs_without_a_trace_spread_by_time() -> None:
    assert log_shard(b"", T0, 5) == CityHash64(T0.to_bytes(8, "little")) % 5
    assert log_shard(b"", 2**64 - 1, 5) == CityHash64(b"\xff" * 8) % 5
    records = [make.log(trace_id=bytes(16), time_unix_nano=T0 + i) for i in range(100)]
    assert {row.shard for row in log_rows(make.logs(*records), 3)} == {0, 1, 2}


def test_spans_without_a_trace_are_one_trace() -> None:
    spans = [make.span(trace_id=i, start_time_unix_nano=n) for n, i in enumerate((b"", bytes(16)))]
    want = CityHash64(b"") % 5
    assert [row.shard for row in trace_rows(make.traces(*spans), 5)] == [want, want]


def test_points_of_a_series_share_a_shard() -> None:
    text = b"checkout\x00queue.depth\x00q\x01in\x02n\x015\x02"
    want = CityHash64(text) % 11
    assert series_shard(b"checkout", b"queue.depth", [(b"q", b"in"), (b"n", b"5")], 11) == want
    points = [make.number_point(i, attributes={"q": "in", "n": 5}) for i in range(3)]
    rows = metric_rows(make.metrics(make.gauge(*points)), 11)
    assert [row.shard for row in rows] == [want] * 3


def test_parts_of_a_series_do_not_run_together() -> None:
    shards = 1 << 40
    assert series_shard(b"a", b"b", [], shards) != series_shard(b"", b"a\x00b", [], shards)
    assert series_shard(b"a", b"", [(b"k", b"v")], shards) != series_shard(
        b"a", b"", [(b"kv", b"")], shards
    )
