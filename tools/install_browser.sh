#!/bin/sh
# Finds the Chromium that browser tests use, or installs Debian's package. Ends with 1 if there is none.
set -eu

for name in chromium chromium-browser google-chrome google-chrome-stable; do
    if command -v "$name" >/dev/null; then
        echo "Browser tests use $(command -v "$name")."
        exit 0
    fi
done

if ! command -v apt-get >/dev/null; then
    echo "No Chromium was found and there is no apt-get: install Chromium, then run this again." >&2
    exit 1
fi

sudo=""
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "No Chromium was found. Run this as root: apt-get install chromium" >&2
        exit 1
    fi
    sudo="sudo -n"
fi
$sudo apt-get update -qq
DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends chromium
echo "Browser tests use $(command -v chromium)."
