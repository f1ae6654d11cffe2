#!/usr/bin/env bash
# Everything that `make test` runs after lint and types.
set -euo pipefail
cd "$(dirname "$0")/.."
hard=$(ulimit -Hn)
ulimit -n "$hard" 2>/dev/null || true
export COVERAGE_PROCESS_START=""
# Rooms first (fast, in parallel), then what talks over real sockets, one test at a time.
.venv/bin/coverage erase
.venv/bin/python -m pytest -q -n 2 -m 'not e2e and not soak' --dist loadfile "$@"
.venv/bin/python -m pytest -q -m 'e2e and not soak' "$@"
