"""List the parts of an environment or an image with their declared licences. supply/collect.py runs inside of it."""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from packageurl import PackageURL
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from cli.container.docker import docker
from cli.container.facts import OFFLINE

COLLECT = Path(__file__).with_name("collect.py")
PROJECT = "fruitsctl"
IN_THE_IMAGE = ("/usr/lib/spark/jars", "/usr/lib/hadoop", "/usr/share/aws", "/opt/fruits")
SPARK_JARS = "from importlib.util import find_spec as f; from pathlib import Path; print(Path(f('pyspark').origin).parent / 'jars')"
SCALA = r"(_\d[\d.]*)+$"


@dataclass(frozen=True)
class Part:
    kind: str  # pypi, jar, model, deb or rpm
    name: str
    version: str
    licences: Sequence[str] = ()  # as declared: SPDX expressions or free words; the system's packages have none here
    choice: bool = False  # of `licences` any one may be chosen; otherwise all hold
    group: str | None = None  # Maven's, of a jar that says it
    sha256: str | None = None
    requires: Sequence[str] = ()  # Requires-Dist of a Python package

    @property
    def key(self) -> str:
        """How allowed-licences.toml names it: a jar without the Scala and Spark that it is for, weights by their network."""
        return f"{self.kind}/{self.name.split('_weights')[0].split('-')[0] if self.kind == 'model' else re.sub(SCALA, '', self.name)}"

    @property
    def purl(self) -> PackageURL:
        """The package URL, https://github.com/package-url/purl-spec, of the part."""
        kind = "maven" if self.group else {"jar": "generic", "model": "generic"}.get(self.kind, self.kind)
        return PackageURL(kind, self.group, self.name, self.version)

    def needs(self, extra: str = "") -> Iterator[tuple[str, str]]:
        """Yield the names of the Python packages that it needs with `extra`, each with "" and with each extra that it needs of them."""
        for each in map(Requirement, self.requires):
            if each.marker is None or each.marker.evaluate({"extra": extra}):
                yield from ((canonicalize_name(each.name), wanted) for wanted in ("", *each.extras))


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say of what the parts are: see `of`."""
    parser.add_argument("--image", help="look into this image instead of the environment that runs this")
    parser.add_argument("--python", type=Path, default=Path(sys.executable), help="of another environment with fruitsctl in it")


def of(wanted: argparse.Namespace) -> list[Part]:
    return of_image(wanted.image) if wanted.image else of_environment(wanted.python)


def of_environment(python: Path, extra: str = "job") -> list[Part]:
    """Return what the wheel with `extra` needs of `python`'s environment, and Spark's jars there."""
    parts = read(_output(python, str(COLLECT), _output(python, "-c", SPARK_JARS).strip()))
    wanted = closure({part.name: part for part in parts if part.kind == "pypi"}, extra)
    return [part for part in parts if part.kind == "jar" or (part.kind == "pypi" and part.name in wanted)]


def of_image(image: str) -> list[Part]:
    """
    Return everything in the image: Python packages, jars, packages of its system, the built-in weights.

    Raises:
        FruitsError: there is no such local image, or no response from Docker.
    """
    command = ("--user", "root", "-i", "--entrypoint", "/opt/fruits/venv/bin/python", image, "-", *IN_THE_IMAGE)
    return [part for part in read(docker(*OFFLINE, *command, input=COLLECT.read_text(encoding="utf-8"))) if part.name != PROJECT]


def closure(packages: Mapping[str, Part], extra: str) -> set[str]:
    """Return the names of all that `fruitsctl[extra]` leads to, without itself."""
    seen: set[tuple[str, str]] = set()
    todo = [(PROJECT, extra)]
    while todo:
        name, wanted = each = todo.pop()
        if each not in seen and name in packages:
            seen.add(each)
            todo += packages[name].needs(wanted)
    return {name for name, _ in seen} - {PROJECT}


def read(collected: str) -> list[Part]:
    """Return the parts that supply/collect.py printed, without those that are there twice, byte for byte."""
    parts = [Part(**fact) for fact in json.loads(collected)]
    return list({(part.purl, part.sha256): part for part in parts}.values())


def _output(*command: str | Path) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
