"""Make AWS clients once per Region, and retry calls that fail by throttling, by the network or by expired credentials."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, TypeVar

from cli.aws.errors import CREDENTIAL_ERRORS, client
from cli.aws.regions import refuse_outside_eu
from cli.errors import FruitsError
from cli.settings.waiting import jittered, retry, skip_repeats
from job.contract.records import counted

T = TypeVar("T")

ATTEMPTS = 5  # of one request, by botocore, which backs off
THROTTLING_CODES = {"RequestLimitExceeded", "SlowDown", "Throttling", "ThrottlingException", "TooManyRequestsException"}
EXPIRED = "the credentials have expired: log in again, for example with `aws sso login`; the run continues"
THROTTLING = "AWS throttles requests, retrying"
NO_RESPONSE = "no response from AWS, check the network; the run continues"
HELP = {EXPIRED: "log in again, for example with `aws sso login`", THROTTLING: "wait some minutes", NO_RESPONSE: "check the network"}
PAUSE_SECONDS = 5.0
RETRY_SECONDS = 300.0  # for a command before its run has started
FOLLOW_RETRY_SECONDS = 3600.0  # for a command that follows a run: time for a new login, or until the network is back
SEND_ATTEMPTS = 5


class Clients:
    """Clients of one Region: `clients("logs")` returns one. Raises RefusedError if the Region is outside the European Union."""

    def __init__(self, session: Any, region: str) -> None:
        refuse_outside_eu(region)
        self.session, self.region = session, region
        self._made: dict[str, Any] = {}

    def __call__(self, service: str) -> Any:
        if service not in self._made:
            self._made[service] = client(self.session, service, self.region, ATTEMPTS)
        return self._made[service]

    def renew(self) -> None:
        """Read credentials again: a session does not see what a login in another terminal has written."""
        from cli.aws.session import aws_session

        self.session, self._made = aws_session(self.region), {}


def connect() -> Clients:
    """Return clients of the user's Region. Raises RefusedError if that is outside the European Union."""
    from cli.aws.session import aws_session

    session = aws_session()
    return Clients(session, session.region_name)


def transient_reason(error: BaseException) -> str | None:
    """
    Return what to tell the user while waiting, if waiting helps.

    None for an error that does not come from `cli.aws.errors.translate_aws_errors`.
    """
    from botocore import exceptions as aws
    from botocore.parsers import ResponseParserError

    cause = error.__cause__ if isinstance(error, FruitsError) else None
    if isinstance(cause, aws.ClientError):
        code = cause.response["Error"].get("Code", "")
        status = cause.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if code in CREDENTIAL_ERRORS:
            return EXPIRED
        return THROTTLING if code in THROTTLING_CODES or status >= 500 else None
    if isinstance(cause, (aws.CredentialRetrievalError, aws.SSOError, aws.TokenRetrievalError)):
        return EXPIRED
    lost = (aws.HTTPClientError, aws.ConnectionError, aws.EndpointConnectionError, ResponseParserError)
    return NO_RESPONSE if isinstance(cause, lost) else None


def retry_throttled(clients: Clients, call: Callable[[], T], tell: Callable[[str], None]) -> T:
    """
    Return `call()`, retried for RETRY_SECONDS while AWS throttles.

    Other errors end it: the user of a new command logs in, or connects to the network, and runs it again.

    Raises:
        FruitsError: any other error.
    """
    return retry_transient(clients, call, tell, PAUSE_SECONDS, {THROTTLING}, RETRY_SECONDS)


def start_once(clients: Clients, start: Callable[[], T], tell: Callable[[str], None], pause_seconds: float, run_id: str, hint: str) -> T:
    """
    Return `start()`, retried with the same token up to SEND_ATTEMPTS times while there is no response.

    Expired credentials end it at once.

    Raises:
        FruitsError: AWS refuses, or does not respond; then with `hint`, as the run may have started.
    """
    pauses = [jittered(pause_seconds * attempt) for attempt in range(1, SEND_ATTEMPTS)]
    again = "no response from AWS; retrying with the same token, so that the run starts once"
    try:
        return retry(
            lambda: retry_throttled(clients, start, tell),
            lambda error: transient_reason(error) == NO_RESPONSE,
            pauses,
            before=lambda *_: tell(again),
        )
    except FruitsError as error:
        if transient_reason(error) != NO_RESPONSE:
            raise
        raise FruitsError(f"no response from AWS when starting run `{run_id}`", hint) from error


def retry_transient(
    clients: Clients,
    call: Callable[[], T],
    tell: Callable[[str], None],
    pause_seconds: float,
    outlasts: Collection[str] = (THROTTLING, EXPIRED, NO_RESPONSE),
    most_seconds: float | None = None,
    then: str = "run the same command again",
) -> T:
    """
    Return `call()`, retried while its error may pass: for `most_seconds`, by default FOLLOW_RETRY_SECONDS.

    Raises:
        FruitsError: an error that waiting does not fix, or one that outlasts the limit. The hint says what to do, and `then`.
    """
    most = FOLLOW_RETRY_SECONDS if most_seconds is None else most_seconds
    reason, tell_new = "", skip_repeats(tell)

    def attempt() -> T:
        if reason == EXPIRED:
            clients.renew()
        return call()

    def say_why(error: BaseException, _: float) -> None:
        nonlocal reason
        reason = transient_reason(error) or ""
        tell_new(reason)

    try:
        result = retry(attempt, lambda error: transient_reason(error) in outlasts, [jittered(pause_seconds)], most, say_why)
    except FruitsError as error:
        if transient_reason(error) not in outlasts:
            raise
        hint = f"{HELP[str(transient_reason(error))]}, then {then}"
        raise type(error)(f"{error}, after {counted(round(most / 60), 'minutes')} of retries", hint, error.exit_code) from error.__cause__
    if reason:
        tell("AWS is reachable again")
    return result
