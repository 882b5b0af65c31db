"""Runs that go wrong: bad input, bad setup, a full disk. One clear error each; nothing lost, nothing half-visible."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cli.targets.local.jvm_archive import archive_of
from tests.e2e.conftest import UNTRAINED, Command

FAST = ("--model", "mean_colour", "--components", "2")


def refused(done, code, *words):
    """It ended with `code` and one message, no traceback."""
    assert done.returncode == code, done.stderr[-2000:]
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr
    assert "hint: " in done.stderr


def test_an_input_that_does_not_exist(fruitsctl, tmp_path):
    refused(fruitsctl("run", tmp_path / "absent", tmp_path / "out", "--local", *FAST), 2, f"there is no folder `{tmp_path}/absent`")


def test_an_output_inside_the_input(fruitsctl, photos, tmp_path):
    own = tmp_path / "photos"  # others use `photos` after this
    shutil.copytree(photos, own)
    refused(fruitsctl("run", own, own / "out", "--local", *FAST), 2, "is inside INPUT")
    assert not (own / "out" / "features").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--components", "3", "--variance", "0.5"), "not both"),
        (("--variance", "2"), "not `2.0`"),
    ],
)
def test_a_wrong_option_is_named(fruitsctl, photos, tmp_path, words, message):
    refused(fruitsctl("run", photos, tmp_path / "out", "--local", *words), 2, message)


def test_a_model_that_does_not_exist_is_refused_with_the_choices(fruitsctl, photos, tmp_path):
    done = fruitsctl("run", photos, tmp_path / "out", "--local", "--model", "resnet")

    assert done.returncode == 2
    assert "'resnet' is not one of 'mobilenet_v2', 'mobilenet_v2_untrained', 'mean_colour'" in done.stderr


def test_a_package_of_the_jobs_name_in_the_working_directory_is_not_taken_for_it(fruitsctl, photos, tmp_path):
    (tmp_path / "job").mkdir()
    (tmp_path / "job" / "__init__.py").write_text("raise SystemExit(7)\n")
    command = [Path(sys.executable).with_name("fruitsctl"), "run", photos, "out", "--local", *FAST]

    done = subprocess.run(command, cwd=tmp_path, env=fruitsctl.env, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr[-2000:]


def test_a_damaged_archive_of_jvm_classes_is_ignored(photos, tmp_path):
    """As one of another Java: the JVM starts without it, and does not complain into our output."""
    command = Command(tmp_path / "its own", {})
    command.env.pop("SPARK_SUBMIT_OPTS", None)
    planned = json.loads(command("run", photos, tmp_path / "out", "--local", "--dry-run", "--json", *FAST).stdout)
    archive = archive_of(tmp_path / "its own", Path(planned["environment"]["JAVA_HOME"]))
    archive.parent.mkdir(parents=True)
    archive.write_bytes(b"no archive")

    done = command("run", photos, tmp_path / "out", "--local", "--json", *FAST)

    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout)["counts"]["rows"] == 60
    assert "rchive" not in done.stderr


def test_random_weights_stop_the_run_before_the_first_image(fruitsctl, photos, tmp_path):
    script = "import sys; from job.imaging.keras_to_litert import keras_mobilenet_v2; keras_mobilenet_v2(None).save_weights(sys.argv[1])"
    path = tmp_path / "random.weights.h5"
    subprocess.run([sys.executable, "-c", script, str(path)], check=True, capture_output=True)

    refused(fruitsctl("run", photos, tmp_path / "out", "--local", "--weights", path), 2, "random.weights.h5")

    assert not (tmp_path / "out" / "features").exists()


def test_a_full_disk_is_one_error_and_earlier_results_stay(fruitsctl, photos, tmp_path):
    """OUTPUT on a file system of 3 MB, in a separate mount namespace."""
    output = tmp_path / "small"

    done = run_beside_a_small_disk(output, photos, output, fruitsctl.env)

    refused(done, 2, "no space left", str(output))


def test_a_full_disk_of_the_cache_is_one_error_with_the_variable_that_moves_it(fruitsctl, photos, tmp_path):
    cache = tmp_path / "small"

    done = run_beside_a_small_disk(cache, photos, tmp_path / "out", {**fruitsctl.env, "FRUITS_CACHE": str(cache)})

    refused(done, 2, f"error: cannot write `{cache}/models/", "No space left on device", "hint: set FRUITS_CACHE to a writable folder")


def run_beside_a_small_disk(disk, photos, output, environment):
    disk.mkdir()
    script = f'mount -t tmpfs -o size=3m tmpfs "{disk}" && exec "$@"'
    run = [sys.executable, "-m", "cli", "run", str(photos), str(output), "--local", *UNTRAINED]
    return subprocess.run(["unshare", "-m", "sh", "-c", script, "sh", *run], env=environment, capture_output=True, text=True, check=False)
