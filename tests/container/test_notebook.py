"""cloud.ipynb in the real image against the compose stack, as a run's driver; and the stack's own JupyterLab."""

import json
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request

import nbformat
import pytest

from tests.container.conftest import ROOT, docker

IN_THE_IMAGE = "/opt/fruits/notebooks/cloud.ipynb"
PROJECT = "fruitsctl-test-notebook"


@pytest.fixture(scope="module")
def environment(stack_environment):
    """With ports of its own: tests/container/test_compose.py has those that people have."""
    return {**stack_environment, "COMPOSE_PROJECT_NAME": PROJECT, "S3_PORT": "7071", "MASTER_PORT": "8081"}


@pytest.fixture(scope="module")
def compose(environment):
    """Runs docker compose on the stack of a separate project that is up, with 240 photos; taken down at the end."""
    plugin = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode == 0
    program = ["docker", "compose"] if plugin else [shutil.which("docker-compose")]

    def run(*words):
        done = subprocess.run([*program, *words], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, (done.stdout + done.stderr)[-5000:]
        return done.stdout

    try:
        run("--profile", "notebook", "build", "notebook")
        run("up", "--detach", "--no-build", "bucket", "spark-worker")
        yield run
    finally:
        subprocess.run([*program, "down", "--volumes", "--remove-orphans"], cwd=ROOT, env=environment, capture_output=True, check=False)


def containers(service):
    labels = (f"label=com.docker.compose.project={PROJECT}", f"label=com.docker.compose.service={service}")
    return docker("ps", "--quiet", *(word for label in labels for word in ("--filter", label))).split()


def stored(name):
    """A file of the bucket `fruits`, as the S3 server has it on its disk."""
    (s3,) = containers("s3")
    return docker("exec", s3, "cat", f"/data/fruits/{name}")


def printed(text):
    notebook = nbformat.reads(text, as_version=4)
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert [output for output in outputs if output.output_type == "error"] == []
    assert len([output for output in outputs if "image/png" in output.get("data", {})]) == 2
    return "".join(output.text for output in outputs if output.output_type == "stream")


def test_the_driver_of_a_run_executes_the_notebook_on_the_cluster_and_stores_it(compose):
    places = ("--input=s3://fruits/photos", "--output=s3://fruits/driver", "--run-id=n1", f"--notebook={IN_THE_IMAGE}")
    weights = compose("run", "--rm", "-T", "job", "sh", "-c", "ls /opt/fruits/cache/weights/*no_top*.h5").split()[-1]
    files = ("--cache=/opt/fruits/cache", f"--weights={weights}")

    said = compose("run", "--rm", "-T", "job", "/usr/lib/spark/bin/spark-submit", "/opt/fruits/run_job.py", *places, *files)

    records = [json.loads(line.removeprefix("@fruits ")) for line in said.splitlines() if line.startswith("@fruits ")]
    assert (records[-1]["record"], records[-1]["code"]) == ("Outcome", 0)
    assert "embed" in {record["stage"] for record in records if record.get("finished")}
    manifest = json.loads(stored("driver/runs/n1/manifest.json"))
    assert (manifest["counts"]["embedded"], manifest["counts"]["rows"], manifest["counts"]["labels"]) == (240, 240, 24)
    assert manifest["params"]["notebook"] == IN_THE_IMAGE
    executed = stored("driver/runs/n1/cloud.ipynb")
    (ROOT / "build" / "notebooks").mkdir(parents=True, exist_ok=True)
    (ROOT / "build" / "notebooks" / "cloud.ipynb").write_text(executed, encoding="utf-8")  # the docs show it
    text = printed(executed)
    assert "broadcast: 8.87 MB to each executor, once" in text
    assert "240 embedded, 0 rejected" in text
    assert json.loads(stored("driver/lease.json"))["released"] is True


def test_the_command_executes_it_in_the_stack_without_a_browser(compose, environment, tmp_path):
    """Into the OUTPUT of the run above: nothing is new there."""
    command = [sys.executable, "-m", "cli", "notebook", str(tmp_path / "mine"), "--compose", "--execute", "--output", "s3://fruits/driver"]
    done = subprocess.run([*command, "--json"], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr[-3000:]
    executed = tmp_path / "mine" / "executed" / "cloud.ipynb"
    assert json.loads(done.stdout) == {"executed": str(executed), "copied": []}
    assert "Broadcast the network, embed new photos" in done.stderr.splitlines()
    text = printed(executed.read_text(encoding="utf-8"))
    assert "240 photos, 0 of them new" in text
    assert "published s3://fruits/driver/runs/" in text


def test_the_command_starts_jupyterlab_of_the_stack_with_both_notebooks_and_a_token(compose, environment):
    command = [sys.executable, "-m", "cli", "notebook", "--compose", "--json"]
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        base, _, token = json.loads(process.stdout.readline())["address"].partition("/lab/tree/cloud.ipynb?token=")
        while (found := answer(f"{base}/api/contents?token={token}")) is None:
            assert process.poll() is None
            time.sleep(0.5)
        assert sorted(item["name"] for item in found["content"]) == ["cloud.ipynb", "local.ipynb"]
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(f"{base}/api/contents")
    finally:
        process.terminate()
        process.wait()
        for left in containers("notebook"):
            docker("rm", "--force", left)


def answer(address):
    """The JSON there, or None while there is no answer; Docker's proxy takes connections before the server does."""
    try:
        with urllib.request.urlopen(address) as found:
            return json.load(found)
    except (urllib.error.URLError, ConnectionError):
        return None


def test_the_image_holds_the_notebooks_as_they_are_here(image):
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        inside = docker("run", "--rm", "--entrypoint", "cat", image, f"/opt/fruits/notebooks/{path.name}")
        assert inside == path.read_text(encoding="utf-8")
