#!/usr/bin/env bash
# No committed file names a package registry: things are installed from wherever the machine is set up for.
set -euo pipefail
cd "$(dirname "$0")/.."

if grep -nE '(--index-url|--find-links|--extra-index-url|"resolved"|https?://)' requirements*.lock ||
  grep -nE '"resolved"' package-lock.json bench/package-lock.json; then
  echo "A lock file names an address; make it again with make lock (docs/adr/0002)." >&2
  exit 1
fi

# The hosts are asked of pip and npm, both the usual ones and those that this machine is set up for.
hosts=$({
  .venv/bin/python -c 'from pip._internal.models.index import PyPI; print(PyPI.url); print(PyPI.file_storage_domain)'
  .venv/bin/python -m pip config list || true
  { command -v npm >/dev/null && npm config get registry; } || true
} 2>/dev/null | grep -oE '(https?://[^/[:space:]"]+|^[a-z.]+$)' | sed -E 's#^https?://##; s#^.*@##; s#:[0-9]+$##' | sort -u)
if [ -n "$hosts" ] && git rev-parse --git-dir >/dev/null 2>&1 && git grep -nIFi -e "$hosts" -- .; then
  echo "The files above name a package registry; say the package's name alone." >&2
  exit 1
fi
