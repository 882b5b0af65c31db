#!/bin/sh
# Prints what `--packages` of the Spark in SPARK_HOME takes: Delta and S3A, from the table in packages.py beside this file.
set -eu

jar=$(basename "$SPARK_HOME"/jars/spark-core_*.jar .jar) # spark-core_2.13-4.0.2
cd "$(dirname "$0")"
python3.11 -c 'import sys; from packages import packages; print(*packages(sys.argv[1]), sep=",")' "${jar#spark-core_*-}"
