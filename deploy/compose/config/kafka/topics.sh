#!/usr/bin/env bash
# Makes the signal topics and the dead-letter topic; those that exist stay as they are.
# Environment: BOOTSTRAP, PARTITIONS. Ends with 1 when a topic has another number of partitions: that
# number decides which offsets a writer owns, so it is not changed behind anybody's back.
set -euo pipefail
PATH=$PATH:/opt/kafka/bin

topics() { kafka-topics.sh --bootstrap-server "$BOOTSTRAP" "$@"; }

make_topic() { # make_topic NAME PARTITIONS
  local try
  # The brokers answer before all three have joined; until then three replicas are refused.
  for try in {1..30}; do
    if topics --create --if-not-exists --topic "$1" --partitions "$2" --replication-factor 3 \
      --config min.insync.replicas=2 --config max.message.bytes=18874368 \
      --config compression.type=producer; then
      break
    fi
    if [ "$try" = 30 ]; then
      echo "error: topic $1 could not be created" >&2
      return 1
    fi
    sleep "${RETRY_S:-2}"
  done
  local have
  have=$(topics --describe --topic "$1" | sed -n 's/.*PartitionCount: *\([0-9]*\).*/\1/p' | head -n 1)
  if [ "$have" != "$2" ]; then
    echo "error: topic $1 has ${have:-no} partitions, .env says $2: go back to that number," \
      "or start afresh with make cluster-down ENGINE=docker WIPE=1" >&2
    return 1
  fi
}

for topic in otlp_spans otlp_metrics otlp_logs; do make_topic $topic "$PARTITIONS"; done
make_topic otlp_dlq 1
