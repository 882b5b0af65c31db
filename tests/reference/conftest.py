"""The published data that these tests compare with, from FRUITS_ASSETS."""

from pathlib import Path

import pytest

from tests.conftest import ASSETS
from tests.e2e.conftest import fruitsctl as fruitsctl


@pytest.fixture(scope="session")
def assets():
    return Path(ASSETS).resolve()


@pytest.fixture(scope="session")
def real_sample(assets):
    """Fruits-360: Training/ and Test/, 131 labels."""
    return assets / "fruits-360-sample"


@pytest.fixture(scope="session")
def weights(assets):
    return next((assets / "weights").glob("*no_top*.h5"))
