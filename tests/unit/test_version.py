"""The version has one source, cli/__init__.py; the package, the changelog and the image follow it."""

import re
from importlib.metadata import version
from pathlib import Path

from cli import __version__
from cli.container import build as image_build

ROOT = Path(__file__).parents[2]


def test_the_installed_package_has_the_version_of_the_code():
    assert version("fruitsctl") == __version__


def test_the_changelog_starts_with_the_version():
    first = re.search(r"^## \[([\d.]+)\] - (Unreleased|\d{4}-\d{2}-\d{2})$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.M)

    assert first
    assert first.group(1) == __version__


def test_the_image_gets_the_version_as_a_label():
    command = image_build.plan(ROOT, "serverless", None, None, "linux/amd64", False).command

    assert f"--build-arg=VERSION={__version__}" in command
    assert 'org.opencontainers.image.version="${VERSION}"' in (ROOT / "Dockerfile").read_text(encoding="utf-8")
