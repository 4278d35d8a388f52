#!/usr/bin/env bash
# Rows older than DAYS are dropped, a whole day's part at a time (ttl_only_drop_parts). 0: as it is.
# Environment: HOSTS (one replica of each shard), DATABASE, DAYS, LOGIN, LOGIN_FILE. Runs at every start.
# The ledger stays: a row per batch, and the audit of what is left needs it.
set -euo pipefail
if [ "$DAYS" = 0 ]; then exit 0; fi

# table:column with the time
tables=(
  otel_traces:Timestamp
  otel_traces_trace_id_ts:Start
  otel_logs:Timestamp
  otel_metrics_gauge:TimeUnix
  otel_metrics_sum:TimeUnix
  otel_metrics_histogram:TimeUnix
  otel_metrics_exponential_histogram:TimeUnix
  otel_metrics_summary:TimeUnix
)
CLICKHOUSE_PASSWORD=$(<"$LOGIN_FILE") # clickhouse-client reads it; an argument would show in ps
export CLICKHOUSE_PASSWORD

for host in $HOSTS; do
  for each in "${tables[@]}"; do
    # Nothing is rewritten for it: old rows go with the next merges.
    clickhouse-client --host "$host" --user "$LOGIN" --query "ALTER TABLE $DATABASE.${each%:*}_local \
MODIFY TTL toDateTime(${each#*:}) + INTERVAL $DAYS DAY SETTINGS materialize_ttl_after_modify = 0"
  done
done
echo "retention: $DAYS days"
