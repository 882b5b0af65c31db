"""
Make the boto3 session of CLI and job: one Region, checked endpoints, no bucket outside the European Union.

A handler on the session looks up the Region of a bucket before the first request that names it. Another reads the address of each request
as it is sent, also after a redirect, and refuses hosts of AWS outside the Union. Every client of S3 that the session makes has both. On a
custom endpoint, a server that is not AWS, only what that server says of the bucket can be checked.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from threading import Lock
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from job.contract.regions import AWS_NAME, LABEL, NOT_BUCKETS, PARIS, is_aws, is_url, outside_eu, outside_eu_label, region_of_endpoint

# Answers of GetBucketLocation for old buckets: https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketLocation.html
LEGACY_LOCATIONS = {None: "us-east-1", "": "us-east-1", "EU": "eu-west-1"}
REGION_LOOKUPS = {"HeadBucket", "GetBucketLocation"}  # they ask for the Region, with the name of the bucket and nothing else
UNGUARDED = REGION_LOOKUPS | {"CreateBucket"}  # there is no bucket yet
ACCESS_DENIED = {"403", "AccessDenied", "AllAccessDisabled"}  # unlike invalid credentials, which are reported as such
ATTEMPTS = 4  # to ask for a Region
READ_SECONDS = 30.0  # between two packets of an answer
USER_AGENT = "fruitsctl"  # in the logs of the account, CloudTrail for one


class Errors(NamedTuple):
    """What the caller raises; both take a message and a hint."""

    settings: type[Exception]
    refused: type[Exception]


def make_session(errors: Errors, region: str | None = None, profile: str | None = None) -> Any:
    """
    Return a boto3 session in `region`, or the Region of AWS_DEFAULT_REGION or of the profile, or Paris.

    Raises:
        errors.settings: there is no such profile, a configuration file is damaged, an endpoint is not a URL, or there is no such file of
            certificates.
        errors.refused: an endpoint of AWS is outside the European Union or not encrypted, or S3 Transfer Acceleration is on.
    """
    import boto3
    from botocore.exceptions import ConfigParseError, ProfileNotFound

    for name in [name for name, value in os.environ.items() if name.startswith("AWS_") and not value]:
        del os.environ[name]  # compose files leave empty ones, which boto3 takes for values
    try:
        session = boto3.session.Session(region_name=region or None, profile_name=profile)
        if not session.region_name:
            session._session.set_config_variable("region", PARIS)  # boto3 has no public way
        session._session.set_config_variable("sts_regional_endpoints", "regional")  # `legacy` would ask the one in the United States
        for name, url in _endpoints(session._session):
            _check_endpoint(name, url, errors)
        _check_acceleration(session._session, errors)
        if (path := certificates_of(session)) and not os.path.isfile(path):
            raise errors.settings(f"there are no certificates in `{path}`", "set AWS_CA_BUNDLE to a PEM file")
    except ProfileNotFound as error:
        raise errors.settings(f"no AWS profile named `{error.kwargs['profile']}`", "set AWS_PROFILE to an existing profile") from error
    except ConfigParseError as error:
        path = error.kwargs["path"]
        raise errors.settings(f"`{path}` is not a valid configuration file of AWS", "fix it, or run `aws configure`") from error
    session.events.register("provide-client-params.s3", BucketGuard(session, errors))
    session.events.register("before-send.s3", AddressGuard(errors))
    return session


def make_client(
    session: Any, service: str, region: str | None = None, attempts: int = 8, read_seconds: float = READ_SECONDS, **settings: Any
) -> Any:
    """
    Return a client of `service` in `region`, or in that of the session. All clients of AWS are made here.

    `attempts` of one request; botocore waits longer and longer between them, and sends fewer requests after 503 SlowDown.
    """
    from botocore.config import Config

    config = Config(
        retries={"mode": "adaptive", "max_attempts": attempts},
        connect_timeout=5,
        read_timeout=read_seconds,
        max_pool_connections=64,
        user_agent_extra=USER_AGENT,
        # Checksums that S3-compatible servers may not know, https://github.com/boto/boto3/issues/4392
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        **settings,
    )
    return session.client(service, region_name=region or session.region_name, config=config)


def certificates_of(session: Any) -> str | None:
    """Return the path of the CA certificates that `session` uses, or None for those of the system."""
    path: str | None = session._session.get_config_variable("ca_bundle")  # boto3 has no public way
    return path


class BucketGuard:
    """Handler of botocore's event `provide-client-params`: lets a request pass once the Region of its bucket is known and allowed."""

    def __init__(self, session: Any, errors: Errors) -> None:
        self._session, self._errors = session, errors
        self._client: Any = None
        self._allowed: set[str] = set()
        self._lock = Lock()

    def __call__(self, params: dict[str, Any], model: Any, **_: object) -> None:
        bucket = params.get("Bucket")
        if not bucket or model.name in UNGUARDED:
            return
        with self._lock:
            if bucket not in self._allowed and self._is_there(bucket):
                self._allowed.add(bucket)

    def _is_there(self, bucket: str) -> bool:
        """Return whether the bucket exists. The request itself gets the error for a bucket that does not."""
        from botocore.exceptions import ClientError

        if self._client is None:
            self._client = make_client(self._session, "s3", attempts=ATTEMPTS)
        try:
            allowed_region(self._client, bucket, self._errors)
        except ClientError as error:
            if _status(error.response) != 404:
                raise
            return False
        return True


