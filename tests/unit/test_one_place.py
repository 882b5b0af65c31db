"""What has one place in the code: clients of AWS, waits, and the replacing of a file."""

import ast
from pathlib import Path

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from cli.aws import errors as aws
from cli.errors import RefusedError
from job.contract.aws_session import make_client
from job.storage import s3_client
from job.storage.s3_client import session

ROOT = Path(__file__).parents[2]
SOURCES = sorted(path for folder in ("cli", "job") for path in (ROOT / folder).rglob("*.py"))


def called(path):
    """Yield each call of a file as it is written: `time.sleep`, `os.replace`, `session.client`."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), [ast.unparse(each) for each in node.args]


def files_that_call(wanted):
    return {path.relative_to(ROOT).as_posix() for path in SOURCES for name, given in called(path) if wanted(name, given)}


def is_client(name, given):
    """`session.client("s3")`, but no `aws.client(session, "s3")`."""
    return name == "Config" or (name.endswith("session.client") or (name.endswith(".client") and given[:1] and given[0][0] in "\"'"))


@pytest.mark.parametrize(
    ("wanted", "places"),
    [
        (is_client, {"job/contract/aws_session.py"}),
        (
            lambda name, _: name in ("time.sleep", "Retrying"),
            {"cli/settings/waiting.py", "job/storage/local_store.py"},
        ),  # the latter waits for a lock
        (
            lambda name, given: name == "os.replace" or (name.endswith(".replace") and len(given) == 1),
            {"cli/photos/assets.py", "cli/settings/atomic_write.py", "job/contract/atomic_write.py"},
        ),
    ],
    ids=["clients", "waits", "files"],
)
def test_it_is_written_once(wanted, places):
    found = files_that_call(wanted)

    assert {path for path in found if path.partition("/")[0] in ("cli", "job")} == places


def test_every_client_has_limits_and_says_who_asks(monkeypatch):
    monkeypatch.setenv("AWS_REGION", "eu-west-3")
    config = make_client(session(), "logs", attempts=3).meta.config

    assert config.retries["mode"] == "adaptive"
    assert config.retries["total_max_attempts"] == 4
    assert (config.connect_timeout, config.read_timeout) == (5, 30)
    assert "fruitsctl" in config.user_agent_extra


def test_no_client_of_the_cli_is_outside_the_union(monkeypatch):
    monkeypatch.setenv("AWS_REGION", "eu-west-3")

    assert aws.client(session(), "ecr", "eu-west-3").meta.region_name == "eu-west-3"
    for service in ("ecr", "logs", "sts", "cloudformation"):
        with pytest.raises(RefusedError):
            aws.client(session(), service, "us-east-1")


class Body:
    def __init__(self, *answers):
        self.answers = list(answers)

    def read(self):
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


class S3:
    """GetObject of a server whose answers break off."""

    def __init__(self, *answers):
        self.answers, self.asked = list(answers), 0

    def get_object(self, **_):
        self.asked += 1
        answer = self.answers.pop(0)
        if isinstance(answer, ClientError):
            raise answer
        return {"Body": Body(answer)}


BROKEN = ReadTimeoutError(endpoint_url="https://s3.example.org")


def status(code):
    return ClientError({"Error": {"Code": code, "Message": ""}}, "GetObject")


def test_a_body_that_breaks_off_is_read_again_a_few_times():
    server = S3(BROKEN, status("503"), b"whole")
    assert s3_client.read_whole(server, Bucket="b", Key="k")[1] == b"whole"
    assert server.asked == 3

    server = S3(*[BROKEN] * 10)
    with pytest.raises(ReadTimeoutError):
        s3_client.read_whole(server, Bucket="b", Key="k")
    assert server.asked == s3_client.BODY_ATTEMPTS


def test_an_object_that_is_not_there_is_asked_for_once():
    server = S3(status("NoSuchKey"), b"never")

    with pytest.raises(ClientError):
        s3_client.read_whole(server, Bucket="b", Key="k")
    assert server.asked == 1
