"""Every place that names the supported Python versions agrees with pyproject.toml."""

import re
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from cli.commands.setup import doctor

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
VERSIONS = ["3.11", "3.12", "3.13"]


def test_the_bounds_and_the_classifiers_agree():
    classifiers = [words.rpartition(" ")[2] for words in PROJECT["classifiers"] if "Python :: 3." in words]

    assert classifiers == VERSIONS
    assert PROJECT["requires-python"] == ">=3.11,<3.14"
    assert f"PYTHONS := '{PROJECT['requires-python']}'\n" in (ROOT / "Makefile").read_text(encoding="utf-8")


def test_the_workflow_tests_every_version():
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "test.yml").read_text(encoding="utf-8"))

    assert workflow["jobs"]["test"]["strategy"]["matrix"]["python"] == VERSIONS


@pytest.mark.parametrize("version", [(3, 11, 7), (3, 12, 1), (3, 13, 0)])
def test_doctor_accepts_every_version(monkeypatch, version):
    monkeypatch.setattr(sys, "version_info", version)

    assert doctor.python().ok


def test_doctor_names_the_wheels_that_python_3_14_lacks(monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 14, 0))
    check = doctor.python()

    assert not check.ok
    assert "3.14.0" in check.found
    assert "wanted 3.11 to 3.13; TensorFlow 2.21, NumPy 2.1 and pyarrow 21 have no wheels for it" in check.found


def test_the_pins_that_have_no_wheel_for_python_3_14_are_still_those():
    """When one of them moves, look again whether 3.14 can be supported."""
    pins = dict(re.findall(r"^([\w-]+)==(\d+\.\d+)", (ROOT / "requirements" / "job.txt").read_text(encoding="utf-8"), re.M))

    assert (pins["tensorflow-cpu"], pins["numpy"], pins["pyarrow"]) == ("2.21", "2.1", "21.0")
