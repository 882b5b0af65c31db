"""One OUTPUT, written by each release's Spark and Delta in turn, and by the first again: moving works, and so does moving back."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cli.settings.release import DEFAULT, RELEASES

ROOT = Path(__file__).parents[2]
PYTHONS = {release: sys.executable if release == DEFAULT else str(ROOT / f".venv-{release}" / "bin" / "python") for release in RELEASES}


@pytest.fixture
def run(cache, short_jvm, tmp_path):
    """A run by the Spark of `release` on tmp_path/photos, with further options; its manifest."""

    def start(release, *options):
        jvm = short_jvm if release == DEFAULT else {**short_jvm, "SPARK_SUBMIT_OPTS": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"}
        environment = {name: value for name, value in os.environ.items() if name != "SPARK_HOME"}
        environment |= {"FRUITS_CACHE": str(cache), "FRUITS_RELEASE": release, **jvm}
        words = [
            "run",
            tmp_path / "photos",
            tmp_path / "out",
            "--local",
            "--json",
            "--components",
            "5",
            "--model",
            "mobilenet_v2_untrained",
            *options,
        ]
        command = [PYTHONS[release], "-m", "cli", *map(str, words)]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-3000:]
        return json.loads(done.stdout)

    return start


def add_photos(sample, folder, first, count):
    for label in ("Apple Red 1", "Apple Granny Smith"):
        (folder / label).mkdir(parents=True, exist_ok=True)
        for path in sorted((sample / "Training" / label).iterdir())[first : first + count]:
            (folder / label / path.name).write_bytes(path.read_bytes())


def test_an_output_goes_from_release_to_release_and_back(run, sample, matrix, tmp_path):
    seen = []
    for number, release in enumerate([*RELEASES, DEFAULT]):
        add_photos(sample, tmp_path / "photos", 3 * number, 3)
        manifest = run(release)
        seen.append((manifest["versions"]["pyspark"], manifest["counts"]["new"], manifest["counts"]["rows"]))
    by_last = {uri: scores for uri, _, scores in matrix(tmp_path / "out", manifest["run_id"])}
    again = run("emr-spark-8.1.0")  # nothing is new: the same axes from the same features, by another Spark
    by_another = {uri: scores for uri, _, scores in matrix(tmp_path / "out", again["run_id"])}

    assert seen == [("3.5.6", 6, 6), ("4.0.2", 6, 12), ("4.1.1", 6, 18), ("3.5.6", 6, 24)]
    assert again["counts"]["new"] == 0
    assert by_last.keys() == by_another.keys()
    assert max(np.abs(np.subtract(by_last[uri], by_another[uri])).max() for uri in by_last) < 1e-4
