"""Audit, dead letters and replay on the real cluster: what they find, and what they mend."""

import json
import time
import uuid
from datetime import UTC, datetime
from typing import Any

import pytest
from confluent_kafka import Producer

from support import builders, otlp
from support.cluster import Cluster

pytestmark = pytest.mark.integration

VISIBLE_WITHIN_S = 30.0


def audit(cluster: Cluster) -> dict[str, Any]:
    """The audit of the last hour as JSON, its exit code under `exit`."""
    done = cluster.headrace("audit", "--json", "--patience", "3s")
    assert done.stdout, done.stderr
    return {**json.loads(done.stdout), "exit": done.returncode}


def count(cluster: Cluster, service: str, table: str = "otel_traces") -> int:
    client = cluster.clickhouse()
    try:
        sql = f"SELECT count() FROM {table} WHERE ServiceName = %(service)s"
        return int(client.execute(sql, {"service": service})[0][0])
    finally:
        client.disconnect()


def wait_for(cluster: Cluster, service: str, wanted: int) -> None:
    deadline = time.monotonic() + VISIBLE_WITHIN_S
    while (seen := count(cluster, service)) < wanted:
        assert time.monotonic() < deadline, f"{seen} of {wanted} rows"
        time.sleep(0.2)
    assert seen == wanted


@pytest.fixture
def stored(cluster: Cluster) -> str:
    """A service with eight stored spans; the partitions' ends are committed."""
    return store(cluster)


def store(cluster: Cluster) -> str:
    service = f"svc-{uuid.uuid4().hex[:8]}"
    spans = [builders.span(trace_id=uuid.uuid4().bytes) for _ in range(8)]
    otlp.export(cluster.otlp_grpc, builders.traces(*spans, resource={"service.name": service}))
    wait_for(cluster, service, 8)
    # An idle writer commits the end two batch ages later.
    time.sleep(7)
    return service


def everywhere(cluster: Cluster, sql: str) -> None:
    """Run a statement on one replica of each shard."""
    for shard in (1, 2):
        client = cluster.clickhouse(shard)
        try:
            client.execute(sql)
        finally:
            client.disconnect()


def test_an_untouched_cluster_is_clean(cluster: Cluster, stored: str) -> None:
    found = audit(cluster)
    assert found["findings"] == []
    assert found["exit"] == 0
    assert found["rows"] >= 8
    spans = [one for one in found["partitions"] if one["topic"] == "otlp_spans"]
    assert sum(one["ranges"] for one in spans) >= 1
    assert all(one["end"] == one["committed"] for one in spans if one["ranges"])


def test_the_audit_is_a_table_for_people(cluster: Cluster, stored: str) -> None:
    done = cluster.headrace("audit", "--since", "1h")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "otlp_spans" in done.stdout
    assert "complete: no gap, no overlap, no row missing, none doubled" in done.stdout


def test_a_doubled_block_is_found_and_named(cluster: Cluster, stored: str) -> None:
    # Twice at once: the very same rows alone would be dropped as the block that they were.
    rows = f"SELECT * FROM otel_traces_local WHERE ServiceName = '{stored}'"
    everywhere(cluster, f"INSERT INTO otel_traces_local {rows} UNION ALL {rows}")
    try:
        found = audit(cluster)
        assert found["exit"] == 1
        assert {one["kind"] for one in found["findings"]} == {"doubled_rows"}
        one = found["findings"][0]
        assert one["found"] == 3 * one["expected"]
        assert one["topic"] == "otlp_spans"
        assert one["end"] > one["start"]
        assert one["replica"].startswith("127.0.0.1:")
    finally:
        drop_spans(cluster)
        mend(cluster)


def mend(cluster: Cluster, *until: str) -> dict[str, Any]:
    """Replay the spans of the last hour, or up to `--to`; the result as JSON."""
    done = cluster.headrace("replay", "--topic", "otlp_spans", "--from", "1h", "--json", *until)
    assert done.returncode == 0, done.stdout + done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def drop_spans(cluster: Cluster) -> None:
    """Empty the spans' tables on every replica; the ledger goes on naming what was there."""
    everywhere(cluster, "TRUNCATE TABLE otel_traces_local")
    deadline = time.monotonic() + VISIBLE_WITHIN_S
    while any(rows_on(cluster, shard, replica) for shard in (1, 2) for replica in (1, 2)):
        assert time.monotonic() < deadline, "the tables do not become empty"
        time.sleep(0.2)


def rows_on(cluster: Cluster, shard: int, replica: int) -> int:
    client = cluster.clickhouse(shard, replica)
    try:
        return int(client.execute("SELECT count() FROM otel_traces_local")[0][0])
    finally:
        client.disconnect()


