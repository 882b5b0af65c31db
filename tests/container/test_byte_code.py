"""The image and its two other targets: what a process imports is compiled already, since nothing may be written there."""

import subprocess

import pytest

from cli.container.docker import inspect_image
from tests.container.conftest import ROOT, docker

# Every module that the imports loaded from /opt/fruits, and has no byte code or a stale one.
UNCOMPILED = """
import importlib, importlib.util, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
loaded = [module for module in list(sys.modules.values()) if str(getattr(module, "__file__", "")).startswith("/opt/fruits/")]
sources = [module.__file__ for module in loaded if module.__file__.endswith(".py")]
stale = []
for source in sources:
    try:
        with open(importlib.util.cache_from_source(source), "rb") as file:
            compiled = file.read(16)
        if compiled[4:8] != bytes([1, 0, 0, 0]):  # hash-based, not checked against the source: PEP 552
            stale.append(source)
    except FileNotFoundError:
        stale.append(source)
print(len(sources), *stale, sep="\\n")
"""


def built(target, image):
    """The image of `target`, on the base of `image`: all but its last layers are those of `image`."""
    labels = inspect_image(image)["Config"]["Labels"]
    arguments = {"BASE_IMAGE": labels["org.opencontainers.image.base.name"], "RELEASE": labels["fruitsctl.release"]}
    words = [word for name, value in arguments.items() for word in ("--build-arg", f"{name}={value}")]
    name = f"fruitsctl-test:{target}"
    docker("build", "--quiet", f"--target={target}", *words, f"--tag={name}", str(ROOT))
    return name


@pytest.mark.parametrize(
    ("target", "modules"),
    [
        ("job", ("job.__main__", "job.spark.python_daemon", "job.pipeline", "job.product.report.report", "cli.commands.app")),
        ("test", ("pytest", "moto.server")),
        ("notebook", ("jupyterlab.labapp", "nbclient")),
    ],
)
def test_all_that_is_imported_is_compiled(image, target, modules):
    name = image if target == "job" else built(target, image)
    command = ["docker", "run", "--rm", "--network=none", "--entrypoint=/opt/fruits/venv/bin/python", name, "-c", UNCOMPILED, *modules]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    loaded, *uncompiled = done.stdout.splitlines()
    assert int(loaded) > 100
    assert uncompiled == []
