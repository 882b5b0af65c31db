"""AWS's errors in our words, with the action that was missing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from cli.errors import FruitsError, UsageError

REFUSED = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"}
STALE = {
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "RequestExpired",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
}


@contextmanager
def asking(action: str) -> Iterator[None]:
    """AWS's errors inside the `with` as ours; `action` is what the caller must be allowed."""
    from botocore import exceptions as aws

    again = "log in again, for example by `aws sso login`"
    try:
        yield
    except (aws.NoCredentialsError, aws.PartialCredentialsError) as error:
        raise UsageError("no AWS credentials found", "set AWS_PROFILE, or run `aws configure`") from error
    except (aws.CredentialRetrievalError, aws.SSOError, aws.TokenRetrievalError) as error:
        raise UsageError(f"AWS credentials cannot be had: {' '.join(str(error).split())}", again) from error
    except aws.ClientError as error:
        code, said = error.response["Error"].get("Code", ""), error.response["Error"].get("Message", "")
        if code in STALE:
            raise UsageError(f"AWS does not take these credentials for `{action}`: {code}", again) from error
        if code in REFUSED:
            raise FruitsError(f"AWS refuses `{action}`: {said}", f"have `{action}` added to your policy") from error
        raise FruitsError(f"`{action}` failed with {code}: {said}", "mend what it says, then run it again") from error
    except aws.BotoCoreError as error:
        raise FruitsError(f"AWS did not answer `{action}`: {error}", "check the network and the Region") from error
