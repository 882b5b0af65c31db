"""
What all tests share: generated photos, a cache for the converted network, and the rule for tests that need published data.

tests/reference/ compares with published values and needs FRUITS_ASSETS; without it those tests are left out and counted.
FRUITS_REQUIRE_ASSETS=1 turns missing data into a failure.
"""

import csv
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import pytest

from cli.photos.drawn.generated import KINDS, generate_photos
from job.imaging.networks import untrained_flatbuffer

SHORT = os.environ.get("FRUITS_TESTS") == "short"  # of tests/faults: without what is marked `full`
ASSETS = os.environ.get("FRUITS_ASSETS")
REQUIRED = os.environ.get("FRUITS_REQUIRE_ASSETS") == "1"
HOW_TO_GET_THEM = 'set FRUITS_ASSETS to a folder with weights/, fruits-360-sample/, photos/ and reference/: CONTRIBUTING.md, "Test data"'
TRAINING_PHOTOS, TEST_PHOTOS = 20, 10  # of each kind, as many as the real sample has

left_out = pytest.StashKey[set[str]]()


def pytest_configure(config):
    config.stash[left_out] = set()
    if REQUIRED and not (ASSETS and Path(ASSETS, "reference").is_dir()):
        pytest.exit(f"FRUITS_REQUIRE_ASSETS is set, but FRUITS_ASSETS is `{ASSETS}`; {HOW_TO_GET_THEM}", 2)


def pytest_collection_modifyitems(config, items):
    """Leave out what is marked `full` in a short run, and without data what compares with it."""
    excluded = [item for item in items if SHORT and item.get_closest_marker("full")]
    if not ASSETS:
        reference = [item for item in items if "reference" in item.path.relative_to(config.rootpath / "tests").parts[:1]]
        config.stash[left_out] |= {item.nodeid for item in reference}
        excluded += reference
    config.hook.pytest_deselected(items=excluded)
    items[:] = [item for item in items if item not in set(excluded)]


def pytest_sessionfinish(session):
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["left_out"] = sorted(session.config.stash[left_out])


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    node.config.stash[left_out] |= set(getattr(node, "workeroutput", {}).get("left_out", ()))


def pytest_terminal_summary(terminalreporter, config):
    if config.stash[left_out]:
        terminalreporter.write_line(f"{len(config.stash[left_out])} reference tests left out: no published data here; {HOW_TO_GET_THEM}")


@pytest.fixture(scope="session")
def short_jvm(pytestconfig):
    """
    Environment of a JVM that lives for seconds: without its optimising compiler and without compiling each query a small run takes half
    the processor time.
    """
    options = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
    archive = pytestconfig.rootpath / "build" / "spark.jsa"  # cli/targets/local/jvm_archive.py
    # Of Spark 3.5's jars: the JVM of another Spark would complain about it, on stdout.
    if archive.is_file() and version("pyspark").startswith("3.5"):
        options += f" -XX:SharedArchiveFile={archive}"
    interpreted = "--conf spark.sql.codegen.wholeStage=false --conf spark.sql.codegen.factoryMode=NO_CODEGEN"
    # Both for a job that a test starts itself, and for one that the command starts, which inherits nothing of another Spark.
    arguments = f"{interpreted} pyspark-shell"
    return {"SPARK_SUBMIT_OPTS": options, "PYSPARK_SUBMIT_ARGS": arguments, "FRUITS_SUBMIT_ARGS": arguments}


@pytest.fixture(scope="session", autouse=True)
def state(tmp_path_factory):
    """What commands remember for the next one stays among the tests."""
    os.environ["FRUITS_STATE"] = str(tmp_path_factory.mktemp("state"))


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory):
    """Return one folder for all workers of this session."""
    root = tmp_path_factory.getbasetemp()
    return root.parent if "PYTEST_XDIST_WORKER" in os.environ else root


@contextmanager
def made_once(folder: Path) -> Iterator[bool]:
    """Hold a lock on `folder` among all workers; the value tells whether its content must be made now."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder.with_name(f"{folder.name}.lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = folder.with_name(f"{folder.name}.done")
        yield not done.exists()
        done.touch()


@pytest.fixture(scope="session")
def sample(shared_folder):
    """Generated photos in the layout of the published data set: Training/ and Test/, a folder per fruit in each."""
    root = shared_folder / "sample"
    with made_once(root) as missing:
        if missing:
            generate_photos(root / "Training", TRAINING_PHOTOS * len(KINDS), len(KINDS), seed=1)
            generate_photos(root / "Test", TEST_PHOTOS * len(KINDS), len(KINDS), seed=2)
    return root


@pytest.fixture(scope="session")
def cache(shared_folder):
    """Return a cache of models for all tests. FRUITS_TESTS_CACHE: one for several sessions, as in .ci/run."""
    folder = Path(os.environ.get("FRUITS_TESTS_CACHE") or shared_folder / "cache")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def model_cache(cache):
    """`cache` with the untrained network in it: converted by one worker while the others wait."""
    with made_once(cache / "untrained"):
        untrained_flatbuffer(cache)
    return cache


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
