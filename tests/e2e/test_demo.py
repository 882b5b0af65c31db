"""The real `fruitsctl demo` on a machine that reaches no download host: every connection goes to a proxy that is not there."""

import json
import os
import re
import socket
import subprocess

import pytest

from tests.e2e.conftest import CLI

NOTE = "Untrained network (random weights): good for trying the pipeline, not for results"


@pytest.fixture(scope="module")
def demo(model_cache, short_jvm, tmp_path_factory):
    """Run `fruitsctl demo FOLDER` with more options, in an environment without data and without a network."""
    root = tmp_path_factory.mktemp("demo")
    with socket.create_server(("127.0.0.1", 0)) as closed:
        proxy = f"http://127.0.0.1:{closed.getsockname()[1]}"
    kept = {name: value for name, value in os.environ.items() if name.lower() not in ("fruits_assets", "no_proxy", "all_proxy")}
    (root / "cache").mkdir()
    (root / "cache" / "models").symlink_to(model_cache / "models")  # the converted network, and no downloaded weights
    folders = {"FRUITS_CACHE": str(root / "cache"), "FRUITS_STATE": str(root / "state")}
    env = {**kept, **short_jvm, **folders, "HTTPS_PROXY": proxy, "https_proxy": proxy}

    def run(*more):
        return subprocess.run([*CLI, "demo", root / "demo", *more], env=env, capture_output=True, text=True, check=False)

    return root, run


def fallbacks(done):
    return [line for line in done.stderr.splitlines() if line.startswith("note:")]


def test_a_dry_run_says_what_would_be_used_and_writes_nothing(demo):
    root, run = demo
    before = sorted(root.rglob("*"))
    text, as_json = run("--dry-run"), run("--dry-run", "--json")

    assert (text.returncode, as_json.returncode) == (0, 0), text.stderr
    assert "  model       mobilenet_v2_untrained\n  weights     none, random numbers from a seed\n" in text.stdout
    assert f"  photos      500 of 25 labels in {root}/demo/photos-generated: generated from a seed\n" in text.stdout
    assert json.loads(as_json.stdout) == {
        "model": "mobilenet_v2_untrained",
        "weights": "generated",
        "photos": f"{root}/demo/photos-generated",
        "photos_from": "generated",
        "output": f"{root}/demo/out-generated-untrained",
        "report": f"{root}/demo/out-generated-untrained/runs/RUN_ID/report.html",
    }
    assert len(fallbacks(text)) == 1
    assert sorted(root.rglob("*")) == before


def test_without_a_network_it_ends_with_a_report_that_says_first_that_the_network_is_untrained(demo):
    root, run = demo
    done = run("--json")

    assert done.returncode == 0, done.stderr[-3000:]
    (line,) = fallbacks(done)
    assert line.startswith("note: no real weights and photos here, using an untrained network and generated photos; for real ones allow")
    result = json.loads(done.stdout)
    assert result["model"] == "mobilenet_v2_untrained"
    assert result["manifest"]["counts"]["rows"] == 500
    report = (root / "demo/out-generated-untrained/runs" / result["manifest"]["run_id"] / "report.html").read_text()
    assert result["report"].endswith("/report.html")
    assert re.search(rf'<main>\n<h1>[^<]*</h1>\n<p class="lead">.*</p>\n\n<ul class="notes"><li>{re.escape(NOTE)}</li>', report)
