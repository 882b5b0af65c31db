"""A URI is the scheme and then the name as it is."""

from pathlib import Path

import pytest

from job.contract.uris import AddressError, bucket_and_key, from_text, is_inside, local_path


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


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("s3:/b/out", "write s3://b/out"),
        ("s3n://b/out", "write s3://b/out"),
        ("S3://b/out", "write s3://b/out"),
        ("S3A://b/out", "write s3://b/out"),
        (" s3://b/out", "write s3://b/out"),
        ("gs://b/out", "give a local folder, or s3://bucket/prefix; a folder of that name is ./gs://b/out"),
        ("abfss://b@c/out", "give a local folder, or s3://bucket/prefix; a folder of that name is ./abfss://b@c/out"),
        ("https://b.s3.eu-west-3.amazonaws.com/out/a", "write s3://b/out/a"),
        ("https://my.bucket.s3.amazonaws.com/out", "write s3://my.bucket/out"),
        ("https://s3.eu-west-3.amazonaws.com/b/out", "write s3://b/out"),
        ("arn:aws:s3:::b/out", "write s3://b/out"),
        ("arn:aws:s3:eu-west-3:111122223333:accesspoint/a", "access points are not supported: write s3://bucket/prefix"),
        ("s3://arn:aws:s3:us-east-1:111122223333:accesspoint/a/b", "access points are not supported: write s3://bucket/prefix"),
        ("s3://", "add the name of the bucket: s3://bucket/prefix"),
        ("s3:///out", "add the name of the bucket: s3://bucket/prefix"),
        ("FILE:///out", "write file:///out"),
        ("file:/out", "write file:///out"),
    ],
)
def test_a_place_of_another_kind_is_refused_with_what_to_write(text, hint):
    with pytest.raises(AddressError) as error:
        from_text(text)

    assert str(error.value) == f"`{text}` is not a folder and not an address such as s3://bucket/prefix"
    assert error.value.hint == hint


@pytest.mark.parametrize("text", ["2026:01/photos", "./gs://b", "a:b", "x:/y", "photos"])
def test_a_folder_whose_name_has_a_colon_is_one(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    assert from_text(text).startswith(f"file://{tmp_path}/")
