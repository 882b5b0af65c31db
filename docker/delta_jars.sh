#!/usr/bin/env bash
# Delta's two jars under fixed names in $1: links to those of the base (EMR has them in /usr/share/aws/delta/lib), else
# what Spark itself resolves.
set -euo pipefail

target=$1
aws=/usr/share/aws/delta/lib
mkdir -p "$target"
if ! ls "$aws"/delta-spark*.jar >/dev/null 2>&1; then
    packages=$(sh "$(dirname "$0")/spark_packages.sh")
    "$SPARK_HOME/bin/spark-sql" --master 'local[1]' --packages "${packages%,*}" --conf spark.jars.ivy=/tmp/ivy -e 'SELECT 1'
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
