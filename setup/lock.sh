#!/usr/bin/env bash
# Makes the locks from the *.in files: with hashes, without an address (docs/adr/0002). Pins stay unless asked:
# `make lock ARGS="--upgrade"`, or `ARGS="--upgrade-package flask"`.
set -euo pipefail
cd "$(dirname "$0")/.."

uv=$(command -v .venv/bin/uv || command -v uv || true)
if [ -z "$uv" ]; then
  echo "Fetching uv" >&2
  folder=$(mktemp -d)
  trap 'rm -rf "$folder"' EXIT
  .venv/bin/python -m pip install -qq --disable-pip-version-check --target "$folder" uv || {
    echo "Mend: install uv, then run make lock again." >&2
    exit 1
  }
  uv=$folder/bin/uv
fi
for name in requirements requirements-dev requirements-parquet requirements-node; do
  "$uv" pip compile "$name.in" --quiet --universal --python-version 3.11 --generate-hashes --no-header \
    --no-emit-index-url --no-emit-find-links "$@" -o "$name.lock"
done
