"""Applications of EMR Serverless, their states over time: a thread moves each of them on."""

from __future__ import annotations

import re
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tests.aws.standin.images import URI, ImageRefusedError, resolves_at_start
from tests.aws.standin.knobs import Durations
from tests.aws.standin.wire import ServiceError

AT_REST = ("CREATED", "STOPPED")
# https://docs.aws.amazon.com/emr/latest/EMR-Serverless-UserGuide/updating-running-applications.html
WHILE_STARTED = {"applicationId", "clientToken", "maximumCapacity", "imageConfiguration"}
RELEASE = re.compile(r"emr-(spark-)?\d+\.\d+(\.\d+)?(-[a-z0-9-]+)?")


@dataclass
class Application:
    id: str
    arn: str
    settings: dict[str, Any]
    created_at: datetime
    state: str = "CREATING"
    details: str = ""
    updated_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    digest: str | None = None  # of the image, since the last start
    active: set[str] = field(default_factory=set)  # job runs that are not over
    running: set[str] = field(default_factory=set)  # of those, the ones that are no longer QUEUED
    idle_since: float | None = None

    def view(self) -> dict[str, Any]:
        """The model's Application."""
        settings = {name: value for name, value in self.settings.items() if name != "clientToken"}
        image = dict(settings.pop("imageConfiguration", {}))
        if image:
            image["applicationLevelDigestResolution"] = self.fixes_digest
            if self.digest:
                image["resolvedImageDigest"] = self.digest
            settings["imageConfiguration"] = image
        times = {"createdAt": self.created_at, "updatedAt": self.updated_at}
        return {"applicationId": self.id, "arn": self.arn, "state": self.state, "stateDetails": self.details, **times, **settings}

    def summary(self) -> dict[str, Any]:
        names = ("arn", "name", "releaseLabel", "type", "state", "stateDetails", "createdAt", "updatedAt", "architecture")
        return {"id": self.id} | {name: value for name, value in self.view().items() if name in names}

    @property
    def fixes_digest(self) -> bool:
        """Whether the start fixes the digest for all runs; otherwise each run finds its own."""
        image = self.settings.get("imageConfiguration", {})
        return bool(image.get("applicationLevelDigestResolution", resolves_at_start(self.settings["releaseLabel"])))

    @property
    def image(self) -> str | None:
        uri = self.settings.get("imageConfiguration", {}).get("imageUri")
        return str(uri) if uri else None


