#!/usr/bin/env bash
# The cluster of deploy/compose, for `make cluster-up ENGINE=docker` and its neighbours.
#   cluster.sh up | down [--wipe] | status | demo
# OBSERVABILITY=0 leaves out Prometheus and Grafana.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

die() {
  echo "error: $*" >&2
  exit 2
}

# make hands on what nobody set as empty, and for Compose that would win over .env.
while IFS='=' read -r name _; do
  if [[ $name =~ ^[A-Z_]+$ && -z ${!name:-} ]]; then unset "$name"; fi
done <"$here/.env"
for name in BROKERS PARTITIONS SHARDS REPLICAS MIGRATE RETENTION MERGE_ALL BATCH_MAX_MIB HEADRACE_CLUSTER HEADRACE_PORT_OFFSET; do
  [ -z "${!name:-}" ] || die "$name (NAME=, OFFSET=) is for the native cluster; deploy/compose/.env says what can be changed here."
done

command -v docker >/dev/null ||
  die "ENGINE=docker, but there is no docker command. Install Docker, or leave ENGINE away: the native cluster needs none."
docker compose version >/dev/null 2>&1 ||
  die "docker has no compose plugin (docker compose version). Install docker-compose-plugin, 2.24 or newer."
docker info >/dev/null 2>&1 ||
  die "no Docker engine answers (docker info). Start it, or leave ENGINE away: the native cluster needs none."

files=(-f "$here/compose.yaml")
if [ "${OBSERVABILITY:-1}" != 0 ]; then files+=(-f "$here/compose.observability.yaml"); fi
compose() { docker compose "${files[@]}" "$@"; }

case ${1:-} in
up)
  bash "$here/secrets.sh"
  # Mounted as they are and read by other users; a strict umask at checkout would lock those out.
  chmod -R a+rX "$here/config"
  # Ten minutes: a first start also compiles two images and fetches the others.
  compose build
  compose up -d --remove-orphans --wait --wait-timeout 600 || {
    compose ps --all
    echo "error: not everything is healthy; docker compose logs SERVICE (in $here) says why" >&2
    exit 1
  }
  grpc=$(compose port haproxy 4317) http=$(compose port haproxy 4318)
  echo
  echo "  OTLP gRPC  $grpc      OTLP HTTP  http://$http"
  if [ "${OBSERVABILITY:-1}" != 0 ]; then
    echo "  Grafana    http://$(compose port grafana 3000)  (admin, $here/secrets/grafana_admin_password)"
  fi
  echo
  echo "next: make demo ENGINE=docker, make cluster-status ENGINE=docker, make cluster-down ENGINE=docker"
  ;;
down)
  if [ "${2:-}" = --wipe ]; then compose down --remove-orphans --volumes; else compose down --remove-orphans; fi
  ;;
status)
  compose ps --all
  compose run --rm --no-deps -T migrate audit
  ;;
demo)
  files+=(-f "$here/compose.load.yaml")
  compose run --rm loadgen
  ;;
*) die "cluster.sh up | down [--wipe] | status | demo" ;;
esac
