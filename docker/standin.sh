#!/usr/bin/env bash
# Where neither public ECR nor Docker Hub can be reached: Debian, EMR's stand-in and the S3 server as local images.
# Prints what to export, so that `fruitsctl image build` and `docker compose up` use them: eval "$(docker/standin.sh)"
# FRUITS_RELEASE in the environment chooses another release than .env.
set -euo pipefail
cd "$(dirname "$0")/.."
release=${FRUITS_RELEASE:-}
. ./.env
release=${release:-$FRUITS_RELEASE}

debian=fruitsctl-debian:bookworm
base=fruitsctl-base:$release
s3=fruitsctl-s3:${S3_IMAGE##*:}
export DOCKER_BUILDKIT=1 PATH="$PWD/.tools/bin:$PATH"

docker/engine.sh >&2
docker image inspect "$debian" >/dev/null 2>&1 || docker/debian.sh "$debian" >&2
docker build --file docker/base.Dockerfile --build-arg "DEBIAN_IMAGE=$debian" --build-arg "RELEASE=$release" --tag "$base" . >&2
versitygw=${FRUITS_VERSITYGW:-$(command -v versitygw || echo .tools/bin/versitygw)}
[ -x "$versitygw" ] || make s3-server >&2
context=$(mktemp -d)
trap 'rm -rf "$context"' EXIT
cp "$versitygw" "$context/versitygw"
docker build --file docker/s3.Dockerfile --build-arg "DEBIAN_IMAGE=$debian" --tag "$s3" "$context" >&2
# PATH: where docker/engine.sh puts a docker that has BuildKit. The last two: Debian's docker-compose builds without it unless it is told to.
echo "export PATH=\"$PWD/.tools/bin:\$PATH\""
echo "export FRUITS_RELEASE=$release BASE_IMAGE=$base S3_IMAGE=$s3 DOCKER_BUILDKIT=1 COMPOSE_DOCKER_CLI_BUILD=1"
