"""
Check the parts of bills of materials against a snapshot of known advisories: `python -m supply.audit SBOM…`. Only `--fetch` uses a network.

A snapshot is OSV's own export, one archive per ecosystem with GitHub's and PyPA's advisories in it
(https://google.github.io/osv.dev/data/), kept in a folder with the SHA-256 of each archive, so that the audit can be repeated. Exit code 0:
audited, nothing found in what this project chooses; 1: something found; 2: NOT AUDITED, and why. Jars are the base's: findings in them are
listed and leave the exit code as it is, because the way out is another release of EMR.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import zipfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import requests
from packageurl import PackageURL
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

ECOSYSTEMS = {"pypi": "PyPI", "maven": "Maven"}
EXPORT = "https://osv-vulnerabilities.storage.googleapis.com"  # <ecosystem>/all.zip; another address for a mirror: --from
SUMS = "SHA256SUMS"
TIMEOUT_SECONDS = 60
HINT = "hint: `python -m supply.audit --fetch` where there is a network, or name a folder that has one: FRUITS_ADVISORIES"


class NotAuditedError(Exception):
    """There is nothing to audit with."""


class Finding(NamedTuple):
    purl: str
    advisory: str
    aliases: str
    fixed: str  # versions without it, as the advisory has them
    summary: str

    @property
    def ours(self) -> bool:
        return self.purl.startswith("pkg:pypi/")


def fetch(folder: Path, source: str) -> None:
    """
    Download a snapshot.

    Raises:
        NotAuditedError: the export could not be reached.
    """
    folder.mkdir(parents=True, exist_ok=True)
    sums = ""
    for ecosystem in ECOSYSTEMS.values():
        try:
            answer = requests.get(f"{source}/{ecosystem}/all.zip", timeout=TIMEOUT_SECONDS)
            answer.raise_for_status()
        except requests.RequestException as error:
            raise NotAuditedError(f"the advisories could not be fetched from {source}: {type(error).__name__}") from error
        (folder / f"{ecosystem}.zip").write_bytes(answer.content)
        sums += f"{hashlib.sha256(answer.content).hexdigest()}  {ecosystem}.zip\n"
    (folder / SUMS).write_text(sums, encoding="utf-8")


def check_sums(folder: Path) -> list[str]:
    """
    Return the lines of SHA256SUMS, after comparing each with its file.

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
    for archive in (folder / f"{ecosystem}.zip" for ecosystem in ECOSYSTEMS.values()):
        if not zipfile.is_zipfile(archive):  # such as the login page of a network portal
            raise NotAuditedError(f"{archive} is not an archive of advisories")
    return lines


def parts_of(sbom: Path) -> list[PackageURL]:
    components = json.loads(sbom.read_text(encoding="utf-8"))["components"]
    parts = [PackageURL.from_string(each["purl"]) for each in components if each.get("purl")]
    return [part for part in parts if part.type in ECOSYSTEMS]


def audit(parts: Iterable[PackageURL], folder: Path) -> tuple[list[Finding], str]:
    """Return the findings, and when the newest advisory of the snapshot was changed last (ISO 8601)."""
    here = defaultdict(list)
    for part in parts:
        here[ECOSYSTEMS[part.type], canonicalize_name(part.name) if part.type == "pypi" else f"{part.namespace}:{part.name}"].append(part)
    found: set[Finding] = set()
    newest = ""
    for advisory in read(folder):
        newest = max(newest, advisory.get("modified", ""))
        for affected in [] if "withdrawn" in advisory else advisory.get("affected", []):
            ecosystem, name = (affected.get("package", {}).get(field, "") for field in ("ecosystem", "name"))
            for part in here.get((ecosystem, canonicalize_name(name) if ecosystem == "PyPI" else name), []):
                if hit(affected, part):
                    found.add(_finding(advisory, affected, part))
    return sorted(found), newest


def read(folder: Path) -> Iterator[dict[str, Any]]:
    for ecosystem in ECOSYSTEMS.values():
        with zipfile.ZipFile(folder / f"{ecosystem}.zip") as content:
            for name in content.namelist():
                yield json.loads(content.read(name))


def hit(affected: Mapping[str, Any], part: PackageURL) -> bool:
    """Look into the listed versions, and for Python into ranges too; Amazon's builds count as the version that they are made from."""
    version = str(part.version)
    if {version, version.split("-amzn")[0]} & set(affected.get("versions", [])):
        return True
    spans = [span for span in affected.get("ranges", []) if part.type == "pypi" and span.get("type") == "ECOSYSTEM"]
    return any(_within(span["events"], version) for span in spans)


def _within(events: Iterable[Mapping[str, str]], version: str) -> bool:
    """
    Return whether the version is affected.

    https://ossf.github.io/osv-schema/#evaluation
    """
    try:
        ours = Version(version)
        steps = sorted((Version("0.dev0" if text == "0" else text), kind) for event in events for kind, text in event.items())
    except InvalidVersion:  # the listed versions decide
        return False
    inside = False
    for at, kind in steps:
        if at <= ours if kind == "introduced" else at < ours if kind == "last_affected" else kind == "fixed" and at <= ours:
            inside = kind == "introduced"
    return inside


def _finding(advisory: Mapping[str, Any], affected: Mapping[str, Any], part: PackageURL) -> Finding:
    spans = [span for span in affected.get("ranges", []) if span.get("type") != "GIT"]
    fixed = ", ".join(event["fixed"] for span in spans for event in span["events"] if "fixed" in event)
    said = str(advisory.get("summary") or advisory.get("details") or "").strip().split("\n")[0][:120]
    return Finding(str(part), advisory["id"], ", ".join(advisory.get("aliases", [])), fixed, said)


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
        print(f"NOT AUDITED: {error}\n{HINT}", file=sys.stderr)
        return 2
    parts = [part for sbom in wanted.sbom for part in parts_of(sbom)]
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
