#!/usr/bin/env bash
# Finds or installs a Chromium for the browser tests.
set -euo pipefail
cd "$(dirname "$0")/.."

for name in chromium chromium-browser google-chrome; do
  # Asked for its version, since some systems have a stub of that name that only says how to install it.
  command -v "$name" >/dev/null && "$name" --version >/dev/null 2>&1 && exit 0
done
if timeout 120 .venv/bin/playwright install chromium >/dev/null 2>&1; then
  exit 0
fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo "Installing Chromium" >&2
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq >/dev/null && apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core >/dev/null && exit 0
fi
echo "No browser for the tests could be had." >&2
echo "Mend: install Chromium (Debian: sudo apt-get install chromium), then run make test again." >&2
exit 1
