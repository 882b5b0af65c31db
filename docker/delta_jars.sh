#!/usr/bin/env bash
# Delta's two jars under fixed names in $1: links to those of the base (EMR has them in /usr/share/aws/delta/lib), else
# what Spark itself resolves. The release is that of job/session.py.
set -euo pipefail

target=$1
aws=/usr/share/aws/delta/lib
mkdir -p "$target"
if ! ls "$aws"/delta-spark*.jar >/dev/null 2>&1; then
    "$SPARK_HOME/bin/spark-sql" --master 'local[1]' --packages io.delta:delta-spark_2.12:3.3.2 --conf spark.jars.ivy=/tmp/ivy -e 'SELECT 1'
    aws=/tmp/ivy/jars
fi
for name in delta-spark delta-storage; do
    jar=$(find "$aws" -name "*$name*.jar" | sort | tail -1)
    case $aws in
    /tmp/*) cp "$jar" "$target/$name.jar" ;;
    *) ln -s "$jar" "$target/$name.jar" ;;
    esac
done
rm -rf /tmp/ivy
