# Image of the job: Spark of EMR, and in /opt/fruits Python 3.11 with TensorFlow, LiteRT, the job and its converted model.
# Layers that change rarely come first, so that an edit in job/ rebuilds only the last ones. RELEASE equals cli/settings/release.py; a test compares them.
ARG RELEASE=emr-7.13.0
ARG BASE_IMAGE=public.ecr.aws/emr-serverless/spark/${RELEASE}:latest

# EMR's base with a Python 3.11 of the distribution (Amazon Linux 2023; docker/base.Dockerfile has one).
FROM ${BASE_IMAGE} AS python
USER root
RUN command -v python3.11 >/dev/null || { dnf install -y python3.11 python3.11-pip && dnf clean all; }

# Everything the job imports besides Spark, pinned by hash. `fruits.pth` leads to the base's own pyspark (spark-submit
# overrides PYTHONPATH) and to the job; a second pyspark must never be installed. Byte code names its source by hash, not by time, so that
# two builds are alike.
FROM python AS packages
COPY requirements/uv.txt requirements/image.txt /build/
RUN --mount=type=cache,target=/root/.cache \
    python3.11 -m pip install --quiet --disable-pip-version-check --require-hashes --target /build/uv -r /build/uv.txt \
    && python3.11 -m venv --without-pip /opt/fruits/venv \
    && PYTHONHASHSEED=0 PYC_INVALIDATION_MODE=UNCHECKED_HASH \
       UV_SYSTEM_CERTS=true /build/uv/bin/uv pip install --quiet --python /opt/fruits/venv/bin/python --require-hashes --no-deps --link-mode copy \
       --compile-bytecode -r /build/image.txt \
    && printf '%s\n' "$SPARK_HOME/python" "$SPARK_HOME"/python/lib/py4j-*-src.zip /opt/fruits/app \
       > /opt/fruits/venv/lib/python3.11/site-packages/fruits.pth

# The venv without files that only the stage `model` needs.
FROM packages AS slim
COPY docker/slim.sh /build/
RUN sh /build/slim.sh /opt/fruits/venv

# Keras's official weights, from build/weights/ of the context or downloaded, converted and checked against the known answer; and Vega for reports.
FROM packages AS model
COPY cli/__init__.py cli/errors.py /opt/fruits/app/cli/
COPY cli/photos/__init__.py cli/photos/assets.py cli/photos/files.py cli/photos/http_file.py /opt/fruits/app/cli/photos/
COPY cli/settings/__init__.py cli/settings/atomic_write.py cli/settings/waiting.py /opt/fruits/app/cli/settings/
COPY cli/ui/__init__.py cli/ui/output.py /opt/fruits/app/cli/ui/
COPY job/__init__.py /opt/fruits/app/job/
COPY job/contract/__init__.py job/contract/errors.py job/contract/params.py job/contract/records.py job/contract/atomic_write.py job/contract/uris.py /opt/fruits/app/job/contract/
COPY job/imaging/__init__.py job/imaging/engines.py job/imaging/keras_to_litert.py job/imaging/networks.py job/imaging/proof.py job/imaging/untrained.py /opt/fruits/app/job/imaging/
COPY job/imaging/known_answers /opt/fruits/app/job/imaging/known_answers
COPY job/product/__init__.py /opt/fruits/app/job/product/
COPY job/product/report/__init__.py job/product/report/vega.py /opt/fruits/app/job/product/report/
# The pattern may match nothing; the script beside it always does.
COPY docker/bake_model.py build/weights*/*no_top*.h5 /build/weights/
RUN /opt/fruits/venv/bin/python /build/weights/bake_model.py /opt/fruits/cache

FROM python AS job
COPY --from=slim /opt/fruits/venv /opt/fruits/venv
COPY --from=model /opt/fruits/cache /opt/fruits/cache
# Volumes of the local stack get these owners, so that no process there runs as root.
RUN install -d -o hadoop -g hadoop /opt/fruits/stack/events /opt/fruits/stack/keys /opt/fruits/stack/notebooks \
    && install -d -o 1000 -g 1000 /opt/fruits/stack/s3
ENV PYSPARK_PYTHON=/opt/fruits/venv/bin/python \
    PYSPARK_DRIVER_PYTHON=/opt/fruits/venv/bin/python \
    FRUITS_CACHE=/opt/fruits/cache \
    PATH=/opt/fruits/bin:$PATH
COPY docker/bin /opt/fruits/bin
COPY docker/run_job.py /opt/fruits/run_job.py
COPY cli /opt/fruits/app/cli
COPY job /opt/fruits/app/job
COPY notebooks /opt/fruits/notebooks
# Nothing at run time may write there: without byte code every process would compile all that it imports of the job.
RUN --mount=type=bind,source=docker/byte_code.py,target=/build/byte_code.py \
    PYTHONHASHSEED=0 /opt/fruits/venv/bin/python /build/byte_code.py /opt/fruits/app
ARG RELEASE
ARG BASE_IMAGE
ARG TARGET=serverless
ARG REVISION=unknown
ARG VERSION=unknown
ARG SOURCE=unknown
ARG MODEL=unknown
LABEL org.opencontainers.image.title="fruitsctl" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.base.name="${BASE_IMAGE}" \
      fruitsctl.release="${RELEASE}" \
      fruitsctl.target="${TARGET}" \
      fruitsctl.model="${MODEL}"
USER hadoop:hadoop

# The same image with the tests and what they need: `docker compose run --rm test`.
FROM job AS test
USER root
COPY requirements/test.txt /build/
RUN --mount=type=cache,target=/root/.cache --mount=type=bind,from=packages,source=/build/uv,target=/build/uv \
    --mount=type=bind,source=docker/byte_code.py,target=/build/byte_code.py \
    UV_SYSTEM_CERTS=true /build/uv/bin/uv pip install --quiet --python /opt/fruits/venv/bin/python --require-hashes --no-deps --link-mode copy -r /build/test.txt \
    && PYTHONHASHSEED=0 /opt/fruits/venv/bin/python /build/byte_code.py /opt/fruits/venv
COPY tests /opt/fruits/app/tests
COPY pyproject.toml /opt/fruits/app/pyproject.toml
WORKDIR /opt/fruits/app
USER hadoop:hadoop

# The same image with JupyterLab: `docker compose --profile notebook up notebook`.
FROM job AS notebook
USER root
COPY requirements/notebook.txt /build/
RUN --mount=type=cache,target=/root/.cache --mount=type=bind,from=packages,source=/build/uv,target=/build/uv \
    --mount=type=bind,source=docker/byte_code.py,target=/build/byte_code.py \
    UV_SYSTEM_CERTS=true /build/uv/bin/uv pip install --quiet --python /opt/fruits/venv/bin/python --require-hashes --no-deps --link-mode copy -r /build/notebook.txt \
    && PYTHONHASHSEED=0 /opt/fruits/venv/bin/python /build/byte_code.py /opt/fruits/venv
USER hadoop:hadoop

FROM job
