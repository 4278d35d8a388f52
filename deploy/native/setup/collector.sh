#!/usr/bin/env bash
# Compiles a Collector distribution by ocb (the OpenTelemetry Collector Builder) into the cache.
#   collector.sh gateway services/gateway headrace-otelcol
# NAME is the folder in the cache, SOURCE has builder.yaml and the components it names by path,
# BINARY is what dist.name says. Quick when nothing in SOURCE has changed.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

OCB=v0.155.0 # the version of the components in builder.yaml

name=$1 source=$2 program=$3
parts=("$source/builder.yaml")
for part in "$ROOT/$source"/*/; do
  if [ -e "$part/go.mod" ]; then parts+=("$source/$(basename "$part")"); fi
done
key=$(key "${parts[@]}")
binary=$CACHE/$name/$key/$program
if [ -x "$binary" ] && fresh "$name" "$key"; then exit 0; fi

go=$(find_go)
PATH=$(dirname "$go"):$PATH
export PATH CGO_ENABLED=0 GOTOOLCHAIN=local
export GOFLAGS=-buildvcs=false # the build folder lies inside our checkout but is not part of it

progress "… $name: building the Collector (two to three minutes the first time)"
ocb=$CACHE/tools/ocb-$OCB
if [ ! -x "$ocb/builder" ]; then
  GOBIN=$ocb go install "go.opentelemetry.io/collector/cmd/builder@$OCB"
fi
work=$CACHE/$name/work
rm -rf "$work"
mkdir -p "$work" "$(dirname "$binary")"
for part in "${parts[@]}"; do cp -r "$ROOT/$part" "$work"; done
(cd "$work" && "$ocb/builder" --config builder.yaml)
mv "$work/build/$program" "$binary"
ln -sfn "$key/$program" "$CACHE/$name/$program"
rm -rf "$work"
finished "$name" "$key"
