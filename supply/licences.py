"""
Check the licence of each part against allowed-licences.toml: `python -m supply.licences [--image IMAGE]`. Exit with 1 if one fails.

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

from license_expression import ExpressionError, get_spdx_licensing

from supply.parts import Part, add_options, of

LIST = Path(__file__).with_name("allowed-licences.toml")
JUDGED = {"pypi", "jar", "model"}
SPDX = get_spdx_licensing()


@dataclass(frozen=True)
class Allowed:
    """The content of allowed-licences.toml."""

    licences: Mapping[str, str]  # SPDX identifier -> why it may be here
    names: Mapping[str, str]  # a licence's name in other words, small letters -> SPDX expression
    parts: Mapping[str, Mapping[str, str]]  # Part.key -> licence, source: where a part says nothing, or nothing clear, of itself


@dataclass(frozen=True)
class LicenceVerdict:
    part: Part
    licence: str  # SPDX expression; "" if it could not be told
    reason: str  # why it is not allowed; "" if it is


def read(path: Path = LIST) -> Allowed:
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    return Allowed(table["licences"], {name.lower(): licence for name, licence in table["names"].items()}, table["parts"])


def judge(parts: Iterable[Part], allowed: Allowed) -> list[LicenceVerdict]:
    return [_verdict(part, allowed) for part in parts if part.kind in JUDGED]


def licence_of(part: Part, allowed: Allowed) -> str:
    """Return one SPDX expression; "" if the part says nothing that can be read. The list's own word about a part comes first."""
    if part.key in allowed.parts:
        return allowed.parts[part.key]["licence"]
    said = [allowed.names.get(" ".join(word.lower().split()), word) for word in part.licences]
    known = [word for word in said if _known(word)]
    if not known or (known != said and not part.choice):  # of a choice, what cannot be read need not be chosen
        return ""
    return str(SPDX.parse((" OR " if part.choice else " AND ").join(f"({word})" for word in known)).simplify())


def _known(text: str) -> bool:
    try:
        return text != "" and not SPDX.unknown_license_keys(text)
    except ExpressionError:
        return False


def _verdict(part: Part, allowed: Allowed) -> LicenceVerdict:
    licence = licence_of(part, allowed)
    if not licence:
        said = ", ".join(part.licences) or "nothing"
        return LicenceVerdict(part, "", f"says `{said}` about its licence: read it, then name it under [parts] or [names]")
    return LicenceVerdict(part, licence, "" if _permitted(licence, allowed) else f"`{licence}` is not on the list")


def _permitted(licence: str, allowed: Allowed) -> bool:
    """Replace each licence by whether it is on the list, and return what is left of the expression."""
    expression = SPDX.parse(licence)
    answers = {each: SPDX.TRUE if str(each) in allowed.licences else SPDX.FALSE for each in expression.symbols}
    return bool(expression.subs(answers, simplify=True) == SPDX.TRUE)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m supply.licences", description=(__doc__ or "").split("\n")[1])
    add_options(parser)
    verdicts = judge(of(parser.parse_args(arguments)), read())
    for licence, count in Counter(verdict.licence or "unknown" for verdict in verdicts).most_common():
        print(f"{count:5}  {licence}")
    bad = [verdict for verdict in verdicts if verdict.reason]
    for verdict in bad:
        print(f"error: {verdict.part.key} {verdict.part.version} {verdict.reason}", file=sys.stderr)
    print(f"{len(verdicts)} parts, {len(bad)} not allowed", file=sys.stderr)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
