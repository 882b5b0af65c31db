"""What Spark says, in words that its user can do something about."""

from job.__main__ import in_our_words
from job.errors import SetupError


def test_a_disk_that_is_full_while_output_is_on_s3_is_sparks_own(monkeypatch):
    monkeypatch.setenv("SPARK_LOCAL_DIRS", "/mnt/scratch,/mnt/more")

    error = in_our_words(OSError("java.io.IOException: No space left on device"), "s3://fruits/out", "`s3://fruits/out`")

    assert type(error) is SetupError
    assert str(error) == "no space left in `/mnt/scratch`, Spark's own disk, here or on a worker"
    assert "SPARK_LOCAL_DIRS" in error.hint
