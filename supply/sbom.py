"""
Write a bill of materials as CycloneDX 1.6 JSON, of the wheel's environment or an image: `python -m supply.sbom FILE [--image IMAGE]`.

The same parts at the same commit give the same bytes: the serial number comes from the parts, the time from SOURCE_DATE_EPOCH.
https://cyclonedx.org/docs/1.6/json/
"""

from __future__ import annotations

import argparse
import os
import sys
import tomllib
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from cli import __version__
from supply.licences import Allowed, licence_of, read
from supply.parts import PROJECT, Part, add_options, of

PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"


def bom(parts: Sequence[Part], about: str, allowed: Allowed, made_at: datetime) -> Bom:
    """Return the bill of materials of `parts`; `about` is what they are of: `wheel`, or the image's name."""
    name, kind = (PROJECT, ComponentType.LIBRARY) if about == "wheel" else (about, ComponentType.CONTAINER)
    licence = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]["license"]
    root = Component(name=name, version=__version__, type=kind, bom_ref="root", licenses=[LicenseFactory().make_from_string(licence)])
    components = [component(part, allowed) for part in parts]
    refs = sorted(f"{each.bom_ref.value} {part.sha256}" for part, each in zip(parts, components, strict=True))
    serial = uuid5(NAMESPACE_URL, "\n".join([about, *refs]))
    made = Bom(components=components, metadata=BomMetaData(component=root, timestamp=made_at), serial_number=serial)
    packages = {part.name: each for part, each in zip(parts, components, strict=True) if part.kind == "pypi"}
    needed = [[packages[name] for name, _ in part.needs() if name in packages] for part in parts]
    below = set(chain.from_iterable(needed))
    made.register_dependency(root, [each for each in components if each not in below])
    for each, others in zip(components, needed, strict=True):
        made.register_dependency(each, others)
    return made


def component(part: Part, allowed: Allowed) -> Component:
    licence = licence_of(part, allowed)
    return Component(
        name=part.name,
        group=part.group,
        version=part.version,
        purl=part.purl,
        bom_ref=f"{part.purl}#{part.sha256[:12]}" if part.sha256 else str(part.purl),
        type=ComponentType.MACHINE_LEARNING_MODEL if part.kind == "model" else ComponentType.LIBRARY,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=part.sha256)] if part.sha256 else [],
        licenses=[LicenseFactory().make_from_string(licence)] if licence else [],
    )


def text(made: Bom) -> str:
    """
    Return it as JSON.

    Raises:
        ValueError: it breaks CycloneDX's own schema.
    """
    written = JsonV1Dot6(made).output_as_string(indent=2)
    error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(written)
    if error:
        raise ValueError(f"the bill of materials breaks the schema: {error}")
    return written + "\n"


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m supply.sbom", description=(__doc__ or "").split("\n")[1])
    parser.add_argument("file", type=Path)
    add_options(parser)
    wanted = parser.parse_args(arguments)
    parts = of(wanted)
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    made_at = datetime.fromtimestamp(int(epoch), UTC) if epoch else datetime.now(UTC)
    wanted.file.parent.mkdir(parents=True, exist_ok=True)
    wanted.file.write_text(text(bom(parts, wanted.image or "wheel", read(), made_at)), encoding="utf-8")
    counts = ", ".join(f"{count} {kind}" for kind, count in sorted(Counter(part.kind for part in parts).items()))
    print(f"{wanted.file}: {len(parts)} parts ({counts})")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
