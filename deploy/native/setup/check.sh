#!/usr/bin/env bash
# Everything that is wrong without running the system. All checks run; the end names those that failed.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$ROOT"

failed=()
check() { # check NAME COMMAND…: silent when fine
  local name=$1 start=$SECONDS output
  shift
  if output=$("$@" 2>&1); then
    echo "  ✓ $name ($((SECONDS - start)) s)"
  else
    echo "  ✗ $name"
    sed 's/^/      /' <<<"$output"
    failed+=("$name")
  fi
}

shell_syntax() {
  local file status=0
  for file in .ci/run deploy/native/setup/*.sh deploy/compose/*.sh deploy/compose/config/*.sh \
    deploy/compose/config/*/*.sh; do bash -n "$file" || status=1; done
  return $status
}

gateway_configurations() {
  local collector=.cache/gateway/headrace-otelcol
  $collector validate --config services/gateway/gateway.yaml &&
    HEADRACE_GATEWAY_TOKEN=any $collector validate \
      --config services/gateway/gateway.yaml --config services/gateway/auth-bearer.yaml &&
    $collector validate \
      --config services/gateway/gateway.yaml --config services/gateway/tenant-header.yaml &&
    $collector validate --config services/gateway/agent.yaml
}

check "ruff" .venv/bin/ruff check .
check "ruff format" .venv/bin/ruff format --check .
check "mypy" .venv/bin/mypy services/writer/headrace_writer schema/headrace_schema \
  loadgen/headrace_loadgen deploy/native/headrace_native deploy/observability/headrace_dashboards \
  deploy/helm/headrace_chart tests
check "shell syntax" shell_syntax
check "gateway configurations" gateway_configurations
check "generated pages" bash deploy/native/setup/docs.sh --check
if [ -e services/kernel/Cargo.toml ]; then
  manifest=(--manifest-path services/kernel/Cargo.toml)
  export PYO3_PYTHON=$ROOT/.venv/bin/python
  check "cargo fmt" cargo fmt "${manifest[@]}" --check
  check "cargo clippy" cargo clippy -q "${manifest[@]}" --all-targets --features python -- -D warnings
  check "fuzz, 20 s" bash deploy/native/setup/fuzz.sh 20
fi

if [ ${#failed[@]} -gt 0 ]; then
  IFS=,
  echo "check failed: ${failed[*]}"
  exit 1
fi
echo "check: all fine"
