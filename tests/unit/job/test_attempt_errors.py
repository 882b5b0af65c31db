"""What Spark says, in words that its user can do something about; and how an address is written."""

import shutil

import pytest

from job.attempt import classify_error
from job.contract.errors import JobError, OutputError, SetupError
from job.contract.locations import LocationError, check_no_overlap
from job.erasure import require_results
from job.product.gallery import open_gallery
from job.product.report.report import rebuild
from job.stages.listing import refuse_empty
from job.stages.publish import read_fitted
from job.storage.data_files import read
from job.storage.folders import open_folder
from job.storage.lease import NAME, Lease
from job.storage.schema import FEATURES
from tests.unit.job.product.galleries import RUN, write_gallery


def test_a_disk_that_is_full_while_output_is_on_s3_is_sparks_own(monkeypatch):
    monkeypatch.setenv("SPARK_LOCAL_DIRS", "/mnt/scratch,/mnt/more")

    error = classify_error(OSError("java.io.IOException: No space left on device"), "s3://fruits/out", "`s3://fruits/out`")

    assert type(error) is SetupError
    assert str(error) == "no space left in `/mnt/scratch`, the scratch folder of Spark, on this machine or a worker"
    assert "SPARK_LOCAL_DIRS" in error.hint


def test_a_full_disk_is_told_also_where_a_folder_is_gone(monkeypatch, tmp_path):
    monkeypatch.setenv("SPARK_LOCAL_DIRS", str(tmp_path / "gone"))
    full = OSError("No space left on device")

    assert type(classify_error(full, f"file://{tmp_path}", "")) is OutputError
    assert type(classify_error(full, f"file://{tmp_path}/gone too", "")) is OutputError


def damaged_lease(folder):
    (folder / NAME).write_text("no lease")
    Lease.acquire(open_folder(f"file://{folder}"), "r1")


def no_matrix(folder):
    uri = write_gallery(folder, [("a", (0, 0, 0))])
    shutil.rmtree(folder / "runs" / RUN / "pca")
    open_gallery(uri)


@pytest.mark.parametrize(
    "fails",
    [
        damaged_lease,
        no_matrix,
        lambda folder: open_gallery(f"file://{folder}"),
        lambda folder: open_gallery(f"file://{folder}", "r1"),
        lambda folder: read_fitted(open_folder(f"file://{folder}"), "r1", "m"),
        lambda folder: rebuild(f"file://{folder}", "r1", None),
        lambda folder: require_results(open_folder(f"file://{folder}")),
        lambda folder: refuse_empty(0, {}, f"file://{folder}"),
        lambda folder: check_no_overlap(f"file://{folder}", f"file://{folder}/out"),
        lambda folder: check_no_overlap(f"file://{folder}/features", f"file://{folder}"),
        lambda folder: read(f"file://{folder}", "a.parquet", FEATURES),
    ],
)
def test_a_message_has_a_local_address_as_a_path(fails, tmp_path):
    with pytest.raises((JobError, LocationError)) as raised:
        fails(tmp_path)

    assert str(tmp_path) in str(raised.value)
    assert "file://" not in str(raised.value)
