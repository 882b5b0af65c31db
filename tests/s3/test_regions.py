"""
No photo leaves the European Union: every command that reads or writes S3, against buckets of several Regions. The server is moto, once
under AWS's own names, once as a custom endpoint.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import obstore
import pytest
from moto import settings as moto_settings

from cli.aws.s3 import client_for
from cli.aws.session import aws_session
from cli.errors import RefusedError
from job.contract.errors import CredentialsError, RegionError
from job.contract.filenames import FolderToList
from job.inputs.fetch import ListedImage, read_s3
from job.inputs.s3 import _archived, list_folders
from job.storage import s3_client
from job.storage.folders import open_folder
from job.storage.s3_client import bucket_store
from tests.s3.amazon import amazon
from tests.s3.server_of_regions import BUCKETS, Silent, a_moto, four_buckets, reached_as_aws, served  # noqa: F401
from tests.unit.job.product.galleries import picture

PHOTOS, OUT, ELSEWHERE = "s3://fruits-paris/photos", "s3://fruits-paris/out", "s3://fruits-virginia"
ROLE = "role_arn = arn:aws:iam::111122223333:role/fruits\nsource_profile = keys"
COMMANDS = (
    ("run", f"{ELSEWHERE}/photos", OUT, "--local", "--model", "mean_colour"),
    ("run", PHOTOS, f"{ELSEWHERE}/out", "--local", "--model", "mean_colour"),
    ("run", f"{ELSEWHERE}/photos", OUT, "--local", "--model", "mean_colour", "--dry-run"),
    ("run", PHOTOS, f"{ELSEWHERE}/out", "--local", "--model", "mean_colour", "--dry-run"),
    ("report", "--output", f"{ELSEWHERE}/out", "--no-open"),
    ("report", "r1", "--output", f"{ELSEWHERE}/out", "--rebuild", "--no-open"),
    ("identify", "PHOTO", "--output", f"{ELSEWHERE}/out"),
    ("serve", "--output", f"{ELSEWHERE}/out", "--port", "0"),
    ("forget", f"{ELSEWHERE}/photos/L/a.jpg", "--output", f"{ELSEWHERE}/out", "--dry-run"),
    ("forget", f"{ELSEWHERE}/photos/L/a.jpg", "--output", f"{ELSEWHERE}/out", "--yes"),
    ("data", "push", "FOLDER", f"{ELSEWHERE}/photos"),
    ("data", "push", "FOLDER", f"{ELSEWHERE}/photos", "--dry-run"),
    ("cost", "--output", f"{ELSEWHERE}/out"),
)


def fruitsctl(*words: str, **more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cli", *words]
    return subprocess.run(command, env=os.environ | more, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=300)


def keys(client: Any, bucket: str) -> list[str]:
    """Without what a run says of its end, in its own OUTPUT."""
    found = [found["Key"] for found in client.list_objects_v2(Bucket=bucket).get("Contents", [])]
    return [key for key in found if not key.endswith(("/outcome.json", "/job.log")) or bucket == "fruits-virginia"]


@pytest.mark.parametrize("custom", [False, True], ids=["AWS", "custom endpoint"])
@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: " ".join(words[:3]) + (" --dry-run" if "--dry-run" in words else ""))
def test_no_command_touches_a_bucket_outside_the_union(aws, buckets, moto, monkeypatch, tmp_path, words, custom):
    if custom:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", moto)
    (tmp_path / "photos" / "Plum").mkdir(parents=True)
    photo = tmp_path / "photos" / "Plum" / "d.png"
    photo.write_bytes(picture((60, 30, 120)))
    local = {"PHOTO": str(photo), "FOLDER": str(photo.parents[1])}
    before = {name: keys(buckets, name) for name in BUCKETS}

    done = fruitsctl(*(local.get(word, word) for word in words), FRUITS_CACHE=str(tmp_path / "cache"))

    assert done.returncode == 3, done.stderr
    assert "error: bucket `fruits-virginia`: Region `us-east-1` is not on the list of Regions in the European Union" in done.stderr
    assert ("hint: set AWS_REGION=us-east-1 if `" in done.stderr) == custom
    assert {name: keys(buckets, name) for name in BUCKETS} == before


def test_every_way_of_the_job_into_a_bucket_is_guarded(aws):
    for way in (
        lambda: open_folder(f"{ELSEWHERE}/out").read("latest.json"),
        lambda: open_folder(f"{ELSEWHERE}/out").write("latest.json", b"{}"),
        lambda: open_folder(f"{ELSEWHERE}/out").names(),
        lambda: bucket_store("fruits-virginia"),
        lambda: s3_client.read_object("fruits-virginia", "photos/Lime/a.png", "x"),
        lambda: s3_client.client().get_object(Bucket="arn:aws:s3:us-east-1:111122223333:accesspoint/fruits", Key="a"),
    ):
        with pytest.raises(RegionError) as raised:
            way()
        assert raised.value.code == 3


@pytest.mark.parametrize(
    "name",
    [
        "fruits-hrzrlukc5m36ft7okagglf3gmwluquse1b-s3alias",
        "fruits-o0b1d075431d83bebde8xz5w8ijx1qzlbp3i3ebfe5gfa--op-s3",
        "fruits-a1a45470952644851a36ad800910cc9b4--ol-s3",
        "fruits--euw1-az1--x-s3",
        "fruits--euw1-az1--xa-s3",
        "fruits--table-s3",
        "mfzwi23gnjvgw.mrap",
        "MFZWI23GNJVGW.MRAP",
    ],
)
def test_a_name_of_something_else_than_a_bucket_is_refused_before_anything_is_asked(aws, name):
    """An Outpost and a Dedicated Local Zone belong to a Region of the Union, wherever they are."""
    for way in (
        lambda: open_folder(f"s3://{name}/out").write("latest.json", b"{}"),
        lambda: bucket_store(name),
        lambda: client_for(aws_session(), name),
    ):
        with pytest.raises((RegionError, RefusedError), match=f"^`{name}` is an access point, a directory bucket or on an Outpost$"):
            way()
    assert aws.hosts == []


def test_a_region_that_is_set_outside_the_union_is_refused_before_anything_is_asked(aws, monkeypatch):
    monkeypatch.setenv("AWS_REGION", "us-east-1")

    with pytest.raises(RegionError, match="Region `us-east-1` is not on the list"):
        open_folder(OUT).read("latest.json")
    assert aws.hosts == []


def test_a_bucket_of_another_region_of_the_union_is_read_where_it_is(aws, buckets):
    (row,) = list_folders("s3://fruits-frankfurt/photos", [FolderToList("s3://fruits-frankfurt/photos/Lime/", True)], False)

    assert read_s3(ListedImage(row.uri, row.etag, row.size, row.label)) == picture((50, 160, 40))
    assert aws.hosts[-1] == "fruits-frankfurt.s3.eu-central-1.amazonaws.com"


@pytest.mark.parametrize(
    "variables",
    [
        {"AWS_ENDPOINT": "https://s3.us-east-1.amazonaws.com"},
        {"AWS_ENDPOINT": "https://fruits-virginia.s3.us-east-1.amazonaws.com"},
        {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"},
        {"AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"},
        {"AWS_S3_EXPRESS": "true"},
    ],
    ids=lambda variables: " ".join(variables),
)
def test_no_variable_leads_obstore_to_another_s3_than_boto3(aws, monkeypatch, variables):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    (row,) = list_folders("s3://fruits-frankfurt/photos", [FolderToList("s3://fruits-frankfurt/photos/Lime/", True)], False)

    assert read_s3(ListedImage(row.uri, row.etag, row.size, row.label)) == picture((50, 160, 40))
    assert [host for host in aws.hosts if "us-east-1" in host] == []


@pytest.mark.parametrize("host", ["bucket.vpce-0a1b.s3.eu-west-3.vpce.amazonaws.com", "s3.dualstack.eu-west-3.amazonaws.com"])
def test_every_client_uses_the_endpoint_of_aws_that_is_set(aws, monkeypatch, host):
    """Such as that of PrivateLink, where the public one may not be reached, or is not to be."""
    monkeypatch.setattr(moto_settings, "S3_IGNORE_SUBDOMAIN_BUCKETNAME", True)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"https://{host}")
    (row,) = list_folders(PHOTOS, [FolderToList(f"{PHOTOS}/Lime/", True)], False)

    assert read_s3(ListedImage(row.uri, row.etag, row.size, row.label)) == picture((50, 160, 40))
    assert set(aws.hosts) == {host}


def test_the_label_of_a_server_elsewhere_is_its_own_business(aws, moto, monkeypatch):
    """`us-east-1` is the default of many servers, wherever they are; said by the user it is the Region of the signature, and no more."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", moto)
    monkeypatch.setenv("AWS_REGION", "us-east-1")

    assert open_folder("s3://fruits-virginia/out").read("latest.json") is None


