"""What a test turns to make the stand-in fast, slow or ill, and the list of what it was asked."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

from tests.aws.standin.wire import ServiceError


@dataclass
class Durations:
    """Seconds in each state that passes by itself. `minute` is how long a minute of the service lasts: timeouts, idle time, billing."""

    creating: float = 0.0
    starting: float = 0.02
    stopping: float = 0.02
    submitted: float = 0.0
    pending: float = 0.02
    scheduled: float = 0.02
    cancelling: float = 0.02
    capacity: float = 0.05  # of a run that asks for more than there is, until it fails
    log: float = 0.05  # until a line is in CloudWatch
    stack: float = 0.02  # each resource of a stack
    minute: float = 60.0


@dataclass(frozen=True)
class Call:
    service: str  # by its signing name
    operation: str
    params: dict[str, Any]
    at: float  # time.monotonic()

    @property
    def action(self) -> str:
        return f"{self.service}:{self.operation}"


MESSAGES = {
    "AccessDenied": "User: {caller} is not authorized to perform: {action} because no identity-based policy allows the {action} action",
    "ExpiredTokenException": "The security token included in the request is expired",
    "ThrottlingException": "Rate exceeded",
}


class Faults:
    """An operation is `StartJobRun`, or with its service `emr-serverless:StartJobRun`; `*` is every one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failing: dict[str, tuple[str, float]] = {}
        self._lost: Counter[str] = Counter()
        self._throttled_until = 0.0

    def fail(self, operation: str, code: str, times: float = 1) -> None:
        """The next `times` requests are answered with `code`, nothing is done. `math.inf`: from now on; 0: no more."""
        with self._lock:
            self._failing[operation] = (code, times)

    def throttle(self, seconds: float) -> None:
        with self._lock:
            self._throttled_until = time.monotonic() + seconds

    def lose_answer(self, operation: str, times: int = 1) -> None:
        """The next `times` requests are carried out, then the connection breaks."""
        with self._lock:
            self._lost[operation] += times

    def check(self, call: Call, caller: str) -> None:
        """
        Raises:
            ServiceError: this request is to fail.
        """
        with self._lock:
            if call.service == "emr-serverless" and time.monotonic() < self._throttled_until:
                raise ServiceError("ThrottlingException", MESSAGES["ThrottlingException"])
            for name in (call.operation, call.action, "*"):
                code, times = self._failing.get(name, ("", 0))
                if times > 0:
                    self._failing[name] = (code, times - 1)
                    message = MESSAGES.get(code.replace("AccessDeniedException", "AccessDenied"), f"{code}, as a test wanted it")
                    raise ServiceError(code, message.format(caller=caller, action=call.action))

    def loses(self, call: Call) -> bool:
        with self._lock:
            for name in (call.operation, call.action):
                if self._lost[name] > 0:
                    self._lost[name] -= 1
                    return True
        return False
