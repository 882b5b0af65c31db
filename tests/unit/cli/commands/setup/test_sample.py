from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import cli

ROOT = Path(cli.__file__).parents[1]


def fruitsctl(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cli", *arguments]
    variables = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    return subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False)


def test_json_is_all_that_is_on_stdout(assets: Path, tmp_path: Path) -> None:
    done = fruitsctl(tmp_path, "sample", "my photos", "--images", "10", "--classes", "5", "--json", FRUITS_ASSETS=str(assets))

    result = json.loads(done.stdout)
    assert result.pop("bytes") == sum(path.stat().st_size for path in tmp_path.rglob("*.jpg"))
    assert result == {
        "destination": "my photos",
        "images": 10,
        "classes": 5,
        "already": 0,
        "next": "fruitsctl run 'my photos' out --local",
    }


def test_a_second_call_says_how_many_were_there(assets: Path, tmp_path: Path) -> None:
    arguments = ("sample", "photos", "--images", "10", "--classes", "5")
    fruitsctl(tmp_path, *arguments, FRUITS_ASSETS=str(assets))

    assert ", 10 were there before)" in fruitsctl(tmp_path, *arguments, FRUITS_ASSETS=str(assets)).stdout


def test_without_network_and_assets_it_fails_with_both_ways_out(tmp_path: Path, closed_url: str) -> None:
    offline = {"https_proxy": closed_url, "HTTPS_PROXY": closed_url, "no_proxy": "", "NO_PROXY": ""}
    done = fruitsctl(tmp_path, "sample", FRUITS_ASSETS="", **offline)

    assert done.returncode == 2
    assert done.stdout == ""
    assert "error: cannot get the sample photos: no response from `https://s3.eu-west-1.amazonaws.com/course.oc-static.com/" in done.stderr
    assert "hint: allow access to https://s3.eu-west-1.amazonaws.com/" in done.stderr
    assert "or set FRUITS_ASSETS=DIR" in done.stderr
    assert "or draw photos with --generated" in done.stderr
    assert "Traceback" not in done.stderr


def test_counts_that_cannot_be_are_a_usage_error(tmp_path: Path) -> None:
    done = fruitsctl(tmp_path, "sample", "--images", "3", "--classes", "4")

    assert done.returncode == 2
    assert "error: `3` images of `4` classes: each needs at least one" in done.stderr


def test_generated_photos_need_no_network_and_no_assets(tmp_path: Path, closed_url: str) -> None:
    offline = {"https_proxy": closed_url, "HTTPS_PROXY": closed_url, "no_proxy": "", "NO_PROXY": ""}
    arguments = ("sample", "photos", "--generated", "--seed", "4", "--images", "6", "--classes", "3")
    done = fruitsctl(tmp_path, *arguments, FRUITS_ASSETS="", **offline)

    assert done.returncode == 0
    assert done.stdout.startswith("6 photos of 3 fruits in photos (")
    assert len(list((tmp_path / "photos").glob("*/generated_4_*.jpg"))) == 6
    assert json.loads(fruitsctl(tmp_path, *arguments, "--json").stdout)["already"] == 6


def test_a_seed_without_generated_is_a_usage_error(tmp_path: Path) -> None:
    done = fruitsctl(tmp_path, "sample", "--seed", "4")

    assert done.returncode == 2
    assert "error: `--seed` has no effect without --generated" in done.stderr
