"""`fruitsctl doctor`: check the prerequisites of a run, here or with `--aws` in the account, and show how to fix them."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from cli.errors import UsageError
from cli.settings import user
from cli.settings.config import Settings, settings
from cli.settings.folders import local
from cli.targets.local.environment import allows_programs, ignored, temporary_folder
from cli.targets.local.java import INSTALL, find_java_home, in_words, passed_over, supported
from cli.ui.checks import Check, report
from cli.ui.given_options import given
from job.contract.locations import broken_link, longest_existing

OLDEST, NEWEST = (3, 11), (3, 13)  # a test compares them with `requires-python`
MEMORY_GIB = 4  # measured: a run on two cores takes 2.5 GiB, most of it the JVM
DISK_GIB = 2  # Spark's jars, the weights, and features of 200,000 images


def doctor(
    context: typer.Context,
    output: Annotated[str, typer.Argument(help="Where results would go.")] = "out",
    aws: Annotated[bool, typer.Option("--aws", help="The AWS account instead, for runs on EMR Serverless.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the checks as JSON.")] = False,
) -> None:
    """Check this machine or AWS; exits 1 if something is missing."""
    config = settings()
    if aws:
        if "output" in given(context):
            raise UsageError("`OUTPUT` cannot be used with `--aws`", "remove OUTPUT: only a check of this machine uses it")
        from cli.aws.clients import connect
        from cli.targets.emr_serverless.account_checks import checks as aws_checks

        report(aws_checks(connect(), config), as_json, "missing", "run the commands after `fix:`, then `fruitsctl doctor --aws` again")
        return
    folder = local(output, "run `fruitsctl doctor --aws`, or give a local folder")
    checks = [
        python(),
        packages(),
        java(config),
        user_name(),
        environment_check(os.environ),
        memory(),
        disk(folder),
        weights(config),
        writable("output", folder, "choose another OUTPUT, and check it with `fruitsctl doctor OTHER_OUTPUT`"),
        writable("cache", config.cache, "export FRUITS_CACHE=WRITABLE_FOLDER"),
        temporary(),
    ]
    same = shlex.join(["fruitsctl", "doctor", *([output] if "output" in given(context) else [])])
    report(checks, as_json, "missing", f"run the commands after `fix:`, then `{same}` again")


def python() -> Check:
    version = ".".join(str(part) for part in sys.version_info[:3])
    ok = OLDEST <= sys.version_info[:2] <= NEWEST
    wanted = "" if ok else f", wanted {OLDEST[0]}.{OLDEST[1]} to {NEWEST[0]}.{NEWEST[1]}"
    if sys.version_info[:2] > NEWEST:
        wanted += "; TensorFlow 2.21, NumPy 2.1 and pyarrow 21 have no wheels for it"
    return Check("python", ok, f"{version} ({sys.executable}){wanted}", "uv tool install --python 3.13 '.[job]' in the checkout")


def packages() -> Check:
    wanted = ("pyspark", "tensorflow", "ai_edge_litert", "PIL", "pyarrow", "numpy", "obstore")
    missing = [name for name in wanted if find_spec(name) is None]
    return Check(
        "packages",
        not missing,
        f"missing {', '.join(missing)}" if missing else "Spark, TensorFlow, LiteRT",
        "uv tool install '.[job]' in the checkout",
    )


def java(config: Settings) -> Check:
    found, skipped = find_java_home(config.java_home), passed_over(config.java_home)
    if found is None:
        return Check("java", False, skipped or f"no Java {in_words(supported())}", INSTALL)
    return Check("java", True, f"{found.version} from {found.source} ({found.home})" + (f"; {skipped}" if skipped else ""))


def user_name() -> Check:
    name = user.name()
    return Check("user", name is not None, name or f"user id {os.getuid()} has no name, and Spark needs one", user.NAME_HINT)


def environment_check(environ: Mapping[str, str]) -> Check:
    """List variables of another Spark that a local run does not inherit. Never fails."""
    names = ignored(environ)
    return Check("environment", True, f"ignored by local runs: {', '.join(names)}" if names else "nothing of another Spark")


def temporary() -> Check:
    folder = temporary_folder()
    ok = allows_programs(folder)
    return Check("temporary", ok, f"{folder}" if ok else f"{folder} is mounted noexec", "export TMPDIR=FOLDER_ON_ANOTHER_DISK")


def memory() -> Check:
    gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return Check(
        "memory", gib >= MEMORY_GIB, f"{gib:.1f} GiB, needs {MEMORY_GIB}", "export FRUITS_DRIVER_MEMORY=1g, and close other programs"
    )


def disk(output: Path) -> Check:
    there = longest_existing(str(output.absolute()))
    there = os.path.dirname(there) if broken_link(there) else there  # which is on no disk
    gib = shutil.disk_usage(there).free / 2**30
    return Check(
        "disk",
        gib >= DISK_GIB,
        f"{gib:.1f} GiB free at {there}, needs {DISK_GIB}",
        f"free space at {there} (see `df -h {there}`), or choose another OUTPUT",
    )


def weights(config: Settings) -> Check:
    folder = (config.assets or config.cache) / "weights"
    found = sorted(folder.glob("*no_top*.h5"))
    if found:
        return Check("weights", True, str(found[0]))
    if config.assets:
        return Check("weights", False, f"no *no_top*.h5 in {folder} (FRUITS_ASSETS)", "unset FRUITS_ASSETS, or copy the Keras file there")
    return Check("weights", True, "not downloaded yet: the first run downloads 9 MB")


def writable(name: str, folder: Path, fix: str) -> Check:
    there = longest_existing(str(folder.absolute()))
    ok = os.path.isdir(there) and os.access(there, os.W_OK | os.X_OK)
    return Check(name, ok, f"{folder.absolute()}" if ok else broken_link(there) or f"cannot write to {there}", fix)
