"""
The application that runs are sent to: looked at, given another image while nobody uses it, started. Its states move by themselves.

https://docs.aws.amazon.com/emr/latest/EMR-Serverless-UserGuide/application-state.html
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from cli.aws.clients import RETRY_SECONDS, Clients, retry_transient
from cli.aws.emr_serverless import active_runs
from cli.aws.errors import translate_aws_errors
from cli.errors import FruitsError, RefusedError, UsageError
from cli.settings.waiting import skip_repeats, wait_until

POLL_SECONDS = 5.0
REST_SECONDS = 900.0  # until an application has started or stopped; it takes a minute or two
AT_REST = ("CREATED", "STOPPED")

# Why an application does not start, and what helps; the words are the service's.
HINTS = (
    (re.compile(r"(?i)not authorized|ECR:"), "run `fruitsctl infra up` to restore the policy of the repository"),
    (re.compile(r"(?i)architecture"), "build the image for the architecture of the application, push it, then run the command again"),
    (re.compile(r"(?i)release"), "rebuild the image for the release of the application, push it, then run the command again"),
    (re.compile(r"(?i)repository .*not exist"), "run `fruitsctl infra up`, then `fruitsctl image push`"),
    (re.compile(r"(?i)not exist|not found|no such"), "run `fruitsctl image push`"),
)


def get(clients: Clients, application_id: str) -> dict[str, Any]:
    """
    Return GetApplication's answer.

    Raises:
        UsageError: it was deleted.
        FruitsError: no credentials, or AWS refuses.
    """
    client = clients("emr-serverless")
    gone = UsageError(f"application `{application_id}` does not exist", "run `fruitsctl infra up` to recreate it")
    with translate_aws_errors("emr-serverless:GetApplication"):
        try:
            found: dict[str, Any] = client.get_application(applicationId=application_id)["application"]
        except client.exceptions.ResourceNotFoundException as error:
            raise gone from error
    if found["state"] == "TERMINATED":
        raise gone
    return found


def check(application: dict[str, Any], release: str) -> None:
    """Raise UsageError if the application differs from what the stack created."""
    if application["releaseLabel"] != release:
        raise UsageError(
            f"the application has release `{application['releaseLabel']}`, not {release}", "run `fruitsctl infra up` to update it"
        )


def put_image(clients: Clients, application: dict[str, Any], image: str, run_id: str, tell: Callable[[str], None]) -> None:
    """
    Give the application `image`, `<uri>@sha256:…`. A started one is stopped first: up to release 7.13 the start fixes the image.

    Raises:
        RefusedError: other runs use it.
        FruitsError: AWS refuses.
    """
    identifier = application["applicationId"]
    if application.get("imageConfiguration", {}).get("imageUri") == image:
        return
    names = [run.get("name", run["id"]) for run in active_runs(clients("emr-serverless"), identifier)]
    others = [name for name in names if name != run_id]
    if others:
        users = "active run uses" if len(others) == 1 else "active runs use"
        raise RefusedError(
            f"cannot change the image: `{len(others)}` {users} the old one: {', '.join(others)}",
            "wait until they have finished, or cancel them",
        )
    tell(f"Updating the image of the application to {image.split('@')[-1][:19]}…")
    client = clients("emr-serverless")
    if application["state"] not in AT_REST:
        wait_for(clients, identifier, ("CREATED", "STARTED", "STOPPED"), tell)
        with translate_aws_errors("emr-serverless:StopApplication"):
            client.stop_application(applicationId=identifier)
        wait_for(clients, identifier, AT_REST, tell)
    with translate_aws_errors("emr-serverless:UpdateApplication"):
        client.update_application(applicationId=identifier, imageConfiguration={"imageUri": image})


def start(clients: Clients, application_id: str, tell: Callable[[str], None]) -> dict[str, Any]:
    """
    Start the application and return it. Free without pre-initialised capacity; it shows whether the service can use the image.

    Raises:
        FruitsError: it does not start, with the service's reason.
    """
    found = get(clients, application_id)
    if found["state"] in ("CREATING", "STOPPING"):
        found = wait_for(clients, application_id, AT_REST, tell)
    if found["state"] in AT_REST:
        with translate_aws_errors("emr-serverless:StartApplication"):
            clients("emr-serverless").start_application(applicationId=application_id)
    found = wait_for(clients, application_id, ("STARTED", *AT_REST), tell)
    if found["state"] != "STARTED":
        why = found.get("stateDetails") or "no reason given by EMR"
        hint = next((hint for pattern, hint in HINTS if pattern.search(why)), "fix the cause, then run the command again")
        raise FruitsError(f"the application did not start: {why}", hint)
    return found


def wait_for(clients: Clients, application_id: str, states: tuple[str, ...], tell: Callable[[str], None]) -> dict[str, Any]:
    """
    Return the application once it is in one of `states`.

    Raises:
        FruitsError: not within REST_SECONDS, or AWS refuses or gives no response.
    """
    tell_new = skip_repeats(tell)

    def look() -> dict[str, Any]:
        found = retry_transient(clients, lambda: get(clients, application_id), tell, POLL_SECONDS, most_seconds=RETRY_SECONDS)
        if found["state"] not in states:
            tell_new(f"Application: {found['state'].lower()}")
        return found

    return wait_until(
        look,
        lambda found: found["state"] in states,
        POLL_SECONDS,
        REST_SECONDS,
        lambda found: f"application `{application_id}` is still `{found['state']}`",
        "run the same command again; if it does not help, stop the application in the console of EMR Serverless",
    )
