"""
The one release setting. `FROM`, `releaseLabel`, the local pyspark and `image check` follow it; tests/unit/cli/test_release.py holds
the files that cannot import it (Dockerfile, .env, pyproject.toml) to it.
"""

from __future__ import annotations

RELEASE = "emr-7.13.0"
SPARK = "3.5.6"  # https://docs.aws.amazon.com/emr/latest/EMR-Serverless-UserGuide/release-version-7130.html
PYTHON = "3.11"  # of the job's own venv; the base's is another
MODEL = "mobilenet_v2-e10712fadf4b"  # job.models.fingerprint("mobilenet_v2")

BASES = {
    "serverless": "public.ecr.aws/emr-serverless/spark/{release}:latest",
    "eks": "public.ecr.aws/emr-on-eks/spark/{release}:latest",
}
