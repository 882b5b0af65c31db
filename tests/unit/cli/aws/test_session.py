"""The user's AWS set-up to the job's environment. Child processes of boto3 say what that environment is worth."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import pytest

from cli.aws.session import aws_session, job_environment, region
from cli.commands.aws import infra
from cli.errors import RefusedError, UsageError
from job.contract.aws_session import certificates_of
from job.contract.errors import RegionError, SetupError
from job.storage.s3_client import endpoint_of, s3a_conf
from job.storage.s3_client import session as job_session

CHILD = """
import boto3, json, os
session = boto3.session.Session(region_name=os.environ["AWS_REGION"])
found = session.get_credentials()
frozen = found.get_frozen_credentials()
endpoint = session.client("s3").meta.endpoint_url
print(json.dumps([found.method, frozen.access_key, frozen.secret_key, frozen.token, endpoint]))
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user without any AWS set-up: an empty home, whose .aws/ the tests fill."""
    for name in os.environ:
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    (tmp_path / ".aws").mkdir()
    return tmp_path


def seen_by_a_child(extra: Mapping[str, str | None]) -> list[str | None]:
    environment = {name: value for name, value in {**os.environ, **extra}.items() if value is not None}
    done = subprocess.run([sys.executable, "-c", CHILD], env=environment, capture_output=True, text=True, check=True)
    seen: list[str | None] = json.loads(done.stdout)
    return seen


def ask(extra: Mapping[str, str | None], token: str | None, agent: str = "Botocore") -> dict[str, str]:
    uri = extra["AWS_CONTAINER_CREDENTIALS_FULL_URI"]
    assert uri
    headers = {"User-Agent": agent} | ({"Authorization": token} if token else {})
    with urlopen(Request(uri, headers=headers)) as answer:
        body: dict[str, str] = json.load(answer)
    return body


def test_keys_of_the_environment_reach_the_job_by_the_endpoint_only(home: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "FRUITSKEY")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "very secret")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "a token")
    monkeypatch.setenv("AWS_REGION", "eu-west-3")

    with job_environment(aws_session()) as extra:
        assert seen_by_a_child(extra) == ["container-role", "FRUITSKEY", "very secret", "a token", "https://s3.eu-west-3.amazonaws.com"]
        assert [value for value in extra.values() if value in ("FRUITSKEY", "very secret", "a token")] == []


def test_a_profile_leads_with_its_keys_region_and_endpoint(home: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_PROFILE", "p8")
    (home / ".aws/credentials").write_text("[p8]\naws_access_key_id = FRUITSKEY\naws_secret_access_key = very secret\n")
    (home / ".aws/config").write_text(
        "[profile p8]\nregion = eu-south-2\nservices = own\n[services own]\ns3 =\n  endpoint_url = https://s3.example.org:9000\n"
    )

    with job_environment(aws_session()) as extra:
        assert seen_by_a_child(extra) == ["container-role", "FRUITSKEY", "very secret", "", "https://s3.example.org:9000"]
        assert extra["AWS_REGION"] == "eu-south-2"
        assert extra["AWS_DEFAULT_REGION"] == "eu-south-2"
        assert extra["AWS_PROFILE"] is None


def test_an_endpoint_for_all_services_becomes_the_one_of_s3(home: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "FRUITSKEY")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "very secret")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:7070")

    with job_environment(aws_session()) as extra:
        assert extra["AWS_ENDPOINT_URL_S3"] == "http://127.0.0.1:7070"
        assert extra["AWS_ENDPOINT_URL"] is None
        assert extra["AWS_REGION"] == "eu-west-3"


def test_the_endpoint_answers_nobody_without_its_token_and_nobody_afterwards(home: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "FRUITSKEY")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "very secret")
    monkeypatch.setenv("AWS_REGION", "eu-west-3")

    with job_environment(aws_session()) as extra:
        token = extra["AWS_CONTAINER_AUTHORIZATION_TOKEN"]
        for wrong in (None, "", "wrong", f"{token}x"):
            with pytest.raises(HTTPError, match="403"):
                ask(extra, wrong)
        assert ask(extra, token)["SecretAccessKey"] == "very secret"
    with pytest.raises(URLError):
        ask(extra, token)


def test_java_gets_no_empty_token_which_it_would_send_on(home: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "FRUITSKEY")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "very secret")
    monkeypatch.setenv("AWS_REGION", "eu-west-3")

    with job_environment(aws_session()) as extra:
        token = extra["AWS_CONTAINER_AUTHORIZATION_TOKEN"]
        assert "Token" not in ask(extra, token, "aws-sdk-java/1.12.262 Linux/6")
        assert ask(extra, token, "Boto3/1.40")["Token"] == ""


def test_credentials_that_end_soon_are_renewed_and_static_ones_asked_for_again(home: Path):
    (home / "issue.py").write_text(
        "import datetime, json, pathlib\n"
        "count = pathlib.Path(__file__).with_name('count')\n"
        "number = int(count.read_text()) + 1 if count.exists() else 1\n"
        "count.write_text(str(number))\n"
        "ends = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=2)\n"
        "print(json.dumps({'Version': 1, 'AccessKeyId': f'KEY{number}', 'SecretAccessKey': 's', 'SessionToken': 't',"
        " 'Expiration': ends.isoformat()}))\n"
    )
    (home / ".aws/config").write_text(f"[default]\nregion = eu-west-3\ncredential_process = {sys.executable} {home / 'issue.py'}\n")

    with job_environment(aws_session()) as extra:
        answers = [ask(extra, extra["AWS_CONTAINER_AUTHORIZATION_TOKEN"]) for _ in range(2)]

    first, second = (int(answer["AccessKeyId"].removeprefix("KEY")) for answer in answers)
    assert second == first + 1
    left = datetime.fromisoformat(answers[1]["Expiration"]) - datetime.now(UTC)
    assert 0 < left.total_seconds() <= 120


def test_a_renewal_that_fails_is_an_error_of_the_endpoint_without_details(home: Path):
    process = home / "issue.py"
    process.write_text(
        "import datetime, json\n"
        "ends = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=2)\n"
        "print(json.dumps({'Version': 1, 'AccessKeyId': 'K', 'SecretAccessKey': 's', 'Expiration': ends.isoformat()}))\n"
    )
    (home / ".aws/config").write_text(f"[default]\nregion = eu-west-3\ncredential_process = {sys.executable} {process}\n")

    with job_environment(aws_session()) as extra:
        process.write_text("raise SystemExit('secret details')")
        time.sleep(2.5)  # until they have expired
        with pytest.raises(HTTPError, match="500") as raised:
            ask(extra, extra["AWS_CONTAINER_AUTHORIZATION_TOKEN"])

    assert json.load(raised.value) == {"code": "CredentialRetrievalError", "message": "cannot renew the credentials"}


def test_the_job_cannot_fall_back_on_the_users_files(home: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "FRUITSKEY")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "very secret")
    monkeypatch.setenv("AWS_REGION", "eu-west-3")
    (home / ".boto").write_text("[Credentials]\naws_access_key_id = OTHER\naws_secret_access_key = other\n")
    (home / ".aws/credentials").write_text("[default]\naws_access_key_id = OTHER\naws_secret_access_key = other\n")

    with job_environment(aws_session()) as extra:
        assert seen_by_a_child(extra)[:2] == ["container-role", "FRUITSKEY"]


def test_no_credentials_at_all_are_said_so_with_a_way_out(home: Path):
    with pytest.raises(UsageError) as raised, job_environment(aws_session()):
        pass

    assert str(raised.value) == "no AWS credentials found"
    assert raised.value.hint == "set AWS_PROFILE, or run `aws configure`"
    assert raised.value.exit_code == 2


def test_a_profile_that_does_not_exist_is_named(home: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_PROFILE", "nobody")

    with pytest.raises(UsageError, match=r"^no AWS profile named `nobody`$"):
        aws_session()


def test_a_credential_process_that_fails_is_quoted(home: Path):
    (home / ".aws/config").write_text(f"[default]\nregion = eu-west-3\ncredential_process = {sys.executable} -c 1/0\n")

    with pytest.raises(UsageError, match=r"^cannot get AWS credentials: .*ZeroDivisionError"), job_environment(aws_session()):
        pass


def test_half_a_pair_of_keys_is_an_error(home: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "FRUITSKEY")

    with pytest.raises(UsageError, match="AWS_SECRET_ACCESS_KEY"), job_environment(aws_session()):
        pass


def test_without_a_region_everything_is_in_paris(home: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "FRUITSKEY")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "very secret")

    with job_environment(aws_session()) as extra:
        assert (extra["AWS_REGION"], seen_by_a_child(extra)[-1]) == ("eu-west-3", "https://s3.eu-west-3.amazonaws.com")
    assert (job_session().region_name, region()) == ("eu-west-3", "eu-west-3")


@pytest.mark.parametrize(
    ("variables", "file", "profile", "wanted"),
    [
        ({"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-south-2"}, "eu-south-1", "eu-north-1", "eu-west-1"),
        ({"AWS_DEFAULT_REGION": "eu-south-2"}, "eu-south-1", "eu-north-1", "eu-south-1"),
        ({"AWS_DEFAULT_REGION": "eu-south-2"}, "", "eu-north-1", "eu-south-2"),
        ({"AWS_REGION": "", "AWS_DEFAULT_REGION": ""}, "", "eu-north-1", "eu-north-1"),
    ],
)
def test_one_order_decides_the_region_of_every_command(
    home: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], file: str, profile: str, wanted: str
):
    (home / ".aws/config").write_text(f"[default]\nregion = {profile}\n")
    (home / "fruits.toml").write_text(f'region = "{file}"\n' if file else "")
    monkeypatch.chdir(home)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    assert (aws_session().region_name, region()) == (wanted, wanted)
    assert infra._scope(None, None)[1] == wanted
    if not file:  # which the job gets by AWS_REGION
        assert job_session().region_name == wanted


def test_an_empty_variable_counts_as_unset(home: Path, monkeypatch: pytest.MonkeyPatch):
    (home / ".aws/config").write_text("[profile fruits]\nregion = eu-south-1\n")
    (home / "fruits.toml").write_text('profile = "fruits"\n')
    monkeypatch.chdir(home)
    for name in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_ENDPOINT_URL", "AWS_CA_BUNDLE"):
        monkeypatch.setenv(name, "")

    assert aws_session().region_name == "eu-south-1"
    assert certificates_of(aws_session()) is None
    monkeypatch.setenv("AWS_PROFILE", "")
    assert job_session().profile_name == "default"


@pytest.mark.parametrize("name", ["config", "credentials"])
def test_a_damaged_configuration_file_of_aws_is_named(home: Path, name: str):
    (home / ".aws" / name).write_text("[default\nregion eu-west-3\n")

    with pytest.raises(UsageError, match=rf"^`{home}/.aws/{name}` is not a valid configuration file of AWS$") as raised:
        aws_session().get_credentials()
    assert raised.value.hint == "fix it, or run `aws configure`"


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
        ("https://vpce-0a1b.s3.eu-west-3.vpce.amazonaws.com", "true"),
    ],
)
def test_s3a_is_told_the_endpoint_of_aws_too(endpoint: str, path_style: str | None):
    """Without one it would follow a bucket to any Region, or take the endpoint of a cluster's own settings."""
    conf = s3a_conf(endpoint, "eu-west-3")

    assert conf["spark.hadoop.fs.s3a.endpoint"] == endpoint
    assert conf.get("spark.hadoop.fs.s3a.path.style.access") == path_style
    assert "spark.hadoop.fs.s3a.directory.marker.retention" not in conf


@pytest.mark.parametrize(
    ("region", "bucket", "endpoint"),
    [
        ("eu-west-3", None, "https://s3.eu-west-3.amazonaws.com"),
        ("eu-central-1", "fruits", "https://fruits.s3.eu-central-1.amazonaws.com"),
        ("eusc-de-east-1", "fruits", "https://fruits.s3.eusc-de-east-1.amazonaws.eu"),
    ],
)
def test_the_endpoint_of_a_region_is_awss_own_whatever_is_set(
    home: Path, monkeypatch: pytest.MonkeyPatch, region: str, bucket: str | None, endpoint: str
):
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:7070")

    assert endpoint_of(region, bucket) == endpoint
