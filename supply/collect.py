"""
Print the parts of the environment that runs this as a JSON list: Python packages, jars, weights and packages of the system.

It runs inside images too, so it imports the standard library only. It reports what each part declares and judges nothing.
Arguments: the folders to search for jars and weights. Each entry has the fields of supply.parts.Part.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

# For a jar that has only a licence file: the licence whose words come first in it.
WORDS = {
    "Apache License": "Apache-2.0",
    "Permission is hereby granted, free of charge": "MIT",
    "Redistribution and use in source and binary forms": "BSD-3-Clause",
    "Eclipse Public License - v 1.0": "EPL-1.0",
    "Eclipse Public License - v 2.0": "EPL-2.0",
    "COMMON DEVELOPMENT AND DISTRIBUTION LICENSE": "CDDL-1.1",
    "GNU LESSER GENERAL PUBLIC LICENSE": "LGPL",
}
SYSTEMS = {
    "deb": ("dpkg-query", "-W", "-f", r"${Package}\t${Version}\n"),
    "rpm": ("rpm", "-qa", "--qf", r"%{NAME}\t%{VERSION}-%{RELEASE}\n"),
}
LONGEST_NAME = 100  # of a licence; a longer field holds its text


def python_packages() -> Iterator[dict[str, Any]]:
    found = {canonical(each.metadata["Name"]): each for each in reversed(list(metadata.distributions()))}  # the first on the path counts
    for name, each in sorted(found.items()):
        yield {"kind": "pypi", "name": name, "version": each.version, "licences": declared(each.metadata), "requires": each.requires or []}


def canonical(name: str) -> str:
    """
    Normalise a package name.

    https://packaging.python.org/en/latest/specifications/name-normalization/
    """
    return re.sub(r"[-_.]+", "-", name).lower()


def declared(about: metadata.PackageMetadata) -> list[str]:
    """Return the expression of PEP 639; else the classifiers, which all hold; else the free field, unless it holds a whole text."""
    expressions = about.get_all("License-Expression") or []
    words = [value.split(" :: ")[-1] for value in about.get_all("Classifier") or [] if value.startswith("License :: ")]
    fields = [value.strip() for value in about.get_all("License") or []]
    names = [value for value in fields[:1] if value and "\n" not in value and len(value) <= LONGEST_NAME]
    return expressions[:1] or [word for word in words if word != "OSI Approved"] or names


def jars(paths: Iterable[Path]) -> Iterator[dict[str, Any]]:
    for path in sorted({path.resolve() for path in paths if path.suffix == ".jar"}):
        named = re.fullmatch(r"(.+?)-(\d.*)", path.stem)
        name, version = named.groups() if named else (path.stem, "unknown")
        with zipfile.ZipFile(path) as content:
            about = about_jar(content, path.stem)
        yield {"kind": "jar", "name": name, "version": version, "sha256": sha256(path), "choice": True, **about}


def about_jar(content: zipfile.ZipFile, stem: str) -> dict[str, Any]:
    """
    Return Maven's group and the licences of a jar: Maven's own field, else the bundle's, else the licence file.

    A jar of many has the descriptions of its parts too: the one with its own name counts.
    """
    group, licences = None, []
    for name in content.namelist():
        pom = re.fullmatch(r"META-INF/maven/([^/]+)/([^/]+)/pom\.xml", name)
        if pom and stem.startswith(pom[2] + "-"):
            group = pom[1]
            licences = [word.strip() for word in re.findall(r"<license>.*?<name>(.*?)</name>", _text(content, name), re.S)]
    return {"group": group, "licences": licences or _of_bundle(content) or _of_text(content)}


def _of_bundle(content: zipfile.ZipFile) -> list[str]:
    manifest = _text(content, "META-INF/MANIFEST.MF") if "META-INF/MANIFEST.MF" in content.namelist() else ""
    headers = re.findall(r"^Bundle-License: (.*)$", manifest.replace("\r", "").replace("\n ", ""), re.M)
    words = [word.split(";")[0].strip() for header in headers for word in header.split(",")]
    return [word for word in words if word]


def _of_text(content: zipfile.ZipFile) -> list[str]:
    texts = [name for name in content.namelist() if re.fullmatch(r"(META-INF/)?LICEN[SC]E[^/]*", name, re.I)]
    text = " ".join(_text(content, texts[0]).split()).lower() if texts else ""
    first = sorted((text.find(words.lower()), licence) for words, licence in WORDS.items() if words.lower() in text)
    return [licence for _, licence in first[:1]]


def weights(paths: Iterable[Path]) -> Iterator[dict[str, Any]]:
    for path in sorted(path for path in paths if path.suffix in {".h5", ".tflite"} and "cache" in path.parts):
        digest = sha256(path)
        yield {"kind": "model", "name": path.name, "version": digest[:12], "sha256": digest}


def system() -> Iterator[dict[str, Any]]:
    """Yield the packages of a system of Debian's family or Red Hat's; Amazon Linux is of the latter."""
    kind = next((kind for kind, command in SYSTEMS.items() if shutil.which(command[0])), None)
    if kind:
        for line in subprocess.run(SYSTEMS[kind], capture_output=True, text=True, check=True).stdout.splitlines():
            name, version = line.split("\t")
            yield {"kind": kind, "name": name, "version": version}


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _text(content: zipfile.ZipFile, name: str) -> str:
    return content.read(name).decode("utf-8", "replace")


def main(folders: list[str]) -> None:
    paths = [Path(top, name) for folder in folders for top, _, names in os.walk(folder) for name in names]
    sys.stdout.write(json.dumps(list(itertools.chain(python_packages(), jars(paths), weights(paths), system()))))


if __name__ == "__main__":
    main(sys.argv[1:])
