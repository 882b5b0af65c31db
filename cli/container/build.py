"""Build the job's image from the Dockerfile of a checkout: the exact `docker build` command and its extra context."""

from __future__ import annotations

import filecmp
import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from cli import __version__
from cli.container.ecr import checked_region
from cli.container.push import split
from cli.errors import FruitsError, RefusedError, UsageError
from cli.settings.release import BASES, MODEL, RELEASE, RELEASES

WEIGHTS = Path("build", "weights")  # of the context, see .dockerignore


@dataclass(frozen=True)
class BuildPlan:
    """The image to build and the command that builds it."""

    image: str
    base: str
    command: list[str]


def plan(
    checkout: Path, target: str, base: str | None, image: str | None, platform: str, buildx: bool, cache: str | None = None
) -> BuildPlan:
    """
    Return the command that builds the image. `cache` is a layer cache of BuildKit, such as `type=gha`; it needs `buildx`.

    Raises:
        UsageError: there is no Dockerfile here, no such target or type of cache, a setting of the cache is given twice or in quotes, or
            FRUITS_RELEASE is not a known release.
        RefusedError: the cache is in an ECR registry outside the European Union.
    """
    if not (checkout / "Dockerfile").is_file():
        raise UsageError(f"there is no Dockerfile in `{checkout}`", "run the command in the checkout")
    if target not in BASES:
        raise UsageError(f"target is one of {', '.join(BASES)}, not `{target}`", "see `fruitsctl image build --help`")
    if RELEASE not in RELEASES:
        raise UsageError(f"FRUITS_RELEASE is one of {', '.join(RELEASES)}, not `{RELEASE}`", "see docs/how-to/spark4.md")
    base = base or BASES[target].format(release=RELEASE)
    image = image or f"fruitsctl:{target}"
    arguments = {
        "RELEASE": RELEASE,
        "BASE_IMAGE": base,
        "TARGET": target,
        "MODEL": MODEL,
        "VERSION": __version__,
        "REVISION": _git(checkout, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*") or "unknown",
        "SOURCE": re.sub(r"//[^/@]*@", "//", _git(checkout, "remote", "get-url", "origin")) or "unknown",  # a remote may hold a token
    }
    options = [f"--build-arg={name}={value}" for name, value in arguments.items()]
    extra = ["--load", "--provenance=false", "--sbom=false"] if buildx else []  # one manifest, no index: the service expects that
    if cache:
        _check_cache(cache)
        extra += [f"--cache-from={cache}", f"--cache-to={cache},mode=max"]
    command = ["docker", "build", f"--platform={platform}", "--target=job", *extra, *options, f"--tag={image}", str(checkout)]
    return BuildPlan(image, base, command)


def build(todo: BuildPlan, checkout: Path, weights: Path, environment: dict[str, str]) -> None:
    """
    Build the image. `weights` go into the context, so that the build needs no network for them.

    Docker shows its progress on stderr.

    Raises:
        RefusedError: a notebook that goes into the image has outputs.
        FruitsError: Docker is not there, or the build failed.
    """
    for notebook in sorted((checkout / "notebooks").glob("*.ipynb")):
        _refuse_outputs(notebook)
    put_into_context(weights, checkout / WEIGHTS)
    try:
        done = subprocess.run(todo.command, env={**environment, "DOCKER_BUILDKIT": "1"}, check=False)
    except FileNotFoundError as error:
        raise UsageError("there is no `docker` on this machine", "install Docker Engine 23 or newer") from error
    if done.returncode:
        raise FruitsError(f"the build of `{todo.image}` failed with exit code `{done.returncode}`", "see the build output above")


def put_into_context(weights: Path, folder: Path) -> None:
    """Put `weights` into `folder` as its only file. An existing file stays, since another build may be reading it."""
    folder.mkdir(parents=True, exist_ok=True)
    for other in folder.iterdir():
        if other.name != weights.name:
            other.unlink()
    inside = folder / weights.name
    if not inside.is_file() or not filecmp.cmp(weights, inside, shallow=False):
        shutil.copy(weights, inside)


def _check_cache(cache: str) -> None:
    """Raise an error for a cache that is not on this machine, at GitHub or in a registry that images may be pushed to."""
    # buildx reads CSV with quotes, takes keys in any case, and the last of two: https://docs.docker.com/reference/cli/docker/buildx/build/
    if '"' in cache:
        raise UsageError(f"layer cache `{cache}` has quotes", "write NAME=VALUE,NAME=VALUE without quotes")
    pairs = [part.partition("=")[::2] for part in cache.split(",")]
    settings = {name.lower(): value for name, value in pairs}
    if len(settings) < len(pairs):
        raise UsageError(f"layer cache `{cache}` has a setting twice", "give each setting once")
    if settings.get("type") not in ("gha", "local", "registry"):
        raise UsageError(f"the type of layer cache `{cache}` is none of gha, local and registry", "write for example --cache type=gha")
    if settings["type"] == "registry":
        checked_region(split(settings.get("ref", ""))[0])


def _refuse_outputs(notebook: Path) -> None:
    try:
        cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
        shown = any(cell.get("outputs") for cell in cells)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"`{notebook}` is not a valid notebook", f"restore it with `git checkout {notebook}`") from error
    if shown:
        raise RefusedError(f"`{notebook}` has outputs, which may show photos", "clear the outputs of all cells, then build the image again")


def _git(checkout: Path, *words: str) -> str:
    """Return git's output, or nothing: a checkout may be a plain folder."""
    try:
        return subprocess.run(["git", "-C", str(checkout), *words], capture_output=True, text=True, check=False).stdout.strip()
    except FileNotFoundError:
        return ""
