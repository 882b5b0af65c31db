"""Parts, licences, known holes and the two builds: real ones of this environment, and made ones that must be caught."""

import hashlib
import http.server
import json
import os
import re
import subprocess
import sys
import tarfile
import threading
import zipfile
from datetime import UTC, datetime
from importlib import metadata
from io import BytesIO
from pathlib import Path

import pytest
from packageurl import PackageURL

from job.contract.params import MODELS, application
from supply import audit, licences, sbom
from supply.collect import about_jar, declared
from supply.parts import COLLECT, Part, of_environment, read

ROOT = Path(__file__).parents[2]
TIME = datetime(2026, 11, 21, tzinfo=UTC)


def supply(module, *words, **environment):
    command = [sys.executable, "-m", f"supply.{module}", *map(str, words)]
    return subprocess.run(command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def parts():
    return of_environment(Path(sys.executable))


@pytest.fixture(scope="module")
def allowed():
    return licences.read()


def verdict(allowed, *said, kind="pypi", choice=False):
    (found,) = licences.judge([Part(kind, "thing", "1.0", said, choice)], allowed)
    return found.reason == "", found.licence


def test_everything_that_the_wheel_needs_is_found_and_nothing_of_the_tests(parts):
    names = {part.name for part in parts if part.kind == "pypi"}

    assert {"boto3", "botocore", "pyspark", "py4j", "ai-edge-litert", "pillow", "fastapi", "starlette"} <= names
    assert not names & {"pytest", "moto", "mypy", "ruff", "fruitsctl"}
    assert {"spark-core_2.12", "hadoop-client-api"} <= {part.name for part in parts if part.kind == "jar"} or "spark-core_2.13" in {
        part.name for part in parts
    }


def test_every_licence_here_is_on_the_list(parts, allowed):
    assert [f"{bad.part.key} {bad.reason}" for bad in licences.judge(parts, allowed) if bad.reason] == []


def test_a_package_under_another_licence_is_named_and_the_command_fails(tmp_path):
    for name, more in (
        ("fruitsctl", "Requires-Dist: borrowed; extra == 'job'\nProvides-Extra: job"),
        ("borrowed", "License-Expression: AGPL-3.0-only"),
    ):
        (tmp_path / f"{name}-9.dist-info").mkdir()
        (tmp_path / f"{name}-9.dist-info" / "METADATA").write_text(f"Metadata-Version: 2.4\nName: {name}\nVersion: 9\n{more}\n")
    done = supply("licences", PYTHONPATH=str(tmp_path))

    assert done.returncode == 1
    assert "error: pypi/borrowed 9 `AGPL-3.0-only` is not on the list" in done.stderr


@pytest.mark.parametrize(
    ("said", "choice", "expected"),
    [
        (("MIT",), False, (True, "MIT")),
        (("Apache Software License",), False, (True, "Apache-2.0")),
        (("MIT", "GPL-3.0-only"), False, (False, "GPL-3.0-only AND MIT")),  # all hold
        (("MIT", "GPL-3.0-only"), True, (True, "GPL-3.0-only OR MIT")),  # one is chosen
        (("LGPL-2.1-or-later OR MPL-1.1",), False, (False, "LGPL-2.1-or-later OR MPL-1.1")),
        (("Apache-2.0 OR LGPL-2.1-or-later",), False, (True, "Apache-2.0 OR LGPL-2.1-or-later")),
        (("GPL-2.0-only",), False, (False, "GPL-2.0-only")),
        (("GPL-2.0-only WITH Classpath-exception-2.0",), False, (True, "GPL-2.0-only WITH Classpath-exception-2.0")),
        (("see the website",), False, (False, "")),
        ((), False, (False, "")),
    ],
)
def test_what_a_part_says_is_read_as_one_expression(allowed, said, choice, expected):
    assert verdict(allowed, *said, choice=choice) == expected


def test_packages_of_the_base_s_system_are_not_judged(allowed):
    assert licences.judge([Part("deb", "bash", "5.2")], allowed) == []


@pytest.mark.parametrize("network", [name for name in MODELS if name != "mean_colour" and not application(name)])
def test_the_weights_of_each_network_in_the_image_have_a_licence(allowed, network):
    (found,) = licences.judge([Part("model", f"{network}-8807ba2e8bb2.float32.tflite", "1.0")], allowed)

    assert (found.licence, found.reason) == ("Apache-2.0", "")


def test_each_entry_of_the_list_says_where_it_was_read(allowed):
    for key, entry in allowed.parts.items():
        assert entry["source"].startswith("https://"), key
        assert licences.SPDX.unknown_license_keys(entry["licence"]) == [], key
    assert all(reason.strip() for reason in allowed.licences.values())


def jar(**files):
    content = BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, text in files.items():
            archive.writestr(name.replace("__", "/"), text)
    return zipfile.ZipFile(content)


def test_a_jar_is_known_by_its_own_pom_and_not_by_those_of_what_it_holds():
    own = "<project><licenses><license><name>Apache-2.0</name></license></licenses></project>"
    inner = "<project><licenses><license><name>GPL-3.0-only</name></license></licenses></project>"
    files = {"META-INF__maven__org.outer__outer__pom.xml": own, "META-INF__maven__org.inner__inner__pom.xml": inner}

    about = about_jar(jar(**files), "outer-1.2")

    assert (about["group"], about["licences"]) == ("org.outer", ["Apache-2.0"])


@pytest.mark.parametrize(
    ("files", "licences"),
    [
        (
            {"META-INF__LICENSE.txt": "Apache  License\nVersion 2.0 …\nOthers: Redistribution and use in source and binary forms …"},
            ["Apache-2.0"],
        ),
        (
            {"META-INF__MANIFEST.MF": "Bundle-License: https://example.org/a-very-lo\r\n ng-name\r\nBundle-Name: thing\r\n"},
            ["https://example.org/a-very-long-name"],
        ),
        (
            {"META-INF__MANIFEST.MF": "Bundle-License: MIT;link=x, EPL-2.0\r\n", "LICENSE": "Apache License"},
            ["MIT", "EPL-2.0"],
        ),
        ({"META-INF__MANIFEST.MF": "Manifest-Version: 1.0\r\n", "LICENCE.md": "All rights reserved"}, []),
    ],
)
def test_a_jar_without_a_pom_is_known_by_its_bundle_s_field_then_by_the_words_that_come_first(files, licences):
    assert about_jar(jar(**files), "thing-1") == {"group": None, "licences": licences}


def test_a_jar_that_is_there_twice_is_one_part_and_two_builds_of_it_are_two(tmp_path):
    for folder, text in (("a", "MIT"), ("b", "MIT"), ("c", "BSD-3-Clause")):
        (tmp_path / folder).mkdir()
        with zipfile.ZipFile(tmp_path / folder / "thing-1.0-amzn-0.jar", "w") as archive:
            archive.writestr(zipfile.ZipInfo("META-INF/MANIFEST.MF"), f"Bundle-License: {text}\n")
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "network_weights.h5").write_bytes(b"weights")
    found = read(subprocess.run([sys.executable, COLLECT, tmp_path], capture_output=True, text=True, check=True).stdout)

    assert [(part.name, part.version, part.licences) for part in found if part.kind == "jar"] == [
        ("thing", "1.0-amzn-0", ["MIT"]),
        ("thing", "1.0-amzn-0", ["BSD-3-Clause"]),
    ]
    (weights,) = (part for part in found if part.kind == "model")
    assert (weights.key, weights.sha256) == ("model/network", hashlib.sha256(b"weights").hexdigest())


