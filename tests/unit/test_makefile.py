"""What make does where one of its steps fails."""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(("script", "code"), [("false", 2), ("true", 0)])
def test_no_image_is_built_where_the_images_it_builds_on_are_missing(script, code, tmp_path):
    built = tmp_path / "built"
    (tmp_path / "fruitsctl").write_text(f"#!/bin/sh\ntouch '{built}'\n")
    (tmp_path / "fruitsctl").chmod(0o755)
    command = ["make", "image", "--old-file=install", "--old-file=s3-server", f"STANDIN_SCRIPT={script}", f"BIN={tmp_path}"]

    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == code, done.stderr
    assert built.exists() == (code == 0)
