"""
Choose what a local Spark inherits from the shell.

Nothing of another Spark or Python, a locale that allows accents in file names, and a temporary folder from which the JVM can load
libraries.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from cli.settings.config import settings

ROOT = Path(__file__).resolve().parents[3]  # of the packages `cli` and `job`
OF_ANOTHER = re.compile(r"(SPARK|PYSPARK|HADOOP|YARN)_\w+|PYTHON(PATH|HOME)")
JVM_OPTIONS = "SPARK_SUBMIT_OPTS"  # honoured: see cli/targets/local/jvm_archive.py
SUBMIT_ARGS = "FRUITS_SUBMIT_ARGS"  # what the job's PYSPARK_SUBMIT_ARGS are; benchmarks and tests give Spark settings by it
# glibc 2.35, Debian and Fedora have it, whatever else is installed. macOS names files in UTF-8 in any locale.
LOCALE = "C.UTF-8"


def ignored(environ: Mapping[str, str]) -> list[str]:
    """Return the variables of another Spark or Python that a local run does not inherit."""
    names = {name for name in environ if OF_ANOTHER.fullmatch(name) and name != JVM_OPTIONS}
    if all(_is_root(folder) for folder in _python_path(environ)):
        names.discard("PYTHONPATH")
    return sorted(names)


def for_spark(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the part of `environ` that a local Spark inherits. Its job is imported from where this command was."""
    kept = {name: value for name, value in environ.items() if not OF_ANOTHER.fullmatch(name) or name == JVM_OPTIONS}
    if any(_is_root(folder) for folder in _python_path(environ)):
        kept["PYTHONPATH"] = str(ROOT)
    if SUBMIT_ARGS in environ:
        kept["PYSPARK_SUBMIT_ARGS"] = environ[SUBMIT_ARGS]
    return {**kept, "LC_ALL": LOCALE}


def temporary_folder() -> Path:
    """Return TMPDIR, or a folder of the cache if that is mounted `noexec`: the JVM loads libraries from it."""
    usual = Path(tempfile.gettempdir())
    if allows_programs(usual):
        return usual
    other = settings().cache / "tmp"
    with suppress(OSError):  # a cache that cannot be written
        other.mkdir(parents=True, exist_ok=True)
    return other if os.access(other, os.W_OK) and allows_programs(other) else usual


def allows_programs(folder: Path) -> bool:
    return not os.statvfs(folder).f_flag & getattr(os, "ST_NOEXEC", 0)  # macOS does not tell


def _python_path(environ: Mapping[str, str]) -> list[str]:
    return [folder for folder in environ.get("PYTHONPATH", "").split(os.pathsep) if folder]


def _is_root(folder: str) -> bool:
    return Path(folder).resolve() == ROOT
