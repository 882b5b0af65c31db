"""
`python -m supply.reproducible`: the wheel and the image built twice from this commit, without a cache; the same digest, or what differs.

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
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cli.image_build import plan

CHECKOUT = Path(__file__).parents[1]
SHOWN = 20  # differences of a layer


@dataclass(frozen=True)
class Entry:
    """A file of a layer without its time."""

    kind: bytes
    mode: int
    owner: tuple[int, int]
    link: str
    sha256: str


@dataclass(frozen=True)
class Layer:
    digest: str  # of the uncompressed archive, times and all
    entries: dict[str, Entry]


@dataclass(frozen=True)
class Difference:
    layer: int
    what: str  # "only times", or which file and how


def layers(archive: Path) -> tuple[dict[str, Any], list[Layer]]:
    """Configuration and layers of what `docker save`, or BuildKit's exporter `docker`, wrote."""
    with tarfile.open(archive) as image:
        manifest = json.load(_open(image, "manifest.json"))[0]
        config: dict[str, Any] = json.load(_open(image, manifest["Config"]))
        return config, [_layer(image, name, config["rootfs"]["diff_ids"][i]) for i, name in enumerate(manifest["Layers"])]


def _layer(image: tarfile.TarFile, name: str, digest: str) -> Layer:
    entries = {}
    with tarfile.open(fileobj=_open(image, name), mode="r:*") as content:
        for member in content:
            data = content.extractfile(member) if member.isfile() else None
            sha256 = hashlib.file_digest(data, "sha256").hexdigest() if data else ""  # type: ignore[arg-type]
            entries[member.name] = Entry(member.type, member.mode, (member.uid, member.gid), member.linkname, sha256)
    return Layer(digest, entries)


def _open(image: tarfile.TarFile, name: str) -> Any:
    found = image.extractfile(name)
    assert found is not None, f"{name} is no file of the archive"
    return found


def compare(first: list[Layer], second: list[Layer]) -> list[Difference]:
    """Nothing, if all layers have the same digest."""
    if len(first) != len(second):
        return [Difference(0, f"{len(first)} layers, then {len(second)}")]
    found: list[Difference] = []
    for number, (one, other) in enumerate(zip(first, second, strict=True), 1):
        if one.digest != other.digest:
            changed = [Difference(number, what) for what in _changes(one.entries, other.entries)]
            found += changed or [Difference(number, "only times")]
    return found


def _changes(one: dict[str, Entry], other: dict[str, Entry]) -> Iterable[str]:
    for name in sorted(one.keys() | other.keys()):
        if name not in one or name not in other:
            yield f"/{name}: in one of the two only"
        elif one[name] != other[name]:
            fields = [
                field for field in ("kind", "mode", "owner", "link", "sha256") if getattr(one[name], field) != getattr(other[name], field)
            ]
            yield f"/{name}: {', '.join(fields).replace('sha256', 'content')}"


def build_wheel(folder: Path, environment: dict[str, str]) -> str:
    """SHA-256 of the wheel."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder], cwd=CHECKOUT, env=environment, check=True, stdout=2
    )
    (wheel,) = folder.glob("*.whl")
    return hashlib.sha256(wheel.read_bytes()).hexdigest()


def build_image(archive: Path, environment: dict[str, str], base: str | None, rewrite: bool) -> None:
    """The whole image without a cache, as `docker save` has it."""
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
        return report(*(layers(path) for path in wanted.archives))
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
        code = report(*map(layers, archives))
    return int(code or digests[0] != digests[1])


def report(first: tuple[dict[str, Any], list[Layer]], second: tuple[dict[str, Any], list[Layer]]) -> int:
    """1 if contents differ; times alone do not."""
    differences = compare(first[1], second[1])
    for number, layer in enumerate(first[1], 1):
        here = [each.what for each in differences if each.layer in (0, number)]
        said = here[0] if len(here) == 1 else f"{len(here)} differ" if here else "the same"
        print(f"layer {number:2}  {layer.digest[:19]}  {len(layer.entries):6} files  {said}")
        for what in here[:SHOWN] if len(here) > 1 else []:
            print(f"    {what}")
    configs = [json.dumps(config, sort_keys=True) for config, _ in (first, second)]
    if configs[0] == configs[1]:
        print(
            f"image  the same twice: sha256:{hashlib.sha256(configs[0].encode()).hexdigest()} of its configuration, which names each layer"
        )
    else:
        keys = [key for key in first[0] | second[0] if first[0].get(key) != second[0].get(key)]
        print(f"image  another digest; its configuration differs in {', '.join(sorted(keys))}")
    return int(any(difference.what != "only times" for difference in differences))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
