#!/usr/bin/env bash
# Sees to a Chromium for the tests of pages in a browser: uses the one that is there, or else, as
# root on Debian or Ubuntu, installs it. Without one, those tests are skipped.
set -euo pipefail

for name in "${CHROMIUM:-}" chromium chromium-browser google-chrome google-chrome-stable chrome; do
  # On Ubuntu, chromium-browser may be a stub that asks for its snap package.
  if [[ $name ]] && command -v "$name" >/dev/null && version=$("$name" --version 2>/dev/null); then
    echo "$version"
    exit
  fi
done

if [[ $(id -u) != 0 ]] || ! command -v apt-get >/dev/null; then
  echo "There is no Chromium, and only root can install it here:" >&2
  echo "  sudo apt-get install chromium" >&2
  echo "CHROMIUM=/path/to/chrome names one that is not on the path." >&2
  exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -qq --no-install-recommends chromium fonts-dejavu-core >/dev/null
chromium --version
