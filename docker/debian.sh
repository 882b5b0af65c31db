#!/usr/bin/env bash
# Debian as a local image, made by debootstrap, where no image registry can be reached; with the certificate authorities
# of this machine, which a proxy may need. Prints the image's name. Root only.
set -euo pipefail

name=${1:-fruitsctl-debian:bookworm}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

command -v debootstrap >/dev/null || { echo "error: `debootstrap` is not installed; hint: apt-get install debootstrap" >&2; exit 2; }
debootstrap --variant=minbase --include=ca-certificates bookworm "$folder" >&2
if ls /usr/local/share/ca-certificates/*.crt >/dev/null 2>&1; then
    cp /usr/local/share/ca-certificates/*.crt "$folder/usr/local/share/ca-certificates/"
    chroot "$folder" update-ca-certificates >&2
fi
certificates=/etc/ssl/certs/ca-certificates.crt
tar -C "$folder" -c . | docker import \
    --change "ENV SSL_CERT_FILE=$certificates PIP_CERT=$certificates REQUESTS_CA_BUNDLE=$certificates" - "$name" >&2
echo "$name"
