#!/usr/bin/env bash
# .venv with headrace (editable), its dependencies and the development tools.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

key=$(key pyproject.toml)
venv=$ROOT/.venv
if [ -x "$venv/bin/python" ] && fresh python "$key"; then exit 0; fi

python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
  die "headrace needs Python 3.11 or newer; python3 here is $(python3 --version)"
progress "… python: installing headrace and its tools into .venv"
if [ ! -x "$venv/bin/python" ]; then python3 -m venv "$venv"; fi
"$venv/bin/pip" install --disable-pip-version-check -q -e "$ROOT[dev]"
finished python "$key"
