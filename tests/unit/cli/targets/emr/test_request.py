"""What both services of EMR refuse alike, and the paths that a job has inside the image."""

from dataclasses import replace

import pytest

from cli.errors import UsageError
from cli.targets.emr.request import inside_image
from job.contract.params import Params

PARAMS = Params("s3://bucket/photos", "s3://bucket/out", "r1", cache="/home/a/.cache")


def refused(params, flag="--serverless", reader="the service"):
    with pytest.raises(UsageError) as error:
        inside_image(params, flag, reader)
    return str(error.value)


@pytest.mark.parametrize("name", ["input", "output"])
@pytest.mark.parametrize("reader", ["the service", "the cluster"])
def test_input_and_output_on_this_machine_are_refused(name, reader):
    assert refused(replace(PARAMS, **{name: "file:///here"}), reader=reader) == f"`/here` is not accessible from {reader}: it reads S3 only"


@pytest.mark.parametrize("flag", ["--serverless", "--eks"])
def test_weights_of_this_machine_are_refused(flag):
    assert refused(replace(PARAMS, weights="/w.h5"), flag) == f"`--weights` cannot be used with {flag}"
    other = f"`--model keras:Xception` cannot be used with {flag}: the image contains MobileNetV2"
    assert refused(replace(PARAMS, model="keras:Xception"), flag) == other


@pytest.mark.parametrize(
    ("model", "weights"),
    [
        ("mobilenet_v2", "/opt/fruits/cache/weights/mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5"),
        ("mean_colour", None),
    ],
)
def test_the_job_has_the_cache_and_the_weights_of_the_image(model, weights):
    inside = inside_image(replace(PARAMS, model=model), "--eks", "the cluster")

    assert (inside.cache, inside.weights) == ("/opt/fruits/cache", weights)
