#!/usr/bin/env bash
# The Rust kernel, compiled and installed into .venv (which python.sh has made).
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

source=services/kernel
if [ ! -e "$ROOT/$source/Cargo.toml" ]; then
  echo "no $source/Cargo.toml in this checkout; the reference decoder will be used"
  exit 0
fi
key=$(key $source/Cargo.toml $source/pyproject.toml $source/src $source/python)
if fresh kernel "$key" && "$ROOT/.venv/bin/python" -c 'import headrace_kernel' 2>/dev/null; then exit 0; fi

progress "… kernel: compiling"
# No isolation: the build uses the maturin that pyproject.toml pins, already in .venv.
PATH=$ROOT/.venv/bin:$PATH "$ROOT/.venv/bin/pip" install --disable-pip-version-check -q \
  --no-build-isolation --no-deps --force-reinstall "$ROOT/$source"
"$ROOT/.venv/bin/python" -c 'import headrace_kernel; print("headrace_kernel", headrace_kernel.__version__)'
finished kernel "$key"
