#!/usr/bin/env bash
# The gateway: the Collector distribution of services/gateway.
exec bash "$(dirname "${BASH_SOURCE[0]}")/collector.sh" gateway services/gateway headrace-otelcol
