-- What was stored: one row per batch and Kafka partition, written before the offsets are committed.
-- The audit tiles these ranges over the topic and counts their rows by IngestId.

-- LOCAL

CREATE TABLE IF NOT EXISTS {local:otel_ingest_ledger}
{columns:otel_ingest_ledger}
ENGINE = {engine:otel_ingest_ledger}
PARTITION BY {day:otel_ingest_ledger}
ORDER BY {order:otel_ingest_ledger}
SETTINGS {settings};

-- DISTRIBUTED

-- The writer puts a row on shard Partition % shards itself; recovery asks that shard alone.
CREATE TABLE IF NOT EXISTS {table:otel_ingest_ledger}
AS {local:otel_ingest_ledger}
ENGINE = Distributed({cluster}, {database}, otel_ingest_ledger_local, Partition);
