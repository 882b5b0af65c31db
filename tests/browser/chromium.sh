#!/usr/bin/env bash
# A Chromium for tests/browser: this machine's, else Debian's, installed (root only).
set -euo pipefail
command -v chromium >/dev/null || command -v chromium-browser >/dev/null || {
    apt-get update -q
    DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -q -y --no-install-recommends chromium fonts-liberation
}
