"""
Build the wheel and the image twice from this commit, without a cache, and compare them: `python -m supply.reproducible`.

Times come from the commit (SOURCE_DATE_EPOCH, https://reproducible-builds.org/docs/source-date-epoch/). BuildKit from 0.13 on
writes them into the layers (`rewrite-timestamp`); an older one cannot: files are compared without times. Exits 1 if contents differ.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, NamedTuple

from cli.container.build import plan

CHECKOUT = Path(__file__).parents[1]
SHOWN = 20  # differences of a layer


class Entry(NamedTuple):
    """A file of a layer without its time."""

    kind: bytes
    mode: int
    owner: tuple[int, int]
    link: str
    content: str  # SHA-256


Layer = Mapping[str, Entry]


def layers(archive: Path) -> tuple[dict[str, Any], list[Layer]]:
    """Return configuration and layers of what `docker save`, or BuildKit's exporter `docker`, wrote."""
    with tarfile.open(archive) as image:
        manifest = json.load(_open(image, "manifest.json"))[0]
        return json.load(_open(image, manifest["Config"])), [_layer(_open(image, name)) for name in manifest["Layers"]]


def _layer(archive: IO[bytes]) -> Layer:
    with tarfile.open(fileobj=archive, mode="r:*") as content:
        return {each.name: Entry(each.type, each.mode, (each.uid, each.gid), each.linkname, _sha256(content, each)) for each in content}


def _sha256(content: tarfile.TarFile, member: tarfile.TarInfo) -> str:
    return hashlib.file_digest(_open(content, member), "sha256").hexdigest() if member.isfile() else ""  # type: ignore[arg-type]


def _open(archive: tarfile.TarFile, member: str | tarfile.TarInfo) -> IO[bytes]:
    found = archive.extractfile(member)
    assert found is not None, f"{member} is not a file of the archive"
    return found


def changes(one: Layer, other: Layer) -> list[str]:
    """Return which files differ and how, `only times` if none does."""
    both = [(name, one.get(name), other.get(name)) for name in sorted(one.keys() | other.keys())]
    return [f"/{name}: {_how(first, second)}" for name, first, second in both if first != second] or ["only times"]


def _how(first: Entry | None, second: Entry | None) -> str:
    if first is None or second is None:
        return "in one of the two only"
    return ", ".join(field for field, mine, theirs in zip(Entry._fields, first, second, strict=True) if mine != theirs)


def report(one: Path, other: Path) -> int:
    """Print a line per layer and what differs; return 1 if contents differ, for times alone do not."""
    (config, first), (other_config, second) = layers(one), layers(other)
    if len(first) != len(second):
        print(f"image  {len(first)} layers, then {len(second)}")
        return 1
    digests, others = config["rootfs"]["diff_ids"], other_config["rootfs"]["diff_ids"]
    found_in = [[] if digests[i] == others[i] else changes(first[i], second[i]) for i in range(len(first))]
    for number, (digest, layer, found) in enumerate(zip(digests, first, found_in, strict=True), 1):
        said = f"{len(found)} differ" if len(found) > 1 else (found or ["the same"])[0]
        print(f"layer {number:2}  {digest[:19]}  {len(layer):6} files  {said}")
        print(*(f"    {what}\n" for what in found[:SHOWN] if len(found) > 1), sep="", end="")
    keys = sorted(key for key in config.keys() | other_config.keys() if config.get(key) != other_config.get(key))
    digest = hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()
    same = f"the same twice: sha256:{digest} of its configuration, which names each layer"
    print("image ", f"another digest; its configuration differs in {', '.join(keys)}" if keys else same)
    return int(any(found not in ([], ["only times"]) for found in found_in))


def build_wheel(folder: Path, environment: dict[str, str]) -> str:
    """Build the wheel and return its SHA-256."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=CHECKOUT, env=environment, check=True, stdout=2)
    (wheel,) = folder.glob("*.whl")
    return hashlib.sha256(wheel.read_bytes()).hexdigest()


def build_image(archive: Path, environment: dict[str, str], base: str | None, rewrite: bool) -> None:
    """Build the whole image without a cache, as `docker save` has it."""
    name = f"fruitsctl-reproducible:{archive.stem}"
    command = plan(CHECKOUT, "serverless", base, name, "linux/amd64", rewrite).command
    options = ["--no-cache", f"--build-arg=SOURCE_DATE_EPOCH={environment['SOURCE_DATE_EPOCH']}"]
    if rewrite:
        command.remove("--load")
        options.append(f"--output=type=docker,dest={archive},rewrite-timestamp=true")
    subprocess.run([*command[:-1], *options, command[-1]], cwd=CHECKOUT, env=environment, check=True, stdout=2)
    if not rewrite:
        subprocess.run(["docker", "save", "--output", archive, name], check=True)
        subprocess.run(["docker", "image", "rm", name], check=True, stdout=2)


def commit_time() -> str:
    return subprocess.run(["git", "-C", CHECKOUT, "log", "-1", "--format=%ct"], capture_output=True, text=True, check=True).stdout.strip()


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m supply.reproducible", description=(__doc__ or "").split("\n")[1])
    parser.add_argument("--wheel", action="store_true", help="the wheel alone: seconds")
    parser.add_argument("--base-image", default=os.environ.get("BASE_IMAGE"), help="another base, such as the stand-in [BASE_IMAGE]")
    parser.add_argument("--archives", type=Path, nargs=2, help="compare these two, build nothing")
    parser.add_argument("--work", type=Path, help="folder for two archives of the image: 6 GB [a temporary one]")
    wanted = parser.parse_args(arguments)
    if wanted.archives:
        return report(*wanted.archives)
    environment = {**os.environ, "SOURCE_DATE_EPOCH": commit_time(), "DOCKER_BUILDKIT": "1"}
    with tempfile.TemporaryDirectory(dir=wanted.work) as folder:
        digests = [build_wheel(Path(folder, f"wheel{i}"), environment) for i in (1, 2)]
        print(f"wheel  sha256:{digests[0]}  {'the same twice' if digests[0] == digests[1] else 'DIFFERS: sha256:' + digests[1]}")
        if wanted.wheel:
            return int(digests[0] != digests[1])
        rewrite = subprocess.run(["docker", "buildx", "version"], capture_output=True, check=False).returncode == 0
        archives = [Path(folder, f"{i}.tar") for i in (1, 2)]
        for archive in archives:
            build_image(archive, environment, wanted.base_image, rewrite)
        code = report(*archives)
    return int(code or digests[0] != digests[1])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
