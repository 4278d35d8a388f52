#!/usr/bin/env bash
# Write the generated pages, or with --check say which differ from what the code says.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$ROOT"

status=0
for page in configuration metrics; do
  if [ "${1:-}" = --check ]; then
    diff -u "docs/$page.md" <(.venv/bin/headrace docs "$page") || status=1
  else
    .venv/bin/headrace docs "$page" >"docs/$page.md"
  fi
done
[ $status -eq 0 ] || echo "generated pages differ: run make docs"
exit $status
