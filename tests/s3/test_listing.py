"""Prefixes of a real S3 server to rows. `bucket` is the name of a fresh bucket that the environment leads to."""

from __future__ import annotations

import hashlib
import unicodedata
from concurrent.futures import ThreadPoolExecutor

import pytest

from job.contract.errors import InputError
from job.contract.filenames import FolderToList, ListingRow
from job.stages.listing import check_input, folders_to_list, list_folders
from job.storage import s3_client

NAMES = [
    "straight in.jpg",
    "Apple Red 1/with spaces  twice.jpg",
    "Apple Red 1/a%20b.jpg",
    "Apple Red 1/a b.jpg",
    "Apple Red 1/a+b.jpg",
    "Pêche/" + unicodedata.normalize("NFC", "é.jpg"),
    "Pêche/" + unicodedata.normalize("NFD", "é.jpg"),
    "Emoji 🍎/🍏.jpg",
    "sharp#1/no#1?&x=y.jpg",
    'quotes/it\'s "ripe" <&>.jpg',
    "deep/1/2/3/4/5/nested.JPG",
]


def put(bucket: str, keys: list[str], content: bytes = b"fruit") -> None:
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda key: s3_client.client().put_object(Bucket=bucket, Key=key, Body=content), keys))


def listed(uri: str, at_least: int = 8) -> list[ListingRow]:
    return list(list_folders(uri, folders_to_list(uri, at_least)))


def keys_of(rows: list[ListingRow], uri: str) -> list[str]:
    return sorted(str(row.uri).removeprefix(uri + "/") for row in rows if row.etag)


@pytest.mark.parametrize("at_least", [1, 1000])
def test_every_name_is_listed_as_it_is_however_finely_the_prefix_is_cut(bucket: str, at_least: int):
    put(bucket, [f"photos/{name}" for name in NAMES])
    put(bucket, ["photos2/other.jpg", "phot.jpg", "photos.jpg"])  # not below photos/

    assert keys_of(listed(f"s3://{bucket}/photos", at_least), f"s3://{bucket}/photos") == sorted(NAMES)


def test_a_row_says_uri_etag_size_and_label(bucket: str):
    put(bucket, ["photos/Apple Red 1/a b#1%20.jpg", "photos/b.jpg"], b"12345")
    md5 = hashlib.md5(b"12345", usedforsecurity=False).hexdigest()  # S3's etag of a plain put

    assert sorted(listed(f"s3://{bucket}/photos"), key=str) == [
        ListingRow(f"s3://{bucket}/photos/Apple Red 1/a b#1%20.jpg", md5, 5, "Apple Red 1"),
        ListingRow(f"s3://{bucket}/photos/b.jpg", md5, 5, None),
    ]


def test_a_whole_bucket_is_an_input_too(bucket: str):
    put(bucket, ["a.jpg", "Apple/b.jpg"])
    check_input(f"s3://{bucket}")

    assert [(row.uri, row.label) for row in sorted(listed(f"s3://{bucket}"), key=str)] == [
        (f"s3://{bucket}/Apple/b.jpg", "Apple"),
        (f"s3://{bucket}/a.jpg", None),
    ]


def test_more_keys_than_one_answer_holds_are_all_listed_once(bucket: str):
    keys = [f"Apple/{n}.jpg" for n in range(1100)] + [f"loose {n}.jpg" for n in range(1100)] + [f"many/{n}/a.jpg" for n in range(30)]
    put(bucket, [f"photos/{key}" for key in keys])

    for at_least in (1, 8, 1000):
        assert keys_of(listed(f"s3://{bucket}/photos", at_least), f"s3://{bucket}/photos") == sorted(keys)
    whole = [FolderToList(f"s3://{bucket}/photos/", deep=True)]  # as a prefix too full to be cut is listed
    assert keys_of(list(list_folders(f"s3://{bucket}/photos", whole)), f"s3://{bucket}/photos") == sorted(keys)


def test_folder_markers_are_skipped_and_other_files_counted(bucket: str):
    put(bucket, ["photos/", "photos/Apple/"], b"")
    put(bucket, ["photos/Apple/a.jpg", "photos/Apple/b.txt", "photos/c.txt"])

    rows = listed(f"s3://{bucket}/photos")

    assert keys_of(rows, f"s3://{bucket}/photos") == ["Apple/a.jpg"]
    assert [row for row in rows if not row.etag] == [ListingRow(None, suffix=".txt", files=2)]


def test_an_input_that_is_missing_or_a_file_ends_the_run(bucket: str):
    put(bucket, ["photos/Apple/a.jpg"])
    check_input(f"s3://{bucket}/photos/Apple")

    for uri, message in {
        f"s3://{bucket}/nowhere": "there are no objects below `.*/nowhere`",
        f"s3://{bucket}/phot": "there are no objects below `.*/phot`",
        f"s3://{bucket}/photos/Apple/a.jpg": "`.*a.jpg` is a file",
        "s3://no-such-bucket-here/photos": "there is no bucket for `s3://no-such-bucket-here/photos`",
    }.items():
        with pytest.raises(InputError, match=message) as refused:
            check_input(uri)
        assert (refused.value.code, bool(refused.value.hint)) == (2, True)
