"""The user's AWS set-up to the job's environment. Child processes of boto3 say what that environment is worth."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import pytest

from cli.aws.session import aws_session, job_environment, region
from cli.commands.aws import infra
from cli.errors import FruitsError, RefusedError, UsageError
from job.contract.aws_session import certificates_of
from job.storage.s3_client import session as job_session

CHILD = """
import boto3, json, os
session = boto3.session.Session(region_name=os.environ["AWS_REGION"])
found = session.get_credentials()
frozen = found.get_frozen_credentials()
endpoint = session.client("s3").meta.endpoint_url
print(json.dumps([found.method, frozen.access_key, frozen.secret_key, frozen.token, endpoint]))
"""


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


def test_the_dual_stack_of_a_profile_reaches_the_job(keys: None, home: Path):
    (home / ".aws/config").write_text("[default]\nuse_dualstack_endpoint = true\n")

    with job_environment(aws_session()) as extra:
        assert seen_by_a_child(extra)[-1] == "https://s3.dualstack.eu-west-3.amazonaws.com"


def test_an_endpoint_for_all_services_becomes_the_one_of_s3(home: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "FRUITSKEY")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "very secret")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:7070")

    with job_environment(aws_session()) as extra:
        assert extra["AWS_ENDPOINT_URL_S3"] == "http://127.0.0.1:7070"
        assert extra["AWS_ENDPOINT_URL"] is None
        assert extra["AWS_REGION"] == "eu-west-3"


def test_the_endpoint_refuses_requests_without_its_token_and_all_afterwards(keys: None):
    with job_environment(aws_session()) as extra:
        token = extra["AWS_CONTAINER_AUTHORIZATION_TOKEN"]
        for wrong in (None, "", "wrong", f"{token}x"):
            with pytest.raises(HTTPError, match="403"):
                ask(extra, wrong)
        assert ask(extra, token)["SecretAccessKey"] == "very secret"
    with pytest.raises(URLError):
        ask(extra, token)


def test_java_gets_no_empty_token_which_it_would_send_on(keys: None):
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


@contextmanager
def closing_proxy() -> Iterator[tuple[str, list[str]]]:
    """URL of a proxy that connects nobody, and the hosts that it was asked for."""
    hosts: list[str] = []

    class Handler(StreamRequestHandler):
        def handle(self) -> None:
            hosts.append(self.rfile.readline().split()[1].decode())

    with ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}", hosts
        server.shutdown()


def test_the_region_is_refused_before_a_role_is_assumed_there(home: Path, monkeypatch: pytest.MonkeyPatch):
    role = "role_arn = arn:aws:iam::111122223333:role/fruits\nsource_profile = keys"
    (home / ".aws/config").write_text(f"[default]\nregion = us-east-1\n{role}\n")
    (home / ".aws/credentials").write_text("[keys]\naws_access_key_id = FRUITSKEY\naws_secret_access_key = very secret\n")
    monkeypatch.chdir(home)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with closing_proxy() as (url, hosts):
        monkeypatch.setenv("HTTPS_PROXY", url)

        with pytest.raises(RefusedError, match=r"^Region `us-east-1` is not on the list"), job_environment(aws_session()):
            pass
        assert hosts == []
        for command in (infra.status, infra.up, infra.down):  # with another Region than that of the profile
            with pytest.raises(FruitsError):
                command(region="eu-west-3")
        assert set(hosts) == {"sts.eu-west-3.amazonaws.com:443"}


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
