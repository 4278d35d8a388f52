"""The kernel as a block builder: batches, targets, rejections, limits, hashes."""

import threading
from typing import Any

import pytest
from clickhouse_cityhash.cityhash import CityHash64, CityHash128

import headrace_kernel
from headrace_writer.core.block import Target
from headrace_writer.core.decode import native_backend
from support import builders as make
from support.decoders import layouts_of
from support.kernel_payloads import agent_metrics, genai_traces
from support.native_frames import decompress
from support.native_read import read_block

TRACES = layouts_of("traces", "modern")


def builder(shards: int = 1, compression: Any = "none") -> Any:
    return native_backend().builder("traces", TRACES, shards, compression)


def finish(built: Any) -> Any:
    return built.finish({target: 1 + target.shard for target, _ in built.pending()})


@pytest.mark.parametrize("size", [0, 1, 4, 8, 16, 17, 32, 33, 64, 65, 127, 128, 129, 1000])
def test_hashes_are_clickhouse_s(size: int) -> None:
    data = bytes(i * 31 % 251 for i in range(size))
    assert headrace_kernel.city_hash_64(data) == CityHash64(data)
    number = CityHash128(data)
    halves = (number >> 64).to_bytes(8, "little"), (number % (1 << 64)).to_bytes(8, "little")
    assert headrace_kernel.city_hash_128(data) == b"".join(halves)


def test_a_bad_payload_disturbs_nobody() -> None:
    good = [genai_traces(20, seed) for seed in range(3)]
    bad = [good[0][:-1], b"\xff" * 40, good[1][:-30] + b"\x0f" * 30]
    mixed, clean = builder(2), builder(2)
    rejections = mixed.append_many([bad[0], good[0], bad[1], good[1], good[2], bad[2]])
    assert [(r.index, r.reason) for r in rejections] == [
        (0, "malformed"),
        (2, "malformed"),
        (5, "malformed"),
    ]
    assert all(r.detail.startswith("byte ") for r in rejections)
    assert clean.append_many(good) == []
    assert (mixed.rows, mixed.nbytes) == (clean.rows, clean.nbytes)
    assert finish(mixed) == finish(clean)


def test_spans_go_to_the_shard_of_their_trace() -> None:
    built = builder(3)
    built.append_many([genai_traces(300, 1)])
    pending = built.pending()
    assert [target for target, _ in pending] == [Target("otel_traces", s) for s in range(3)]
    assert sum(rows for _, rows in pending) == built.rows == 300
    for block in finish(built):
        columns = read_block(block.body)
        assert {CityHash64(trace_id) % 3 for trace_id in columns["TraceId"]} == {block.target.shard}
        assert set(columns["IngestId"]) == {1 + block.target.shard}
        assert (block.rows, block.raw_bytes) == (len(columns["TraceId"]), len(block.body))


def test_points_of_one_series_share_a_shard() -> None:
    built = native_backend().builder("metrics", layouts_of("metrics", "modern"), 4, "none")
    built.append_many([agent_metrics(400, seed, "sum") for seed in range(2)])
    series: dict[Any, set[int]] = {}
    for block in finish(built):
        columns = read_block(block.body)
        for name, attributes in zip(columns["MetricName"], columns["Attributes"], strict=True):
            key = b"%b\0%b\0" % (columns["ServiceName"][0], name)
            key += b"".join(b"%b\x01%b\x02" % pair for pair in attributes.items())
            series.setdefault((name, str(attributes)), set()).add(block.target.shard)
            if len(set(columns["ServiceName"])) == 1:
                assert CityHash64(key) % 4 == block.target.shard
    assert len(series) > 50


def test_logs_without_a_trace_spread_by_time() -> None:
    built = native_backend().builder("logs", layouts_of("logs", "modern"), 4, "none")
    records = [make.log(trace_id=b"", time_unix_nano=make.T0 + i) for i in range(100)]
    built.append_many([make.logs(*records).SerializeToString()])
    assert {target.shard: rows for target, rows in built.pending()} == {
        shard: sum(CityHash64((make.T0 + i).to_bytes(8, "little")) % 4 == shard for i in range(100))
        for shard in range(4)
    }


