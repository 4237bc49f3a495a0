#!/bin/sh
# The acceptance cases against a running system: scripts/check.sh [--url URL] [--email ADDRESS]
here=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd)
if [ -n "$PYTHON" ]; then exec "$PYTHON" -m yellowbooks check "$@"; fi
exec "$here/.venv/bin/yellowbooks" check "$@"
