"""Run the tutorial's commands, block by block in one folder, as a reader types them. Some wait for a person or need Docker: left out."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.test_tutorial import ENGLISH, blocks


@pytest.fixture(scope="module")
def shell(cache, short_jvm, tmp_path_factory):
    """A shell in an otherwise empty folder, `fruitsctl` on its PATH; `BROWSER` is a browser that opens nothing."""
    folder = tmp_path_factory.mktemp("tutorial")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = {**os.environ, **short_jvm, "PATH": path, "FRUITS_CACHE": str(cache), "BROWSER": "true"}

    def run(script):
        return subprocess.run(["bash", "-euo", "pipefail", "-c", script], cwd=folder, env=env, capture_output=True, text=True, check=False)

    return run


def test_the_commands_work_in_their_order_and_the_summary_says_what_the_page_says(shell):
    said = []
    for block in blocks(ENGLISH, "commands"):
        done = shell(block)
        assert done.returncode == 0, block + done.stdout[-1000:] + done.stderr[-3000:]
        said.append(done.stdout)

    assert "100 listed, 100 embedded now, 100 in the result, 10 labels" in said[1]
    assert "10 embedded now, 110 in the result, 10 labels" in said[4]
    assert "uri,label,pc1,pc2," in said[4]
