#!/usr/bin/env bash
# No committed lock names a package registry: they are installed from wherever the machine is set up for.
set -euo pipefail
cd "$(dirname "$0")/.."
if grep -nE '(--index-url|--find-links|--extra-index-url|"resolved")' requirements*.lock package-lock.json; then
  echo "A lock file names an address; make it again as docs/adr/0002 says." >&2
  exit 1
fi
