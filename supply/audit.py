"""
`python -m supply.audit SBOM…`: the parts of bills of materials against a snapshot of known advisories; no network but for `--fetch`.

A snapshot is OSV's own export, one archive per ecosystem with GitHub's and PyPA's advisories in it (https://google.github.io/osv.dev/data/),
kept in a folder with the SHA-256 of each archive: what was audited with what can be repeated. Exits 0: looked, nothing found in what this
project chooses; 1: something found; 2: NOT AUDITED, and why. Jars are the base's: findings in them are listed and leave the exit code as
it is, for the way out is another release of EMR.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from packageurl import PackageURL
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

ECOSYSTEMS = {"pypi": "PyPI", "maven": "Maven"}
EXPORT = "https://osv-vulnerabilities.storage.googleapis.com"  # <ecosystem>/all.zip; another address for a mirror: --from
SUMS = "SHA256SUMS"
TIMEOUT_SECONDS = 60
CHOSEN_HERE = "pypi"


class NotAuditedError(Exception):
    """There is nothing to audit with."""


@dataclass(frozen=True, order=True)
class Finding:
    purl: str
    advisory: str
    aliases: str
    fixed: str  # versions without it, as the advisory has them
    summary: str

    @property
    def ours(self) -> bool:
        return self.purl.startswith(f"pkg:{CHOSEN_HERE}/")


def fetch(folder: Path, source: str) -> None:
    """
    Raises:
        NotAuditedError: the export could not be reached.
    """
    folder.mkdir(parents=True, exist_ok=True)
    sums = []
    for ecosystem in ECOSYSTEMS.values():
        try:
            answer = requests.get(f"{source}/{ecosystem}/all.zip", timeout=TIMEOUT_SECONDS)
            answer.raise_for_status()
        except requests.RequestException as error:
            raise NotAuditedError(f"the advisories could not be fetched from {source}: {type(error).__name__}") from error
        (folder / f"{ecosystem}.zip").write_bytes(answer.content)
        sums.append(f"{hashlib.sha256(answer.content).hexdigest()}  {ecosystem}.zip\n")
    (folder / SUMS).write_text("".join(sums), encoding="utf-8")


def check_sums(folder: Path) -> list[str]:
    """
    Lines of SHA256SUMS, each held against its file.

    Raises:
        NotAuditedError: no snapshot, or not the one that was kept.
    """
    if not (folder / SUMS).is_file():
        raise NotAuditedError(f"there is no snapshot of advisories in {folder}")
    lines = (folder / SUMS).read_text(encoding="utf-8").splitlines()
    for line in lines:
        wanted, name = line.split()
        if not (folder / name).is_file() or hashlib.sha256((folder / name).read_bytes()).hexdigest() != wanted:
            raise NotAuditedError(f"{folder / name} is not what {SUMS} beside it says")
    return lines


def parts_of(sbom: Path) -> list[PackageURL]:
    components = json.loads(sbom.read_text(encoding="utf-8"))["components"]
    return [PackageURL.from_string(each["purl"]) for each in components if each.get("purl")]


def audit(parts: list[PackageURL], folder: Path) -> tuple[list[Finding], str]:
    """Findings, and when the newest advisory of the snapshot was changed last (ISO 8601)."""
    found: set[Finding] = set()
    newest = ""
    for kind, ecosystem in ECOSYSTEMS.items():
        wanted: dict[str, list[PackageURL]] = {}
        for part in parts:
            if part.type == kind:
                wanted.setdefault(_name(part), []).append(part)
        for advisory in read(folder / f"{ecosystem}.zip"):
            newest = max(newest, advisory.get("modified", ""))
            if "withdrawn" in advisory:
                continue
            for affected in advisory.get("affected", []):
                package = affected.get("package", {})
                name = canonicalize_name(package.get("name", "")) if kind == "pypi" else package.get("name", "")
                for part in wanted.get(name, []) if package.get("ecosystem") == ecosystem else []:
                    if hit(affected, str(part.version), kind):
                        found.add(_finding(advisory, affected, part))
    return sorted(found), newest


def read(archive: Path) -> Iterator[dict[str, Any]]:
    with zipfile.ZipFile(archive) as content:
        for name in content.namelist():
            yield json.loads(content.read(name))


def hit(affected: Mapping[str, Any], version: str, kind: str) -> bool:
    """The listed versions, and for Python ranges too; Amazon's own builds count as the version that they are made from."""
    plain = version.split("-amzn")[0]
    if {version, plain} & set(affected.get("versions", [])):
        return True
    if kind != "pypi":
        return False
    try:
        ours = Version(version)
    except InvalidVersion:
        return False
    return any(_within(span["events"], ours) for span in affected.get("ranges", []) if span.get("type") == "ECOSYSTEM")


def _within(events: list[dict[str, str]], ours: Version) -> bool:
    """https://ossf.github.io/osv-schema/#evaluation"""
    inside = False
    for event in sorted(events, key=lambda event: _version(next(iter(event.values())))):
        if "introduced" in event and _version(event["introduced"]) <= ours:
            inside = True
        if "fixed" in event and _version(event["fixed"]) <= ours:
            inside = False
        if "last_affected" in event and _version(event["last_affected"]) < ours:
            inside = False
    return inside


def _version(text: str) -> Version:
    return Version("0.dev0" if text == "0" else text)


def _name(part: PackageURL) -> str:
    return canonicalize_name(part.name) if part.type == "pypi" else f"{part.namespace}:{part.name}"


def _finding(advisory: Mapping[str, Any], affected: Mapping[str, Any], part: PackageURL) -> Finding:
    fixed = [
        event["fixed"] for span in affected.get("ranges", []) if span.get("type") != "GIT" for event in span["events"] if "fixed" in event
    ]
    said = str(advisory.get("summary") or advisory.get("details") or "").strip().split("\n")[0][:120]
    return Finding(str(part), advisory["id"], ", ".join(advisory.get("aliases", [])), ", ".join(fixed), said)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m supply.audit", description=(__doc__ or "").split("\n")[1])
    parser.add_argument("sbom", type=Path, nargs="+")
    default = Path(os.environ.get("FRUITS_ADVISORIES") or "build/advisories")
    parser.add_argument("--advisories", type=Path, default=default, help="the snapshot's folder [FRUITS_ADVISORIES, build/advisories]")
    parser.add_argument("--fetch", action="store_true", help="a new snapshot first")
    parser.add_argument("--from", dest="source", default=EXPORT, help="where --fetch gets it")
    wanted = parser.parse_args(arguments)
    try:
        if wanted.fetch:
            fetch(wanted.advisories, wanted.source)
        sums = check_sums(wanted.advisories)
    except NotAuditedError as error:
        print(f"NOT AUDITED: {error}", file=sys.stderr)
        print(
            "hint: `python -m supply.audit --fetch` where there is a network, or name a folder that has one: FRUITS_ADVISORIES",
            file=sys.stderr,
        )
        return 2
    parts = [part for sbom in wanted.sbom for part in parts_of(sbom) if part.type in ECOSYSTEMS]
    findings, newest = audit(parts, wanted.advisories)
    for finding in findings:
        mark = "" if finding.ours else "  (the base's: choose another release of EMR)"
        print(f"{finding.purl}  {finding.advisory} {finding.aliases}  fixed in: {finding.fixed or 'nothing yet'}  {finding.summary}{mark}")
    ours = sum(finding.ours for finding in findings)
    print(f"{len(parts)} parts, {len(findings)} findings, {ours} in what this project chooses; newest advisory {newest}")
    print(*(f"snapshot {line}" for line in sums), sep="\n")
    return 1 if ours else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
