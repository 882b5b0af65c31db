"""
Deploy the stacks of what happens while nobody is there: `schedule` starts runs at set times, `alarm` sends an e-mail when a run fails.

Neither is created unless it is asked for. Both name the application, so they are updated with it.
"""

from __future__ import annotations

import json
import re
import zoneinfo
from collections.abc import Callable, Mapping
from typing import Any

from cli.aws import errors as aws
from cli.errors import UsageError
from cli.infra import stacks
from cli.infra.deploy import InfraConfig, make_stack
from cli.infra.expression import check_expression
from cli.infra.stacks import Change, Stack

PARTS, PART_CHARACTERS = 3, 4000  # of the request: a parameter of CloudFormation has at most 4,096 bytes
Request = Callable[[], Mapping[str, Any]]


def plan(session: Any, region: str, config: InfraConfig, request: Request) -> dict[str, list[Change]]:
    """Return the changes of both stacks without making them. Without an application yet, the request has a placeholder."""
    cloudformation = aws.client(session, "cloudformation", region)
    there = "ApplicationId" in _deployed(cloudformation, config)
    wanted = _wanted(cloudformation, config, request if there else lambda: {"request": ""})
    changes = {stack.name: stacks.plan(cloudformation, stack) for stack in wanted}
    for name in _unwanted(cloudformation, config):
        changes[name] = [Change("Remove", item.logical, item.kind) for item in stacks.resources(cloudformation, name)]
    return changes


def up(session: Any, region: str, config: InfraConfig, request: Request, tell: Callable[[str], None]) -> dict[str, list[Change]]:
    """
    Create, update or remove both stacks and return their changes; the application is there.

    Args:
        session: of boto3.
        region: of the stacks.
        config: `schedule` and `alarm_email`: None leaves the stack as it is, an empty text removes it.
        request: makes the input of the schedule; called only if `schedule` is given.
        tell: gets a line per resource.

    Raises:
        UsageError: the request is too long.
        FruitsError: AWS refuses.
    """
    cloudformation = aws.client(session, "cloudformation", region)
    changes = {stack.name: stacks.apply(cloudformation, stack, tell) for stack in _wanted(cloudformation, config, request)}
    for name in _unwanted(cloudformation, config):
        changes[name] = [Change("Remove", item.logical, item.kind) for item in stacks.resources(cloudformation, name)]
        stacks.delete(cloudformation, name, tell)
    return changes


def check(config: InfraConfig) -> None:
    """Raise UsageError if expression, time zone or address are not valid. Asks nobody."""
    if config.schedule:
        check_expression(config.schedule)
    known = zoneinfo.available_timezones()  # empty on a system without them
    if config.timezone and known and config.timezone not in known:
        raise UsageError(f"`{config.timezone}` is not a time zone", "use a name such as Europe/Paris or UTC")
    if config.alarm_email and not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", config.alarm_email):
        raise UsageError(f"`{config.alarm_email}` is not an e-mail address", "for example --alarm-email you@example.com")


def parts(request: Mapping[str, Any]) -> list[str]:
    """
    Return `request` without its application as JSON, cut into PARTS: their text after `{"ApplicationId":"…",` is the request.

    No part begins or ends with white space, which a form may remove.

    Raises:
        UsageError: it is too long.
    """
    rest = json.dumps({name: value for name, value in request.items() if name != "ApplicationId"}, separators=(",", ":"))[1:]
    found = []
    while rest:
        end = min(PART_CHARACTERS, len(rest))
        while 1 < end < len(rest) and (rest[end - 1].isspace() or rest[end].isspace()):
            end -= 1
        found.append(rest[:end])
        rest = rest[end:]
    if len(found) > PARTS:
        raise UsageError(
            f"the request of the schedule has `{sum(map(len, found)):,}` characters, the limit is {PARTS * PART_CHARACTERS:,}",
            "choose shorter prefixes for INPUT and OUTPUT",
        )
    return found + [""] * (PARTS - len(found))


def _deployed(cloudformation: Any, config: InfraConfig) -> dict[str, str]:
    base, app = (stacks.outputs(stacks.describe(cloudformation, f"{config.project}-{name}")) for name in ("base", "app"))
    return base | app


def _wanted(cloudformation: Any, config: InfraConfig, request: Request) -> list[Stack]:
    there = _deployed(cloudformation, config)
    application = there.get("ApplicationId", "application")
    found = []
    if _is_wanted(cloudformation, config, "schedule", config.schedule):
        given = parts(request()) if config.schedule else [None] * PARTS
        parameters = {
            "Application": application,
            "RuntimeRoleArn": there.get("RuntimeRoleArn", "role"),
            "Expression": config.schedule,
            "Timezone": config.timezone,
            **{f"Request{number}": part for number, part in enumerate(given, 1)},
        }
        found.append(make_stack(config, "schedule", parameters))
    if _is_wanted(cloudformation, config, "alarm", config.alarm_email):
        found.append(make_stack(config, "alarm", {"Application": application, "Email": config.alarm_email}))
    return found


def _is_wanted(cloudformation: Any, config: InfraConfig, name: str, value: str | None) -> bool:
    """Return whether the stack is to be there: by its option, without one as it is."""
    return bool(value) if value is not None else stacks.describe(cloudformation, f"{config.project}-{name}") is not None


def _unwanted(cloudformation: Any, config: InfraConfig) -> list[str]:
    given = {f"{config.project}-schedule": config.schedule, f"{config.project}-alarm": config.alarm_email}
    return [name for name, value in given.items() if value == "" and stacks.describe(cloudformation, name) is not None]