def test_compressed_bodies_hold_the_plain_ones() -> None:
    payloads = [genai_traces(500, seed) for seed in range(12)]
    plain, packed = builder(2), builder(2, "lz4")
    plain.append_many(payloads)
    packed.append_many(payloads)
    for bare, block in zip(finish(plain), finish(packed), strict=True):
        assert len(bare.body) > 1 << 20  # more than one frame
        assert decompress(block.body) == bare.body
        assert block.raw_bytes == len(bare.body)


def test_times_of_a_block() -> None:
    built = builder()
    times = [make.T0 + 5, make.T0, make.T0 + 9]
    request = make.traces(*(make.span(start_time_unix_nano=time) for time in times))
    built.append_many([request.SerializeToString()])
    (block,) = finish(built)
    assert (block.min_time_ns, block.max_time_ns) == (make.T0, make.T0 + 9)


def test_finish_needs_an_id_for_every_target() -> None:
    built = builder(2)
    built.append_many([genai_traces(50, 1)])
    with pytest.raises(KeyError, match="otel_traces shard 1"):
        built.finish({Target("otel_traces", 0): 5})
    assert built.rows == 50
    assert len(finish(built)) == 2
    assert (built.rows, built.nbytes, built.pending()) == (0, 0, [])
    assert built.finish({}) == []


def test_repaired_strings_are_counted_for_stored_payloads_only() -> None:
    payload = make.traces(make.span("bad-name")).SerializeToString()
    broken = payload.replace(b"bad-name", b"\xff\xfe-name!")
    built = builder()
    assert built.append_many([broken, broken[:-1], payload])[0].index == 1
    assert built.replaced_utf8 == 1
    (block,) = finish(built)
    assert read_block(block.body)["SpanName"] == ["��-name!".encode(), b"bad-name"]


def test_a_message_with_too_many_records() -> None:
    request = make.traces(*[make.span("s", trace_id=b"") for _ in range(10)])
    scope = request.resource_spans[0].scope_spans[0].spans[0].SerializeToString()
    record = b"\x12" + bytes([len(scope)]) + scope
    many = _nested(record * 500_001)
    built = builder()
    (rejection,) = built.append_many([many])
    assert rejection.reason == "too_many_records"
    assert built.append_many([_nested(record * 1000)]) == []
    assert built.rows == 1000


def test_a_small_message_that_would_expand_to_gigabytes() -> None:
    """100,000 empty spans of a resource with an attribute of 1 MB: 100 GB of columns."""
    attribute = b"\x0a\x01k\x12" + _sized(b"\x0a" + _sized(b"x" * 1_000_000))
    resource = b"\x0a" + _sized(b"\x0a" + _sized(attribute))
    bomb = b"\x0a" + _sized(resource + b"\x12" + _sized(b"\x12\x00" * 100_000))
    built = builder(2)
    (rejection,) = built.append_many([bomb])
    assert rejection.reason == "too_large"
    assert (built.rows, built.nbytes) == (0, 0)


def _sized(data: bytes) -> bytes:
    size, out = len(data), bytearray()
    while size >= 0x80:
        out.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes([*out, size]) + data


def _nested(records: bytes) -> bytes:
    return b"\x0a" + _sized(b"\x12" + _sized(records))


@pytest.mark.parametrize(
    "arguments",
    [
        ("spans", TRACES, 1, "lz4"),
        ("traces", TRACES, 0, "lz4"),
        ("traces", TRACES, 1, "zstd"),
    ],
)
def test_wrong_arguments_are_refused(arguments: Any) -> None:
    with pytest.raises(ValueError, match="is no"):
        headrace_kernel.builder(*arguments)


def test_wrong_types_are_refused() -> None:
    built: Any = headrace_kernel.builder("traces", TRACES, 1)
    with pytest.raises(TypeError):
        built.append_many([None])
    with pytest.raises(TypeError):
        headrace_kernel.builder("traces", [1, 2], 1)  # type: ignore[arg-type]


def test_counters_can_be_read_while_another_thread_decodes() -> None:
    built = builder(2)
    payload = genai_traces(500, 1)
    thread = threading.Thread(target=lambda: [built.append_many([payload]) for _ in range(50)])
    thread.start()
    seen = []
    while thread.is_alive():
        seen.append(built.rows)
    thread.join()
    assert seen == sorted(seen)
    assert built.rows == 25_000