class AddressGuard:
    """
    Handler of botocore's event `before-send`: refuses a request whose host of AWS is outside the European Union, or serves all Regions.

    A bucket may have moved since it was looked up, and boto3 sends a request again to the Region that S3's answer names.
    """

    def __init__(self, errors: Errors) -> None:
        self._errors = errors

    def __call__(self, request: Any, event_name: str, **_: object) -> None:
        if event_name.rpartition(".")[2] not in REGION_LOOKUPS:
            url = urlsplit(request.url)
            _check_aws("endpoint", f"{url.scheme}://{url.netloc}", self._errors)


def check_region(client: Any, errors: Errors) -> None:
    """Raise errors.refused if `client`, of S3, is of a Region outside the European Union. Nothing is sent."""
    region = client.meta.region_name
    if problem := outside_eu(region) if is_aws(client.meta.endpoint_url) else outside_eu_label(region):
        raise errors.refused(*problem)


def allowed_region(client: Any, bucket: str, errors: Errors) -> str:
    """
    Return the Region of `bucket`, which `client`, of S3, asks for.

    Raises:
        errors.refused: it is outside the European Union, or unknown.
        ClientError, BotoCoreError: there is no such bucket, or no response from S3.
    """
    if bucket.startswith("arn:"):
        raise errors.refused(f"the Region of access point `{bucket}` is unknown", "write s3://bucket/prefix")
    if bucket.lower().endswith(NOT_BUCKETS):  # an Outpost or a Dedicated Local Zone need not be where its Region is
        what = f"`{bucket}` is an access point, a directory bucket or on an Outpost"
        raise errors.refused(what, "use a general purpose bucket: s3://bucket/prefix")
    check_region(client, errors)
    own, endpoint = client.meta.region_name, client.meta.endpoint_url
    region, by_amazon = _region_of(client, bucket)
    if not by_amazon and (region in (None, own) or not AWS_NAME.fullmatch(str(region))):
        return str(region or own)
    if region is None:
        raise errors.refused(f"unknown Region of bucket `{bucket}`", "use a bucket whose Region is known")
    if problem := outside_eu(region):
        own_server = region == LABEL and not by_amazon
        hint = f"set AWS_REGION={LABEL} if `{endpoint}` is your own server in the European Union" if own_server else problem[1]
        raise errors.refused(f"bucket `{bucket}`: {problem[0]}", hint)
    return region


def _region_of(client: Any, bucket: str) -> tuple[str | None, bool]:
    """
    Return the Region that the server names for `bucket`, and whether the server is Amazon's.

    HeadBucket tells it, also where it refuses or points elsewhere: https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadBucket.html
    """
    from botocore.exceptions import ClientError

    try:
        answer = client.head_bucket(Bucket=bucket)
    except ClientError as error:
        answer = error.response
        if _status(answer) == 404:
            raise
    headers = answer["ResponseMetadata"].get("HTTPHeaders", {})
    # Another host name or a proxy may lead to AWS.
    by_amazon = is_aws(client.meta.endpoint_url) or headers.get("server", "").lower() == "amazons3"
    region = answer.get("BucketRegion") or headers.get("x-amz-bucket-region")
    if region or (not by_amazon and _status(answer) != 400):  # 400: signed for another Region, which only the answer to a GET names
        return region, by_amazon
    try:
        location = client.get_bucket_location(Bucket=bucket).get("LocationConstraint")
    except ClientError as error:
        if not by_amazon or error.response["Error"]["Code"] in ACCESS_DENIED:
            return None, by_amazon
        raise
    return LEGACY_LOCATIONS.get(location, location), by_amazon


def _status(answer: dict[str, Any]) -> int:
    return int(answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _endpoints(session: Any) -> Iterator[tuple[str, str]]:
    """Yield the name and value of every endpoint that the environment or the profile sets."""
    yield from ((name, value) for name, value in os.environ.items() if name.startswith("AWS_ENDPOINT_URL"))
    profile = session.get_scoped_config()
    services = session.full_config.get("services", {}).get(profile.get("services"), {})
    for section in (profile, *services.values()):
        if isinstance(section, dict) and "endpoint_url" in section:
            yield "endpoint_url", section["endpoint_url"]


def _check_endpoint(name: str, url: str, errors: Errors) -> None:
    if not is_url(url):
        meant = url if "://" in url else f"http://{url}"
        right = (
            f"{meant}, or https://"
            if is_url(meant)
            else "http://HOST:PORT, or https://, where HOST has ASCII letters, digits, `.` and `-` only"
        )
        shown = f"…{url[url.rindex('@') :]}" if "@" in url else url  # without a password
        raise errors.settings(f"{name} is not a URL: `{shown}`", f"write {name}={right}")
    _check_aws(name, url, errors)


def _check_acceleration(session: Any, errors: Errors) -> None:
    """
    Refuse S3 Transfer Acceleration, whose hosts serve all Regions.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/transfer-acceleration.html
    """
    if (session.get_config_variable("s3") or {}).get("use_accelerate_endpoint"):
        raise errors.refused(
            "S3 Transfer Acceleration sends photos through places outside the European Union",
            "remove `use_accelerate_endpoint` from the AWS configuration, or set AWS_PROFILE to another profile",
        )


def _check_aws(name: str, url: str, errors: Errors) -> None:
    """Raise errors.refused for an endpoint of AWS that is outside the European Union, in no Region, or not encrypted."""
    if not is_aws(url):
        return
    region = region_of_endpoint(url)
    if region is None:
        hint = f"use an endpoint of one Region, such as https://s3.{PARIS}.amazonaws.com"
        raise errors.refused(f"{name} `{url}` serves all Regions", hint)
    if problem := outside_eu(region):
        raise errors.refused(f"{name} `{url}`: {problem[0]}", problem[1])
    scheme, _, rest = url.partition("://")
    if scheme.lower() != "https":
        raise errors.refused(f"{name} `{url}` is not encrypted", f"write https://{rest}")
