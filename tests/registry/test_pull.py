"""
The image of the job, pushed to a real registry, removed here, and pulled under its digest: what a cluster does with it. Its job runs in
tests/container/test_image_check.py; what is pulled is the same image, byte for byte.
"""

import subprocess

import pytest

from cli.container.docker import inspect_image
from tests.container.conftest import docker, image  # noqa: F401 - a fixture


@pytest.fixture
def marked(image, tmp_path):  # noqa: F811
    """The image with one more layer, which is nowhere else, not in the cache of builds either: a pull must bring it."""
    name = "fruits-test:marked"
    (tmp_path / "mark").write_text("pulled\n")
    container = docker("create", image).strip()
    docker("cp", str(tmp_path / "mark"), f"{container}:/opt/fruits/mark")
    docker("commit", container, name)
    docker("rm", container)
    yield name
    subprocess.run(["docker", "image", "rm", "--force", name], capture_output=True, check=False)


def test_the_pushed_image_is_pulled_under_its_digest_and_starts(push, registry, marked):
    local = inspect_image(marked)["Id"]
    pushed = push(f"{registry.host}/fruitsctl", "--image", marked, "--tag", "v1")
    assert pushed.returncode == 0, pushed.stderr
    name = pushed.stdout.strip()
    docker("image", "rm", "--force", local)

    try:
        before = registry.blobs_read()
        assert "Downloaded newer image" in docker("pull", name)
        assert registry.blobs_read() - before >= 2  # the configuration and the layer that is not here
        assert inspect_image(name)["Id"] == local
        assert docker("run", "--rm", "--network=none", "--entrypoint=/bin/cat", name, "/opt/fruits/mark") == "pulled\n"
        version = docker("run", "--rm", "--network=none", "--entrypoint=/opt/fruits/bin/fruitsctl", name, "--version")
    finally:
        docker("image", "rm", "--force", local)

    assert version.startswith("fruitsctl ")
