"""The window of deduplication, read from a server, and mended by what the writer names."""

import re

import pytest

from headrace_writer import wiring
from headrace_writer.config import load
from headrace_writer.errors import Fatal
from headrace_writer.shell.clock import SystemClock
from support.schema_server import SchemaServer


def test_a_window_that_is_too_short_is_mended_by_the_statement_named(modern: SchemaServer) -> None:
    settings = load(
        {"clickhouse_shards": f"127.0.0.1:{modern.port}", "clickhouse_topology": "embedded"}, {}
    )
    shards = wiring.make_shards(settings, SystemClock())
    with modern.client() as client:
        wiring.check_windows(settings, "logs", shards, modern=True)
        client.execute(
            "ALTER TABLE otel.otel_logs MODIFY SETTING non_replicated_deduplication_window = 100"
        )
        with pytest.raises(Fatal, match="otel_logs on shard 0 remembers 100 blocks") as refusal:
            wiring.check_windows(settings, "logs", shards, modern=True)
        remedy = re.search(r"ALTER TABLE .*", str(refusal.value))
        assert remedy is not None
        client.execute(remedy[0])
        wiring.check_windows(settings, "logs", shards, modern=True)
    shards.close()