@pytest.mark.parametrize(
    ("fields", "licences"),
    [
        ("License-Expression: MIT OR Apache-2.0\nLicense: other\nClassifier: License :: OSI Approved :: ISC", ["MIT OR Apache-2.0"]),
        ("License: other\nClassifier: License :: OSI Approved :: MIT License\nClassifier: License :: OSI Approved", ["MIT License"]),
        ("License:  BSD 3-Clause ", ["BSD 3-Clause"]),
        (f"License: {'a whole text, ' * 10}", []),
        ("License: first line\n        second line", []),
        ("Summary: nothing", []),
    ],
)
def test_a_package_declares_by_expression_then_classifiers_then_a_short_field(tmp_path, fields, licences):
    (tmp_path / "borrowed-9.dist-info").mkdir()
    (tmp_path / "borrowed-9.dist-info" / "METADATA").write_text(f"Metadata-Version: 2.4\nName: borrowed\nVersion: 9\n{fields}\n")
    (found,) = metadata.distributions(path=[str(tmp_path)])

    assert declared(found.metadata) == licences


def test_the_bill_of_materials_holds_to_the_schema_and_is_the_same_twice(parts, allowed):
    written = sbom.text(sbom.bom(parts, "wheel", allowed, TIME))
    again = sbom.text(sbom.bom(parts[::-1], "wheel", allowed, TIME))
    told = json.loads(written)

    assert written == again
    assert (told["bomFormat"], told["specVersion"], told["metadata"]["component"]["name"]) == ("CycloneDX", "1.6", "fruitsctl")
    by_name = {component["name"]: component for component in told["components"]}
    assert re.fullmatch(r"pkg:pypi/pillow@[\d.]+", by_name["pillow"]["purl"])
    assert by_name["hadoop-client-api"]["purl"].startswith("pkg:maven/org.apache.hadoop/hadoop-client-api@3.")
    assert re.fullmatch(r"[0-9a-f]{64}", by_name["hadoop-client-api"]["hashes"][0]["content"])
    needs = {each["ref"].split("@")[0]: [ref.split("@")[0] for ref in each.get("dependsOn", [])] for each in told["dependencies"]}
    assert "pkg:pypi/botocore" in needs["pkg:pypi/boto3"]
    assert "pkg:pypi/boto3" in needs["root"]
    assert "pkg:pypi/botocore" not in needs["root"]
    assert {"pkg:maven/org.apache.hadoop/hadoop-client-api"} <= set(needs["root"])