@contextmanager
def answering(**headers: str) -> Iterator[str]:
    """URL of a server that says `headers` of every bucket, and denies access to everything else."""
    denied = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"

    class Handler(Silent):
        def do_HEAD(self) -> None:
            self.send_response_only(200)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()

        def do_GET(self) -> None:
            self.send_response_only(403)
            self.send_header("Content-Length", str(len(denied)))
            self.end_headers()
            self.wfile.write(denied)

    with served(Handler) as url:
        yield url


def test_a_proxy_does_not_make_another_server_of_amazons(aws, monkeypatch):
    """S3 says that it is S3, whatever name leads there."""
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    with answering(Server="AmazonS3", x_amz_bucket_region="us-east-1") as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", url)

        with pytest.raises(RegionError, match="bucket `fruits-paris`: Region `us-east-1` is not on the list"):
            open_folder(OUT).read("latest.json")


def test_a_bucket_of_aws_whose_region_is_unknown_is_refused(aws, tmp_path, monkeypatch):
    (tmp_path / "silent").mkdir()
    with answering() as url, amazon(url, tmp_path / "silent") as silent:
        for name, value in silent.environment().items():
            monkeypatch.setenv(name, value)

        with pytest.raises(RegionError, match=r"^unknown Region of bucket `fruits-paris`$"):
            open_folder(OUT).read("latest.json")