def test_lost_rows_are_found_and_a_replay_brings_them_back_once(
    cluster: Cluster, stored: str
) -> None:
    drop_spans(cluster)
    found = audit(cluster)
    assert found["exit"] == 1
    assert {one["kind"] for one in found["findings"]} == {"missing_rows"}

    assert mend(cluster)["repaired"] >= 1
    wait_for(cluster, stored, 8)
    assert audit(cluster)["findings"] == []

    again = mend(cluster)
    assert (again["repaired"], again["stored"], again["rows"]) == (0, 0, 0)
    assert again["intact"] >= 1
    assert count(cluster, stored) == 8


def test_a_replay_ends_where_it_is_told(cluster: Cluster, stored: str) -> None:
    between = datetime.now(UTC).isoformat(timespec="milliseconds")
    later = store(cluster)
    drop_spans(cluster)

    assert mend(cluster, "--to", between)["repaired"] >= 1
    wait_for(cluster, stored, 8)
    assert count(cluster, later) == 0

    assert mend(cluster)["repaired"] >= 1
    wait_for(cluster, later, 8)
    assert count(cluster, stored) == 8
    assert audit(cluster)["findings"] == []


def test_a_gap_in_the_ledger_is_found_and_a_replay_closes_it(cluster: Cluster, stored: str) -> None:
    """As if a range had been skipped: neither its rows nor its ledger row are there."""
    drop_spans(cluster)
    everywhere(cluster, "TRUNCATE TABLE otel_ingest_ledger_local")
    time.sleep(2)
    found = audit(cluster)
    assert found["exit"] == 1
    gaps = [one for one in found["findings"] if one["topic"] == "otlp_spans"]
    assert {one["kind"] for one in gaps} == {"gap"}
    assert all(one["end"] > one["start"] for one in gaps)

    assert mend(cluster)["stored"] >= 1
    wait_for(cluster, stored, 8)
    left = [one for one in audit(cluster)["findings"] if one["topic"] == "otlp_spans"]
    assert left == []


def poison(cluster: Cluster) -> bytes:
    """Put a message that is no OTLP into the spans' topic."""
    value = b"\x0a\xff\xff\xff" + uuid.uuid4().bytes
    producer = Producer({"bootstrap.servers": cluster.bootstrap, "acks": "all"})
    producer.produce("otlp_spans", value)
    assert producer.flush(20) == 0
    return value


def letters(cluster: Cluster, *filters: str) -> list[dict[str, Any]]:
    done = cluster.headrace("dlq", "list", "--json", *filters)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def wait_for_letters(cluster: Cluster, wanted: int) -> list[dict[str, Any]]:
    deadline = time.monotonic() + VISIBLE_WITHIN_S
    while len(found := letters(cluster)) < wanted:
        assert time.monotonic() < deadline, found
        time.sleep(0.5)
    assert len(found) == wanted
    return found


def test_dead_letters_are_listed_shown_replayed_once_and_purged(cluster: Cluster) -> None:
    before = len(letters(cluster))
    value = poison(cluster)
    newest = wait_for_letters(cluster, before + 1)[-1]
    assert (newest["reason"], newest["topic"]) == ("malformed", "otlp_spans")
    assert newest["bytes"] == len(value)
    assert newest["replayed"] is False
    assert letters(cluster, "--reason", "refused_by_clickhouse") == []
    assert letters(cluster, "--to", "1h") == []

    shown = cluster.headrace("dlq", "show", newest["place"])
    assert shown.returncode == 0, shown.stderr
    assert json.loads(shown.stdout)["unreadable"]["hex"].startswith("0a ff ff ff")
    missing = cluster.headrace("dlq", "show", "0/999999")
    assert missing.returncode == 2
    assert "no dead letter at 0/999999" in missing.stderr

    replayed = cluster.headrace("dlq", "replay", "--topic", "otlp_spans")
    assert replayed.returncode == 0, replayed.stderr
    # It is as malformed as before, so it comes back, from its new offset.
    found = wait_for_letters(cluster, before + 2 if before == 0 else len(letters(cluster)))
    assert [one["replayed"] for one in found if one["place"] == newest["place"]] == [True]
    nothing = cluster.headrace("dlq", "replay", "--topic", "otlp_spans", "--to", "1h")
    assert nothing.stdout.startswith("0 dead letters")

    purged = cluster.headrace("dlq", "purge", "--yes")
    assert purged.returncode == 0, purged.stderr
    assert letters(cluster) == []
    assert audit(cluster)["findings"] == []
