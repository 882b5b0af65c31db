"""
Class-data-sharing archive for the JVM of a local Spark: classes that are loaded from it need no parsing, which saves 2 s per run.

Made once per Java and Spark, after a run, by a process of low priority. A JVM that cannot use an archive starts without it.
https://docs.oracle.com/en/java/javase/17/docs/specs/man/java.html#application-class-data-sharing
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shlex
import subprocess
import sys
import tempfile
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from cli.errors import UsageError
from cli.settings.atomic_write import atomic_write
from cli.settings.config import settings
from cli.targets.local.environment import JVM_OPTIONS, for_spark, temporary_folder
from cli.targets.local.java import java_for_spark

QUIET = "-Xlog:cds=off -Xlog:cds+dynamic=off"  # an archive that does not fit is no message on stdout
PICTURES = 10


def archive_of(cache: Path, java_home: Path) -> Path:
    """Return where the archive for this Java and this Spark is, or will be."""
    spec = find_spec("pyspark")
    spark = Path(spec.origin).parent if spec and spec.origin else Path()
    made_for = [(path, path.stat().st_mtime_ns) for path in (java_home / "release", spark / "jars") if path.exists()]
    return cache / "jvm" / f"{hashlib.sha256(repr(made_for).encode()).hexdigest()[:16]}.jsa"


def options_for(archive: Path) -> dict[str, str]:
    """Return the environment variable that starts a JVM from `archive`, or nothing where it is missing."""
    return {JVM_OPTIONS: f"{shlex.quote(f'-XX:SharedArchiveFile={archive}')} {QUIET}"} if archive.is_file() else {}


def make_in_background(archive: Path) -> None:
    """Start a process that makes `archive`, unless one did or does, also without success. Its log is beside the archive."""
    if archive.is_file():
        return
    with suppress(OSError):  # the log is there already, or the cache is read-only
        archive.parent.mkdir(parents=True, exist_ok=True)
        with open(archive.with_suffix(".log"), "x") as log:
            command = [sys.executable, "-m", "cli.targets.local.jvm_archive", str(archive)]
            # In a session of its own a Ctrl-C or a closed terminal does not reach it.
            subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, preexec_fn=_low_priority)


def make(archive: Path) -> None:
    """
    Make `archive`, if it is missing, from a run on a few drawn pictures, and delete those of other versions. Half a minute of one core.

    Raises:
        SystemExit: there is no Java, the run failed, or its JVM wrote no archive.
    """
    archive.parent.mkdir(parents=True, exist_ok=True)
    with open(archive.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not archive.is_file():
            for left in archive.parent.glob(f".{archive.name}.*.part"):  # by a process that was killed: the lock is ours
                left.unlink()
            with atomic_write(archive) as partial:
                _make(partial)
                for old in archive.parent.glob("*.jsa"):
                    old.unlink()


def _make(partial: Path) -> None:
    from PIL import Image

    with tempfile.TemporaryDirectory(prefix="fruitsctl-", dir=temporary_folder()) as folder:
        photos = Path(folder, "photos", "Apple")
        photos.mkdir(parents=True)
        for shade in range(0, 250, 250 // PICTURES):
            Image.new("RGB", (100, 100), (shade, 250 - shade, 90)).save(photos / f"{shade}.jpg")
        command = [sys.executable, "-m", "job", f"--input={photos.parent}", f"--output={folder}/out", "--run-id=1", "--model=mean_colour"]
        environment = {
            **for_spark(os.environ),
            "JAVA_HOME": str(_java_home()),
            "TMPDIR": folder,
            JVM_OPTIONS: f"{shlex.quote(f'-XX:ArchiveClassesAtExit={partial}')} {QUIET}",
        }
        # Its pipes are the JVM's too, which writes the archive when it ends: this waits for both.
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode or not partial.is_file():
        sys.exit(f"no archive was written, exit code {done.returncode}:\n{done.stderr[-3000:]}")


def _java_home() -> Path:
    try:
        return java_for_spark(os.environ.get("JAVA_HOME")).home
    except UsageError as error:
        sys.exit(str(error))


def _low_priority() -> None:
    os.nice(19)


if __name__ == "__main__":
    wanted = Path(sys.argv[1]) if sys.argv[1:] else archive_of(settings().cache, _java_home())
    make(wanted)
    print(wanted)  # noqa: T201 - for the Makefile
