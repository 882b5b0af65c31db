"""
Make the user's boto3 session, and the environment that passes its credentials to the job's process.

boto3 resolves them here, once (profiles, SSO, assumed roles, credential_process, environment, ...), and a loopback endpoint
hands them on as Amazon ECS does. boto3 and the AWS SDKs inside S3A ask that endpoint again before the credentials expire, so
a session is renewed while Python and the JVM continue. The endpoint wants a token that only the job's environment holds; no
credential is in that environment, in Spark's settings, or in a log.
https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html
"""

from __future__ import annotations

import hmac
import json
import os
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cli.errors import RefusedError, UsageError
from cli.settings.config import settings
from job.contract.aws_session import Errors, certificates_of, check_region, make_client, make_session

# boto3 and the AWS SDKs ask again 15 minutes before the end: every 5 minutes.
LIFETIME = timedelta(minutes=20)

# What would come before the endpoint, or instead of it, in boto3 or in one of the SDKs.
UNSET = (
    "AWS_ACCESS_KEY",
    "AWS_ACCESS_KEY_ID",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CREDENTIAL_EXPIRATION",
    "AWS_CREDENTIAL_FILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_ENDPOINT_URL",
    "AWS_PROFILE",
    "AWS_ROLE_ARN",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SECRET_KEY",
    "AWS_SECURITY_TOKEN",
    "AWS_SESSION_TOKEN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
)
ERRORS = Errors(UsageError, RefusedError)
# Of AWS's own endpoints: https://docs.aws.amazon.com/sdkref/latest/guide/feature-endpoints.html
VARIANTS = ("use_dualstack_endpoint", "use_fips_endpoint")
FILES = ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "BOTO_CONFIG")


def aws_session(region: str | None = None) -> Any:
    """
    Return the user's `boto3.session.Session`: profile, SSO, assumed role or environment, and the settings of fruits.toml.

    It has a Region, that of an option before all others; roles are assumed there too. No client of S3 that it makes reaches a bucket
    outside the European Union.

    Raises:
        UsageError: no such profile, a damaged configuration file, or an endpoint that is not a URL.
        RefusedError: an endpoint of AWS outside the European Union, or without encryption.
    """
    chosen = settings()
    # Unlike all other SDKs boto3 does not know AWS_REGION: https://docs.aws.amazon.com/sdkref/latest/guide/feature-region.html
    return make_session(ERRORS, region or chosen.region, chosen.profile)


def region() -> str:
    """
    Return the Region of every command: AWS_REGION, fruits.toml, AWS_DEFAULT_REGION or the profile, else Paris.

    Raises:
        UsageError, RefusedError: as `aws_session`.
    """
    return settings().region or str(aws_session().region_name)


@contextmanager
def job_environment(session: Any) -> Iterator[dict[str, str | None]]:
    """
    Yield variables to set (None: to unset) in the job's process, valid inside the `with`. `session`: from `aws_session`.

    Raises:
        UsageError: there are no credentials, or they are not available.
        RefusedError: a Region outside the European Union.
    """
    settings = _settings(session)
    token = secrets.token_urlsafe(32)
    with _serving(session.get_credentials(), token) as uri:
        yield {
            **dict.fromkeys(UNSET),
            **dict.fromkeys(FILES, os.devnull),
            **settings,
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": uri,
            "AWS_CONTAINER_AUTHORIZATION_TOKEN": token,
            "AWS_EC2_METADATA_DISABLED": "true",
        }


def _settings(session: Any) -> dict[str, str | None]:
    """Return Region and endpoint as boto3 finds them, once credentials are found."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        s3 = make_client(session, "s3")
        check_region(s3, ERRORS)  # before credentials: those of a role come from STS of the same Region
        credentials = session.get_credentials()
        if credentials is None:
            raise UsageError("no AWS credentials found", "set AWS_PROFILE, or run `aws configure`")
        credentials.get_frozen_credentials()  # logs in, assumes the role, starts the credential_process
        aws = make_client(session, "s3", ignore_configured_endpoint_urls=True).meta.endpoint_url
    except (BotoCoreError, ClientError) as error:
        why = " ".join(str(error).split())  # a credential_process may have said more than a line
        raise UsageError(f"cannot get AWS credentials: {why}", "log in again, for example by `aws sso login`") from error
    endpoint = s3.meta.endpoint_url
    custom = endpoint if endpoint != aws else None
    region = session.region_name
    certificates = certificates_of(session)
    variants = {f"AWS_{name.upper()}": "true" for name in VARIANTS if session._session.get_config_variable(name)}
    return {
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_ENDPOINT_URL_S3": custom,
        "AWS_CA_BUNDLE": certificates,
        **variants,
    }


@contextmanager
def _serving(credentials: Any, token: str) -> Iterator[str]:
    """Yield the URI of an endpoint that gives the current credentials to a client that sends `token`."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            given = self.headers.get("Authorization", "")
            if not hmac.compare_digest(given.encode(), token.encode()):
                self._answer(403, {"code": "AccessDenied", "message": "wrong authorization token"})
                return
            java = "aws-sdk-java" in self.headers.get("User-Agent", "")
            self._answer(*_answer(credentials, java))

        def _answer(self, status: int, body: dict[str, str]) -> None:
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name in the base class
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, name="credentials", daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/credentials"
        finally:
            server.shutdown()


def _answer(credentials: Any, java: bool) -> tuple[int, dict[str, str]]:
    """
    Return HTTP status and body.

    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-iam-roles.html
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        frozen = credentials.get_frozen_credentials()  # renewed by botocore when it is time
    except (BotoCoreError, ClientError) as error:
        return 500, {"code": type(error).__name__, "message": "cannot renew the credentials"}
    body = {"AccessKeyId": frozen.access_key, "SecretAccessKey": frozen.secret_key, "Expiration": _expiration(credentials)}
    if frozen.token or not java:  # boto3 needs the key, Java's SDKs would send an empty token
        body["Token"] = frozen.token or ""
    return 200, body


def _expiration(credentials: Any) -> str:
    """
    Return when the client must ask again: at the credentials' end if that is near, else soon.

    Soon, so that changed credentials are noticed; never missing, which boto3 refuses.
    """
    soon = datetime.now(UTC) + LIFETIME
    own = getattr(credentials, "_expiry_time", None)  # of botocore's RefreshableCredentials; there is no public way
    return min(soon, own or soon).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
