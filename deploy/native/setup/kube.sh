#!/usr/bin/env bash
# A Kubernetes control plane for `make kube-e2e`: deploy/native/kube/main.go, compiled into the cache
# from the Go proxy. Ten minutes and more the first time; not part of `make setup`.
#
# k8s.io/kubernetes replaces its own parts by folders, which nobody who requires it has. So each is
# required here in the version that is published beside it.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

KUBERNETES=1.37.2
PARTS=0.37.2

key=$(key deploy/native/kube deploy/native/setup/kube.sh)
binary=$CACHE/tools/headrace-kube
if [ -x "$binary" ] && fresh kube "$key"; then exit 0; fi

go=$(find_go)
export CGO_ENABLED=0 GOTOOLCHAIN=local GOFLAGS=-mod=mod
work=$CACHE/tools/kube-work
rm -rf "$work"
mkdir -p "$work"
cp "$ROOT/deploy/native/kube/main.go" "$work"
cd "$work"
"$go" mod init headrace.dev/kube
progress "… kube: compiling the API server, the controllers and etcd of Kubernetes $KUBERNETES"
"$go" mod download -json "k8s.io/kubernetes@v$KUBERNETES" >kubernetes.json
there=$(python3 -c 'import json; print(json.load(open("kubernetes.json"))["GoMod"])')
edits=(-require "k8s.io/kubernetes@v$KUBERNETES")
for part in $(sed -nE 's#^\s*(k8s\.io/[a-z-]+) v0\.0\.0( .*)?$#\1#p' "$there"); do
  edits+=(-require "$part@v$PARTS" -replace "$part=$part@v$PARTS")
done
"$go" mod edit "${edits[@]}"
"$go" build -trimpath -ldflags "-s -w -X k8s.io/component-base/version.gitVersion=v$KUBERNETES" -o "$binary.new" .
mv "$binary.new" "$binary"
rm -rf "$work"
finished kube "$key"
