"""Collect facts about an image from Docker and from inside it: configuration, files, its Python, its layers. No judgement."""

from __future__ import annotations

import json
import re
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

from cli.container.docker import docker, inspect_image
from cli.errors import FruitsError
from job.contract.records import Outcome, from_line

T = TypeVar("T")

OFFLINE = ("run", "--rm", "--network", "none", "--hostname", "localhost", "--read-only", "--tmpfs", "/tmp:exec,mode=1777")  # noqa: S108

# One line `PATH KIND NAME SIZE` per file; the folders are those of the official validator, its file checks 3.
LIST_FILES = r"""
for folder in /usr/bin /usr/lib/hadoop /usr/lib/hadoop/lib "$SPARK_HOME/jars" "$SPARK_HOME/bin" "$JAVA_HOME/bin"; do
    find "$folder/" -maxdepth 1 ! -type d -printf "contract\t%h\t%f\t%s\n" 2>/dev/null
done
find /home/hadoop /tmp /mnt /var/log -xdev -type f -printf "hidden\t%h\t%f\t%s\n" 2>/dev/null
find / -xdev -perm /6000 -type f -printf "setuid\t%h\t%f\t%s\n" 2>/dev/null
find /opt/fruits -xdev ! -type l -perm -o+w -printf "writable\t%h\t%f\t%s\n" 2>/dev/null
true
"""

# The job itself, as the service starts it, on three pictures made there: Spark, Delta, Python workers, model, without a network.
RUN_JOB = r"""
set -e
mkdir /tmp/in
/opt/fruits/venv/bin/python -c 'from PIL import Image; from job.imaging.proof import draw_picture
for side in (64, 100, 224): Image.fromarray(draw_picture(0, side)).save(f"/tmp/in/{side}.png")'
"$SPARK_HOME/bin/spark-submit" /opt/fruits/run_job.py --input=file:///tmp/in --output=file:///tmp/out --run-id=check --components=1 \
    --weights="$(ls "$FRUITS_CACHE"/weights/*.h5)" --cache="$FRUITS_CACHE" || true  # the result is in outcome.json
"""
JOB_SETTINGS = """
spark.master local[1]
spark.ui.enabled false
spark.driver.extraJavaOptions -XX:TieredStopAtLevel=1 -XX:+UseSerialGC
spark.sql.codegen.wholeStage false
spark.sql.codegen.factoryMode NO_CODEGEN
spark.sql.shuffle.partitions 2
"""

SECRET_NAMES = re.compile(r"(^|/)(\.aws/|\.docker/config\.json$|\.netrc$|\.pypirc$|\.env$|id_(rsa|ecdsa|ed25519)$)")
SECRET_CONTENT = re.compile(
    rb"(?<![A-Z0-9])(?:AKIA|ASIA)(?![A-Z0-9]{0,12}EXAMPLE)[A-Z0-9]{16}(?![A-Z0-9])"
    rb"|(?i:aws_secret_access_key|aws_session_token)[\"']?\s*[=:]\s*[\"']?[A-Za-z0-9/+=]{30,}"
)
SECRET_FILE_BYTES = 100_000
SECRET_ENV = re.compile(r"(SECRET|TOKEN|PASSWORD|ACCESS_KEY)", re.I)


@dataclass(frozen=True)
class Files:
    """Of one image: `contract` are the folders that a custom image must leave alone."""

    contract: Mapping[str, int]  # path -> bytes
    hidden: frozenset[str]  # below folders that the service mounts over
    setuid: frozenset[str]
    writable: frozenset[str]  # by others, below /opt/fruits


@dataclass(frozen=True)
class ImageFacts:
    """What is known of an image."""

    name: str
    config: Mapping[str, Any]  # `docker image inspect`
    base: Mapping[str, Any] | None  # the same of its base
    files: Files
    base_files: Files | None
    probe: Mapping[str, Any]  # what cli/container/probe.py printed
    job: Outcome
    secrets: tuple[str, ...] = field(default=())


