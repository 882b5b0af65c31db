"""A URI is the scheme and then the name as it is."""

from pathlib import Path

import pytest

from job.uris import bucket_and_key, from_text, is_inside, local_path


@pytest.mark.parametrize("name", ["a b", "é", "🍎", "%20", "#1", "a=b", "a+b"])
def test_names_are_never_encoded(name, tmp_path):
    assert from_text(str(tmp_path / name)) == f"file://{tmp_path}/{name}"
    assert local_path(from_text(str(tmp_path / name))) == f"{tmp_path}/{name}"


def test_a_relative_path_becomes_absolute():
    assert from_text("./photos") == f"file://{Path.cwd()}/photos"


def test_s3_has_one_scheme_and_no_slash_at_the_end():
    assert from_text("s3a://bucket/photos/") == "s3://bucket/photos"
    assert bucket_and_key("s3://bucket/a//b") == ("bucket", "a//b")


def test_a_sibling_with_the_same_beginning_is_not_inside():
    assert is_inside("s3://b/photos/x", "s3://b/photos")
    assert not is_inside("s3://b/photos2/x", "s3://b/photos")
