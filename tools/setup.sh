#!/usr/bin/env bash
# Brings a fresh Debian machine to the point where everything of the Makefile runs.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '\033[1m%s\033[0m\n' "setup: $*"; }

as_root() {
  if [ "$(id -u)" -eq 0 ]; then "$@"
  elif command -v sudo >/dev/null; then sudo "$@"
  else echo "setup: needs root or sudo for: $*" >&2; exit 1
  fi
}

# Foreign phones and tools that the tests talk to, beside what Python itself needs.
packages=()
need() { command -v "$1" >/dev/null || packages+=("${@:2}"); }
need sipp sip-tester
need baresip baresip-core baresip-ffmpeg
need sipsak sipsak
need espeak-ng espeak-ng
need sox sox
need unshare util-linux
need ip iproute2
python=$(command -v python3.11 || command -v python3 || true)
[ -n "$python" ] || packages+=(python3 python3-venv)
if [ -n "$python" ] && ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then packages+=(python3-venv); fi
if [ ${#packages[@]} -gt 0 ]; then
  say "system packages: ${packages[*]}"
  as_root apt-get update -qq
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
  python=$(command -v python3.11 || command -v python3)
fi

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
  echo "setup: Python 3.11 or newer is needed, found $("$python" --version)" >&2; exit 1; }

if [ ! -x .venv/bin/python ]; then
  say "virtual environment"
  "$python" -m venv .venv
fi
say "Python packages (requirements.lock)"
.venv/bin/python -m pip install -q --disable-pip-version-check 'uv>=0.8'
.venv/bin/python -m uv pip install -q --python .venv/bin/python -r requirements.lock
.venv/bin/python -m uv pip install -q --python .venv/bin/python --no-deps -e .
touch .venv/.ready
say "ready"
