#!/usr/bin/env bash
# What needs real minutes.
set -euo pipefail
cd "$(dirname "$0")/.."
ulimit -n "$(ulimit -Hn)" 2>/dev/null || true
.venv/bin/python -m pytest -q -m soak --timeout 900 "$@"
