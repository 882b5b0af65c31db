# versitygw for the local stack where its official image cannot be pulled: the binary of .tools/bin, at the path of that image.
ARG DEBIAN_IMAGE=debian:bookworm-slim
FROM ${DEBIAN_IMAGE}
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates wget && rm -rf /var/lib/apt/lists/*
COPY versitygw /app/versitygw
ENTRYPOINT ["/app/versitygw"]
