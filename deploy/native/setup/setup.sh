#!/usr/bin/env bash
# Everything headrace needs on a Debian 12 machine, from a fresh clone. Run by `make setup`.
#
#   apt      Debian packages by name, only those that are missing
#   python   .venv with the project and its development tools
#   kernel   the Rust kernel, built into .venv
#   kafka    the broker's jars from Maven Central, held to libs.sha256
#   gateway  the OpenTelemetry Collector distribution, built by ocb
#
# A step whose inputs have not changed does nothing. Downloads and builds stay in .cache.
here=$(dirname "${BASH_SOURCE[0]}")
. "$here/lib.sh"

# Two makes at once (say `make demo` in one window, `make test` in another) take turns.
exec 9>"$STAMPS/lock"
if ! flock -n 9; then
  echo "setup: another one is running; waiting for it"
  flock 9
fi

exec 3>&1 # steps report progress here while their output goes to a log
began=$SECONDS

run() { # run STEP: its output goes to a log, whose end is shown when it fails
  local log=$STAMPS/$1.log start=$SECONDS
  if ! bash "$here/$1.sh" >"$log" 2>&1 9>&-; then
    { echo "✗ setup: $1 failed; the end of $log:"; tail -n 25 "$log" | sed 's/^/    /'; } >&2
    return 1
  fi
  if [ $((SECONDS - start)) -ge 2 ]; then progress "✓ $1 ($((SECONDS - start)) s)"; fi
}

run apt || exit 1

# Side by side: the Go build needs the processor, the others mostly the network.
run gateway & gateway=$!
run kafka & kafka=$!
{ run python && run kernel; } & python=$!

status=0
for step in $python $kafka $gateway; do wait "$step" || status=1; done
if [ $status -ne 0 ]; then exit 1; fi
if [ $((SECONDS - began)) -ge 2 ]; then echo "setup: everything is in place ($((SECONDS - began)) s)"; fi
