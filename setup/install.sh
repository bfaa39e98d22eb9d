#!/usr/bin/env bash
# Sets up what `make run` and `make test` need. Nothing that is there is installed again.
# Usage: setup/install.sh run|dev
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '%s\n' "$*" >&2; }
fail() { say "Set-up failed: $1"; say "Mend: $2"; exit 1; }

python="${PYTHON:-}"
if [ -z "$python" ]; then
  for candidate in python3.13 python3.12 python3.11 python3; do
    if command -v "$candidate" >/dev/null && "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      python=$candidate
      break
    fi
  done
fi
[ -n "$python" ] || fail "no Python 3.11 or newer" "install it, or name it: make install PYTHON=/path/to/python3"

if [ ! -x .venv/bin/python ]; then
  say "Making .venv"
  # A half-made one would be taken for whole the next time.
  "$python" -m venv .venv || { rm -rf .venv; fail "python -m venv" "on Debian: apt-get install python3-venv"; }
fi

# Installs a lock file unless this very lock is in already.
install_lock() {
  local stamp=".venv/.installed-$2" sum
  sum=$(.venv/bin/python -c 'import hashlib,sys; print(hashlib.sha256(open(sys.argv[1],"rb").read()).hexdigest())' "$1")
  if [ "$(cat "$stamp" 2>/dev/null)" != "$sum" ]; then
    say "Installing $1"
    .venv/bin/python -m pip install -qq --disable-pip-version-check --require-hashes -r "$1" ||
      fail "pip install -r $1" "look at the message above; the package index must be reachable"
    printf '%s' "$sum" > "$stamp"
  fi
}

if [ "${1:-run}" = dev ]; then
  install_lock requirements-dev.lock dev
elif [ ! -e .venv/.installed-dev ]; then
  install_lock requirements.lock run
else
  install_lock requirements-dev.lock dev
fi

# Front-end files: npm, or the one in a Python wheel where there is no Node.
if [ "$(cat node_modules/.installed 2>/dev/null)" != "$(cksum < package-lock.json)" ]; then
  say "Installing front-end files"
  if command -v npm >/dev/null; then
    npm ci --ignore-scripts --no-progress --loglevel=error >/dev/null ||
      fail "npm ci" "look at the message above; the npm registry must be reachable"
  else
    install_lock requirements-node.lock node
    .venv/bin/npm ci --ignore-scripts --no-progress --loglevel=error >/dev/null ||
      fail "npm ci with the npm of .venv" "look at the message above, or install Node.js with npm"
  fi
  cksum < package-lock.json > node_modules/.installed
fi
