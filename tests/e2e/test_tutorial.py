"""Run the part of the tutorial that needs no download, as a reader types it."""

import os
import subprocess
import sys
from pathlib import Path

from tests.docs.test_tutorial import ENGLISH, blocks


def test_the_path_without_downloads_works_on_an_empty_machine(model_cache, short_jvm, tmp_path):
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = {**os.environ, **short_jvm, "PATH": path, "FRUITS_CACHE": str(model_cache)}
    env.pop("FRUITS_ASSETS", None)
    (script,) = blocks(ENGLISH, "offline")

    done = subprocess.run(["bash", "-euo", "pipefail", "-c", script], cwd=tmp_path, env=env, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-3000:]
    assert "100 listed, 100 embedded now, 100 in the result, 10 labels" in done.stdout
    assert "Untrained network (random weights): good for trying the pipeline, not for results" in done.stdout
    assert done.stdout.count("looks like") == 10
