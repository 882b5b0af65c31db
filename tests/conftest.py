"""What all tests share: where the real weights, photos and reference values are."""

import os
from pathlib import Path

import pytest


def pytest_configure():
    assets = os.environ.get("FRUITS_ASSETS")
    if not assets or not Path(assets, "reference").is_dir():
        pytest.exit(
            f"the tests need real data: set FRUITS_ASSETS to a folder with weights/, fruits-360-sample/, reference/ (is: {assets})", 2
        )


@pytest.fixture(scope="session")
def assets():
    return Path(os.environ["FRUITS_ASSETS"]).resolve()


@pytest.fixture(scope="session")
def sample(assets):
    return assets / "fruits-360-sample"


@pytest.fixture(scope="session")
def weights(assets):
    return next((assets / "weights").glob("*no_top*.h5"))
