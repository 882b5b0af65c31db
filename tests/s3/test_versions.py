"""Versions on a bucket without versioning: what is there is its only version, and goes for good."""

from job.erasure.versions import Version, content_of, remove, unfinished, unfinished_of, versions_below, versions_of


def test_a_bucket_without_versioning_has_one_version_of_each(bucket, s3_server):
    client = s3_server.client()
    for key in ("photos/a.jpg", "photos/a.jpg.png", "photos/b c+%.jpg"):
        client.put_object(Bucket=bucket, Key=key, Body=key.encode())

    found = {version.uri: version for version in versions_below(f"s3://{bucket}/photos/")}
    (one,) = versions_of(f"s3://{bucket}/photos/a.jpg")

    assert sorted(found) == [f"s3://{bucket}/photos/{name}" for name in ("a.jpg", "a.jpg.png", "b c+%.jpg")]
    assert {(version.current, version.marker) for version in found.values()} == {(True, False)}
    assert content_of(found[f"s3://{bucket}/photos/b c+%.jpg"]) == b"photos/b c+%.jpg"
    assert remove([one, found[f"s3://{bucket}/photos/b c+%.jpg"]]) == 2
    assert [version.uri for version in versions_below(f"s3://{bucket}/photos/")] == [f"s3://{bucket}/photos/a.jpg.png"]
    assert content_of(one) is None
    assert remove([one]) == 1


def test_a_request_deletes_a_thousand_objects(bucket, proxy):
    told = []

    assert remove((Version(f"s3://{bucket}/{number}.jpg", "null", True, False) for number in range(2500)), told.append) == 2500

    assert len([head for head in proxy.heads if head.start[0] == "POST"]) == 3
    assert told == [1000, 2000, 2500]


def test_an_upload_in_parts_that_was_never_completed_goes_and_those_of_others_stay(bucket, s3_server):
    """A killed `aws s3 cp` leaves one: nobody can read it, until somebody completes it."""
    client, keys = s3_server.client(), ["out/features/a", "outer/b", "photos/a b.jpg", "photos/a b.jpg.png", "photos/c.jpg"]
    for key in keys:
        upload = client.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
        client.upload_part(Bucket=bucket, Key=key, UploadId=upload, PartNumber=1, Body=b"pixels")

    found = list(unfinished_of({f"s3://{bucket}/photos/a b.jpg", f"s3://{bucket}/photos/c.jpg", "file:///photos/a.jpg"}))
    found += unfinished(f"s3://{bucket}/out")

    assert sorted(upload.uri for upload in found) == [f"s3://{bucket}/{keys[number]}" for number in (0, 2, 4)]
    assert {content_of(upload) for upload in found} == {None}
    assert remove(found) == remove(found) == 3
    left = client.list_multipart_uploads(Bucket=bucket)["Uploads"]
    assert [upload["Key"] for upload in left] == ["outer/b", "photos/a b.jpg.png"]


def test_keys_that_xml_cannot_have_are_deleted_beside_others(bucket, s3_server):
    """Without a listing, in which this server leaves some of them out."""
    client = s3_server.client()
    keys = [f"photos/a{character}b.jpg" for character in ("\x01", "\x1f", "\t", "\n", "\r", "\x7f", "\x85", "\ufffe", "c")]
    for key in [*keys, "photos/kept.jpg"]:
        client.put_object(Bucket=bucket, Key=key, Body=b"pixels")

    assert remove(Version(f"s3://{bucket}/{key}", "null", True, False) for key in keys) == len(keys)

    assert [key for key in keys if content_of(Version(f"s3://{bucket}/{key}", "null", True, False)) is not None] == []
    assert content_of(Version(f"s3://{bucket}/photos/kept.jpg", "null", True, False)) == b"pixels"
