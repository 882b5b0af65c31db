"""The photos of the local stack, as compose reads docker-compose.yml: nothing is started."""

import os
import subprocess

import pytest
import yaml

from cli.targets.compose.process import program
from tests.container.conftest import ROOT


@pytest.mark.parametrize("photos", [None, "photos", "./photos", "/tmp/photos"])
def test_photos_are_always_a_folder_and_never_a_volume_of_that_name(photos):
    environment = {name: value for name, value in os.environ.items() if name != "PHOTOS"} | ({"PHOTOS": photos} if photos else {})
    done = subprocess.run([*program(), "config"], cwd=ROOT, env=environment, capture_output=True, text=True, check=True)

    stack = yaml.safe_load(done.stdout)

    (mounted,) = [volume for volume in stack["services"]["bucket"]["volumes"] if isinstance(volume, dict) and volume["target"] == "/photos"]
    assert (mounted["type"], mounted["read_only"]) == ("bind", True)
    assert mounted["source"].endswith(photos.removeprefix(".") if photos else "/docker/sample")
    assert "photos" not in stack["volumes"]
