#!/usr/bin/env bash
# What `make bench` compares with: the Collector from Kafka into ClickHouse (tests/bench/peers).
exec bash "$(dirname "${BASH_SOURCE[0]}")/collector.sh" peer tests/bench/peers peer-otelcol
