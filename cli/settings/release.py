"""
Define the EMR release: FRUITS_RELEASE, or DEFAULT.

`FROM`, `releaseLabel`, Spark's pin and `image check` follow it. tests/unit/cli/settings/test_release.py checks the files that cannot import
it: Dockerfile, .env, pyproject.toml, requirements/.
"""

from __future__ import annotations

from cli.settings.config import environment

RELEASES = {  # release -> its Spark; requirements/<release>.txt pins it
    # https://docs.aws.amazon.com/emr/latest/EMR-Serverless-UserGuide/release-version-7130.html
    "emr-7.13.0": "3.5.6",
    # https://docs.aws.amazon.com/emr/latest/EMR-Serverless-UserGuide/release-version-emr-spark-8.0.0.html
    "emr-spark-8.0.0": "4.0.2",
    # https://docs.aws.amazon.com/emr/latest/ReleaseGuide/emr-spark810-release.html
    "emr-spark-8.1.0": "4.1.1",
}
DEFAULT = "emr-7.13.0"
RELEASE = environment().get("FRUITS_RELEASE") or DEFAULT
SPARK = RELEASES.get(RELEASE, "")  # `image build` refuses a release that is not in the table
PYTHON = "3.11"  # of the job's own venv; the base's is another
MODEL = "mobilenet_v2-b45530352008"  # job.imaging.networks.fingerprint("mobilenet_v2")

BASES = {
    "serverless": "public.ecr.aws/emr-serverless/spark/{release}:latest",
    "eks": "public.ecr.aws/emr-on-eks/spark/{release}:latest",
}
