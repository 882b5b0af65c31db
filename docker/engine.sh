#!/usr/bin/env bash
# A Docker engine with BuildKit and compose: those of this machine, else Debian's, installed and started. Root only for the latter.
set -euo pipefail
cd "$(dirname "$0")/.."

answers() { docker info >/dev/null 2>&1; }
composes() { docker compose version >/dev/null 2>&1 || docker-compose version >/dev/null 2>&1; }

if ! { answers && composes && command -v docker-registry >/dev/null; }; then
    if ! { answers || command -v dockerd >/dev/null; } || ! composes || ! command -v docker-registry >/dev/null; then
        apt-get update -q
        DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -q -y --no-install-recommends \
            debootstrap docker.io docker-compose docker-registry iptables
    fi
    if ! answers; then
        nohup dockerd >/var/log/dockerd.log 2>&1 &
        for _ in $(seq 60); do
            answers && break
            sleep 1
        done
    fi
    answers || { echo "error: cannot start the Docker engine; hint: see /var/log/dockerd.log" >&2; exit 1; }
fi
# A docker client of 23 or newer builds only with its buildx plugin; Debian's own has BuildKit in it.
if ! docker buildx version >/dev/null 2>&1 && [ -x /usr/bin/docker ]; then
    mkdir -p .tools/bin
    ln -sf /usr/bin/docker .tools/bin/docker
fi
