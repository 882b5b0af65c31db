"""
Make boto3 clients and S3A settings, and translate S3's errors to JobError.

Region and endpoint as in `job/contract/aws_session.py`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Future
from datetime import timedelta
from pathlib import Path
from threading import Lock
from typing import Any, Generic, TypeVar
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError, CredentialRetrievalError, NoCredentialsError, PartialCredentialsError

from job.contract.aws_session import Errors, allowed_region, certificates_of, make_client, make_session
from job.contract.errors import CredentialsError, JobError, RegionError, SetupError
from job.contract.regions import is_aws

ERRORS = Errors(SetupError, RegionError)
ACCESS_DENIED = {
    "403",
    "AccessDenied",
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "ExpiredToken",
    "InvalidToken",
    "ExpiredTokenException",
}
S3_ERRORS = (BotoCoreError, ClientError)
WRONG_REGION = {"301", "400", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "PermanentRedirect"}
BODY_ATTEMPTS = 5
T = TypeVar("T")


class PerProcess(Generic[T]):
    """
    `functools.cache` for threads that ask at the same moment: one of them calls the function, the others wait for its result or error.

    A task reads with 32 threads. With `cache` each of them made its own client first, which took seconds of a core.
    """

    def __init__(self, make: Callable[..., T]) -> None:
        self._make, self._lock = make, Lock()
        self._made: dict[tuple[Any, ...], Future[T]] = {}

    def __call__(self, *arguments: Any) -> T:
        """Return what the function gave for `arguments`. What it raised is raised, and the next call tries again."""
        with self._lock:
            made = self._made.get(arguments)
            mine = made is None
            if made is None:
                made = self._made[arguments] = Future()
        if mine:
            try:
                made.set_result(self._make(*arguments))
            except BaseException as error:  # noqa: BLE001 - those who wait must get it, whatever it is
                self._made.pop(arguments, None)
                made.set_exception(error)
        return made.result()

    def cache_clear(self) -> None:
        self._made.clear()


def session() -> Any:
    """
    Return the boto3 session of the environment.

    Raises:
        SetupError, RegionError: as `make_session`.
    """
    # Unlike all other SDKs boto3 does not know AWS_REGION: https://docs.aws.amazon.com/sdkref/latest/guide/feature-region.html
    return make_session(ERRORS, os.environ.get("AWS_REGION"))


@PerProcess
def client(attempts: int = 8) -> Any:
    """Return the S3 client of this process. boto3's own chain finds the credentials, and `AWS_ENDPOINT_URL_S3`."""
    return make_client(session(), "s3", attempts=attempts)


def error_code(error: Exception) -> str:
    """Return S3's error code; "" if there was no answer or it was incomplete."""
    response = getattr(error, "response", None) or {}  # some of botocore's network errors have one, and it is None
    return str(response.get("Error", {}).get("Code", ""))


def read_object(bucket: str, key: str, etag: str) -> bytes:
    """
    Return the whole object, if it is still the one with `etag`.

    Raises:
        BotoCoreError, ClientError: it cannot be read.
    """
    return read_whole(client(), Bucket=bucket, Key=key, IfMatch=f'"{etag}"')[1]


def read_whole(s3: Any, **request: str) -> tuple[dict[str, Any], bytes]:
    """
    Return GetObject's answer and its body.

    boto3 tries requests again, but not the rest of a body that breaks off, nor where that body was to say why there is none.

    Raises:
        BotoCoreError, ClientError: it cannot be read, also in BODY_ATTEMPTS.
    """
    for attempt in range(1, BODY_ATTEMPTS + 1):
        try:
            found: dict[str, Any] = s3.get_object(**request)
        except ClientError as error:
            if attempt == BODY_ATTEMPTS or not error_code(error).isdigit():  # the HTTP status instead of S3's code
                raise
            continue
        try:
            return found, bytes(found["Body"].read())
        except BotoCoreError:
            if attempt == BODY_ATTEMPTS:
                raise
    raise AssertionError("never reached")


