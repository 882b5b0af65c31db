"""`fruitsctl report`: which page it opens, in which browser, and what it says where there is none."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from job.storage.folders import open_folder
from job.storage.lease import Lease
from tests.unit.job.product.run_files import RUN, write_run


@pytest.fixture
def report(tmp_path, cache):
    """The command, with a browser that writes down what it is told to open."""
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\nprintf "%s\\n" "$1" >> {tmp_path}/opened\n')
    browser.chmod(0o755)
    environ = {name: value for name, value in os.environ.items() if name not in ("FRUITS_OUTPUT", "FRUITS_CONFIG")}
    environ |= {"BROWSER": str(browser), "FRUITS_CACHE": str(cache), "FRUITS_STATE": str(tmp_path / "state")}

    def run(*words):
        command = [sys.executable, "-m", "cli", "report", *map(str, words)]
        return subprocess.run(command, env=environ, capture_output=True, text=True, check=False)

    return run


@pytest.fixture
def output(tmp_path):
    """A run without a page."""
    target = tmp_path / "out"
    write_run(target, tmp_path / "photos", [f"file:///{i}" for i in range(4)], ["a", "a", "b", "b"], np.eye(4, 2))
    (target / "latest.json").write_text(json.dumps({"run_id": RUN, "generation": 1}))
    return target


def opened(tmp_path):
    file = tmp_path / "opened"
    return file.read_text().split() if file.exists() else []


def test_the_newest_page_is_opened_and_named(report, output, tmp_path):
    page = output / "runs" / RUN / "report.html"
    page.write_text("<h1>there</h1>")

    done = report("--output", output)

    assert (done.returncode, done.stdout) == (0, f"{page}\n")
    assert opened(tmp_path) == [f"file://{page}"]


def test_without_an_output_it_is_that_of_the_last_local_run(report, output, tmp_path):
    page = output / "runs" / RUN / "report.html"
    page.write_text("<h1>there</h1>")
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "last-output").write_text(f"file://{output}")

    assert report("--no-open").stdout == f"{page}\n"


def test_the_option_beats_the_configuration_and_that_the_last_run(report, output, tmp_path, monkeypatch):
    page = output / "runs" / RUN / "report.html"
    page.write_text("<h1>there</h1>")
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "last-output").write_text(f"file://{tmp_path}/last")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fruits.toml").write_text('output = "configured"')

    assert f"`{tmp_path}/configured`" in report("--no-open").stderr
    assert report("--output", output, "--no-open").stdout == f"{page}\n"


def test_no_open_and_json_open_nothing(report, output, tmp_path):
    page = output / "runs" / RUN / "report.html"
    page.write_text("<h1>there</h1>")

    named, as_json = report(RUN, "--output", output, "--no-open"), report("--output", output, "--json")

    assert named.stdout == f"{page}\n"
    assert json.loads(as_json.stdout) == {"run_id": RUN, "report": f"file://{page}", "file": str(page)}
    assert opened(tmp_path) == []


def test_rebuild_writes_the_page_again(report, output):
    done = report("--output", output, "--rebuild", "--no-open")

    assert done.returncode == 0, done.stderr
    assert "4 photos of 2 labels" in (output / "runs" / RUN / "report.html").read_text()


def test_rebuild_is_refused_while_another_run_holds_the_lease_and_names_it(report, output):
    """A report that is written while photos are erased would keep what the search for them cannot see yet."""
    with Lease.acquire(open_folder(f"file://{output}"), "an erasure"):
        done = report("--output", output, "--rebuild", "--no-open")

    assert done.returncode == 3
    assert done.stderr.startswith("error: run `an erasure` (process ")
    assert done.stderr.endswith("hint: wait until that run has finished, then run the command again\n")
    assert [path.name for path in (output / "runs" / RUN).iterdir() if "report.html" in path.name] == []
    assert report("--output", output, "--rebuild", "--no-open").returncode == 0


def test_a_rebuild_of_no_run_leaves_no_lease(report, output):
    assert report("absent", "--output", output, "--rebuild", "--no-open").returncode == 2
    assert not (output / "lease.json").exists()


def test_what_is_missing_is_named_with_the_way_out(report, output, tmp_path):
    nowhere, no_output = report("--output", tmp_path / "absent"), report()
    no_run, no_page = report("absent", "--output", output), report("--output", output)

    assert nowhere.stderr == (
        f"error: there is no finished run in `{tmp_path}/absent`\n\nhint: create one with `fruitsctl run INPUT OUTPUT --local`\n"
    )
    assert no_output.stderr.startswith("error: no OUTPUT given\n")
    assert no_run.stderr == (f"error: there is no finished run `absent` in `{output}`\n\nhint: omit RUN_ID to use the newest run\n")
    assert no_page.stderr == f"error: run `{RUN}` has no report\n\nhint: add --rebuild to write one\n"
    assert [done.returncode for done in (nowhere, no_output, no_run, no_page)] == [1, 2, 1, 1]