def test_a_server_elsewhere_need_not_name_a_region(aws, monkeypatch):
    with answering() as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", url)

        with pytest.raises(CredentialsError):  # its own answer to the request itself
            open_folder(OUT).read("latest.json")


def test_a_run_trusts_the_companys_certificates_reads_a_bucket_with_dots_and_leaves_an_archived_photo_alone(
    aws, buckets, tmp_path, short_jvm
):
    source, target = "s3://fruits.with.dots/photos", "s3://fruits-paris/dots"
    buckets.put_object(Bucket="fruits.with.dots", Key="photos/Plum/old.png", Body=picture((1, 2, 3)), StorageClass="GLACIER")
    words = ("run", source, target, "--local", "--model", "mean_colour", "--max-reject-ratio", "0.5", "--components", "1", "--json")
    environment = short_jvm | {"FRUITS_CACHE": str(tmp_path / "cache")}

    for embedded in (3, 0):
        done = fruitsctl(*words, **environment)

        assert done.returncode == 0, done.stderr
        manifest = json.loads(done.stdout)
        assert manifest["counts"]["embedded"] == embedded
        assert manifest["rejects"] == {"archived, restore it first": 1}
    assert "s3.eu-west-3.amazonaws.com" in aws.hosts  # not a host below it, which no certificate covers
    assert not [host for host in aws.hosts if host.startswith("fruits.with.dots")]


@contextmanager
def moved_after_the_check() -> Iterator[str]:
    """URL of an S3 whose buckets are in Paris when asked, and in Virginia when used; there it takes everything."""
    gone = b"<Error><Code>PermanentRedirect</Code><Message>Use another endpoint</Message></Error>"

    class Handler(Silent):
        protocol_version = "HTTP/1.1"  # boto3 waits for `100 Continue` before it sends a body

        def do_HEAD(self) -> None:
            self._answer(200, "eu-west-3")

        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            in_virginia = "us-east-1" in self.headers["Host"]
            self._answer(200, "us-east-1", b"") if in_virginia else self._answer(301, "us-east-1", gone)

        do_PUT = do_POST = do_DELETE = do_GET  # noqa: N815 - names of http.server

        def _answer(self, status: int, region: str, body: bytes = b"") -> None:
            self.send_response_only(status)
            for name, value in (("Server", "AmazonS3"), ("x-amz-bucket-region", region), ("ETag", '"e"'), ("Content-Length", len(body))):
                self.send_header(name, str(value))
            self.end_headers()
            self.wfile.write(body)

    with served(Handler) as url:
        yield url