def gather(image: str, base: str | None, photos: Path | None, tell: Callable[[str], None]) -> ImageFacts:
    """
    Collect all facts. The parts run in parallel, because each mostly waits for Docker.

    `base` is the image's own label unless given. `photos` is a folder whose photos are embedded in the container. `tell` is called as each
    part ends.

    Raises:
        FruitsError: there is no such local image, or no response from Docker.
    """
    config = inspect_image(image)
    base = base or str((config["Config"].get("Labels") or {}).get("org.opencontainers.image.base.name", ""))
    base_config = _inspect_or_none(base) if base else None
    shared = len(base_config["RootFS"]["Layers"]) if base_config else 0

    with ThreadPoolExecutor() as pool:

        def part(ended: str, look: Callable[..., T], *arguments: object) -> Future[T]:
            def looked() -> T:
                found = look(*arguments)
                tell(ended)
                return found

            return pool.submit(looked)

        job = part("Ran the job without a network", run_job, image)
        probed = part("Checked Python and the model", probe, image, photos)
        own = part("Checked the files", list_files, image)
        base_files = part("Checked the files of the base", list_files, base) if base_config else None
        secrets = part("Searched the layers for credentials", secrets_in_layers, image, shared)
    leaks = (*_secrets_in_config(config), *secrets.result())
    return ImageFacts(
        image, config, base_config, own.result(), base_files.result() if base_files else None, probed.result(), job.result(), leaks
    )


def _inspect_or_none(image: str) -> dict[str, Any] | None:
    try:
        return inspect_image(image)
    except FruitsError:
        return None


def list_files(image: str) -> Files:
    """List the files of the image, by a shell inside it."""
    printed = docker(*OFFLINE, "--user", "root", "--entrypoint", "/bin/bash", image, "-c", LIST_FILES)
    found: dict[str, dict[str, int]] = {"contract": {}, "hidden": {}, "setuid": {}, "writable": {}}
    for line in printed.splitlines():
        kind, folder, name, size = line.split("\t")
        found[kind][f"{folder}/{name}"] = int(size)
    return Files(found["contract"], *(frozenset(found[kind]) for kind in ("hidden", "setuid", "writable")))


def probe(image: str, photos: Path | None) -> dict[str, Any]:
    """Return what the image's Python reports about itself; {"error": …} if it does not start."""
    script = files("cli.container").joinpath("probe.py").read_text(encoding="utf-8")
    mount = ["--volume", f"{photos.resolve()}:/photos:ro"] if photos else []
    try:
        printed = docker(*OFFLINE, *mount, "-i", "--entrypoint", "/opt/fruits/venv/bin/python", image, "-", input=script)
        facts: dict[str, Any] = json.loads(printed.strip().splitlines()[-1])
    except (FruitsError, ValueError, IndexError) as error:
        return {"error": str(error)}
    return facts


def run_job(image: str) -> Outcome:
    """Run the job in the image, offline and with only /tmp writable, and return its outcome."""
    command = ["--env", f"SPARK_SETTINGS={JOB_SETTINGS}", "--entrypoint", "/opt/fruits/bin/local-spark", image, "/bin/bash", "-c", RUN_JOB]
    try:
        printed = docker(*OFFLINE, *command)
    except FruitsError as error:
        return Outcome("check", 1, "Died", str(error))
    outcomes = [record for line in printed.splitlines() if isinstance(record := from_line(line), Outcome)]
    return outcomes[-1] if outcomes else Outcome("check", 1, "Died", "the job ended without an outcome")


def _secrets_in_config(config: Mapping[str, Any]) -> Iterator[str]:
    for variable in config["Config"].get("Env") or []:
        name, _, value = variable.partition("=")
        if SECRET_ENV.search(name) and value:
            yield f"environment variable {name}"


def secrets_in_layers(image: str, skip: int) -> list[str]:
    """Return files of the layers after the first `skip` whose name or content is a credential."""
    found: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        saved = Path(folder) / "image.tar"
        docker("save", "--output", str(saved), image)
        with tarfile.open(saved) as archive:
            manifest = archive.extractfile("manifest.json")
            assert manifest is not None
            for layer in json.load(manifest)[0]["Layers"][skip:]:
                content = archive.extractfile(layer)
                assert content is not None
                with tarfile.open(fileobj=content, mode="r:*") as members:
                    found += _secrets_in(members)
    return found


def _secrets_in(members: tarfile.TarFile) -> Iterator[str]:
    for member in members:
        if not member.isfile():
            continue
        if SECRET_NAMES.search(member.name):
            yield f"/{member.name}"
        elif member.size <= SECRET_FILE_BYTES:
            content = members.extractfile(member)
            if content is not None and SECRET_CONTENT.search(content.read()):
                yield f"/{member.name}"
