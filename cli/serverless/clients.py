"""
AWS clients of one Region, made once, and again after a login; and calls that outlast what passes by itself or by a login.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Collection
from typing import Any, TypeVar

from cli.aws import STALE
from cli.errors import FruitsError
from cli.regions import refuse_outside_eu
from job.records import counted

T = TypeVar("T")

ATTEMPTS = 5  # of one request, by botocore, which backs off
THROTTLED = {"RequestLimitExceeded", "SlowDown", "Throttling", "ThrottlingException", "TooManyRequestsException"}
EXPIRED = "the credentials have expired: log in again, for example with `aws sso login`; the run continues"
BUSY = "AWS throttles requests, retrying"
SILENT = "no response from AWS, check the network; the run continues"
HELP = {EXPIRED: "log in again, for example with `aws sso login`", BUSY: "wait some minutes", SILENT: "check the network"}
PAUSE_SECONDS = 5.0
PATIENCE_SECONDS = 300.0  # of a command that has nothing to follow yet
LOST_SECONDS = 3600.0  # of a command that follows a run, which continues without it: time for a login, or for the way home
SEND_ATTEMPTS = 5


class Clients:
    """`clients("logs")` is a client of the Region. Raises RefusedError if that is outside the European Union."""

    def __init__(self, session: Any, region: str) -> None:
        refuse_outside_eu(region)
        self.session, self.region = session, region
        self._made: dict[str, Any] = {}

    def __call__(self, service: str) -> Any:
        if service not in self._made:
            from botocore.config import Config

            config = Config(
                retries={"mode": "adaptive", "max_attempts": ATTEMPTS},
                connect_timeout=5,
                read_timeout=60,
                # Checksums that S3-compatible servers may not know, https://github.com/boto/boto3/issues/4392
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            )
            self._made[service] = self.session.client(service, region_name=self.region, config=config)
        return self._made[service]

    def renew(self) -> None:
        """Credentials are read again: what a login in another terminal wrote is not seen by a session that has some."""
        from cli.credentials import aws_session

        self.session, self._made = aws_session(), {}


def passing(error: FruitsError) -> str | None:
    """What to say while waiting, if that helps; `error` is one of `cli.aws.asking`."""
    from botocore import exceptions as aws
    from botocore.parsers import ResponseParserError

    cause = error.__cause__
    if isinstance(cause, aws.ClientError):
        code = cause.response["Error"].get("Code", "")
        status = cause.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if code in STALE:
            return EXPIRED
        return BUSY if code in THROTTLED or status >= 500 else None
    if isinstance(cause, (aws.CredentialRetrievalError, aws.SSOError, aws.TokenRetrievalError)):
        return EXPIRED
    lost = (aws.HTTPClientError, aws.ConnectionError, aws.EndpointConnectionError, ResponseParserError)
    return SILENT if isinstance(cause, lost) else None


def at_first(clients: Clients, call: Callable[[], T], tell: Callable[[str], None]) -> T:
    """
    `call`, again while AWS is busy, for PATIENCE_SECONDS. Whoever has just typed a command logs in, or plugs in, and types it again.

    Raises:
        FruitsError: all else.
    """
    return patiently(clients, call, tell, PAUSE_SECONDS, {BUSY}, PATIENCE_SECONDS)


def once(clients: Clients, start: Callable[[], T], tell: Callable[[str], None], pause_seconds: float, run_id: str, hint: str) -> T:
    """
    What `start` returns, called again with the same token while no answer comes, SEND_ATTEMPTS times. Expired credentials end it at once.

    Raises:
        FruitsError: AWS refuses, or does not answer; then with `hint`, as the run may have started.
    """
    for attempt in range(1, SEND_ATTEMPTS + 1):
        try:
            return at_first(clients, start, tell)
        except FruitsError as error:
            if passing(error) != SILENT:
                raise
            if attempt == SEND_ATTEMPTS:
                raise FruitsError(f"no response from AWS when starting run `{run_id}`", hint) from error
            tell("no response from AWS; retrying with the same token, so that the run starts once")
            time.sleep(jittered(pause_seconds * attempt))
    raise AssertionError("never reached")


def patiently(
    clients: Clients,
    call: Callable[[], T],
    tell: Callable[[str], None],
    pause_seconds: float,
    outlasts: Collection[str] = (BUSY, EXPIRED, SILENT),
    most_seconds: float | None = None,
    then: str = "run the same command again",
) -> T:
    """
    `call`, again and again while what hinders it may pass: for `most_seconds`, without them for LOST_SECONDS.

    Raises:
        FruitsError: an error that waiting does not fix, or one that lasts longer than the limit. The hint is what helps, and `then`.
    """
    most = LOST_SECONDS if most_seconds is None else most_seconds
    said, give_up = None, time.monotonic() + most
    while True:
        try:
            result = call()
        except FruitsError as error:
            reason = passing(error)
            if reason is None or reason not in outlasts:
                raise
            if time.monotonic() > give_up:
                hint = f"{HELP[reason]}, then {then}"
                raise type(error)(
                    f"{error}, after {counted(round(most / 60), 'minutes')} of retries", hint, error.exit_code
                ) from error.__cause__
            if reason != said:
                tell(reason)
                said = reason
            time.sleep(jittered(pause_seconds))
            if reason == EXPIRED:
                clients.renew()
        else:
            if said:
                tell("AWS is reachable again")
            return result


def jittered(seconds: float) -> float:
    """So that many who wait do not ask at the same moment."""
    return seconds * random.uniform(0.8, 1.2)
