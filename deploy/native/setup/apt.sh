#!/usr/bin/env bash
# Debian packages by name: only what is missing, and none of their services is started.
# Arguments: further packages whose command has the package's name.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

missing=()
need() { # need PACKAGE FILE-OR-COMMAND…: unless all of these exist
  local package=$1 thing
  shift
  for thing in "$@"; do
    if [ ! -e "$thing" ] && ! command -v "$thing" >/dev/null; then
      missing+=("$package")
      return 0
    fi
  done
}

java_major() {
  java -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p' | head -n1
}

need python3 python3
need gcc gcc
need libc6-dev /usr/include/stdio.h
need git git
need ca-certificates /etc/ssl/certs/ca-certificates.crt
need procps ps
need util-linux flock
need clickhouse-server clickhouse-server
need clickhouse-client clickhouse-client
# The library alone: the zookeeper package would add a graphical Java and a service.
need libzookeeper-java /usr/share/java/zookeeper.jar
need haproxy haproxy
need prometheus prometheus
need maven mvn
# Reads deploy/compose in the tests; brings no engine. Docker's own plugin does as well.
docker compose version >/dev/null 2>&1 || need docker-compose docker-compose
for package; do need "$package" "$package"; done
if ! command -v java >/dev/null || [ "$(java_major)" -lt 17 ]; then missing+=(openjdk-17-jre-headless); fi
if ! python3 -c 'import ensurepip, venv' 2>/dev/null; then missing+=(python3-venv); fi

# The kernel needs Rust 1.85; Debian's plain `rustc` is older, its -web variant is not.
if ! command -v cargo >/dev/null || ! at_least "$(cargo --version | cut -d' ' -f2)" 1.85.0; then
  missing+=(rustc-web cargo-web rustfmt-web rust-web-clippy)
fi

if [ ${#missing[@]} -eq 0 ]; then exit 0; fi

command -v apt-get >/dev/null ||
  die "this machine lacks ${missing[*]} and has no apt-get. Install them by hand, or use Debian 12."
as_root=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null ||
    die "these packages are missing and you are neither root nor have sudo: ${missing[*]}
As root: apt-get install --no-install-recommends ${missing[*]}"
  as_root=(sudo)
fi

progress "… apt: installing ${missing[*]}"

# Debian starts a service as soon as its package is installed. Ours run from .cache on our own
# ports, so a policy that says no (exit 101) stands there meanwhile; an existing one stays.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
  printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee $policy >/dev/null
  "${as_root[@]}" chmod 755 $policy
  trap '"${as_root[@]}" rm -f $policy' EXIT
fi

quiet=(env DEBIAN_FRONTEND=noninteractive)
"${as_root[@]}" "${quiet[@]}" apt-get update -q
"${as_root[@]}" "${quiet[@]}" apt-get install -qy --no-install-recommends "${missing[@]}"

# The policy stops the start at installation, not the one at the next boot.
if [ -d /run/systemd/system ]; then
  for unit in clickhouse-server haproxy prometheus; do
    case " ${missing[*]} " in *" $unit "*) "${as_root[@]}" systemctl disable -q "$unit" || true ;; esac
  done
fi
