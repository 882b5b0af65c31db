"""Translate botocore errors into FruitsError and name the missing IAM action."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from cli.aws.regions import refuse_outside_eu
from cli.errors import FruitsError, UsageError
from job.contract.aws_session import make_client
from job.contract.regions import region_of_endpoint

ACCESS_DENIED = {
    "AccessDenied",
    "AccessDeniedException",
    "UnauthorizedOperation",
    "403",
}  # a response to HEAD has only its status
CREDENTIAL_ERRORS = {
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "RequestExpired",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
}
CLOCK_SKEW = re.compile(r"Signature (expired|not yet current)|RequestTimeTooSkewed")  # STS and others use a code of CREDENTIAL_ERRORS

# One call may need more than its own action: StartJobRun also iam:PassRole. AWS's words name the one that is missing.
MISSING_ACTION = re.compile(r"not authorized to perform: ([a-zA-Z0-9-]+:[A-Za-z]+)")


def client(session: Any, service: str, region: str, attempts: int = 8, read_seconds: float = 60.0) -> Any:
    """
    Return a client of `service`. All clients of the CLI are made here; the session guards buckets by itself.

    Raises:
        RefusedError: `region` is outside the European Union.
    """
    if service != "s3":  # a server of S3 that is not AWS may name its Region as it likes
        refuse_outside_eu(region)
    return make_client(session, service, region, attempts, read_seconds)


def account_of(session: Any, region: str) -> str:
    """
    Return the number of the caller's account.

    Raises:
        RefusedError: `region` is outside the European Union.
        FruitsError: no credentials, or AWS does not know them.
    """
    with translate_aws_errors("sts:GetCallerIdentity"):
        return str(client(session, "sts", region).get_caller_identity()["Account"])


@contextmanager
def translate_aws_errors(action: str) -> Iterator[None]:
    """Translate errors of AWS inside the `with` into FruitsError, with secrets redacted. `action` is the IAM action needed."""
    from botocore import exceptions as aws
    from botocore.parsers import ResponseParserError

    from cli.aws.redact import redact

    again = "log in again, for example by `aws sso login`"
    try:
        yield
    except (aws.NoCredentialsError, aws.PartialCredentialsError) as error:
        raise UsageError("no AWS credentials found", "set AWS_PROFILE, or run `aws configure`") from error
    except (aws.CredentialRetrievalError, aws.SSOError, aws.TokenRetrievalError) as error:
        raise UsageError(f"cannot get AWS credentials: {redact(' '.join(str(error).split()))}", again) from error
    except aws.ClientError as error:
        code, said = error.response["Error"].get("Code", ""), redact(error.response["Error"].get("Message", ""))
        if CLOCK_SKEW.search(f"{code} {said}"):
            raise UsageError(
                f"the clock of this machine is wrong: AWS rejected `{action}`: {code}", "set the clock, for example by NTP"
            ) from error
        if code in CREDENTIAL_ERRORS:
            raise UsageError(f"AWS rejected the credentials for `{action}`: {code}", again) from error
        if code in ACCESS_DENIED:
            raise FruitsError(f"access denied for `{action}`: {said}", f"add `{_missing(action, said)}` to your IAM policy") from error
        raise FruitsError(f"`{action}` failed with {code}: {said}", "fix the cause, then run the command again") from error
    except aws.BotoCoreError as error:
        hint = f"check the network and the Region, `{_region(error)}`"
        raise FruitsError(f"no response from AWS to `{action}`: {redact(str(error))}", hint) from error
    except ResponseParserError as error:  # of no tree: https://github.com/boto/botocore/blob/develop/botocore/parsers.py
        raise FruitsError(f"the response to `{action}` is not from AWS", "check for a proxy or a network login page") from error


def _region(error: Any) -> str:
    """Return the Region of the host without a response, which an option may have set; else that of the settings."""
    from cli.aws.session import region

    return region_of_endpoint(str(error.kwargs.get("endpoint_url", ""))) or region()


def _missing(action: str, said: str) -> str:
    """Return the missing action that AWS names, else `action`. A service may have another name in signatures than in policies."""
    named = MISSING_ACTION.search(said)
    return named[1] if named and named[1].partition(":")[2] != action.partition(":")[2] else action
