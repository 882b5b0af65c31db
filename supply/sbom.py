"""
`python -m supply.sbom FILE [--image IMAGE]`: a software bill of materials as CycloneDX 1.6 JSON, of the wheel's environment or of an image.

The same parts at the same commit give the same bytes: the serial number comes from the parts, the time from SOURCE_DATE_EPOCH.
https://cyclonedx.org/docs/1.6/json/
"""

from __future__ import annotations

import argparse
import os
import sys
import tomllib
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import LicenseRepository
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from cli import __version__
from supply.licences import Allowed, licence_of, read
from supply.parts import PROJECT, Part, of_environment, of_image

TYPES = {"model": ComponentType.MACHINE_LEARNING_MODEL}
PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"


def bom(parts: Sequence[Part], about: str, allowed: Allowed, time: datetime) -> Bom:
    """`about` is what the parts are of: `wheel`, or the image's name."""
    project = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]
    made = Bom()
    kind = ComponentType.LIBRARY if about == "wheel" else ComponentType.CONTAINER
    root = Component(name=PROJECT if about == "wheel" else about, version=__version__, type=kind, bom_ref="root")
    root.licenses.add(LicenseFactory().make_from_string(project["license"]))
    made.metadata.component = root
    made.metadata.timestamp = time
    components = {part: component(part, allowed) for part in parts}
    by_name = {(part.kind, part.name): made_of for part, made_of in components.items()}
    made.components.update(components.values())
    needed = {(part.kind, name) for part in parts for name in part.needs}
    made.register_dependency(root, [each for part, each in components.items() if (part.kind, part.name) not in needed])
    for part, each in components.items():
        made.register_dependency(each, [by_name[part.kind, name] for name in part.needs])
    refs = sorted(f"{each.bom_ref.value} {part.sha256}" for part, each in components.items())
    made.serial_number = uuid5(NAMESPACE_URL, sha256("\n".join([about, *refs]).encode()).hexdigest())
    return made


def component(part: Part, allowed: Allowed) -> Component:
    ref = f"{part.purl}#{part.sha256[:12]}" if part.sha256 else str(part.purl)
    made = Component(
        name=part.name,
        group=part.group,
        version=part.version,
        purl=part.purl,
        bom_ref=ref,
        type=TYPES.get(part.kind, ComponentType.LIBRARY),
    )
    if part.sha256:
        made.hashes.add(HashType(alg=HashAlgorithm.SHA_256, content=part.sha256))
    licence = licence_of(part, allowed)
    made.licenses = LicenseRepository([LicenseFactory().make_from_string(licence)]) if licence else LicenseRepository()
    return made


def text(made: Bom) -> str:
    """
    Raises:
        ValueError: it breaks CycloneDX's own schema.
    """
    written = JsonV1Dot6(made).output_as_string(indent=2)
    error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(written)
    if error:
        raise ValueError(f"the bill of materials breaks the schema: {error}")
    return written + "\n"


def one_each(parts: Iterable[Part]) -> list[Part]:
    """Without those that are there twice, byte for byte."""
    return list({(part.kind, part.group, part.name, part.version, part.sha256): part for part in parts}.values())


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m supply.sbom", description=(__doc__ or "").split("\n")[1])
    parser.add_argument("file", type=Path)
    parser.add_argument("--image", help="of this image instead of the environment that runs this")
    parser.add_argument("--python", type=Path, default=Path(sys.executable), help="of another environment with fruitsctl in it")
    wanted = parser.parse_args(arguments)
    parts = one_each(of_image(wanted.image) if wanted.image else of_environment(wanted.python))
    time = datetime.fromtimestamp(int(os.environ["SOURCE_DATE_EPOCH"]), UTC) if os.environ.get("SOURCE_DATE_EPOCH") else datetime.now(UTC)
    wanted.file.parent.mkdir(parents=True, exist_ok=True)
    wanted.file.write_text(text(bom(parts, wanted.image or "wheel", read(), time)), encoding="utf-8")
    counts = ", ".join(f"{sum(part.kind == kind for part in parts)} {kind}" for kind in sorted({part.kind for part in parts}))
    print(f"{wanted.file}: {len(parts)} parts ({counts})")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
