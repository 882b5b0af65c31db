"""AWS's errors in words."""

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError, IncompleteReadError

from cli.aws.errors import translate_aws_errors
from cli.errors import FruitsError, UsageError

# As services say it: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html, the others in their message
SKEWED = [
    ("RequestTimeTooSkewed", "The difference between the request time and the current time is too large."),
    ("InvalidSignatureException", "Signature expired: 20261130T150000Z is now earlier than 20261130T151500Z"),
    ("SignatureDoesNotMatch", "Signature not yet current: 20261130T153500Z is still later than 20261130T152000Z"),
]


@pytest.mark.parametrize(("code", "said"), SKEWED)
def test_a_clock_that_is_wrong_is_no_reason_to_log_in_again(code, said):
    with pytest.raises(UsageError, match=r"^the clock of this machine is wrong: ") as raised, translate_aws_errors("s3:PutObject"):
        raise ClientError({"Error": {"Code": code, "Message": said}}, "PutObject")

    assert raised.value.hint == "set the clock, for example by NTP"


@pytest.mark.parametrize(
    ("error", "region"),
    [
        (ConnectTimeoutError(endpoint_url="http://127.0.0.1:7070"), "eu-south-2"),
        (IncompleteReadError(actual_bytes=1, expected_bytes=2), "eu-south-2"),
        (ConnectTimeoutError(endpoint_url="https://cloudformation.eu-central-1.amazonaws.com/"), "eu-central-1"),  # of an option
    ],
)
def test_no_response_names_the_region(monkeypatch, error, region):
    monkeypatch.setenv("AWS_REGION", "eu-south-2")

    with pytest.raises(FruitsError, match=r"^no response from AWS to `s3:PutObject`: ") as raised, translate_aws_errors("s3:PutObject"):
        raise error

    assert raised.value.hint == f"check the network and the Region, `{region}`"
