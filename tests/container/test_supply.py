"""The parts of the image, read from the image itself: all kinds are in its bill of materials, and each licence is on the list."""

import json
from datetime import UTC, datetime

from supply import licences, sbom
from supply.parts import of_image


def test_the_bill_of_the_image_has_packages_jars_weights_and_the_system_under_allowed_licences(image):
    parts, allowed = of_image(image), licences.read()
    told = json.loads(sbom.text(sbom.bom(parts, image, allowed, datetime(2026, 11, 21, tzinfo=UTC))))

    kinds = {component["purl"].split("/")[0] for component in told["components"]}
    assert {"pkg:pypi", "pkg:maven", "pkg:generic"} < kinds
    assert kinds & {"pkg:deb", "pkg:rpm"}
    assert {"tensorflow-cpu", "pillow"} <= {part.name for part in parts if part.kind == "pypi"}
    assert "fruitsctl" not in {part.name for part in parts}
    weights = [each for each in told["components"] if each["type"] == "machine-learning-model"]
    assert {each["name"].split("-")[0] for each in weights} >= {"mobilenet_v2", "mobilenet_v2_untrained"}
    assert all(len(each["hashes"][0]["content"]) == 64 for each in weights)
    assert [f"{bad.part.key} {bad.reason}" for bad in licences.judge(parts, allowed) if bad.reason] == []
