#!/usr/bin/env bash
# The kernel's mutation fuzzer for SECONDS (default 60); its seed is printed, a finding ends it with 1.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

exec cargo run -q --profile fuzz --features harness \
  --manifest-path "$ROOT/services/kernel/Cargo.toml" --bin fuzz -- \
  --seconds "${1:-60}"
