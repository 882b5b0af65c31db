"""The search after an erasure: what it finds, names and removes."""

import shutil

import numpy as np
import pytest
from deltalake import CommitProperties, DeltaTable, write_deltalake

from job.erasure import LeftOverError
from job.storage.schema import FEATURES
from tests.spark.erasure.traces import files_that_hold, stored


def test_a_copy_of_one_photo_does_not_hide_what_is_left_of_another(run_job, forget, photos, tmp_path):
    output, (one, other, *_) = tmp_path / "out", sorted(photos.glob("*/*.jpg"))
    shutil.copy(one, one.with_name("copy.jpg"))
    run_job(photos, output, "mobilenet_v2_untrained", components=2)
    embedding = stored(output).set_index("uri")["embedding"]
    (output / "both.bin").write_bytes(np.asarray(embedding[f"file://{one}"], np.float32).tobytes())
    (output / "other.bin").write_bytes(np.asarray(embedding[f"file://{other}"], np.float32).tobytes())

    with pytest.raises(LeftOverError, match=r"other\.bin: embedding"):
        forget(output, [one, other])


def test_an_address_in_a_commit_of_another_writer_goes_with_the_log_before_it(run_job, forget, after_a_run):
    output, photos = after_a_run
    one = sorted(photos.glob("*/*.jpg"))[0]
    said = CommitProperties(custom_metadata={"userMetadata": f"looked at file://{one}"})
    write_deltalake(str(output / "features"), FEATURES.empty_table(), mode="append", commit_properties=said)
    assert files_that_hold(output / "features" / "_delta_log", str(one).encode())

    forget(output, [one])

    assert files_that_hold(output, str(one).encode()) == []
    assert len(stored(output)) == 59
    assert run_job(photos, output, components=2).counts["embedded"] == 0


def test_an_address_in_the_newest_commit_goes_although_no_row_is_dropped_any_more(forget, after_a_run):
    """Somebody has deleted the row with Delta's own tools: their commit has the predicate."""
    output, photos = after_a_run
    one = min(photos.glob("*/*.jpg"))
    DeltaTable(str(output / "features")).delete(f"uri = 'file://{one}'")
    assert files_that_hold(output / "features" / "_delta_log", str(one).encode())

    done = forget(output, [one])

    assert (done.removed["features"], done.removed["rows"], done.found) == (0, 1, [])
    assert files_that_hold(output, str(one).encode()) == []


def test_what_is_left_all_the_same_is_named_and_the_next_try_looks_again(forget, after_a_run):
    output, photos = after_a_run
    one = sorted(photos.glob("*/*.jpg"))[0]
    (output / "notes of mine.txt").write_text(f"the best one is file://{one}\n")

    with pytest.raises(LeftOverError, match=r"notes of mine\.txt: address"):
        forget(output, [one])
    assert list((output / "erasures").glob("*.pending"))
    (output / "notes of mine.txt").unlink()
    assert forget(output, [one]).found == []
    assert not list((output / "erasures").glob("*.pending"))
