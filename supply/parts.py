"""An environment or an image in; its parts out, each with the licences that it declares. supply/collect.py looks, this reads."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packageurl import PackageURL
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from cli.docker import docker
from cli.image_facts import OFFLINE

COLLECT = Path(__file__).with_name("collect.py")
PROJECT = "fruitsctl"
IN_THE_IMAGE = ("/usr/lib/spark/jars", "/usr/lib/hadoop", "/usr/share/aws", "/opt/fruits")
SPARK_JARS = "from importlib.util import find_spec as f; from pathlib import Path; print(Path(f('pyspark').origin).parent / 'jars')"
SCALA = r"(_\d[\d.]*)+$"
LONGEST_NAME = 100  # of a licence; a longer field holds its text


@dataclass(frozen=True)
class Part:
    kind: str  # pypi, jar, model, deb or rpm
    name: str
    version: str
    licences: tuple[str, ...] = ()  # as declared: SPDX expressions or free words; the system's packages have none here
    choice: bool = False  # of `licences` any one may be chosen; otherwise all hold
    group: str | None = None  # Maven's, of a jar that says it
    sha256: str | None = None
    needs: tuple[str, ...] = ()  # names of other parts of its kind

    @property
    def key(self) -> str:
        """How allowed-licences.toml names it: a jar without the Scala and Spark that it is for, weights by their network."""
        return f"{self.kind}/{self.name.split('_weights')[0].split('-')[0] if self.kind == 'model' else re.sub(SCALA, '', self.name)}"

    @property
    def purl(self) -> PackageURL:
        """https://github.com/package-url/purl-spec"""
        kind = "maven" if self.group else {"jar": "generic", "model": "generic"}.get(self.kind, self.kind)
        return PackageURL(kind, self.group, self.name, self.version)


def of_environment(python: Path, extra: str | None = "job") -> list[Part]:
    """What the wheel with `extra` needs of `python`'s environment, and Spark's jars there. Without `extra`: everything in it."""
    facts = json.loads(_said(python, str(COLLECT), _said(python, "-c", SPARK_JARS).strip()))
    wanted = closure(facts["python"], extra) if extra else None
    return [*_python(facts["python"], wanted), *map(_jar, facts["jars"])]


def of_image(image: str) -> list[Part]:
    """
    Everything in the image: Python packages, jars, packages of its system, the baked weights.

    Raises:
        FruitsError: there is no such image here, or Docker does not answer.
    """
    script = COLLECT.read_text(encoding="utf-8")
    command = ("--user", "root", "-i", "--entrypoint", "/opt/fruits/venv/bin/python", image, "-", *IN_THE_IMAGE)
    facts = json.loads(docker(*OFFLINE, *command, input=script))
    kind = facts["system"]["kind"]
    system = [Part(kind, name, version) for name, version, *_ in facts["system"]["packages"]]
    weights = [Part("model", found["file"], found["sha256"][:12], sha256=found["sha256"]) for found in facts["weights"]]
    return [*_python(facts["python"], None), *map(_jar, facts["jars"]), *system, *weights]


def _said(*command: str | Path) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def closure(packages: Iterable[dict[str, Any]], extra: str) -> set[str]:
    """Canonical names of all that `fruitsctl[extra]` leads to, itself left out."""
    by_name = {canonicalize_name(package["name"]): package for package in reversed(list(packages))}  # the first on the path counts
    seen: set[tuple[str, str]] = set()
    todo = [(canonicalize_name(PROJECT), extra)]
    while todo:
        name, wanted = todo.pop()
        if (name, wanted) in seen or name not in by_name:
            continue
        seen.add((name, wanted))
        for requirement in map(Requirement, by_name[name]["requires"]):
            if requirement.marker is None or requirement.marker.evaluate({"extra": wanted}):
                todo += [(canonicalize_name(requirement.name), each) for each in ("", *requirement.extras)]
    return {name for name, _ in seen} - {PROJECT}


def _python(packages: list[dict[str, Any]], wanted: set[str] | None) -> list[Part]:
    parts = {}
    here = {canonicalize_name(package["name"]) for package in packages}
    for package in reversed(packages):
        name = canonicalize_name(package["name"])
        if name == PROJECT or (wanted is not None and name not in wanted):
            continue
        requirements = [
            each for each in map(Requirement, package["requires"]) if each.marker is None or each.marker.evaluate({"extra": ""})
        ]
        needs = {canonicalize_name(each.name) for each in requirements} & (here if wanted is None else wanted)
        parts[name] = Part("pypi", name, package["version"], _declared(package), needs=tuple(sorted(needs)))
    return [parts[name] for name in sorted(parts)]


def _declared(package: dict[str, Any]) -> tuple[str, ...]:
    """The expression of PEP 639; else the classifiers, which are a list of their own; else the free field, unless it holds a whole text."""
    if package["expression"]:
        return (package["expression"],)
    if package["classifiers"]:
        return tuple(package["classifiers"])
    licence = (package["licence"] or "").strip()
    return (licence,) if licence and len(licence) <= LONGEST_NAME and "\n" not in licence else ()


def _jar(found: dict[str, Any]) -> Part:
    matched = re.fullmatch(r"(.+?)-(\d[^/]*)\.jar", found["file"])
    name, version = matched.groups() if matched else (found["file"].removesuffix(".jar"), "unknown")
    # Maven's own field, the bundle's, the text: the first that says something. Several licences in one field are the user's choice.
    bundle = [word.split(";")[0].strip() for word in (found["bundle"] or "").split(",")]
    said = found["licences"] or [word for word in bundle if word] or [word for word in [found["text"]] if word]
    return Part("jar", name, version, tuple(said), True, found["group"], found["sha256"])
