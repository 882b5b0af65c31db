"""boto3 clients, settings of S3A, and S3's errors as JobError. Region and endpoint as in `job/contract/aws_session.py`."""

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
REFUSED = {"403", "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "ExpiredTokenException"}
S3_ERRORS = (BotoCoreError, ClientError)
OF_ANOTHER_REGION = {"301", "400", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "PermanentRedirect"}
BODY_ATTEMPTS = 5
T = TypeVar("T")


class Once(Generic[T]):
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
    The boto3 session of the environment.

    Raises:
        SetupError, RegionError: as `make_session`.
    """
    # Unlike all other SDKs boto3 does not know AWS_REGION: https://docs.aws.amazon.com/sdkref/latest/guide/feature-region.html
    return make_session(ERRORS, os.environ.get("AWS_REGION"))


@Once
def client(attempts: int = 8) -> Any:
    """One per process. boto3's own chain finds the credentials, and `AWS_ENDPOINT_URL_S3`."""
    return make_client(session(), "s3", attempts=attempts)


def code_of(error: Exception) -> str:
    """S3's own word for what is wrong; "" if it did not answer, or its answer broke off."""
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
            if attempt == BODY_ATTEMPTS or not code_of(error).isdigit():  # HTTP's status, in the place of S3's own word
                raise
            continue
        try:
            return found, bytes(found["Body"].read())
        except BotoCoreError:
            if attempt == BODY_ATTEMPTS:
                raise
    raise AssertionError("never reached")


def explain(error: Exception, uri: str, kind: type[JobError] = SetupError) -> JobError:
    """A boto3 error about `uri` as the error to raise: no credentials, refused, no such bucket, or what the service said."""
    if isinstance(error, (NoCredentialsError, PartialCredentialsError)):
        return CredentialsError(f"no AWS credentials for `{uri}`", "set AWS_PROFILE, or run `aws configure`")
    if isinstance(error, CredentialRetrievalError):
        return CredentialsError(f"cannot renew the AWS credentials for `{uri}`", "log in again, for example by `aws sso login`")
    if isinstance(error, ClientError):
        code = code_of(error)
        if code == "RequestTimeTooSkewed":
            return kind(f"the clock of this machine is wrong: S3 denied access to `{uri}`: {code}", "set the clock, for example by NTP")
        if code in REFUSED:
            return CredentialsError(f"S3 denied access to `{uri}`: {code}", "check the credentials and their IAM policy")
        if code in OF_ANOTHER_REGION:
            return kind(
                f"S3 refused a request for Region `{region()}` about `{uri}`: {error}", "set AWS_REGION to the Region of the bucket"
            )
        if code in ("NoSuchBucket", "404"):
            return kind(f"there is no bucket for `{uri}`", "create the bucket, or check its name")
    return kind(f"no response from S3 for `{uri}`: {error} (Region `{region()}`)", "check AWS_ENDPOINT_URL_S3, the Region and the network")


def region() -> str:
    """The Region that requests are made for."""
    return str(client().meta.region_name)


def endpoint_of(region: str) -> str:
    """AWS's own endpoint of S3 in `region`, whatever other is set."""
    return str(make_client(session(), "s3", region, ignore_configured_endpoint_urls=True).meta.endpoint_url)


def place_of(bucket: str, real: str) -> tuple[str, bool]:
    """
    The endpoint for `bucket` of Region `real`, and whether the bucket is in its host. One that is set, such as that of PrivateLink, is used
    as boto3 uses it, with the bucket in the path; else it is AWS's own of that Region.
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
    Spark settings that lead S3A to the S3 that boto3 uses. Never a credential: S3A's default chain takes those from the environment.

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
        s3a["path.style.access"] = "true"  # bucket names as host names need a DNS of their own, also in front of PrivateLink
    if not is_aws(endpoint):
        s3a["directory.marker.retention"] = "keep"  # servers on a file system take a deleted marker for a deleted folder, and writes stall
    # `s3://` is ours everywhere, as on EMR.
    own = {"spark.hadoop.fs.s3.impl": "org.apache.hadoop.fs.s3a.S3AFileSystem"}
    return own | {f"spark.hadoop.fs.s3a.{name}": value for name, value in s3a.items()}


@Once
def bucket_store(bucket: str) -> Any:
    """
    obstore moves bytes outside the interpreter lock: a GET costs a quarter of boto3's CPU time.

    Raises:
        RegionError: the bucket is outside the European Union, or its Region is unknown.
        BotoCoreError, ClientError: S3 does not answer.
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
        # Else variables would set them that boto3 does not know, or was told to ignore.
        # https://developmentseed.org/obstore/latest/api/store/aws/
        aws_endpoint_url_s3=endpoint,
        s3_express=False,
        skip_signature=False,
        credential_provider=Boto3CredentialProvider(own),
        virtual_hosted_style_request=in_host,
        client_options=options,
        retry_config={"max_retries": 8, "retry_timeout": timedelta(minutes=3)},
    )
