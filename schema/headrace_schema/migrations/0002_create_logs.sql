-- Log records and events.

-- LOCAL

CREATE TABLE IF NOT EXISTS {local:otel_logs}
{columns:otel_logs}
ENGINE = {engine:otel_logs}
PARTITION BY {day:otel_logs}
ORDER BY {order:otel_logs}
SETTINGS {settings};

-- DISTRIBUTED

-- As for spans. Records without a trace are spread over all shards by their time, so a query for
-- TraceId IN ('', ...) must not be run with optimize_skip_unused_shards.
CREATE TABLE IF NOT EXISTS {table:otel_logs}
AS {local:otel_logs}
ENGINE = Distributed({cluster}, {database}, otel_logs_local, cityHash64(TraceId));
