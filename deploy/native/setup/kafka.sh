#!/usr/bin/env bash
# The Kafka broker's jars, exactly those of libs.sha256.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

source=deploy/native/kafka
key=$(key $source)
libs=$CACHE/kafka/libs
if [ -d "$libs" ] && fresh kafka "$key"; then exit 0; fi

progress "… kafka: fetching the broker's jars"
rm -rf "$libs.new"
mkdir -p "$libs.new"
mvn -q -B -f "$ROOT/$source/pom.xml" \
  org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies \
  -DoutputDirectory="$libs.new" -DincludeScope=runtime
(cd "$libs.new" && sha256sum --quiet -c "$ROOT/$source/libs.sha256") ||
  die "a jar is not the one that $source/libs.sha256 names; nothing was installed"
unlisted=$(cd "$libs.new" && ls | grep -vxFf <(cut -c67- "$ROOT/$source/libs.sha256") || true)
[ -z "$unlisted" ] || die "jars without a checksum in $source/libs.sha256: $unlisted"
rm -rf "$libs"
mv "$libs.new" "$libs"
finished kafka "$key"
