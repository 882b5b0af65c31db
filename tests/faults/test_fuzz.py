"""The decoder fuzzed: by atheris for ten minutes, for twenty seconds with FRUITS_TESTS=short."""

from __future__ import annotations

import os
import re
import subprocess
import sys

from tests.faults.conftest import SHORT
from tests.faults.damage import Damage
from tests.faults.hostile_files import hostile_files

SECONDS = 20 if SHORT else 600
SEED = 20261121


def test_nothing_but_pixels_or_a_reason_comes_out_of_the_decoder(faults, photos, pytestconfig, tmp_path):
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    seeds = [*list(photos.values())[:10], *(content for _, content in hostile_files(150, SEED) if len(content) < 20_000)]
    for number, content in enumerate(seeds):
        (corpus / f"{number:03}").write_bytes(content)
    command = [sys.executable, "-m", "tests.faults.fuzz", f"--seconds={SECONDS}", f"--seed={SEED}", f"--corpus={corpus}"]

    where = {**os.environ, "PYTHONPATH": str(pytestconfig.rootpath)}
    done = subprocess.run(command, cwd=tmp_path, env=where, capture_output=True, text=True, check=False)

    said = done.stdout + done.stderr
    assert done.returncode == 0, f"{said[-3000:]}\n{[str(path) for path in tmp_path.iterdir()]}"
    found = re.search(r"Done (\d+) runs", said)
    assert found
    executions = int(found[1])
    assert executions >= len(seeds)
    faults("decoder fuzzed (files)", executions, Damage(0, 0), 0, done.returncode)
