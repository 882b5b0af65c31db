"""Errors of S3 in words: the Region that a request was made for is among them."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from time import sleep

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from job.attempt import classify_error
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
    error = s3_client.translate_error(ClientError({"Error": {"Code": code, "Message": ""}}, "GetObject"), BUCKET)

    assert str(error).startswith(f"S3 refused a request for Region `eu-south-1` about `{BUCKET}`: ")
    assert error.hint == "set AWS_REGION to the Region of the bucket"


def test_no_answer_at_all():
    error = s3_client.translate_error(EndpointConnectionError(endpoint_url="https://s3.example.org"), BUCKET)

    assert str(error).startswith(f"no response from S3 for `{BUCKET}`: ")
    assert str(error).endswith("(Region `eu-south-1`)")


def test_spark_s_own_client():
    said = "An error occurred while calling o52.text.\n: org.apache.hadoop.fs.s3a.AWSBadRequestException: Bad Request (Status Code: 400; )"

    assert (
        str(classify_error(RuntimeError(said), BUCKET, "`INPUT`")) == "S3 refused a request of Spark for Region `eu-south-1` about `INPUT`"
    )


def test_threads_that_ask_together_make_one():
    asked, together = [], Barrier(32)

    @s3_client.PerProcess
    def made(name):
        asked.append(name)
        sleep(0.05)
        return object()

    def ask(_):
        together.wait()
        return made("a")

    with ThreadPoolExecutor(32) as pool:
        found = set(pool.map(ask, range(32)))
    assert (len(found), asked) == (1, ["a"])
    assert made("b") not in found


def test_what_fails_fails_for_all_who_wait_and_is_tried_again():
    together, results = Barrier(8), iter([OSError("away"), "here"])

    @s3_client.PerProcess
    def made():
        sleep(0.05)
        result = next(results)
        if isinstance(result, OSError):
            raise result
        return result

    def ask(_):
        together.wait()
        try:
            return made()
        except OSError as error:
            return str(error)

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(ask, range(8))) == {"away"}
    assert made() == "here"
