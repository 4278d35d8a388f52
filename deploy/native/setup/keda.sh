#!/usr/bin/env bash
# KEDA for `make kube-e2e-keda`: its own operator and metrics adapter, unpatched, compiled into the
# cache from the Go proxy, and the objects that its installation makes. A quarter of an hour and more
# the first time; not part of `make setup`.
#
# Built inside a copy of its module and not as somebody's requirement: its replace and exclude
# directives count only there.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

KEDA=2.21.0
OBJECTS=(general/namespace service_account/service_account rbac/role rbac/role_binding
  metrics-server/role metrics-server/role_binding metrics-server/api_service)

key=$(key deploy/native/setup/keda.sh)
keda=$CACHE/tools/keda
if [ -x "$keda/adapter" ] && fresh keda "$key"; then exit 0; fi

go=$(find_go)
export CGO_ENABLED=0 GOTOOLCHAIN=local GOFLAGS=-mod=readonly
work=$CACHE/tools/keda-work new=$CACHE/tools/keda.new
rm -rf "$work" "$new"
mkdir -p "$new/crds" "$new/objects"
module=$("$go" mod download -json "github.com/kedacore/keda/v2@v$KEDA" |
  python3 -c 'import json, sys; print(json.load(sys.stdin)["Dir"])')
cp -r "$module" "$work"
chmod -R u+w "$work"
cd "$work"
progress "… keda: compiling the operator and the metrics adapter of KEDA $KEDA"
"$go" build -trimpath -buildvcs=false -o "$new/" \
  -ldflags "-s -w -X github.com/kedacore/keda/v2/version.Version=$KEDA" ./cmd/operator ./cmd/adapter
cp config/crd/bases/*.yaml "$new/crds"
for each in "${OBJECTS[@]}"; do cp "config/$each.yaml" "$new/objects/${each//\//-}.yaml"; done
cd "$ROOT"
rm -rf "$keda" "$work"
mv "$new" "$keda"
finished keda "$key"
