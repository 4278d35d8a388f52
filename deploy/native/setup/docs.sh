#!/usr/bin/env bash
# Pages that are generated from code: write them, or with --check tell whether one differs.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$ROOT"

status=0
page() { # page FILE COMMAND…: the page is what the command prints
  local file=$1 text
  shift
  text=$("$@"; echo .) # the dot keeps the closing newline, which $() would cut
  if [ "${check:-}" = yes ]; then
    diff -u --label "$file" --label "$file, generated" "$file" <(printf %s "${text%.}") || status=1
  else
    printf %s "${text%.}" >"$file"
  fi
}

if [ "${1:-}" = --check ]; then check=yes; fi
page docs/configuration.md .venv/bin/headrace docs configuration
page docs/metrics.md .venv/bin/headrace docs metrics
export PYTHONPATH=deploy/observability:deploy/helm
for name in lag cluster loadgen llm; do
  page deploy/observability/grafana/dashboards/$name.json .venv/bin/python -m headrace_dashboards $name
done
page deploy/helm/headrace/README.md .venv/bin/python -m headrace_chart
if [ $status -ne 0 ]; then echo "run: make docs"; fi
exit $status
