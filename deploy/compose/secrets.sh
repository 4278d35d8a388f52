#!/usr/bin/env bash
# Makes the secrets of deploy/compose in deploy/compose/secrets (ignored by git); what exists stays.
# To change one: delete its file, run this, and `make cluster-up ENGINE=docker` again. Not so for
# grafana_db_password: Postgres keeps the first one with its data.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

# Nobody else gets into the folder. The files in it are readable, because Compose mounts them with
# the owner and the mode that they have here, and each image runs as another user.
umask 022
mkdir -p secrets
chmod 700 secrets

random() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }
sha256() { sha256sum "$1" | cut -d' ' -f1; }
keep() { # keep FILE: standard input into secrets/FILE, whole or not at all
  cat >"secrets/$1.new"
  mv "secrets/$1.new" "secrets/$1"
}

# Without a closing newline: the file's hash is the password's.
for name in clickhouse_password clickhouse_reader_password clickhouse_cluster_secret \
  grafana_admin_password grafana_db_password; do
  if [ ! -s "secrets/$name" ]; then random | keep "$name"; fi
done

keep clickhouse_users.xml <<XML
<clickhouse><users>
  <headrace><password_sha256_hex>$(sha256 secrets/clickhouse_password)</password_sha256_hex></headrace>
  <reader><password_sha256_hex>$(sha256 secrets/clickhouse_reader_password)</password_sha256_hex></reader>
</users></clickhouse>
XML
# Queries between the servers run as whoever asked; fetches of parts name a user, too.
keep clickhouse_cluster.xml <<XML
<clickhouse>
  <remote_servers><headrace><secret>$(<secrets/clickhouse_cluster_secret)</secret></headrace></remote_servers>
  <interserver_http_credentials>
    <user>interserver</user><password>$(<secrets/clickhouse_cluster_secret)</password>
  </interserver_http_credentials>
</clickhouse>
XML
