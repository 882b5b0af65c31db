"""
AWS clients of one Region, made once, and again after a login; and calls that outlast what passes by itself or by a login.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, TypeVar

from cli.aws.errors import STALE, client
from cli.aws.regions import refuse_outside_eu
from cli.errors import FruitsError
from cli.settings.waiting import jittered, news, retried
from job.contract.records import counted

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
            self._made[service] = client(self.session, service, self.region, ATTEMPTS)
        return self._made[service]

    def renew(self) -> None:
        """Credentials are read again: what a login in another terminal wrote is not seen by a session that has some."""
        from cli.aws.session import aws_session

        self.session, self._made = aws_session(self.region), {}


def connect() -> Clients:
    """Return clients of the user's Region. Raises RefusedError if that is outside the European Union."""
    from cli.aws.session import aws_session

    session = aws_session()
    return Clients(session, session.region_name)


def passing(error: BaseException) -> str | None:
    """What to say while waiting, if that helps; None of an error that is not one of `cli.aws.errors.asking`."""
    from botocore import exceptions as aws
    from botocore.parsers import ResponseParserError

    cause = error.__cause__ if isinstance(error, FruitsError) else None
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
    `call`, again while AWS is busy, for PATIENCE_SECONDS. A user who has just typed a command logs in, or plugs in, and types it again.

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
    pauses = [jittered(pause_seconds * attempt) for attempt in range(1, SEND_ATTEMPTS)]
    again = "no response from AWS; retrying with the same token, so that the run starts once"
    try:
        return retried(
            lambda: at_first(clients, start, tell), lambda error: passing(error) == SILENT, pauses, before=lambda *_: tell(again)
        )
    except FruitsError as error:
        if passing(error) != SILENT:
            raise
        raise FruitsError(f"no response from AWS when starting run `{run_id}`", hint) from error


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
    reason, tell_new = "", news(tell)

    def attempt() -> T:
        if reason == EXPIRED:
            clients.renew()
        return call()

    def say_why(error: BaseException, _: float) -> None:
        nonlocal reason
        reason = passing(error) or ""
        tell_new(reason)

    try:
        result = retried(attempt, lambda error: passing(error) in outlasts, [jittered(pause_seconds)], most, say_why)
    except FruitsError as error:
        if passing(error) not in outlasts:
            raise
        hint = f"{HELP[str(passing(error))]}, then {then}"
        raise type(error)(f"{error}, after {counted(round(most / 60), 'minutes')} of retries", hint, error.exit_code) from error.__cause__
    if reason:
        tell("AWS is reachable again")
    return result
