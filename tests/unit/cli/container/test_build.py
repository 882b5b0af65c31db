"""The exact `docker build`: pure, from what the user said and where the checkout is."""

import subprocess

import pytest

from cli.container.build import plan
from cli.errors import UsageError


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
