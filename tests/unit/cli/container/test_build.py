"""The exact `docker build`: pure, from what the user said and where the checkout is."""

import subprocess
from pathlib import Path

import pytest

import cli
from cli.container.build import build, plan
from cli.errors import RefusedError, UsageError


@pytest.fixture
def checkout(tmp_path):
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    return tmp_path


def arguments(todo):
    return dict(word.removeprefix("--build-arg=").split("=", 1) for word in todo.command if word.startswith("--build-arg="))


def test_the_target_chooses_the_base_and_the_name(checkout):
    serverless, eks = (plan(checkout, target, None, None, "linux/amd64", buildx=True) for target in ("serverless", "eks"))

    assert (serverless.image, eks.image) == ("fruitsctl:serverless", "fruitsctl:eks")
    assert arguments(serverless)["BASE_IMAGE"] == "public.ecr.aws/emr-serverless/spark/emr-7.13.0:latest"
    assert arguments(eks)["BASE_IMAGE"] == "public.ecr.aws/emr-on-eks/spark/emr-7.13.0:latest"
    assert arguments(eks)["TARGET"] == "eks"


def test_one_manifest_and_no_index_is_asked_of_buildx_alone(checkout):
    assert {"--provenance=false", "--sbom=false"} <= set(plan(checkout, "eks", None, None, "linux/arm64", buildx=True).command)
    assert not {"--provenance=false", "--sbom=false"} & set(plan(checkout, "eks", None, None, "linux/arm64", buildx=False).command)


def test_a_token_in_the_remote_does_not_get_into_a_label(checkout):
    for words in (["init", "-q"], ["remote", "add", "origin", "https://user:hush@example.org/fruits.git"]):
        subprocess.run(["git", "-C", str(checkout), *words], check=True)

    todo = plan(checkout, "serverless", None, None, "linux/amd64", buildx=True)

    assert arguments(todo)["SOURCE"] == "https://example.org/fruits.git"
    assert "hush" not in " ".join(todo.command)


def test_a_folder_without_git_has_an_unknown_revision(checkout):
    assert arguments(plan(checkout, "serverless", None, None, "linux/amd64", buildx=True))["REVISION"] == "unknown"


def test_a_folder_without_a_dockerfile_and_a_wrong_target_are_named(tmp_path, checkout):
    with pytest.raises(UsageError, match=r"there is no Dockerfile in `.*/absent`"):
        plan(tmp_path / "absent", "serverless", None, None, "linux/amd64", buildx=True)
    with pytest.raises(UsageError, match="not `ec2`"):
        plan(checkout, "ec2", None, None, "linux/amd64", buildx=True)


@pytest.mark.parametrize(
    "cache",
    [
        "type=gha,scope=eks",
        "type=local,dest=/tmp/layers",
        "type=registry,ref=111122223333.dkr.ecr.eu-west-3.amazonaws.com/layers",
        "Type=registry,REF=111122223333.dkr.ecr.eu-west-3.amazonaws.com/layers",
    ],
)
def test_layers_may_be_cached_here_at_github_and_in_a_registry_inside_the_union(checkout, cache):
    command = plan(checkout, "eks", None, None, "linux/amd64", True, cache).command

    assert {f"--cache-from={cache}", f"--cache-to={cache},mode=max"} <= set(command)


@pytest.mark.parametrize(
    ("cache", "error"),
    [
        ("type=registry,ref=111122223333.dkr.ecr.us-east-1.amazonaws.com/layers", RefusedError),
        ("type=registry,ref=public.ecr.aws/alice/layers", RefusedError),
        ("type=registry,REF=111122223333.dkr.ecr.us-east-1.amazonaws.com/layers", RefusedError),
        ("type=registry,ref=111122223333.dkr.ECR.US-EAST-1.amazonaws.com/layers", RefusedError),
        ("type=registry,ref=ghcr.io/alice/layers,Ref=111122223333.dkr.ecr.us-east-1.amazonaws.com/layers", UsageError),
        ("type=registry,ref=111122223333.dkr.ecr.us-east-1.amazonaws.com/layers,ref=ghcr.io/alice/layers", UsageError),
        ("type=gha,type=registry,ref=111122223333.dkr.ecr.us-east-1.amazonaws.com/layers", UsageError),
        ('type=gha,"type=registry","ref=111122223333.dkr.ecr.us-east-1.amazonaws.com/layers"', UsageError),
        ('type=gha,"scope=a,b"', UsageError),
        ("type=s3,region=us-east-1,bucket=layers", UsageError),
        ("type=azblob,name=layers", UsageError),
        ("type=registry", UsageError),
        ("layers", UsageError),
    ],
)
def test_layers_are_not_cached_elsewhere(checkout, cache, error):
    with pytest.raises(error):
        plan(checkout, "eks", None, None, "linux/amd64", True, cache)


@pytest.mark.parametrize(
    ("notebook", "error"),
    [
        ('{"cells": [{"cell_type": "code", "outputs": [{"output_type": "display_data", "data": {"image/png": "aGk="}}]}]}', RefusedError),
        ("{", UsageError),
        ('{"cells": 1}', UsageError),
    ],
)
def test_a_notebook_with_outputs_does_not_get_into_an_image(checkout, notebook, error):
    (checkout / "notebooks").mkdir()
    (checkout / "notebooks" / "local.ipynb").write_text(notebook)

    with pytest.raises(error, match=r"^`.*local\.ipynb` "):
        build(plan(checkout, "eks", None, None, "linux/amd64", True), checkout, checkout / "weights.h5", {})


def test_only_the_projects_own_notebooks_are_in_the_context():
    root = Path(cli.__file__).parents[1]

    kept = {line.removeprefix("!") for line in (root / ".dockerignore").read_text().splitlines() if line.startswith("!notebooks/")}
    assert "notebooks/*" in (root / ".dockerignore").read_text().splitlines()
    assert kept == {"notebooks/cloud.ipynb", "notebooks/local.ipynb"}
