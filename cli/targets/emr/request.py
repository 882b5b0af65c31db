"""What a StartJobRun request of either service says about the job: its arguments, its paths in the image, its Spark settings. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from cli.errors import UsageError
from cli.photos.assets import KERAS_WEIGHTS_URL
from job.contract.params import RUN_ID, Params, application
from job.contract.uris import is_s3, shown

# Of the image, see Dockerfile: the service starts spark-submit itself, so the image's own variables may not reach the job.
PYTHON = "/opt/fruits/venv/bin/python"
CACHE = "/opt/fruits/cache"
WEIGHTS = f"{CACHE}/weights/{KERAS_WEIGHTS_URL.rsplit('/', 1)[-1]}"


def inside_image(params: Params, flag: str, reader: str) -> Params:
    """
    Return `params` with the paths of the image.

    Args:
        params: as the user gave them.
        flag: of the target.
        reader: what reads INPUT, for the error.

    Raises:
        UsageError: INPUT or OUTPUT is not on S3, or the image has no such weights.
    """
    for uri in (params.input, params.output):
        if not is_s3(uri):
            raise UsageError(
                f"`{shown(uri)}` is not accessible from {reader}: it reads S3 only",
                "upload the photos with `fruitsctl data push FOLDER s3://bucket/photos`",
            )
    if params.weights:
        raise UsageError(f"`--weights` cannot be used with {flag}", "remove it: the image contains the weights")
    if application(params.model):
        raise UsageError(f"`--model {params.model}` cannot be used with {flag}: the image contains MobileNetV2", "run it with --local")
    return replace(params, cache=CACHE, weights=WEIGHTS if params.model == "mobilenet_v2" else None)


def check_run_id(run_id: str) -> None:
    """Raise UsageError if `run_id` cannot be the client token and the name of a job run, and name a folder."""
    if not RUN_ID.fullmatch(run_id):
        raise UsageError(f"`{run_id}` is not a valid run id", "use up to 64 letters, digits, `.`, `_` and `-`, no `.` first")


def submit_parameters(conf: Mapping[str, str]) -> str:
    """Return `--conf a=b --conf c=d`. The service splits it at white space, so no value may have any."""
    assert not any(re.search(r"\s", value) for value in conf.values())
    return " ".join(f"--conf {name}={value}" for name, value in conf.items())
