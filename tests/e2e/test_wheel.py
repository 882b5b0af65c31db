"""The built wheel, installed by `uv tool install` from a local index into a fresh home folder, runs without the checkout."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def outside(tmp_path_factory):
    """Runs a command in an empty folder, with a home folder that has nothing but the tool."""
    uv = shutil.which("uv") or str(ROOT / ".tools" / "uv" / "bin" / "uv")
    folder = tmp_path_factory.mktemp("wheel")
    index, work = folder / "index", folder / "work"
    work.mkdir()
    subprocess.run([sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(index)], cwd=ROOT, check=True)
    cache = subprocess.run([uv, "cache", "dir"], capture_output=True, text=True, check=True).stdout.strip()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("FRUITS_", "PYTHON", "AWS_", "VIRTUAL_ENV"))}
    environment = {**kept, "HOME": str(folder), "XDG_CACHE_HOME": str(folder / "cache"), "UV_CACHE_DIR": cache}
    environment |= {"UV_TOOL_DIR": str(folder / "tools"), "UV_TOOL_BIN_DIR": str(folder / "bin")}
    constraints = ["--constraints", str(ROOT / "requirements" / "job.txt")]
    subprocess.run(
        [uv, "tool", "install", "--quiet", "--python", sys.executable, *constraints, "--find-links", str(index), "fruitsctl[job]"],
        cwd=work,
        env=environment,
        check=True,
    )

    def run(*words):
        return subprocess.run(
            [str(folder / "bin" / "fruitsctl"), *words], cwd=work, env=environment, capture_output=True, text=True, check=False
        )

    return run


def test_photos_are_drawn_and_run(outside):
    for words in (
        ("sample", "photos", "--generated", "--images", "24", "--classes", "12"),
        ("run", "photos", "out", "--local", "--model", "mean_colour", "--components", "2"),
    ):
        done = outside(*words)
        assert done.returncode == 0, done.stderr[-2000:]
    assert "report.html" in done.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("image", "build"), "there is no Dockerfile in `"),
        (("run", "s3://fruits/photos", "s3://fruits/out", "--compose"), "there is no docker-compose.yml in `"),
        (("notebook", "--compose"), "there is no docker-compose.yml in `"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_needs_the_checkout_says_so(outside, words, message):
    done = outside(*words)

    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {message}")
    assert "checkout" in done.stderr
