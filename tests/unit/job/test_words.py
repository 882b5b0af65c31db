"""What Spark says, in words that its user can do something about."""

from job.attempt import in_our_words
from job.errors import OutputError, SetupError


def test_a_disk_that_is_full_while_output_is_on_s3_is_sparks_own(monkeypatch):
    monkeypatch.setenv("SPARK_LOCAL_DIRS", "/mnt/scratch,/mnt/more")

    error = in_our_words(OSError("java.io.IOException: No space left on device"), "s3://fruits/out", "`s3://fruits/out`")

    assert type(error) is SetupError
    assert str(error) == "no space left in `/mnt/scratch`, the scratch folder of Spark, on this machine or a worker"
    assert "SPARK_LOCAL_DIRS" in error.hint


def test_a_full_disk_is_told_also_where_a_folder_is_gone(monkeypatch, tmp_path):
    monkeypatch.setenv("SPARK_LOCAL_DIRS", str(tmp_path / "gone"))
    full = OSError("No space left on device")

    assert type(in_our_words(full, f"file://{tmp_path}", "")) is OutputError
    assert type(in_our_words(full, f"file://{tmp_path}/gone too", "")) is OutputError
