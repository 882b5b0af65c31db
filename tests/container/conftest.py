"""The image, built by the command on the base that BASE_IMAGE names (docker/standin.sh prints it), and a Docker engine."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
IMAGE = "fruitsctl:serverless"


def fruitsctl(*words, **options):
    return subprocess.run([sys.executable, "-m", "cli", *map(str, words)], cwd=ROOT, capture_output=True, text=True, check=False, **options)


def docker(*words, **options):
    done = subprocess.run(["docker", *words], capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="session")
def engine():
    done = subprocess.run(["docker", "info"], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.fail(f"there is no Docker engine: {done.stderr.strip()}", pytrace=False)


@pytest.fixture(scope="session")
def image(engine):
    """Name of the good image; what `image build` said about it is checked where it is first used."""
    done = fruitsctl("image", "build", "--json")
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)["image"]


@pytest.fixture(scope="session")
def stack_environment(image, tmp_path_factory, sample):
    """Variables for compose: its own project, 240 photos, no network for the sample."""
    photos = tmp_path_factory.mktemp("photos")
    for folder in sorted((sample / "Test").iterdir())[:24]:
        (photos / folder.name).mkdir()
        for path in folder.iterdir():
            (photos / folder.name / path.name).write_bytes(path.read_bytes())
    for path in (photos, *photos.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    for path in (photos, *list(photos.parents)[:2]):
        path.chmod(0o755)
    return {**os.environ, "JOB_IMAGE": image, "PHOTOS": str(photos), "COMPOSE_PROJECT_NAME": "fruitsctl-test"}
