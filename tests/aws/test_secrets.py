"""Nothing that grants access leaves the command: planted keys, tokens and presigned URLs are looked for in all that it says and keeps."""

import json
import re

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from cli.aws.errors import translate_aws_errors
from cli.errors import FruitsError
from job.contract.records import Outcome
from tests.aws.account import BUCKET, RUN, an_account, leave, nobody_waits  # noqa: F401
from tests.aws.fruitsctl import fruitsctl
from tests.aws.standin.runner import Ended

SECRET, TOKEN = "planted0secret0access0key0planted0secret", "planted0session0token0planted0session0token"
SIGNATURE, OTHER_TOKEN, KEY = "planted0signature", "planted0security0token", "ASIAPLANTEDKEY000000"
URL = f"https://b.s3.eu-west-3.amazonaws.com/x?X-Amz-Credential={KEY}%2F20261121&X-Amz-Security-Token={OTHER_TOKEN}&X-Amz-Signature={SIGNATURE}"
PLANTED = (SECRET, TOKEN, SIGNATURE, OTHER_TOKEN, KEY)
COMMANDS = (
    (*RUN, "--dry-run"),
    (*RUN, "--dry-run", "--json"),
    RUN,
    ("status", "r1"),
    ("status", "r1", "--json"),
    ("logs", "r1"),
    ("logs", "r1", "--stderr"),
    ("logs", "r1", "--stderr", "--json"),
    ("cancel", "r1", "--json"),
    ("cost",),
    ("cost", "--json"),
    ("infra", "status", "--json"),
)


def died(request, context):
    """A traceback in the log, and with it in `stateDetails`; no outcome."""
    context.write("stdout", f"reading {URL}")
    return Ended(1, stderr=["Traceback (most recent call last):", f"OSError: {URL} aws_session_token={OTHER_TOKEN}"])


def ended(aws, outcome):
    def runner(request, context):
        leave(aws, outcome)(request, context)
        return Ended(outcome.code, stderr=[f"see {URL}"])

    return runner


@pytest.fixture
def planted(account, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_SESSION_TOKEN", TOKEN)
    return account


def kept(aws, tmp_path):
    """All that is in the state folder and in the cache, and in the bucket what is not the job's own."""
    files = [path.read_text() for path in tmp_path.rglob("*") if path.is_file()]
    listed = aws("s3").list_objects_v2(Bucket=BUCKET).get("Contents", [])
    ours = [item["Key"] for item in listed if not re.search(r"^logs/|outcome\.json$", item["Key"])]
    return "\n".join(files + [aws("s3").get_object(Bucket=BUCKET, Key=key)["Body"].read().decode() for key in ours])


@pytest.mark.parametrize("how", ["died", "failed", "done"])
def test_no_command_says_or_keeps_what_grants_access(planted, aws, tmp_path, how):
    outcomes = {"failed": Outcome("r1", 1, "OSError", f"cannot read {URL}", f"try {URL}"), "done": Outcome("r1", 0, "done", f"of {URL}")}
    planted.runner = ended(aws, outcomes[how]) if how in outcomes else died

    said = "\n".join(text for words in COMMANDS for found in [fruitsctl(*words)] for text in (found.stdout, found.stderr))

    everything = said + kept(aws, tmp_path)
    assert [secret for secret in PLANTED if secret in everything] == []
    assert "https://b.s3.eu-west-3.amazonaws.com/x?***" in said  # it was there, and is still of use
    assert "r1" in kept(aws, tmp_path)


def test_the_dashboards_address_is_printed_by_ui_and_kept_nowhere(planted, aws, tmp_path):
    planted.runner = died
    fruitsctl(*RUN)
    shown = fruitsctl("ui", "r1")
    after = [fruitsctl(*words) for words in COMMANDS]

    token = re.search(r"authToken=(\S+)", shown.stdout)[1]
    assert json.loads(fruitsctl("ui", "r1", "--json").stdout)["url"].startswith("https://j-")
    assert "authToken" not in "".join(found.stdout + found.stderr for found in after) + kept(aws, tmp_path)
    assert token not in kept(aws, tmp_path)


@pytest.mark.parametrize(
    "error",
    [
        ClientError({"Error": {"Code": "AccessDenied", "Message": f"see {URL}"}}, "GetObject"),
        ClientError({"Error": {"Code": "Odd", "Message": f"Credential={KEY}/20261121/eu-west-3 SessionToken={OTHER_TOKEN}"}}, "GetObject"),
        EndpointConnectionError(endpoint_url=URL),
    ],
    ids=["refused", "failed", "lost"],
)
def test_what_aws_says_of_an_error_is_passed_on_without_what_grants_access(error):
    with pytest.raises(FruitsError) as raised, translate_aws_errors("s3:GetObject"):
        raise error

    assert [secret for secret in PLANTED if secret in f"{raised.value} {raised.value.hint}"] == []
    assert "***" in str(raised.value)