def test_a_bill_of_materials_that_breaks_the_schema_is_not_written(allowed):
    made = sbom.bom([], "wheel", allowed, TIME)
    made.metadata.component.mime_type = "not a mime type"

    with pytest.raises(ValueError, match="breaks the schema"):
        sbom.text(made)


ADVISORIES = {
    "PyPI": [
        {
            "id": "PYSEC-1",
            "modified": "2026-01-02T00:00:00Z",
            "aliases": ["CVE-1"],
            "summary": "A hole",
            "affected": [
                {
                    "package": {"ecosystem": "PyPI", "name": "Soft_Ware"},
                    "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2.0"}]}],
                }
            ],
        },
        {
            "id": "PYSEC-2",
            "modified": "2026-03-04T00:00:00Z",
            "withdrawn": "2026-03-05T00:00:00Z",
            "affected": [{"package": {"ecosystem": "PyPI", "name": "soft-ware"}, "versions": ["1.9", "2.0"]}],
        },
    ],
    "Maven": [
        {
            "id": "GHSA-1",
            "modified": "2026-02-03T00:00:00Z",
            "summary": "A hole in a jar",
            "affected": [{"package": {"ecosystem": "Maven", "name": "org.example:jar"}, "versions": ["4.0.2"]}],
        }
    ],
}


