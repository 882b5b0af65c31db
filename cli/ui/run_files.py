"""Read and write a run's small files, manifest and log, local or on S3."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from cli.aws.errors import client, translate_aws_errors
from cli.errors import FruitsError, UsageError
from cli.settings.config import Settings
from cli.settings.private import write_private
from job.contract.uris import bucket_and_key, from_text, is_s3, join, local_path

if TYPE_CHECKING:
    import boto3

LOG = "job.log"
LAST = "last-output"  # in the state folder: OUTPUT of the last local run


def session() -> boto3.session.Session:
    """Return the user's session: profile, SSO, assumed role or environment, as boto3 finds them."""
    from cli.aws.session import aws_session

    return aws_session()


def output_of(given: str | None, config: Settings) -> str:
    """
    Return the URI of OUTPUT for a reader of results: `given`, that of the settings, or that of the last local run.

    Raises:
        UsageError: there is none.
    """
    place = given or config.output
    if place is not None:
        return from_text(place)
    try:
        return (config.state / LAST).read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError("no OUTPUT given", "add --output=OUTPUT, or set it in fruits.toml") from error


def save_last_output(output: str, config: Settings) -> None:
    """Save OUTPUT for `output_of`. Without a writable folder it is skipped."""
    with suppress(OSError):
        write_private(config.state / LAST, output)


def export_aws_settings(config: Settings) -> None:
    """Export the AWS settings of fruits.toml to the environment, where the job's S3 client in this process reads them."""
    for variable, value in (("AWS_PROFILE", config.profile), ("AWS_REGION", config.region)):
        if value and not os.environ.get(variable):
            os.environ[variable] = value


def log_path(output: str, run_id: str) -> Path:
    """Return where the job writes its log: the run's folder, or a temporary file while OUTPUT is on S3."""
    if is_s3(output):
        return Path(tempfile.gettempdir()) / f"fruitsctl-{run_id}.log"
    return Path(local_path(join(output, "runs", run_id, LOG)))


def erasures(output: str, session: boto3.session.Session | None) -> set[str] | None:
    """Return what erasures have left in an OUTPUT on S3 so far: any other one changes it. None without a session, or if S3 refuses it."""
    if not is_s3(output) or session is None:
        return None
    from botocore.exceptions import BotoCoreError, ClientError

    bucket, prefix = bucket_and_key(join(output, "erasures", ""))
    try:
        s3 = client(session, "s3", session.region_name, attempts=4)
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return {found["Key"] for page in pages for found in page.get("Contents", [])}
    except (BotoCoreError, ClientError, FruitsError):
        return None


def keep_log(log: Path, output: str, run_id: str, session: boto3.session.Session | None, before: set[str] | None) -> str:
    """
    Upload a log to its run on S3 and return where it is.

    It stays where it is if S3 refuses it, and if `erasures` have changed since `before` the run: the log may name what they have searched
    OUTPUT for.
    """
    if not is_s3(output) or session is None or before is None or erasures(output, session) != before:
        return str(log)
    from botocore.exceptions import BotoCoreError, ClientError

    uri = join(output, "runs", run_id, LOG)
    bucket, key = bucket_and_key(uri)
    s3 = client(session, "s3", session.region_name)
    try:
        stored = s3.put_object(Bucket=bucket, Key=key, Body=log.read_bytes())
    except (BotoCoreError, ClientError, FruitsError):
        return str(log)  # the run has failed for the same reason, and says so
    if erasures(output, session) != before:  # begun meanwhile: it may have been suspended
        with translate_aws_errors("s3:DeleteObject"):
            s3.delete_object(Bucket=bucket, Key=key, **{name: stored[name] for name in ("VersionId",) if name in stored})
        return str(log)
    log.unlink()
    return uri


def read(uri: str, session: boto3.session.Session | None) -> bytes:
    """
    Return the content of a file.

    Raises:
        FruitsError: it does not exist or cannot be read.
    """
    if session is None or not is_s3(uri):
        try:
            return Path(local_path(uri)).read_bytes()
        except OSError as error:
            hint = "make it readable for this user" if isinstance(error, PermissionError) else "check OUTPUT"
            raise FruitsError(f"cannot read `{local_path(uri)}`: {error.strerror}", hint) from error
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError

    bucket, key = bucket_and_key(uri)
    try:
        content: bytes = client(session, "s3", session.region_name).get_object(Bucket=bucket, Key=key)["Body"].read()
    except (NoCredentialsError, PartialCredentialsError) as error:
        raise UsageError(f"no AWS credentials for `{uri}`", "set AWS_PROFILE, or run `aws configure`") from error
    except (BotoCoreError, ClientError) as error:
        hint = f"check the network, and that `{session.region_name}` is the Region of the bucket"
        raise FruitsError(f"cannot read `{uri}`: {error}", hint) from error
    return content