def translate_error(error: Exception, uri: str, kind: type[JobError] = SetupError) -> JobError:
    """Translate a boto3 error about `uri`: no credentials, access denied, no such bucket, or what the service said."""
    if isinstance(error, (NoCredentialsError, PartialCredentialsError)):
        return CredentialsError(f"no AWS credentials for `{uri}`", "set AWS_PROFILE, or run `aws configure`")
    if isinstance(error, CredentialRetrievalError):
        return CredentialsError(f"cannot renew the AWS credentials for `{uri}`", "log in again, for example by `aws sso login`")
    if isinstance(error, ClientError):
        code = error_code(error)
        if code == "RequestTimeTooSkewed":
            return kind(f"the clock of this machine is wrong: S3 denied access to `{uri}`: {code}", "set the clock, for example by NTP")
        if code in ACCESS_DENIED:
            return CredentialsError(f"S3 denied access to `{uri}`: {code}", "check the credentials and their IAM policy")
        if code in WRONG_REGION:
            return kind(
                f"S3 refused a request for Region `{region()}` about `{uri}`: {error}", "set AWS_REGION to the Region of the bucket"
            )
        if code in ("NoSuchBucket", "404"):
            return kind(f"there is no bucket for `{uri}`", "create the bucket, or check its name")
    return kind(f"no response from S3 for `{uri}`: {error} (Region `{region()}`)", "check AWS_ENDPOINT_URL_S3, the Region and the network")


def region() -> str:
    """Return the Region of requests."""
    return str(client().meta.region_name)


def endpoint_of(region: str) -> str:
    """Return AWS's own S3 endpoint in `region`, whatever endpoint is set."""
    return str(make_client(session(), "s3", region, ignore_configured_endpoint_urls=True).meta.endpoint_url)


def place_of(bucket: str, real: str) -> tuple[str, bool]:
    """
    Return the endpoint for `bucket` of Region `real`, and whether the bucket is in its host.

    An endpoint that is set, such as that of PrivateLink, is used as boto3 uses it, with the bucket in the path; else it is AWS's own of
    that Region.
    """
    endpoint = str(client().meta.endpoint_url)
    if not is_aws(endpoint) or endpoint != (own := endpoint_of(region())):
        return endpoint, False
    if real != region():
        own = endpoint_of(real)
    # The certificate of `*.s3.REGION.amazonaws.com` does not hold for a name with dots: boto3 too has it in the path then.
    return (own, False) if "." in bucket else (own.replace("://", f"://{bucket}."), True)


def s3a_conf(endpoint: str, region: str) -> dict[str, str]:
    """
    Return Spark settings that lead S3A to the S3 of boto3. Never a credential: S3A's default chain reads the environment.

    https://hadoop.apache.org/docs/r3.3.4/hadoop-aws/tools/hadoop-aws/index.html
    """
    s3a = {
        "experimental.input.fadvise": "random",  # Parquet's footer first, then its columns
        # Always set: without an endpoint S3A takes that of a cluster's own settings, or follows a bucket into any Region.
        "endpoint": endpoint,
        "endpoint.region": region,
        "cross.region.access.enabled": "false",  # of Hadoop 3.4
        "connection.ssl.enabled": str(endpoint.startswith("https://")).lower(),
    }
    if not (is_aws(endpoint) and (urlsplit(endpoint).hostname or "").startswith(("s3.", "s3-"))):
        s3a["path.style.access"] = "true"  # bucket names as host names need a custom DNS, also in front of PrivateLink
    if not is_aws(endpoint):
        s3a["directory.marker.retention"] = "keep"  # servers on a file system delete the folder with the marker, and writes hang
    # This project uses `s3://` everywhere, as EMR does.
    own = {"spark.hadoop.fs.s3.impl": "org.apache.hadoop.fs.s3a.S3AFileSystem"}
    return own | {f"spark.hadoop.fs.s3a.{name}": value for name, value in s3a.items()}


@PerProcess
def bucket_store(bucket: str) -> Any:
    """
    Return obstore's store of a bucket. It moves bytes outside the interpreter lock: a GET costs a quarter of boto3's CPU.

    Raises:
        RegionError: the bucket is outside the European Union, or its Region is unknown.
        BotoCoreError, ClientError: no response from S3.
    """
    from obstore.auth.boto3 import Boto3CredentialProvider
    from obstore.store import S3Store

    own = session()
    region = allowed_region(client(), bucket, ERRORS)
    endpoint, in_host = place_of(bucket, region)
    certificates = certificates_of(own)
    options: Any = {"timeout": timedelta(seconds=30), "connect_timeout": timedelta(seconds=5), "allow_http": not is_aws(endpoint)}
    if certificates:
        options["root_certificate"] = Path(certificates).read_bytes()
    return S3Store(
        bucket,
        region=region,
        # Otherwise obstore would read them from variables that boto3 does not know or ignores.
        # https://developmentseed.org/obstore/latest/api/store/aws/
        aws_endpoint_url_s3=endpoint,
        s3_express=False,
        skip_signature=False,
        credential_provider=Boto3CredentialProvider(own),
        virtual_hosted_style_request=in_host,
        client_options=options,
        retry_config={"max_retries": 8, "retry_timeout": timedelta(minutes=3)},
    )
