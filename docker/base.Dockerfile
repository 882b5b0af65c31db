# A stand-in for EMR's base image where public ECR cannot be reached: Debian, Java 17, the same Spark, and EMR's contract of paths, user,
# working directory, entrypoint and environment. What differs from EMR is in docs/how-to/docker.md.
ARG DEBIAN_IMAGE=debian:bookworm-slim
FROM ${DEBIAN_IMAGE}

RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates ca-certificates-java openjdk-17-jre-headless procps \
       python3.11 python3.11-venv python3-pip \
    && rm -rf /var/lib/apt/lists/* \
    && ln -s "$(dirname "$(dirname "$(readlink -f "$(command -v java)")")")" /etc/alternatives/jre

ENV JAVA_HOME=/etc/alternatives/jre \
    SPARK_HOME=/usr/lib/spark \
    HADOOP_HOME=/usr/lib/hadoop

# Spark as PyPI has it: jars, bin, and pyspark, put where EMR has them. Which Spark a release has is in its lock file.
ARG RELEASE
COPY requirements/${RELEASE}.txt /build/spark.txt
RUN --mount=type=cache,target=/root/.cache/pip \
    python3.11 -m pip install --disable-pip-version-check --require-hashes --no-deps --target /build/site -r /build/spark.txt \
    && mkdir -p "$SPARK_HOME/python/pyspark" /usr/lib/hadoop/lib /etc/spark/conf \
    && mv /build/site/pyspark/bin /build/site/pyspark/jars /build/site/pyspark/sbin "$SPARK_HOME/" \
    && mv /build/site/pyspark/python/lib "$SPARK_HOME/python/lib" \
    && rm -rf /build/site/pyspark/python /build/site/pyspark/examples /build/site/pyspark/data /build/site/pyspark/licenses \
    && mv /build/site/pyspark/* "$SPARK_HOME/python/pyspark/" \
    && ln -s /etc/spark/conf "$SPARK_HOME/conf" \
    && rm -rf /build

# S3A and AWS's SDK on Spark's own class path, resolved by Spark itself. What else Ivy brings Spark has already.
COPY job/spark/packages.py docker/spark_packages.sh /build/
RUN "$SPARK_HOME/bin/spark-sql" --master 'local[1]' --conf spark.jars.ivy=/build/ivy --packages "$(sh /build/spark_packages.sh)" -e 'SELECT 1' \
    && find /build/ivy/jars -name '*hadoop-aws*' -o -name '*aws*bundle*' -o -name '*analyticsaccelerator*' | xargs mv -t "$SPARK_HOME/jars/" \
    && for jar in "$SPARK_HOME"/jars/hadoop-*.jar; do ln -s "$jar" /usr/lib/hadoop/lib/; done \
    && rm -rf /build metastore_db derby.log spark-warehouse

COPY docker/entrypoint.sh /usr/bin/entrypoint.sh
RUN groupadd --gid 1000 hadoop && useradd --uid 999 --gid hadoop --create-home hadoop && chmod 755 /usr/bin/entrypoint.sh
WORKDIR /home/hadoop
USER hadoop:hadoop
ENTRYPOINT ["/usr/bin/entrypoint.sh"]
