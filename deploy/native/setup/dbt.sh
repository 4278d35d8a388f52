#!/usr/bin/env bash
# dbt with its ClickHouse adapter, in an environment of its own: .cache/dbt.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

wanted=schema/dbt/requirements.txt
key=$(key "$wanted")
if [ -x "$CACHE/dbt/bin/dbt" ] && fresh dbt "$key"; then exit 0; fi

progress "… dbt: installing $(grep -v '^#' "$ROOT/$wanted" | tr '\n' ' ')into .cache/dbt"
if [ ! -x "$CACHE/dbt/bin/python" ]; then python3 -m venv "$CACHE/dbt"; fi
"$CACHE/dbt/bin/pip" install --disable-pip-version-check -q -r "$ROOT/$wanted"
finished dbt "$key"
