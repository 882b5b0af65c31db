"""Endpoints of S3: which are used, which are refused, and how S3A and certificates follow them."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.aws.session import aws_session
from cli.errors import RefusedError, UsageError
from job.contract.errors import RegionError, SetupError
from job.storage import s3_client
from job.storage.s3_client import place_of, s3a_conf
from job.storage.s3_client import session as job_session


@pytest.mark.parametrize("variable", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL_EMR_SERVERLESS"])
def test_an_endpoint_without_a_scheme_is_told_what_to_write(home: Path, monkeypatch: pytest.MonkeyPatch, variable: str):
    monkeypatch.setenv(variable, "localhost:7070")

    for make in (aws_session, job_session):
        with pytest.raises((UsageError, SetupError), match=rf"^{variable} is not a URL: `localhost:7070`$") as raised:
            make()
        assert raised.value.hint == f"write {variable}=http://localhost:7070, or https://"  # type: ignore[attr-defined]


@pytest.mark.parametrize("url", ["http://", "http://:7070", "ftp://a", "http://a:b", "http://[::1", "//a", "http:/a:7070"])
def test_an_endpoint_of_the_profile_that_no_client_can_use_is_an_error(home: Path, url: str):
    (home / ".aws/config").write_text(f"[default]\nservices = own\n[services own]\ns3 =\n  endpoint_url = {url}\n")

    with pytest.raises(UsageError, match=r"^endpoint_url is not a URL: "):
        aws_session()


@pytest.mark.parametrize(
    "url", ["https://s3.us-east-1.amazonaws\u3002com", "https://my_host:9000", "https://s3.us-east-1.amazonaws.com\\@x.eu"]
)
def test_an_endpoint_that_clients_read_differently_is_told_what_a_host_is(home: Path, monkeypatch: pytest.MonkeyPatch, url: str):
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", url)

    for make in (aws_session, job_session):
        with pytest.raises((UsageError, SetupError), match=r"^AWS_ENDPOINT_URL_S3 is not a URL: `") as raised:
            make()
        assert raised.value.hint == (  # type: ignore[attr-defined]
            "write AWS_ENDPOINT_URL_S3=http://HOST:PORT, or https://, where HOST has ASCII letters, digits, `.` and `-` only"
        )


def test_an_error_about_an_endpoint_shows_no_password(home: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "https://key:very@secret@x.eu:9000")

    with pytest.raises(UsageError, match=r"^AWS_ENDPOINT_URL_S3 is not a URL: `…@x\.eu:9000`$"):
        aws_session()


@pytest.mark.parametrize("profile", ["default", "profile there"])
def test_transfer_acceleration_is_refused_before_anything_is_asked(home: Path, monkeypatch: pytest.MonkeyPatch, profile: str):
    (home / ".aws/config").write_text(f"[{profile}]\ns3 =\n    use_accelerate_endpoint = true\n")
    if profile != "default":
        monkeypatch.setenv("AWS_PROFILE", "there")

    for make in (aws_session, job_session):
        with pytest.raises((RefusedError, RegionError), match=r"^S3 Transfer Acceleration sends photos through places outside") as raised:
            make()
        assert raised.value.hint == "remove `use_accelerate_endpoint` from the AWS configuration, or set AWS_PROFILE to another profile"  # type: ignore[attr-defined]


@pytest.mark.parametrize("value", ["false", "False"])
def test_transfer_acceleration_that_is_off_is_no_matter(home: Path, value: str):
    (home / ".aws/config").write_text(f"[default]\ns3 =\n    use_accelerate_endpoint = {value}\n    addressing_style = path\n")

    assert aws_session().client("s3").meta.endpoint_url == "https://s3.eu-west-3.amazonaws.com"


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("https://s3.us-east-1.amazonaws.com", "Region `us-east-1` is not on the list"),
        ("https://S3-US-WEST-2.AMAZONAWS.COM.:443", "Region `us-west-2` is not on the list"),
        ("https://bucket.vpce-0a1b.s3.eu-west-2.vpce.amazonaws.com", r"Region `eu-west-2` \(London\) is not on the list"),
        ("https://s3.amazonaws.com", "serves all Regions"),
        ("https://s3-accelerate.amazonaws.com", "serves all Regions"),
        ("https://eu-west-3.s3.amazonaws.com", "serves all Regions"),  # a bucket of that name
    ],
)
def test_an_endpoint_of_aws_outside_the_union_is_no_way_round(home: Path, monkeypatch: pytest.MonkeyPatch, url: str, reason: str):
    (home / ".aws/config").write_text(f"[profile there]\nendpoint_url = {url}\n")

    for name, value in (("AWS_ENDPOINT_URL", url), ("AWS_ENDPOINT_URL_S3", url), ("AWS_PROFILE", "there")):
        with monkeypatch.context() as patch:
            patch.setenv(name, value)
            for make in (aws_session, job_session):
                with pytest.raises((RefusedError, RegionError), match=reason):
                    make()


@pytest.mark.parametrize(
    ("url", "hint"),
    [
        ("http://s3.eu-west-3.amazonaws.com", "write https://s3.eu-west-3.amazonaws.com"),
        ("HTTP://S3.EU-WEST-3.amazonaws.com.:80", "write https://S3.EU-WEST-3.amazonaws.com.:80"),
        ("http://bucket.vpce-0a1b.s3.eu-west-3.vpce.amazonaws.com", "write https://bucket.vpce-0a1b.s3.eu-west-3.vpce.amazonaws.com"),
        ("http://s3.eusc-de-east-1.amazonaws.eu", "write https://s3.eusc-de-east-1.amazonaws.eu"),
        ("http://fruits.eu-west-3.elasticbeanstalk.com", "write https://fruits.eu-west-3.elasticbeanstalk.com"),
    ],
)
def test_an_endpoint_of_aws_is_encrypted(home: Path, monkeypatch: pytest.MonkeyPatch, url: str, hint: str):
    (home / ".aws/config").write_text(f"[profile there]\nendpoint_url = {url}\n")

    for name, value in (("AWS_ENDPOINT_URL", url), ("AWS_ENDPOINT_URL_S3", url), ("AWS_ENDPOINT_URL_STS", url), ("AWS_PROFILE", "there")):
        with monkeypatch.context() as patch:
            patch.setenv(name, value)
            for make in (aws_session, job_session):
                with pytest.raises((RefusedError, RegionError), match=rf" `{url}` is not encrypted$") as raised:
                    make()
                assert raised.value.hint == hint  # type: ignore[attr-defined]


def test_no_client_talks_to_aws_without_encryption(keys: None):
    client = aws_session().client("s3", use_ssl=False)

    with pytest.raises(RefusedError, match=r"^endpoint `http://s3\.eu-west-3\.amazonaws\.com` is not encrypted$"):
        client.list_buckets()


def test_certificates_that_are_not_there_are_named(home: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_CA_BUNDLE", str(home / "ca.pem"))

    with pytest.raises(UsageError, match=rf"^there are no certificates in `{home}/ca.pem`$") as raised:
        aws_session()
    assert raised.value.hint == "set AWS_CA_BUNDLE to a PEM file"


def test_sts_is_asked_in_the_region_whatever_is_set(home: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_STS_REGIONAL_ENDPOINTS", "legacy")

    sts = aws_session().client("sts", region_name="eu-west-3")

    assert sts.meta.endpoint_url == "https://sts.eu-west-3.amazonaws.com"


def test_an_endpoint_of_aws_inside_the_union_is_used(home: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "https://vpce-0a1b.s3.eu-west-3.vpce.amazonaws.com")

    assert aws_session().client("s3").meta.endpoint_url == "https://vpce-0a1b.s3.eu-west-3.vpce.amazonaws.com"


def test_s3a_is_led_to_a_server_elsewhere_as_boto3_is():
    assert s3a_conf("http://127.0.0.1:7070", "eu-south-2") == {
        "spark.hadoop.fs.s3.impl": "org.apache.hadoop.fs.s3a.S3AFileSystem",
        "spark.hadoop.fs.s3a.experimental.input.fadvise": "random",
        "spark.hadoop.fs.s3a.endpoint": "http://127.0.0.1:7070",
        "spark.hadoop.fs.s3a.endpoint.region": "eu-south-2",
        "spark.hadoop.fs.s3a.cross.region.access.enabled": "false",
        "spark.hadoop.fs.s3a.connection.ssl.enabled": "false",
        "spark.hadoop.fs.s3a.path.style.access": "true",
        "spark.hadoop.fs.s3a.directory.marker.retention": "keep",
    }


@pytest.mark.parametrize(
    ("endpoint", "path_style"),
    [
        ("https://s3.eu-west-3.amazonaws.com", None),
        ("https://s3.eusc-de-east-1.amazonaws.eu", None),
        ("https://s3.dualstack.eu-west-3.amazonaws.com", None),
        ("https://s3-fips.dualstack.eu-west-3.amazonaws.com", None),
        ("https://vpce-0a1b.s3.eu-west-3.vpce.amazonaws.com", "true"),
        ("https://bucket.vpce-0a1b.s3.eu-west-3.vpce.amazonaws.com", "true"),
        ("https://fruits.eu-west-3.awsapprunner.com", "true"),
    ],
)
def test_s3a_is_told_the_endpoint_of_aws_too(endpoint: str, path_style: str | None):
    """Without one it would follow a bucket to any Region, or take the endpoint of a cluster's own settings."""
    conf = s3a_conf(endpoint, "eu-west-3")

    assert conf["spark.hadoop.fs.s3a.endpoint"] == endpoint
    assert conf.get("spark.hadoop.fs.s3a.path.style.access") == path_style
    assert "spark.hadoop.fs.s3a.directory.marker.retention" not in conf


