"""The seam: what the CLI sends is what the job reads."""

import re

import pytest

from job.contract.params import ArgumentsError, ForgetParams, Params, RunIdError, run_id
from job.spark.notebook import run_params

REQUIRED = {"input": "file:///in put", "output": "s3://bucket/out", "run_id": "r1"}


def test_arguments_survive_the_way_to_the_job_and_back():
    params = Params(
        **REQUIRED,
        variance=0.9,
        standardize=True,
        fit_on="Apple *",
        chunk_images=7,
        limit=3,
        content_hash=True,
        full_decode=True,
        weights="/w=1.h5",
        keep_runs=2,
    )

    assert Params.from_argv(params.to_argv()) == params
    assert "--standardize=True" in params.to_argv()


def test_defaults_need_no_argument():
    assert Params.from_argv(["--input=file:///a", "--output=file:///b", "--run-id=r"]) == Params("file:///a", "file:///b", "r")


@pytest.mark.parametrize(
    ("given", "means"),
    [
        ("/out", "file:///out"),
        ("out/here", "file://FOLDER/out/here"),
        (".", "file://FOLDER"),
        ("file://out", "file://FOLDER/out"),
        ("/a/../out/", "file:///out"),
        ("C:/out", "file://FOLDER/C:/out"),
        ("file:///out", "file:///out"),
        ("s3://bucket/out", "s3://bucket/out"),
        ("s3a://bucket/out", "s3a://bucket/out"),  # refused where it is opened
    ],
)
def test_a_plain_path_means_this_machine_to_spark_too(monkeypatch, tmp_path, given, means):
    """Spark would look for a plain path in its default file system, which `fs.defaultFS` may make a bucket anywhere."""
    monkeypatch.chdir(tmp_path)
    means = means.replace("FOLDER", str(tmp_path))

    run = Params.from_argv([f"--input={given}", f"--output={given}", "--run-id=r"])
    erasure = ForgetParams.from_argv([f"--output={given}", "--run-id=r", "--targets=t", "--answer=a", "--by=me", f"--logs={given}"])
    in_a_notebook = run_params(input=given, output=given)

    assert [run.input, run.output, erasure.output, erasure.logs, in_a_notebook.input, in_a_notebook.output] == [means] * 6


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("2026-12-01T03:00:00Z", "20261201T030000Z-scheduled"),  # what EventBridge Scheduler writes
        ("2028-02-29T23:59:59Z", "20280229T235959Z-scheduled"),
        ("20261201T030000Z-scheduled", "20261201T030000Z-scheduled"),
        ("20261201T030000Z-0a1b", "20261201T030000Z-0a1b"),
        ("r1", "r1"),
        ("_a.b-c", "_a.b-c"),
        ("x" * 64, "x" * 64),
    ],
)
def test_a_run_id_names_a_folder_and_a_time_of_a_schedule_becomes_one(text, means):
    run = Params.from_argv(["--input=/a", "--output=/b", f"--run-id={text}"])

    assert run.run_id == means
    assert Params.from_argv(run.to_argv()) == run


def test_run_ids_of_a_schedule_are_in_the_order_of_time_among_all_others():
    told = ["20261130T235959Z-ffff", "2026-12-01T03:00:00Z", "20261201T030001Z-0000", "2026-12-02T03:00:00Z"]

    assert sorted(map(run_id, told)) == list(map(run_id, told))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "..",
        "../other",
        ".hidden",
        "a/b",
        "a b",
        "a\n",
        "é",
        "x" * 65,
        "2026-12-01T03:00:00",  # no zone: of which day it is depends on who reads it
        "2026-12-01T03:00:00+01:00",
        "2026-12-01T03:00:00Z\n",
        "2026-13-01T03:00:00Z",
        "2026-02-30T03:00:00Z",
        "2026-12-01T25:00:00Z",
        "<aws.scheduler.scheduled-time>",  # not replaced
    ],
)
def test_what_cannot_name_a_run_is_refused_with_its_value(text):
    with pytest.raises(RunIdError, match=re.escape(f"`{text}` is not a")):
        run_id(text)
    with pytest.raises(ArgumentsError, match=re.escape(f"argument --run-id: `{text}` is not a")):
        Params.from_argv(["--input=/a", "--output=/b", f"--run-id={text}"])


@pytest.mark.parametrize("name", ["input", "output"])
def test_an_empty_address_is_an_error(name):
    """Python would take it for the working folder, and Spark for the root of its default file system."""
    words = {"input": "file:///a", "output": "file:///b", "run-id": "r"} | {name: ""}

    with pytest.raises(ArgumentsError, match=f"^argument --{name}: invalid address value: ''$"):
        Params.from_argv([f"--{key}={value}" for key, value in words.items()])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"model": "resnet"}, "not `resnet`"),
        ({"engine": "onnx"}, "not `onnx`"),
        ({"components": 0}, "not `0`"),
        ({"components": 5, "variance": 0.5}, "not both"),
        ({"variance": 1.5}, "not `1.5`"),
        ({"variance": 0.0}, "not `0.0`"),
        ({"limit": 0}, "limit is at least 1, not `0`"),
        ({"chunk_images": 0}, "not `0`"),
        ({"max_reject_ratio": -0.1}, "not `-0.1`"),
        ({"keep_runs": 0}, "not `0`"),
        ({"pca": "r0", "standardize": True}, "leave out"),
    ],
)
def test_a_value_out_of_range_is_named(wrong, message):
    with pytest.raises(ValueError, match=message):
        Params(**REQUIRED, **wrong)


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--colour=red", "unrecognized arguments: --colour=red"),
        ("--standardize=yes", "argument --standardize: true or false, not `yes`"),
        ("--components=many", "argument --components: invalid int value: 'many'"),
    ],
)
def test_an_argument_that_the_job_does_not_take_is_named(argument, message):
    with pytest.raises(ArgumentsError, match=re.escape(message)):
        Params.from_argv(["--input=a", "--output=b", "--run-id=c", argument])


@pytest.mark.parametrize("text", ["True", "true", "TRUE"])
def test_true_is_true_however_it_is_written(text):
    assert Params.from_argv(["--input=a", "--output=b", "--run-id=c", f"--standardize={text}"]).standardize is True


def test_a_missing_argument_is_named():
    with pytest.raises(ArgumentsError, match="--output, --run-id"):
        Params.from_argv(["--input=a"])


def test_the_options_of_a_run_are_what_differs_from_the_defaults():
    params = Params(**REQUIRED, variance=0.9, standardize=True, fit_on="Apple *", cache="/cache")

    assert params.options() == ["--variance", "0.9", "--standardize", "--fit-on", "Apple *"]
    assert Params(**REQUIRED).options() == []


def test_a_manifest_of_a_version_with_other_arguments_is_read():
    params = Params(**REQUIRED, variance=0.9)

    assert Params.from_manifest(vars(params) | {"colour_profile": "sRGB"}) == params
