"""
`python -m supply.licences [--image IMAGE]`: each part's licence against allowed-licences.toml; exits 1 and names the parts that fail.

Packages of the image's system come with the base, under its distributor's terms: they are in the SBOM, and not judged here.
"""

from __future__ import annotations

import argparse
import sys
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from license_expression import ExpressionError, get_spdx_licensing

from supply.parts import Part, of_environment, of_image

LIST = Path(__file__).with_name("allowed-licences.toml")
JUDGED = {"pypi", "jar", "model"}
SPDX = get_spdx_licensing()


@dataclass(frozen=True)
class Allowed:
    """allowed-licences.toml."""

    licences: Mapping[str, str]  # SPDX identifier -> why it may be here
    names: Mapping[str, str]  # a licence's name in other words, small letters -> SPDX expression
    parts: Mapping[str, Mapping[str, str]]  # Part.key -> licence, source: where a part says nothing, or nothing clear, of itself


@dataclass(frozen=True)
class Verdict:
    part: Part
    licence: str  # SPDX expression; "" if it could not be told
    ok: bool
    reason: str


def read(path: Path = LIST) -> Allowed:
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    return Allowed(table["licences"], {name.lower(): licence for name, licence in table["names"].items()}, table["parts"])


def judge(parts: Iterable[Part], allowed: Allowed) -> list[Verdict]:
    return [_verdict(part, allowed) for part in parts if part.kind in JUDGED]


def licence_of(part: Part, allowed: Allowed) -> str:
    """As one SPDX expression; "" if the part says nothing that can be read. The list's own word about a part comes first."""
    if part.key in allowed.parts:
        return allowed.parts[part.key]["licence"]
    read_as = [allowed.names.get(" ".join(word.lower().split()), word) for word in part.licences]
    if part.choice:  # what cannot be read need not be chosen
        read_as = [word for word in read_as if _known(word)]
    if not read_as or not all(map(_known, read_as)):
        return ""
    return str(SPDX.parse((" OR " if part.choice else " AND ").join(f"({word})" for word in read_as)).simplify())


def _known(text: str) -> bool:
    try:
        return text != "" and not SPDX.unknown_license_keys(text)
    except ExpressionError:
        return False


def _verdict(part: Part, allowed: Allowed) -> Verdict:
    licence = licence_of(part, allowed)
    if not licence:
        said = ", ".join(part.licences) or "nothing"
        return Verdict(part, "", False, f"says `{said}` about its licence: read it, then name it under [parts] or [names]")
    if not _permitted(SPDX.parse(licence), allowed.licences):
        return Verdict(part, licence, False, f"`{licence}` is not on the list")
    return Verdict(part, licence, True, "")


def _permitted(expression: Any, allowed: Mapping[str, str]) -> bool:
    if isinstance(expression, SPDX.OR):
        return any(_permitted(each, allowed) for each in expression.args)
    if isinstance(expression, SPDX.AND):
        return all(_permitted(each, allowed) for each in expression.args)
    return str(expression) in allowed


def unused(verdicts: Iterable[Verdict], allowed: Allowed) -> list[str]:
    """Entries of [parts] that no part here needs."""
    return sorted(set(allowed.parts) - {verdict.part.key for verdict in verdicts})


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m supply.licences", description=(__doc__ or "").split("\n")[1])
    parser.add_argument("--image", help="look into this image instead of the environment that runs this")
    parser.add_argument("--python", type=Path, default=Path(sys.executable), help="of another environment with fruitsctl in it")
    wanted = parser.parse_args(arguments)
    verdicts = judge(of_image(wanted.image) if wanted.image else of_environment(wanted.python), read())
    for licence, count in Counter(verdict.licence or "unknown" for verdict in verdicts).most_common():
        print(f"{count:5}  {licence}")
    bad = [verdict for verdict in verdicts if not verdict.ok]
    for verdict in bad:
        print(f"error: {verdict.part.key} {verdict.part.version} {verdict.reason}", file=sys.stderr)
    print(f"{len(verdicts)} parts, {len(bad)} not allowed", file=sys.stderr)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
