#!/usr/bin/env bash
# Everything that `make test` runs after lint and types.
set -euo pipefail
cd "$(dirname "$0")/.."
hard=$(ulimit -Hn)
ulimit -n "$hard" 2>/dev/null || true
# Rooms first: fast, in parallel, and measured.
.venv/bin/coverage erase
.venv/bin/coverage run -m pytest -q -n 2 -m 'not e2e and not soak' --dist loadfile "$@"
.venv/bin/coverage combine -q
.venv/bin/coverage report --skip-covered --fail-under=88 | tail -4
# Then what talks over real sockets, one test at a time.
.venv/bin/python -m pytest -q -m 'e2e and not soak' --durations=8 "$@"
