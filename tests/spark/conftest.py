"""One local session for the folder, with the settings of a real run."""

import shutil
from collections.abc import Iterator

import pytest
from pyspark.sql import SparkSession

from job.contract.params import Params
from job.contract.uris import from_text
from job.pipeline import run
from job.spark.progress import ProgressReport
from job.spark.session import start_session
from job.stages.tables.store import FeatureStore
from job.storage.folders import open_folder
from job.storage.lease import Lease


@pytest.fixture(scope="session")
def spark() -> Iterator[SparkSession]:
    session = start_session("tests", uses_s3=False)
    # Compiling each query takes longer than these few rows; tests/container runs as users do.
    session.conf.set("spark.sql.codegen.wholeStage", "false")
    session.conf.set("spark.sql.codegen.factoryMode", "NO_CODEGEN")
    yield session
    session.stop()


@pytest.fixture(scope="session")
def job(spark, model_cache):
    """One run of the pipeline under its lease; gives the manifest. `mean_colour` unless a model is named."""

    def start(source, output, model="mean_colour", **params):
        given = {"cache": str(model_cache)} | params
        wanted = Params(from_text(str(source)), from_text(str(output)), model=model, **given)
        folder = open_folder(wanted.output)
        with Lease.acquire(folder, wanted.run_id) as lease:
            return run(wanted, folder, lease, ProgressReport())

    return start


@pytest.fixture
def run_job(job):
    """`job` with a new run id for each run: run-00, run-01, …"""
    numbers = iter(range(100))
    return lambda source, output, model="mean_colour", **params: job(
        source, output, model, **({"run_id": f"run-{next(numbers):02}"} | params)
    )


def copy_photos(sample, root):
    """60 photos: 6 labels, 10 each."""
    for folder in sorted((sample / "Test").iterdir())[::4][:6]:
        (root / folder.name).mkdir(parents=True)
        for path in folder.iterdir():
            (root / folder.name / path.name).write_bytes(path.read_bytes())
    return root


@pytest.fixture
def photos(sample, tmp_path):
    """`copy_photos` for this test alone."""
    return copy_photos(sample, tmp_path / "photos")


@pytest.fixture(scope="session")
def saved_run(job, sample, tmp_path_factory):
    """A folder with photos/ and out/, which holds the run `first` on them; and a copy of both."""
    root = tmp_path_factory.mktemp("kept")
    job(copy_photos(sample, root / "photos"), root / "out", components=2, run_id="first")
    for name in ("photos", "out"):
        shutil.copytree(root / name, root / "copy" / name)
    return root


@pytest.fixture
def after_a_run(saved_run):
    """(OUTPUT, photos) as the run `first` left them; at the same addresses for every test."""
    for name in ("photos", "out"):
        shutil.rmtree(saved_run / name)
        shutil.copytree(saved_run / "copy" / name, saved_run / name)
    return saved_run / "out", saved_run / "photos"


@pytest.fixture
def folder(tmp_path):
    return open_folder(f"file://{tmp_path}/out")


@pytest.fixture
def store(spark, folder):
    with Lease.acquire(folder, "r1") as lease:
        opened = FeatureStore(spark, folder, "m", "r1", lease)
        opened.open()
        opened.lease = lease
        yield opened
