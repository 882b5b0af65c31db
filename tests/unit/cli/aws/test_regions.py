"""The guard on Regions, by itself and as the command's first act."""

import os
import subprocess
import sys

import boto3
import pytest

from cli.aws.errors import client
from cli.aws.regions import EU_REGIONS, refuse_outside_eu
from cli.container.ecr import own_registry, region_of
from cli.container.push import split
from cli.errors import RefusedError


def fruitsctl(*words):
    """`fruitsctl` where neither docker nor AWS credentials are to be had: a refusal must come before both."""
    return subprocess.run(
        [sys.executable, "-m", "cli", *words],
        env={**{name: value for name, value in os.environ.items() if not name.startswith("AWS_")}, "PATH": "/nowhere"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_list_is_the_six_regions_of_the_union_and_the_sovereign_cloud():
    assert sorted(EU_REGIONS) == ["eu-central-1", "eu-north-1", "eu-south-1", "eu-south-2", "eu-west-1", "eu-west-3", "eusc-de-east-1"]


def test_every_region_of_the_list_has_the_services_that_a_run_needs():
    session = boto3.session.Session()
    for service in ("emr-serverless", "ecr"):
        there = {*session.get_available_regions(service), *session.get_available_regions(service, partition_name="aws-eusc")}
        assert set(EU_REGIONS) - there == set()


@pytest.mark.parametrize("region", ["us-east-1", "eu-west-2", "eu-central-2", "eu-isoe-west-1", "eu-west-9", "EU-WEST-3", ""])
def test_other_regions_are_refused_with_exit_code_3(region):
    with pytest.raises(RefusedError, match=f"Region `{region}`") as refusal:
        refuse_outside_eu(region)

    assert refusal.value.exit_code == 3
    assert refusal.value.hint.startswith("use eu-west-3, or one of eu-west-1, ")


def test_london_is_named_with_its_reason():
    with pytest.raises(RefusedError, match=r"Region `eu-west-2` \(London\) is not on the list of Regions in the European Union"):
        refuse_outside_eu("eu-west-2")


@pytest.mark.parametrize("make", [lambda session, region: client(session, "ecr", region), own_registry])
def test_no_client_is_made_for_another_region(make):
    with pytest.raises(RefusedError):
        make(None, "us-east-1")  # a session is not even looked at


@pytest.mark.parametrize(
    ("address", "region"),
    [
        ("123456789012.dkr.ecr.eu-west-3.amazonaws.com/fruitsctl", "eu-west-3"),
        ("123456789012.DKR.ECR.US-EAST-1.amazonaws.com/fruitsctl", "us-east-1"),
        ("123456789012.dkr.ecr.us-east-1.amazonaws.com:443/fruitsctl", "us-east-1"),
        ("123456789012.dkr.ecr.us-east-1.amazonaws.com./fruitsctl", "us-east-1"),
        ("123456789012.dkr.ecr-fips.us-west-2.amazonaws.com/fruitsctl", "us-west-2"),
        ("123456789012.dkr-ecr.eu-west-2.on.aws/fruitsctl", "eu-west-2"),
        ("123456789012.dkr.ecr.eusc-de-east-1.amazonaws.eu/fruitsctl", "eusc-de-east-1"),
        ("vpce-0a1b.dkr.ecr.eu-central-2.vpce.amazonaws.com/fruitsctl", "eu-central-2"),
        ("public.ecr.aws/alice/fruitsctl", "us-east-1"),
        ("public.ecr.aws.:443/alice/fruitsctl", "us-east-1"),
        ("ecr-public.aws.com/alice/fruitsctl", "us-east-1"),
        ("127.0.0.1:5000/fruitsctl", None),
        ("ghcr.io/alice/ecr.us-east-1.fruits", None),
    ],
)
def test_an_ecr_host_name_tells_its_region(address, region):
    assert region_of(split(address)[0]) == region


@pytest.mark.parametrize("typed", [str.lower, str.upper, str.title])
@pytest.mark.parametrize(
    ("host", "region"),
    [
        ("111122223333.dkr.ecr.us-east-1.amazonaws.com", "us-east-1"),
        ("111122223333.dkr-ecr.eu-west-3.on.aws", "eu-west-3"),
        ("public.ecr.aws", "us-east-1"),
        ("ecr-public.aws.com:443", "us-east-1"),
    ],
)
def test_it_does_so_however_it_is_typed(typed, host, region):
    assert region_of(typed(host)) == region


@pytest.mark.parametrize(
    "image",
    [
        "111122223333.dkr.ECR.us-east-1.amazonaws.com/fruits",
        "111122223333.dkr.ecr.US-EAST-1.amazonaws.com/fruits",
        "PUBLIC.ecr.aws/alice/fruits",
    ],
)
@pytest.mark.parametrize("words", [("infra", "up"), ("infra", "up", "--dry-run"), ("infra", "plan")], ids=" ".join)
def test_the_image_of_an_application_is_in_the_union(words, image):
    done = fruitsctl(*words, "--image", f"{image}@sha256:{'0a' * 32}")

    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith("error: Region `us-east-1` is not on the list of Regions in the European Union")


@pytest.mark.parametrize(
    "words",
    [
        ("--region", "us-east-1"),
        ("--region", "us-east-1", "--dry-run"),
        ("123456789012.dkr.ecr.us-east-1.amazonaws.com/fruitsctl",),
        ("123456789012.dkr.ecr.us-east-1.amazonaws.com/fruitsctl", "--region", "eu-west-3"),
    ],
)
def test_the_command_refuses_before_docker_and_aws_are_asked(words):
    done = fruitsctl("image", "push", *words)

    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith("error: Region `us-east-1` is not on the list of Regions in the European Union")


def test_inside_the_union_the_command_continues_with_docker():
    done = fruitsctl("image", "push", "--region", "eu-west-3")

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: there is no `docker` on this machine\n\nhint: install Docker Engine 23 or newer\n"
