"""A message larger than a block, through a real writer: in pieces, each record exactly once."""

import time
from pathlib import Path

import pytest

from support import builders
from support.cluster import Cluster
from support.own_writer import OwnWriter, own_writer

pytestmark = pytest.mark.integration

LIMIT = 1 << 20
LOGS = 400
VISIBLE_WITHIN_S = 30.0


def logs(service: str, count: int, text: int) -> bytes:
    """Records of one service, told apart by their bodies, with an attribute of that size."""
    made = [
        builders.log(f"{service} {n}", trace_id=n.to_bytes(16), attributes={"text": "x" * text})
        for n in range(1, count + 1)
    ]
    return builders.logs(*made, resource={"service.name": service}).SerializeToString()


def stored(writer: OwnWriter, service: str, wanted: int) -> list[tuple[int, int]]:
    """(rows, distinct bodies) of each block, once as many rows are visible."""
    sql = (
        "SELECT count(), uniqExact(Body) FROM otel_logs WHERE ServiceName = %(service)s "
        "GROUP BY IngestId"
    )
    deadline = time.monotonic() + VISIBLE_WITHIN_S
    with writer.cluster.clickhouse() as client:
        while True:
            found = client.execute(sql, {"service": service})
            if sum(rows for rows, _ in found) >= wanted:
                return list(found)
            assert time.monotonic() < deadline, f"{service}: {found}"
            time.sleep(0.2)


def test_a_message_larger_than_a_block_is_stored_once_in_pieces(
    cluster: Cluster, tmp_path: Path
) -> None:
    """Its neighbours beside it; a record larger than a block becomes a dead letter."""
    with own_writer(cluster, tmp_path, "logs", block_max_bytes=LIMIT) as writer:
        before, large, after = (f"{writer.topic}-{name}" for name in ("before", "large", "after"))
        writer.produce(
            logs(before, 3, 10),
            logs(large, LOGS, 20_000),
            logs("never", 1, LIMIT),
            logs(after, 3, 10),
        )
        assert sum(rows for rows, _ in stored(writer, after, 3)) == 3
        assert sum(rows for rows, _ in stored(writer, before, 3)) == 3
        blocks = stored(writer, large, LOGS)
        assert sum(rows for rows, _ in blocks) == sum(bodies for _, bodies in blocks) == LOGS
        # Twenty kilobytes each: no block of a mebibyte holds more than 52.
        assert max(rows for rows, _ in blocks) <= 52
        dead = 'headrace_writer_dlq_records_total{reason="too_large",signal="logs"}'
        writer.wait_for(dead, 1)
        writer.child.stop(30)
        found = writer.audit()
    assert found["findings"] == []
    (partition,) = [one for one in found["partitions"] if one["topic"] == writer.topic]
    assert (partition["end"], partition["committed"], partition["dead_letters"]) == (4, 4, 1)
    assert found["rows"] == 3 + LOGS + 3
    assert found["blocks"] > len(blocks)
