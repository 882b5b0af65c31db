"""The local stack as its user meets it: up, up again, a worker killed, the driver killed, down without a trace."""

import json
import re
import shutil
import subprocess
import time

import pytest

from tests.container.conftest import ROOT, docker, fruitsctl

CHUNKS = ("--chunk-images", "60", "--json")


@pytest.fixture(scope="module")
def compose(stack_environment):
    """Runs docker compose on the stack of its own project; what is left at the end is taken down."""
    plugin = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode == 0
    program = ["docker", "compose"] if plugin else [shutil.which("docker-compose")]

    def run(*words, wait=True, **variables):
        command, env = [*program, *words], {**stack_environment, **variables}
        if not wait:
            return subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)

    yield run
    run("down", "--volumes", "--remove-orphans")


def said(done):
    """Its output without colours."""
    return re.sub(r"\x1b\[[0-9;]*m", "", done.stdout + (done.stderr or ""))


def containers(service):
    return docker(
        "ps",
        "--quiet",
        "--filter",
        "label=com.docker.compose.project=fruitsctl-test",
        "--filter",
        f"label=com.docker.compose.service={service}",
    ).split()


def wait_for(condition, process, seconds=240):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not happen"
        assert process.poll() is None, process.stdout.read()[-3000:]
        time.sleep(0.2)


def test_the_page_shows_the_commands_that_are_tested_here_and_beside():
    """Those of the image and of the push are in test_image_check.py and tests/registry/."""
    block = re.search(r"<!-- docker -->\n```sh\n(.*?)```", (ROOT / "docs" / "how-to" / "docker.md").read_text(encoding="utf-8"), re.S)
    assert block
    assert [line.partition("  #")[0].strip() for line in block.group(1).splitlines()] == [
        "docker compose up --exit-code-from job",
        "docker compose up --exit-code-from job",
        "fruitsctl run s3://fruits/photos s3://fruits/out --compose --variance 0.9",
        "docker compose down -v",
        "fruitsctl image build",
        "fruitsctl image check",
        "fruitsctl image push",
    ]


def test_up_embeds_the_photos_and_ends_with_the_exit_code_of_the_job(compose):
    done = compose("up", "--no-build", "--exit-code-from", "job")

    assert done.returncode == 0, said(done)[-5000:]
    assert "240 listed, 240 embedded now, 240 in the result, 24 labels" in said(done)
    assert "s3://fruits/photos/: 240 photos, 240 of them new" in said(done)


def test_a_second_up_embeds_nothing_and_says_so(compose):
    done = compose("up", "--no-build", "--exit-code-from", "job")

    assert done.returncode == 0, said(done)[-5000:]
    assert "240 listed, nothing new, nothing embedded, 240 in the result" in said(done)


def test_run_compose_is_the_same_command_inside_the_stack(compose, stack_environment):
    done = fruitsctl("run", "s3://fruits/photos", "s3://fruits/out", "--compose", "--variance", "0.9", "--json", env=stack_environment)

    assert done.returncode == 0, done.stderr[-3000:]
    manifest = json.loads(done.stdout[done.stdout.index("{") :])
    assert manifest["variance"] >= 0.9
    assert (manifest["counts"]["embedded"], manifest["counts"]["rows"]) == (0, 240)


def test_a_killed_worker_costs_nothing_but_time(compose):
    job = ("run", "--rm", "-T", "job", "fruitsctl", "run", "s3://fruits/photos", "s3://fruits/killed", "--submit", *CHUNKS)
    assert compose("up", "--detach", "--no-build", "--scale", "spark-worker=2", "history", "spark-worker", WORKER_CORES="1").returncode == 0
    process = compose(*job, wait=False, WORKER_CORES="1")
    wait_for(lambda: commits("killed") >= 1, process)
    docker("kill", containers("spark-worker")[0])
    output, _ = process.communicate()

    assert process.returncode == 0, output[-5000:]
    manifest = json.loads(output[output.index("{\n") if "{\n" in output else output.rindex('{"schema_version"') :])
    assert (manifest["counts"]["embedded"], manifest["counts"]["rows"], manifest["counts"]["rejected"]) == (240, 240, 0)


def test_a_killed_driver_resumes_from_the_last_chunk(compose):
    words = ("fruitsctl", "run", "s3://fruits/photos", "s3://fruits/driver", "--submit", *CHUNKS, "--lease-seconds", "5")
    process = compose("run", "--rm", "-T", "--name", "fruitsctl-test-driver", "job", *words, wait=False)
    wait_for(lambda: commits("driver") >= 2, process)
    docker("kill", "fruitsctl-test-driver")
    process.communicate()
    time.sleep(6)  # the lease of the dead one expires

    done = compose("run", "--rm", "-T", "job", *words)

    assert done.returncode == 0, said(done)[-5000:]
    manifest = json.loads(done.stdout[done.stdout.rindex('{"schema_version"') :])
    assert manifest["counts"]["rows"] == 240
    assert manifest["counts"]["new"] <= 180


def test_the_tests_of_the_job_run_inside_the_image(compose):
    """All of them take minutes; one that needs Spark shows that they can."""
    built = compose("build", "test", DOCKER_BUILDKIT="1", COMPOSE_DOCKER_CLI_BUILD="1")  # `run` would take an image of other tests
    assert built.returncode == 0, said(built)[-5000:]

    done = compose(
        "run", "--rm", "-T", "test", "tests/unit/job/contract/test_params.py", "tests/spark/test_store.py", "-k", "params or new_or_changed"
    )

    assert done.returncode == 0, said(done)[-5000:]
    assert " passed" in said(done)


def test_down_leaves_nothing(compose):
    assert compose("down", "--volumes", "--remove-orphans").returncode == 0

    for kind in ("container", "volume", "network"):
        assert docker(kind, "ls", "--quiet", "--filter", "label=com.docker.compose.project=fruitsctl-test") == ""


def commits(output):
    """Delta commits of features/ so far, after the one that made the table."""
    (s3,) = containers("s3")
    found = subprocess.run(
        ["docker", "exec", s3, "sh", "-c", f"ls /data/fruits/{output}/features/_delta_log 2>/dev/null | grep -c json$"],
        capture_output=True,
        text=True,
        check=False,
    )
    return int(found.stdout.strip() or 0) - 1
