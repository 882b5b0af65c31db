#!/bin/sh
# Prints what `--packages` of the Spark in SPARK_HOME takes: S3A, from the table in packages.py beside this file.
set -eu

jar=$(basename "$SPARK_HOME"/jars/spark-core_*.jar .jar) # spark-core_2.13-4.0.2
cd "$(dirname "$0")"
python3.11 -c 'import sys; from packages import s3a; print(s3a(sys.argv[1]))' "${jar#spark-core_*-}"