def test_no_redirect_leads_a_request_out_of_the_union(aws, tmp_path, monkeypatch):
    """boto3 signs and sends a request again for the Region that a 301 names."""
    (tmp_path / "moved").mkdir()
    ways = {
        "job": lambda: open_folder(OUT).write("latest.json", b"{}"),
        "job, read": lambda: s3_client.read_object("fruits-paris", "photos/a.png", "e"),
        "job, list": lambda: open_folder(OUT).names(),
        "CLI": lambda: client_for(aws_session(), "fruits-paris").put_object(Bucket="fruits-paris", Key="photos/a.png", Body=b"photo"),
        "CLI, delete": lambda: client_for(aws_session(), "fruits-paris").delete_object(Bucket="fruits-paris", Key="photos/a.png"),
    }
    with moved_after_the_check() as url, amazon(url, tmp_path / "moved") as moved:
        for name, value in moved.environment().items():
            monkeypatch.setenv(name, value)

        for way, act in ways.items():
            with pytest.raises((RegionError, RefusedError)) as raised:
                act()
            assert "us-east-1.amazonaws.com`: Region `us-east-1` is not on the list of Regions in the European Union" in str(
                raised.value
            ), way
    assert set(moved.hosts) == {"fruits-paris.s3.eu-west-3.amazonaws.com"}


def test_obstore_cannot_be_told_not_to_follow_redirects():
    """The pages about data protection say so. When this fails, use the option in `bucket_store` and correct the pages."""
    options = Path(obstore.__file__).with_name("_store") / "_client.pyi"

    assert "allow_http" in options.read_text()
    assert "redirect" not in options.read_text()


@pytest.mark.parametrize("host", ["s3-accelerate", "s3-accelerate.dualstack", "s3"])
def test_no_request_is_sent_to_an_endpoint_of_all_regions(aws, host):
    """Whatever made the client choose it."""
    client = s3_client.session().client("s3", endpoint_url=f"https://{host}.amazonaws.com")
    for act in (
        lambda: client.create_bucket(Bucket="fruits-new"),
        lambda: client.list_buckets(),
    ):
        with pytest.raises(RegionError, match=rf"^endpoint `https://[a-z0-9-.]*{host}\.amazonaws\.com` serves all Regions$"):
            act()
    assert aws.hosts == []


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: " ".join(words[:3]) + (" --dry-run" if "--dry-run" in words else ""))
@pytest.mark.parametrize(
    ("profile", "error"),
    [
        # Its edge locations are all over the world; the bucket itself is in Paris.
        ("s3 =\n    use_accelerate_endpoint = true", "S3 Transfer Acceleration sends photos through places outside the European Union"),
        # STS of that Region would give the credentials of the role.
        (f"region = us-east-1\n{ROLE}", "Region `us-east-1` is not on the list of Regions in the European Union"),
    ],
    ids=["acceleration", "role"],
)
def test_no_command_asks_anything_with_a_profile_that_leads_out_of_the_union(aws, monkeypatch, tmp_path, words, profile, error):
    (tmp_path / "config").write_text(f"[default]\n{profile}\n[profile keys]\naws_access_key_id = a\naws_secret_access_key = b\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    if ROLE in profile:
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    photo = tmp_path / "photos" / "Plum" / "d.png"
    photo.parent.mkdir(parents=True)
    photo.write_bytes(picture((60, 30, 120)))
    local = {"PHOTO": str(photo), "FOLDER": str(photo.parents[1])}

    done = fruitsctl(
        *(local.get(word, word).replace("fruits-virginia", "fruits-paris") for word in words), FRUITS_CACHE=str(tmp_path / "cache")
    )

    assert done.returncode == 3, done.stderr
    assert f"error: {error}" in done.stderr
    assert aws.hosts == []


@pytest.mark.parametrize(
    ("storage_class", "restored", "archived"),
    [
        ("DEEP_ARCHIVE", {"IsRestoreInProgress": False, "RestoreExpiryDate": "2026-12-24"}, False),
        ("DEEP_ARCHIVE", {"IsRestoreInProgress": True}, True),
        ("GLACIER", {}, True),
        ("GLACIER_IR", {}, False),
        ("STANDARD", {}, False),
    ],
)
def test_a_photo_that_was_restored_is_read_again(storage_class, restored, archived):
    """As S3 documents its listing; moto has no RestoreStatus."""
    assert _archived({"StorageClass": storage_class, "RestoreStatus": restored}) is archived
