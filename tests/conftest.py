"""What all tests share: where the real weights, photos and reference values are."""

import csv
import os
from importlib.metadata import version
from pathlib import Path

import pytest

SHORT = os.environ.get("FRUITS_TESTS") == "short"  # of tests/faults: without what is marked `full`


def pytest_collection_modifyitems(config, items):
    if SHORT:
        full = [item for item in items if item.get_closest_marker("full")]
        config.hook.pytest_deselected(items=full)
        items[:] = [item for item in items if item not in full]


def pytest_configure():
    assets = os.environ.get("FRUITS_ASSETS")
    if not assets or not Path(assets, "reference").is_dir():
        pytest.exit(
            f"the tests need real data: set FRUITS_ASSETS to a folder with weights/, fruits-360-sample/, reference/ (is: {assets})", 2
        )


@pytest.fixture(scope="session")
def short_jvm(pytestconfig):
    """
    Environment of a JVM that lives for seconds: without its optimising compiler and without compiling each query a small run takes half
    the processor time.
    """
    options = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
    archive = pytestconfig.rootpath / "build" / "spark.jsa"  # tests/jvm_archive.py
    # Of Spark 3.5's jars: the JVM of another Spark would complain about it, on stdout.
    if archive.is_file() and version("pyspark").startswith("3.5"):
        options += f" -XX:SharedArchiveFile={archive}"
    interpreted = "--conf spark.sql.codegen.wholeStage=false --conf spark.sql.codegen.factoryMode=NO_CODEGEN"
    return {"SPARK_SUBMIT_OPTS": options, "PYSPARK_SUBMIT_ARGS": f"{interpreted} pyspark-shell"}


@pytest.fixture(scope="session", autouse=True)
def state(tmp_path_factory):
    """What commands remember for the next one stays among the tests."""
    os.environ["FRUITS_STATE"] = str(tmp_path_factory.mktemp("state"))


@pytest.fixture(scope="session")
def assets():
    return Path(os.environ["FRUITS_ASSETS"]).resolve()


@pytest.fixture(scope="session")
def sample(assets):
    return assets / "fruits-360-sample"


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory):
    """One for all workers of this session."""
    root = tmp_path_factory.getbasetemp()
    return root.parent if "PYTEST_XDIST_WORKER" in os.environ else root


@pytest.fixture(scope="session")
def cache(shared_folder):
    """One for all tests: converting the network takes 20 s. FRUITS_TESTS_CACHE: one for several sessions, as in .ci/run."""
    folder = Path(os.environ.get("FRUITS_TESTS_CACHE") or shared_folder / "cache")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def weights(assets):
    return next((assets / "weights").glob("*no_top*.h5"))


@pytest.fixture(scope="session")
def matrix():
    """Reads the rows of a run's csv/, in their order: (uri, label, [pc1, …])."""

    def read(output, run_id):
        rows = []
        for part in sorted(Path(output, "runs", run_id, "csv").glob("*.csv")):
            with part.open(newline="", encoding="utf-8") as file:
                reader = csv.reader(file)
                next(reader)
                rows += [(uri, label, [float(number) for number in numbers]) for uri, label, *numbers in reader]
        return rows

    return read
