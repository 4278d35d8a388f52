#!/usr/bin/env bash
# An S3 server for tests of storage tiers: Versity's gateway over a folder, compiled into the cache
# from the Go proxy; go.sum's checksums hold it to this version.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

VERSITYGW=v1.8.0

key=$(key deploy/native/setup/s3.sh)
binary=$CACHE/tools/versitygw
# Tests of several checkouts' sessions may ask at the same time.
exec 8>"$STAMPS/s3.lock"
flock 8
if [ -x "$binary" ] && fresh s3 "$key"; then exit 0; fi

go=$(find_go)
progress "… s3: compiling an S3 server (a minute or two the first time)"
CGO_ENABLED=0 GOFLAGS=-mod=mod GOBIN=$CACHE/tools/s3.new \
  "$go" install -trimpath -ldflags "-s -w" "github.com/versity/versitygw/cmd/versitygw@$VERSITYGW"
mv "$CACHE/tools/s3.new/versitygw" "$binary"
rmdir "$CACHE/tools/s3.new"
finished s3 "$key"
