"""
Runs inside what is looked at, on its own Python; one JSON object on stdout: Python packages, jars, packages of the system, weights.

argv: folders to search for jars and weights. Standard library only, for it runs in images too. Facts as they are declared, no judgement.
"""

from __future__ import annotations

import hashlib
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

# Where a jar has no more than a text: the licence whose own words come first in it.
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
    "rpm": ("rpm", "-qa", "--qf", r"%{NAME}\t%{VERSION}-%{RELEASE}\t%{LICENSE}\n"),
}


def python_packages() -> Iterator[dict[str, Any]]:
    for found in metadata.distributions():
        about = found.metadata
        words = [value.split(" :: ")[-1] for value in about.get_all("Classifier") or [] if value.startswith("License :: ")]
        yield {
            "name": about["Name"],
            "version": found.version,
            "expression": _first(about, "License-Expression"),
            "classifiers": [word for word in words if word != "OSI Approved"],
            "licence": _first(about, "License"),
            "requires": found.requires or [],
        }


def _first(about: metadata.PackageMetadata, field: str) -> str | None:
    return next(iter(about.get_all(field) or []), None)


def jars(paths: Iterable[Path]) -> Iterator[dict[str, Any]]:
    for path in sorted({path.resolve() for path in paths if path.suffix == ".jar"}):
        with zipfile.ZipFile(path) as content:
            yield {"file": path.name, "sha256": sha256(path), **about_jar(content, path.stem)}


def about_jar(content: zipfile.ZipFile, stem: str) -> dict[str, Any]:
    """Maven's own description, if the jar has one of itself; a jar of many has that of its parts too."""
    names = content.namelist()
    manifest = _text(content, "META-INF/MANIFEST.MF") if "META-INF/MANIFEST.MF" in names else ""
    headers = dict(line.split(": ", 1) for line in manifest.replace("\r", "").replace("\n ", "").split("\n") if ": " in line)
    about: dict[str, Any] = {"group": None, "licences": [], "bundle": headers.get("Bundle-License"), "text": None}
    for name in names:
        if name.startswith("META-INF/maven/") and name.endswith("/pom.xml"):
            _, _, group, artifact, _ = name.split("/", 4)
            if stem.startswith(artifact + "-"):
                about["group"] = group
                about["licences"] = [word.strip() for word in re.findall(r"<license>.*?<name>(.*?)</name>", _text(content, name), re.S)]
    texts = [name for name in names if re.fullmatch(r"(META-INF/)?LICEN[SC]E[^/]*", name, re.I)]
    if texts:
        text = " ".join(_text(content, texts[0]).split())
        first = [(text.lower().find(words.lower()), licence) for words, licence in WORDS.items()]
        about["text"] = min(((at, licence) for at, licence in first if at >= 0), default=(0, None))[1]
    return about


def weights(paths: Iterable[Path]) -> Iterator[dict[str, Any]]:
    for path in sorted(path for path in paths if path.suffix in {".h5", ".tflite"} and "cache" in path.parts):
        yield {"file": path.name, "sha256": sha256(path)}


def system() -> dict[str, Any]:
    """Of Debian's family or Red Hat's; Amazon Linux is of the latter."""
    for kind, command in SYSTEMS.items():
        if shutil.which(command[0]):
            printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            return {"kind": kind, "packages": [line.split("\t") for line in printed.splitlines()]}
    return {"kind": "none", "packages": []}


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _text(content: zipfile.ZipFile, name: str) -> str:
    return content.read(name).decode("utf-8", "replace")


def main(folders: list[str]) -> None:
    paths = [Path(top, name) for folder in folders for top, _, names in os.walk(folder) for name in names]
    found = {"python": list(python_packages()), "jars": list(jars(paths)), "weights": list(weights(paths)), "system": system()}
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1:])
