"""
CloudFormation: a template with its parameters in; what would change, or what was changed, out. Interrupted at any point, call it again.

A change set is the dry run: CloudFormation itself says what it would do.
https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-updating-stacks-changesets.html
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cli.aws.errors import asking
from cli.errors import FruitsError, RefusedError
from cli.infra import events
from cli.settings.waiting import until

POLL_SECONDS = 3.0
CHANGE_SET_SECONDS = 300.0  # until CloudFormation has compared; it takes seconds
REST_SECONDS = 3600.0  # until a stack is made, changed or deleted; it takes minutes
LOOK = "look at its events in the console of CloudFormation, then run the same command again: it continues"
# A first creation that failed can only be deleted: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/view-stack-events.html
DEAD = {"CREATE_FAILED", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED"}
STUCK = {
    "DELETE_FAILED": "run `fruitsctl infra down` to resume the deletion",
    "UPDATE_ROLLBACK_FAILED": (
        "run `aws cloudformation continue-update-rollback --region {region} --stack-name {name}`, then run the command again"
    ),
}
UNBORN = {None, "REVIEW_IN_PROGRESS", "DELETE_COMPLETE"}  # a change set alone makes a stack of the second kind
ABSENT = {"CREATE_FAILED", "DELETE_COMPLETE", "DELETE_SKIPPED"}  # a resource that the stack never made, or has no more


@dataclass(frozen=True)
class Stack:
    """A parameter that is None stays as it is; in a new stack it has the template's default."""

    name: str
    template: str
    parameters: Mapping[str, str | None] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    role_arn: str | None = None  # what CloudFormation acts as; None: the caller


@dataclass(frozen=True)
class Change:
    action: str  # Add, Modify, Remove
    resource: str
    kind: str  # such as AWS::S3::Bucket
    replaced: bool = False


@dataclass(frozen=True)
class Resource:
    logical: str
    kind: str
    physical: str
    status: str


def plan(cloudformation: Any, stack: Stack) -> list[Change]:
    """
    What `apply` would change; nothing is.

    Raises:
        RefusedError: somebody is changing the stack now.
        FruitsError: AWS refuses, or finds a fault.
    """
    found = describe(cloudformation, stack.name)
    state = found["StackStatus"] if found else None
    if state not in UNBORN and str(state).endswith("_IN_PROGRESS"):
        raise RefusedError(f"stack `{stack.name}` is being changed: {state}", "wait until it has finished")
    _refuse_stuck(cloudformation, stack.name, state)
    if state in DEAD:  # a change set of it is refused: it is deleted first, and then all of it is made
        return [Change("Add", stack.name, "AWS::CloudFormation::Stack", replaced=True)]
    change_set, changes = _change_set(cloudformation, stack, found if state not in UNBORN else None)
    if change_set:
        with asking("cloudformation:DeleteChangeSet"):
            cloudformation.delete_change_set(ChangeSetName=change_set)
    if state in UNBORN:
        delete(cloudformation, stack.name, lambda _: None)  # the empty stack that the change set left
    return changes


def apply(cloudformation: Any, stack: Stack, tell: Callable[[str], None], before: Callable[[], None] | None = None) -> list[Change]:
    """
    Make the stack what its template says, and wait for it. `tell` gets a line per resource; `before` comes before a change.

    Raises:
        RefusedError: somebody else is changing the stack now.
        FruitsError: AWS refuses, or something could not be made; CloudFormation has undone it.
    """
    state = _settled(cloudformation, stack.name, tell)
    _refuse_stuck(cloudformation, stack.name, state)
    if state in DEAD:
        delete(cloudformation, stack.name, tell)
        state = None
    found = None if state in UNBORN else describe(cloudformation, stack.name)
    change_set, changes = _change_set(cloudformation, stack, found)
    if not change_set:
        return []
    if before:
        before()
    began = time.time()
    with asking("cloudformation:ExecuteChangeSet"):
        cloudformation.execute_change_set(ChangeSetName=change_set, ClientRequestToken=events.token())
    state = _wait(cloudformation, stack.name, began, tell)
    if state not in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
        raise _ended(cloudformation, stack.name, stack.name, str(state), began, "fruitsctl infra up")
    return changes


def delete(cloudformation: Any, name: str, tell: Callable[[str], None], gone: Callable[[Resource], bool] = lambda _: False) -> None:
    """
    Delete the stack and wait; one that is not there is no error. If CloudFormation fails, it tries once more, without what is `gone`.

    Raises:
        RefusedError: somebody else is changing the stack now.
        FruitsError: AWS refuses, or something could not be deleted.
    """
    found = describe(cloudformation, name)
    if found is None:
        return
    if found["StackStatus"] != "DELETE_IN_PROGRESS":  # somebody else deletes it already
        _settled(cloudformation, name, tell)
    identity, began, state = found["StackId"], time.time(), None
    for _ in range(2):
        # Only a stack whose deletion has failed takes a list of what to leave.
        failed = [item for item in resources(cloudformation, identity) if item.status == "DELETE_FAILED"]
        leave = [item.logical for item in failed if gone(item)]
        options = {"RetainResources": leave} if leave else {}
        with asking("cloudformation:DeleteStack"):
            cloudformation.delete_stack(StackName=identity, ClientRequestToken=events.token(), **options)
        state = _wait(cloudformation, identity, began, tell)
        if state != "DELETE_FAILED":
            break
    if state not in (None, "DELETE_COMPLETE"):
        raise _ended(cloudformation, name, identity, state, began, "fruitsctl infra down")


