import os
from pathlib import Path

import pytest


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user without any AWS set-up: an empty home, whose .aws/ the tests fill."""
    for name in os.environ:
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    (tmp_path / ".aws").mkdir()
    return tmp_path


@pytest.fixture
def keys(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user whose keys and Region are in the environment."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "FRUITSKEY")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "very secret")
    monkeypatch.setenv("AWS_REGION", "eu-west-3")