class Applications:
    """All of them. `changed` is held while one changes, and tells those who wait for it; `resolve` gives an image's digest."""

    def __init__(self, durations: Durations, resolve: Callable[[Application], str]) -> None:
        self.durations, self.resolve = durations, resolve
        self.changed = threading.Condition(threading.RLock())
        self.closed = threading.Event()
        self._all: dict[str, Application] = {}
        self._tokens: dict[str, tuple[dict[str, Any], Application]] = {}

    def create(self, params: dict[str, Any], region: str, account: str) -> Application:
        params = dict(params)
        if params["type"].lower() not in ("spark", "hive"):
            raise ServiceError("ValidationException", f"Unsupported application type: {params['type']}")
        if not RELEASE.fullmatch(params["releaseLabel"]):
            raise ServiceError("ValidationException", f"Unsupported release label: {params['releaseLabel']}")
        check_image(params, region)
        with self.changed:
            asked, known = self._tokens.get(params["clientToken"], (None, None))
            if known:
                if asked != params:
                    raise ServiceError("ConflictException", "The client token was used with other parameters")
                return known
            identifier = f"00f{secrets.token_hex(6)}0p"
            arn = f"arn:aws:emr-serverless:{region}:{account}:/applications/{identifier}"
            made = Application(identifier, arn, with_defaults(params), datetime.now(UTC))
            self._all[identifier], self._tokens[params["clientToken"]] = made, (params, made)
        self.move(made, [("CREATED", self.durations.creating)])
        return made

    def get(self, identifier: str) -> Application:
        if identifier not in self._all:
            raise ServiceError("ResourceNotFoundException", f"Application {identifier} does not exist")
        return self._all[identifier]

    def listed(self, states: list[str] | None = None) -> list[Application]:
        found = [application for application in self._all.values() if not states or application.state in states]
        return sorted(found, key=lambda application: application.created_at, reverse=True)

    def update(self, params: dict[str, Any], region: str) -> Application:
        with self.changed:
            application = self.get(params["applicationId"])
            allowed = application.state in AT_REST or (application.state == "STARTED" and params.keys() <= WHILE_STARTED)
            if not allowed:
                wanted = f"must be in one of the following statuses {list(AT_REST)}. Current status: {application.state}"
                raise ServiceError("ValidationException", f"Application {application.id} {wanted}")
            changes = {name: value for name, value in params.items() if name not in ("applicationId", "clientToken")}
            check_image(application.settings | changes, region)
            application.settings |= changes
            if "imageConfiguration" in changes:
                if not changes["imageConfiguration"].get("imageUri"):  # left blank: the image goes
                    del application.settings["imageConfiguration"]
                if application.state in AT_REST:
                    application.digest = None
            self._touch(application, application.state)
            return application

    def start(self, identifier: str) -> None:
        with self.changed:
            application = self.get(identifier)
            if application.state in ("STARTING", "STARTED"):
                return
            if application.state not in AT_REST:
                raise ServiceError("ValidationException", f"Application {identifier} cannot be started in state {application.state}")
            self._touch(application, "STARTING")
        threading.Thread(target=self._start, args=(application,), name=f"start {identifier}", daemon=True).start()

    def _start(self, application: Application) -> None:
        if self.closed.wait(self.durations.starting):
            return
        try:
            digest = self.resolve(application) if application.image else None
        except ImageRefusedError as error:
            self._touch(application, "STOPPED", f"Application failed to start. {error}"[:256])
            return
        with self.changed:
            application.digest = digest
            self._touch(application, "STARTED")
            self.idle(application)

    def stop(self, identifier: str) -> None:
        with self.changed:
            application = self.get(identifier)
            if application.state in (*AT_REST, "STOPPING"):
                return
            if application.state != "STARTED":
                raise ServiceError("ValidationException", f"Application {identifier} cannot be stopped in state {application.state}")
            if application.active:
                message = "all scheduled and running jobs must be completed or cancelled before stopping an application"
                raise ServiceError("ValidationException", f"Application {identifier}: {message}")
            self._touch(application, "STOPPING")
        self.move(application, [("STOPPED", self.durations.stopping)])

    def delete(self, identifier: str) -> None:
        with self.changed:
            application = self.get(identifier)
            if application.state not in AT_REST:
                wanted = f"must be in one of the following statuses {list(AT_REST)}. Current status: {application.state}"
                raise ServiceError("ValidationException", f"Application {identifier} {wanted}")
            self._touch(application, "TERMINATED")

    def idle(self, application: Application) -> None:
        """Call it whenever a run is over, and at the start: after its idle time an application stops by itself."""
        stop = application.settings["autoStopConfiguration"]
        if application.active or not stop.get("enabled", True):
            return
        application.idle_since = since = time.monotonic()

        def check() -> None:
            if self.closed.wait(stop.get("idleTimeoutMinutes", 15) * self.durations.minute):
                return
            with self.changed:
                if application.state == "STARTED" and not application.active and application.idle_since == since:
                    self.stop(application.id)

        threading.Thread(target=check, name=f"idle {application.id}", daemon=True).start()

    def move(self, application: Application, states: list[tuple[str, float]]) -> None:
        """From state to state, each after so many seconds; at once where they are 0."""

        def run() -> None:
            for state, seconds in states:
                if seconds and self.closed.wait(seconds):
                    return
                self._touch(application, state)

        if all(not seconds for _, seconds in states):
            run()
        else:
            threading.Thread(target=run, name=f"move {application.id}", daemon=True).start()

    def _touch(self, application: Application, state: str, details: str = "") -> None:
        with self.changed:
            application.state, application.details, application.updated_at = state, details, datetime.now(UTC)
            self.changed.notify_all()


def with_defaults(params: dict[str, Any]) -> dict[str, Any]:
    return {
        "architecture": "X86_64",
        "autoStartConfiguration": {"enabled": True},
        "autoStopConfiguration": {"enabled": True, "idleTimeoutMinutes": 15},
        "tags": {},
        **params,
        "type": params["type"].capitalize(),
    }


def check_image(settings: dict[str, Any], region: str) -> None:
    images = [settings.get("imageConfiguration", {})]
    images += [kind.get("imageConfiguration", {}) for kind in settings.get("workerTypeSpecifications", {}).values()]
    if images[0].get("imageUri") and len(images) > 1:
        raise ServiceError("ValidationException", "imageConfiguration and workerTypeSpecifications cannot be used together")
    for image in images:
        found = URI.fullmatch(image.get("imageUri", ""))
        if found and found[2] != region:
            raise ServiceError("ValidationException", f"The image must be in Region {region}, not in {found[2]}")
