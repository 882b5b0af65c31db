"""AWS's errors in words."""

import pytest
from botocore.exceptions import ClientError

from cli.aws import asking
from cli.errors import UsageError

# As services say it: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html, the others in their message
SKEWED = [
    ("RequestTimeTooSkewed", "The difference between the request time and the current time is too large."),
    ("InvalidSignatureException", "Signature expired: 20261130T150000Z is now earlier than 20261130T151500Z"),
    ("SignatureDoesNotMatch", "Signature not yet current: 20261130T153500Z is still later than 20261130T152000Z"),
]


@pytest.mark.parametrize(("code", "said"), SKEWED)
def test_a_clock_that_is_wrong_is_no_reason_to_log_in_again(code, said):
    with pytest.raises(UsageError, match=r"^the clock of this machine is wrong: ") as raised, asking("s3:PutObject"):
        raise ClientError({"Error": {"Code": code, "Message": said}}, "PutObject")

    assert raised.value.hint == "set the clock, for example by NTP"