@pytest.fixture
def export(tmp_path):
    """The address of a server that gives a small export as OSV does."""
    for ecosystem, entries in ADVISORIES.items():
        (tmp_path / "export" / ecosystem).mkdir(parents=True)
        with zipfile.ZipFile(tmp_path / "export" / ecosystem / "all.zip", "w") as archive:
            for entry in entries:
                archive.writestr(f"{entry['id']}.json", json.dumps(entry))

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments):
            super().__init__(*arguments, directory=tmp_path / "export")

        def log_message(self, *arguments):
            """Nothing on the tests' stderr."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def bill(path, *purls):
    path.write_text(json.dumps({"components": [{"purl": purl} for purl in purls]}))
    return path


@pytest.mark.parametrize(
    ("version", "found"),
    [("1.9", ["PYSEC-1"]), ("1.9.post1", ["PYSEC-1"]), ("2.0rc1", ["PYSEC-1"]), ("2.0", []), ("2.1", [])],
)
def test_a_range_of_versions_ends_where_the_hole_was_closed(export, tmp_path, version, found):
    audit.fetch(tmp_path / "kept", export)
    findings, newest = audit.audit([PackageURL.from_string(f"pkg:pypi/soft-ware@{version}")], tmp_path / "kept")

    assert [finding.advisory for finding in findings] == found
    assert newest == "2026-03-04T00:00:00Z"


def test_a_hole_in_what_is_chosen_here_fails_the_command_and_one_in_a_jar_of_the_base_is_only_told(export, tmp_path):
    chosen = bill(tmp_path / "chosen.json", "pkg:pypi/soft-ware@1.0")
    given = bill(tmp_path / "base.json", "pkg:maven/org.example/jar@4.0.2-amzn-0")
    kept = ("--advisories", tmp_path / "kept")

    first = supply("audit", chosen, *kept, "--fetch", "--from", export)
    offline = supply("audit", given, *kept)

    assert (first.returncode, offline.returncode) == (1, 0)
    assert "pkg:pypi/soft-ware@1.0  PYSEC-1 CVE-1  fixed in: 2.0  A hole\n" in first.stdout
    assert "GHSA-1" in offline.stdout
    assert "the base's: choose another release of EMR" in offline.stdout
    assert "1 parts, 1 findings, 0 in what this project chooses; newest advisory 2026-03-04T00:00:00Z" in offline.stdout
    assert len(re.findall(r"^snapshot [0-9a-f]{64}  (PyPI|Maven)\.zip$", offline.stdout, re.M)) == 2


def test_a_download_that_is_no_archive_of_advisories_is_not_audited(export, tmp_path):
    (tmp_path / "export" / "Maven" / "all.zip").write_text("<html>Please log in</html>")
    done = supply("audit", bill(tmp_path / "sbom.json"), "--advisories", tmp_path / "kept", "--fetch", "--from", export)

    assert (done.returncode, done.stdout) == (2, "")
    assert re.search(r"NOT AUDITED: \S+Maven\.zip is not an archive of advisories", done.stderr)


def test_a_version_that_cannot_be_read_is_found_where_it_is_listed_and_breaks_nothing(export, tmp_path):
    audit.fetch(tmp_path / "kept", export)
    odd = [PackageURL.from_string(purl) for purl in ("pkg:pypi/soft-ware@unknown", "pkg:maven/org.example/jar@4.0.2-amzn-1")]

    assert [finding.advisory for finding in audit.audit(odd, tmp_path / "kept")[0]] == ["GHSA-1"]


@pytest.mark.parametrize(
    ("events", "inside"),
    [
        ([{"introduced": "1.0"}, {"last_affected": "1.9"}], ["1.0", "1.9"]),
        ([{"introduced": "0"}, {"fixed": "1.0"}, {"introduced": "1.9"}], ["0.1", "1.9", "2.0"]),
        ([{"fixed": "1.9"}, {"introduced": "0.1"}], ["0.1", "1.0"]),
    ],
)
def test_a_range_is_evaluated_as_osv_says(events, inside):
    unreadable = {"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1.0-and-more"}]}
    affected = {"ranges": [unreadable, {"type": "ECOSYSTEM", "events": events}, {"type": "GIT", "events": [{"introduced": "0"}]}]}

    assert [v for v in ("0.1", "1.0", "1.9", "2.0") if audit.hit(affected, PackageURL("pypi", None, "thing", v))] == inside


def test_without_advisories_nothing_is_said_to_be_sound(tmp_path):
    sbom_file = bill(tmp_path / "sbom.json", "pkg:pypi/soft-ware@1.0")
    done = supply("audit", sbom_file, "--advisories", tmp_path / "none")
    unreachable = supply("audit", sbom_file, "--advisories", tmp_path / "none", "--fetch", "--from", "http://127.0.0.1:9")

    assert (done.returncode, done.stdout) == (2, "")
    assert "NOT AUDITED: there is no snapshot of advisories" in done.stderr
    assert (unreachable.returncode, unreachable.stdout) == (2, "")
    assert "NOT AUDITED: the advisories could not be fetched" in unreachable.stderr


def test_a_snapshot_that_is_not_the_one_that_was_kept_is_refused(export, tmp_path):
    audit.fetch(tmp_path / "kept", export)
    (tmp_path / "kept" / "Maven.zip").write_bytes(b"")
    done = supply("audit", bill(tmp_path / "sbom.json", "pkg:pypi/soft-ware@1.0"), "--advisories", tmp_path / "kept")

    assert done.returncode == 2
    assert "Maven.zip is not what SHA256SUMS beside it says" in done.stderr


def saved(path, time, content=b"one", mode=0o644, name="opt/file", count=1):
    """An image of `count` equal layers with one file, as `docker save` writes it."""
    layer = BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as archive:
        member = tarfile.TarInfo(name)
        member.size, member.mtime, member.mode = len(content), time, mode
        archive.addfile(member, BytesIO(content))
    digest = "sha256:" + hashlib.sha256(layer.getvalue()).hexdigest()
    files = {
        "layer.tar": layer.getvalue(),
        "config.json": json.dumps({"rootfs": {"diff_ids": [digest] * count}}).encode(),
        "manifest.json": json.dumps([{"Config": "config.json", "Layers": ["layer.tar"] * count}]).encode(),
    }
    with tarfile.open(path, "w") as archive:
        for file, data in files.items():
            member = tarfile.TarInfo(file)
            member.size = len(data)
            archive.addfile(member, BytesIO(data))
    return path


@pytest.mark.parametrize(
    ("second", "code", "said"),
    [
        ({"time": 1}, 0, "image  the same twice: sha256:"),
        ({"time": 2}, 0, "only times"),
        ({"time": 1, "content": b"two"}, 1, "/opt/file: content"),
        ({"time": 1, "mode": 0o755}, 1, "/opt/file: mode"),
        ({"time": 1, "content": b"two", "mode": 0o755}, 1, "/opt/file: mode, content"),
        ({"time": 1, "name": "opt/other"}, 1, "2 differ\n    /opt/file: in one of the two only\n    /opt/other: in one of the two only\n"),
        ({"time": 1, "count": 2}, 1, "image  1 layers, then 2"),
    ],
)
def test_two_builds_are_compared_file_by_file(tmp_path, second, code, said):
    done = supply("reproducible", "--archives", saved(tmp_path / "1.tar", 1), saved(tmp_path / "2.tar", **second))

    assert done.returncode == code
    assert said in done.stdout


def test_the_wheel_is_the_same_twice():
    done = supply("reproducible", "--wheel")

    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"wheel  sha256:[0-9a-f]{64}  the same twice\n", done.stdout)
