"""`headrace exporter` on the real cluster: everything declared is there, and a gap is found."""

import time
import urllib.request
import uuid
from collections.abc import Callable

import pytest
from prometheus_client.parser import text_string_to_metric_families

from headrace_writer.config import load
from headrace_writer.metrics import EXPORTER
from headrace_writer.shell.ledger_watch import LedgerWatch
from support import otlp
from support.cluster import Cluster
from unit.test_exporter import check

pytestmark = pytest.mark.integration


def page(url: str) -> bytes:
    with urllib.request.urlopen(f"{url}/metrics", timeout=5) as answer:
        found: bytes = answer.read()
    return found


def until(ready: Callable[[], bool], seconds: float = 40) -> None:
    end = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < end
        time.sleep(0.5)


def test_pages_are_complete_and_promtool_takes_them(cluster: Cluster) -> None:
    url = str(cluster.json["exporter"])
    wanted = {one.name.removesuffix("_total") for one in EXPORTER}

    def there() -> set[str]:
        text = page(url).decode()
        return {family.name for family in text_string_to_metric_families(text) if family.samples}

    # The ledger is looked at once a minute, Kafka and servers every 15 seconds.
    until(lambda: wanted <= there(), 90)
    check(page(url))
    for writer in cluster.json["writers"].values():
        check(page(writer))


def test_a_gap_in_the_ledger_is_a_finding_and_stays_one(cluster: Cluster) -> None:
    watch = LedgerWatch(load({"config": str(cluster.layout.dir / "headrace.toml")}, {}))

    def findings() -> dict[tuple[str, ...], float]:
        return {sample.labels: sample.value for sample in watch.read()}

    try:
        before = findings()
        assert before.keys() == {
            (signal, kind)
            for signal in ("traces", "metrics", "logs")
            for kind in ("gap", "overlap", "deleted_unread")
        }
        client = cluster.clickhouse()
        long: list[tuple[int, int, int]] = []

        def sent_together() -> bool:
            """Whether some range holds several messages."""
            for _ in range(20):
                otlp.export(cluster.otlp_grpc, otlp.traces(f"watch-{uuid.uuid4().hex[:8]}", 3))
            long[:] = client.execute(
                "SELECT Partition, StartOffset, EndOffset FROM otel_ingest_ledger "
                "WHERE Topic = 'otlp_spans' AND EndOffset - StartOffset > 1 LIMIT 1"
            )
            return bool(long)

        until(sent_together)
        client.disconnect()
        assert findings() == before
        # As if the ledger had been found whole up to the middle of that range: what is left of it
        # is not there.
        partition, start, _end = long[0]
        [place] = [
            place
            for place in watch._whole_until
            if (place.topic, place.partition) == ("otlp_spans", partition)
        ]
        watch._whole_until[place] = start + 1
        one_more = before[("traces", "gap")] + 1
        # Only what is committed can be missing; an idle writer commits a few seconds later.
        until(lambda: findings()[("traces", "gap")] == one_more)
        assert findings()[("traces", "gap")] == one_more
    finally:
        watch.close()