@pytest.mark.parametrize(
    ("set_to", "bucket", "region", "place"),
    [
        (None, "fruits", "eu-west-3", ("https://fruits.s3.eu-west-3.amazonaws.com", True)),
        (None, "fruits.paris", "eu-west-3", ("https://s3.eu-west-3.amazonaws.com", False)),
        (None, "fruits", "eu-central-1", ("https://fruits.s3.eu-central-1.amazonaws.com", True)),
        (None, "fruits", "eusc-de-east-1", ("https://fruits.s3.eusc-de-east-1.amazonaws.eu", True)),
        ("http://127.0.0.1:7070", "fruits", "eu-west-3", ("http://127.0.0.1:7070", False)),
        ("https://s3.eu-west-3.amazonaws.com", "fruits", "eu-central-1", ("https://fruits.s3.eu-central-1.amazonaws.com", True)),
        *(
            (f"https://{host}", "fruits", "eu-west-3", (f"https://{host}", False))
            for host in (
                "vpce-0a1b.s3.eu-west-3.vpce.amazonaws.com",
                "bucket.vpce-0a1b.s3.eu-west-3.vpce.amazonaws.com",
                "s3.dualstack.eu-west-3.amazonaws.com",
                "s3-fips.eu-west-3.amazonaws.com",
            )
        ),
    ],
)
def test_obstore_gets_the_endpoint_that_is_set_and_else_that_of_the_buckets_region(
    keys: None, monkeypatch: pytest.MonkeyPatch, set_to: str | None, bucket: str, region: str, place: tuple[str, bool]
):
    if set_to:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", set_to)
    s3_client.client.cache_clear()

    assert place_of(bucket, region) == place
    s3_client.client.cache_clear()


def test_obstore_gets_the_dual_stack_that_a_variable_asks_for(keys: None, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_USE_DUALSTACK_ENDPOINT", "true")
    s3_client.client.cache_clear()

    assert place_of("fruits", "eu-central-1") == ("https://fruits.s3.dualstack.eu-central-1.amazonaws.com", True)
    s3_client.client.cache_clear()