def describe(cloudformation: Any, name: str) -> dict[str, Any] | None:
    """DescribeStacks, None if there is none."""
    with asking("cloudformation:DescribeStacks"):
        try:
            found: dict[str, Any] = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
        except cloudformation.exceptions.ClientError as error:
            if "does not exist" in str(error):
                return None
            raise
    return found


def status(cloudformation: Any, name: str) -> str | None:
    found = describe(cloudformation, name)
    return found["StackStatus"] if found else None


def outputs(found: Mapping[str, Any] | None) -> dict[str, str]:
    """Of what `describe` gave."""
    return {item["OutputKey"]: item["OutputValue"] for item in (found or {}).get("Outputs", [])}


def parameters(found: Mapping[str, Any] | None) -> dict[str, str]:
    """Of what `describe` gave."""
    return {item["ParameterKey"]: item["ParameterValue"] for item in (found or {}).get("Parameters", [])}


def resources(cloudformation: Any, name: str) -> list[Resource]:
    """What the stack made and still has; a resource that was there before it, and made it fail, is not among them."""
    if describe(cloudformation, name) is None:
        return []
    with asking("cloudformation:ListStackResources"):
        pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=name)
        found = [item for page in pages for item in page["StackResourceSummaries"]]
    return [
        Resource(item["LogicalResourceId"], item["ResourceType"], item["PhysicalResourceId"], item["ResourceStatus"])
        for item in found
        if item.get("PhysicalResourceId") and item["ResourceStatus"] not in ABSENT
    ]


def _change_set(cloudformation: Any, stack: Stack, found: Mapping[str, Any] | None) -> tuple[str, list[Change]]:
    """Id and changes; ("", []) if there is nothing to change. Changed outputs or tags alone are no `Change`."""
    values = parameters(found) | {name: value for name, value in stack.parameters.items() if value is not None}
    role = {"RoleARN": stack.role_arn} if stack.role_arn else {}
    with asking("cloudformation:CreateChangeSet"):
        made = cloudformation.create_change_set(
            StackName=stack.name,
            ChangeSetName=f"{events.OURS}{time.time_ns()}",
            ChangeSetType="UPDATE" if found else "CREATE",
            TemplateBody=stack.template,
            Parameters=[{"ParameterKey": name, "ParameterValue": values[name]} for name in stack.parameters if name in values],
            Tags=[{"Key": name, "Value": value} for name, value in stack.tags.items()],
            Capabilities=["CAPABILITY_NAMED_IAM"],
            **role,
        )
    with asking("cloudformation:DescribeChangeSet"):
        answer = until(
            lambda: cloudformation.describe_change_set(ChangeSetName=made["Id"]),
            lambda found: found["Status"] not in ("CREATE_PENDING", "CREATE_IN_PROGRESS"),
            POLL_SECONDS,
            CHANGE_SET_SECONDS,
            lambda found: f"the change set of stack `{stack.name}` is still in {found['Status']}",
            LOOK,
        )
    if answer["Status"] == "FAILED":
        reason = answer.get("StatusReason", "")
        with asking("cloudformation:DeleteChangeSet"):
            cloudformation.delete_change_set(ChangeSetName=made["Id"])
        if "didn't contain changes" in reason or "No updates are to be performed" in reason:
            return "", []
        raise FruitsError(f"CloudFormation rejected the stack `{stack.name}`: {reason}", "fix the cause, then run the command again")
    changes = [item["ResourceChange"] for item in answer["Changes"]]
    return made["Id"], [
        Change(item["Action"], item["LogicalResourceId"], item["ResourceType"], item.get("Replacement") == "True") for item in changes
    ]


def _settled(cloudformation: Any, name: str, tell: Callable[[str], None]) -> str | None:
    """The stack's state once what an earlier call of ours began has ended; raises RefusedError if it was somebody else."""
    state = status(cloudformation, name)
    if state in UNBORN or not str(state).endswith("_IN_PROGRESS"):
        return state
    if not events.ours(cloudformation, name):
        raise RefusedError(f"stack `{name}` is being changed by another process: {state}", "wait until it has finished")
    tell(f"{name}: waiting for {str(state).replace('_', ' ').lower()}")
    return _wait(cloudformation, name, time.time(), tell)


def way_out(region: str, name: str, state: str | None) -> str | None:
    """The hint for a stack that is stuck in `state`; None of any other state."""
    hint = STUCK.get(str(state))
    return hint and hint.format(region=region, name=name)


def _refuse_stuck(cloudformation: Any, name: str, state: str | None) -> None:
    if hint := way_out(cloudformation.meta.region_name, name, state):
        raise FruitsError(f"stack `{name}` is stuck in {state}", hint)


def _wait(cloudformation: Any, name: str, began: float, tell: Callable[[str], None]) -> str | None:
    """The state in which the stack comes to rest; None if it is gone. Raises FruitsError if it does not within REST_SECONDS."""
    told: set[str] = set()

    def look() -> str | None:
        state = status(cloudformation, name)
        if state is not None:
            events.tell_new(cloudformation, name, began, told, tell)
        return state

    def at_rest(state: str | None) -> bool:
        return state is None or not state.endswith("_IN_PROGRESS")

    return until(look, at_rest, POLL_SECONDS, REST_SECONDS, lambda state: f"stack `{name}` is still in {state}", LOOK)


def _ended(cloudformation: Any, name: str, identity: str, state: str, began: float, command: str) -> FruitsError:
    reasons = "; ".join(events.failures(cloudformation, identity, began)) or "no reason given by CloudFormation"
    return FruitsError(f"stack `{name}` failed with {state}: {reasons}", f"fix the cause, then run `{command}` again")
