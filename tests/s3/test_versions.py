"""Versions on a bucket without versioning: what is there is its only version, and goes for good."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, quote_plus, urlsplit

import pytest

from job.contract.errors import InputError
from job.erasure.pending import Targets
from job.erasure.targets import read_photos
from job.erasure.versions import Version, content_of, remove, unfinished, unfinished_of, versions_below, versions_of
from job.storage import s3_client


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
    """A killed `aws s3 cp` leaves one: it cannot be read until it is completed."""
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


class Uploads(BaseHTTPRequestHandler):
    """
    Lists one upload a page, as S3 does: https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListMultipartUploads.html. The servers of the
    other tests do not know the encoding.
    """

    keys = ("photos/a\x01b.jpg", "photos/a b+c%20.jpg", "photos/l\u00e9.jpg")

    def do_GET(self) -> None:
        asked = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        if "uploads" not in asked:
            self.answer('<LocationConstraint xmlns="http://s3.amazonaws.com/doc/2006-03-01/">eu-west-3</LocationConstraint>')
            return
        write = quote_plus if asked.get("encoding-type") == "url" else str
        at = self.keys.index(asked["key-marker"]) + 1 if "key-marker" in asked else 0
        key, more = write(self.keys[at]), str(at + 1 < len(self.keys)).lower()
        said = "<EncodingType>url</EncodingType>" if write is quote_plus else ""
        page = f"{said}<IsTruncated>{more}</IsTruncated><NextKeyMarker>{key}</NextKeyMarker><NextUploadIdMarker>{at}</NextUploadIdMarker>"
        upload = f"<Upload><Key>{key}</Key><UploadId>{at}</UploadId></Upload>"
        self.answer(
            f'<ListMultipartUploadsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{page}{upload}</ListMultipartUploadsResult>'
        )

    def do_HEAD(self) -> None:
        self.answer("")

    def answer(self, xml: str) -> None:
        self.send_response(200)
        self.send_header("x-amz-bucket-region", "eu-west-3")
        self.send_header("Content-Length", str(len(xml.encode())))
        self.end_headers()
        self.wfile.write(xml.encode())

    def log_message(self, *_: object) -> None:
        pass


def test_uploads_of_keys_that_xml_cannot_have_are_listed_over_all_pages(bucket, monkeypatch):
    with ThreadingHTTPServer(("127.0.0.1", 0), Uploads) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{server.server_port}")
        s3_client.client.cache_clear()

        found = list(unfinished(f"s3://{bucket}/photos"))
        server.shutdown()

    assert [(one.uri, one.version) for one in found] == [(f"s3://{bucket}/{key}", str(number)) for number, key in enumerate(Uploads.keys)]


def test_keys_that_xml_cannot_have_are_deleted_beside_others(bucket, s3_server):
    """Without a listing, in which this server leaves some of them out."""
    client = s3_server.client()
    keys = [f"photos/a{character}b.jpg" for character in ("\x01", "\x1f", "\t", "\n", "\r", "\x7f", "\x85", "\ufffe", "c")]
    for key in [*keys, "photos/kept.jpg"]:
        client.put_object(Bucket=bucket, Key=key, Body=b"pixels")

    assert remove(Version(f"s3://{bucket}/{key}", "null", True, False) for key in keys) == len(keys)

    assert [key for key in keys if content_of(Version(f"s3://{bucket}/{key}", "null", True, False)) is not None] == []
    assert content_of(Version(f"s3://{bucket}/photos/kept.jpg", "null", True, False)) == b"pixels"


class Refusing(Uploads):
    """Answers what the servers of the other tests never do: objects in an archive, and an error for one of several keys."""

    code = "AccessDenied"

    def do_GET(self) -> None:
        query = urlsplit(self.path).query
        if "versions" in query:
            version = "<Version><Key>photos/a.jpg</Key><VersionId>null</VersionId><IsLatest>true</IsLatest></Version>"
            self.answer(f'<ListVersionsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{version}</ListVersionsResult>')
        elif "location" in query:
            super().do_GET()
        else:
            self.send_response(403)
            error = b"<Error><Code>InvalidObjectState</Code><Message>The operation is not valid for the storage class</Message></Error>"
            self.send_header("Content-Length", str(len(error)))
            self.end_headers()
            self.wfile.write(error)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        error = f"<Error><Key>photos/a.jpg</Key><Code>{self.code}</Code></Error>"
        self.answer(f'<DeleteResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{error}</DeleteResult>')


@pytest.fixture
def refusing(bucket, monkeypatch):
    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{server.server_port}")
        s3_client.client.cache_clear()
        yield bucket
        server.shutdown()


def test_an_archived_photo_is_erased_without_being_read_and_gets_no_tombstone(refusing):
    targets = Targets(uris={f"s3://{refusing}/photos/a.jpg"})

    read_photos(targets)

    assert (targets.photos, targets.contents) == (targets.uris, set())
    with pytest.raises(InputError, match="is archived and cannot be read") as raised:
        read_photos(targets, tombstone=True)
    assert "restore the object first" in raised.value.hint


@pytest.mark.parametrize(("code", "allow"), [("AccessDenied", True), ("InternalError", False), ("SlowDown", False)])
def test_the_hint_about_a_version_that_was_not_deleted_fits_its_reason(refusing, monkeypatch, code, allow):
    monkeypatch.setattr(Refusing, "code", code)

    with pytest.raises(InputError, match=f"photos/a.jpg`: {code}") as raised:
        remove([Version(f"s3://{refusing}/photos/a.jpg", "null", True, False)])

    assert ("s3:DeleteObjectVersion" in raised.value.hint) is allow
    assert "run the command again" in raised.value.hint
