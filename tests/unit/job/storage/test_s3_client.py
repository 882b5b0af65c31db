"""Errors of S3 in words: the Region that a request was made for is among them."""

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from job.attempt import in_our_words
from job.storage import s3_client

BUCKET = "s3://fruits/out"


@pytest.fixture(autouse=True)
def milan(monkeypatch):
    monkeypatch.setenv("AWS_REGION", "eu-south-1")
    s3_client.client.cache_clear()
    yield
    s3_client.client.cache_clear()


@pytest.mark.parametrize("code", ["PermanentRedirect", "AuthorizationHeaderMalformed", "301", "400"])
def test_a_bucket_of_another_region(code):
    error = s3_client.explain(ClientError({"Error": {"Code": code, "Message": ""}}, "GetObject"), BUCKET)

    assert str(error).startswith(f"S3 refused a request for Region `eu-south-1` about `{BUCKET}`: ")
    assert error.hint == "set AWS_REGION to the Region of the bucket"


def test_no_answer_at_all():
    error = s3_client.explain(EndpointConnectionError(endpoint_url="https://s3.example.org"), BUCKET)

    assert str(error).startswith(f"no response from S3 for `{BUCKET}`: ")
    assert str(error).endswith("(Region `eu-south-1`)")


def test_spark_s_own_client():
    said = "An error occurred while calling o52.text.\n: org.apache.hadoop.fs.s3a.AWSBadRequestException: Bad Request (Status Code: 400; )"

    assert str(in_our_words(RuntimeError(said), BUCKET, "`INPUT`")) == "S3 refused a request of Spark for Region `eu-south-1` about `INPUT`"
