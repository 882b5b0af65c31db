"""
Plan, apply and delete CloudFormation stacks. An interrupted operation continues with the next call.

A change set is the dry run: CloudFormation itself says what it would do.
https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-updating-stacks-changesets.html
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cli.aws.errors import translate_aws_errors
from cli.errors import FruitsError, RefusedError
from cli.infra import events
from cli.settings.waiting import wait_until

POLL_SECONDS = 3.0
CHANGE_SET_SECONDS = 300.0  # until CloudFormation has made a change set, which takes seconds
STACK_SECONDS = 3600.0  # until a stack is made, changed or deleted; it takes minutes
EVENTS_HINT = "look at its events in the console of CloudFormation, then run the same command again: it continues"
# A first creation that failed can only be deleted: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/view-stack-events.html
MUST_RECREATE = {"CREATE_FAILED", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED"}
NEEDS_REPAIR = {
    "DELETE_FAILED": "run `fruitsctl infra down` to resume the deletion",
    "UPDATE_ROLLBACK_FAILED": (
        "run `aws cloudformation continue-update-rollback --region {region} --stack-name {name}`, then run the command again"
    ),
}
NOT_CREATED = {None, "REVIEW_IN_PROGRESS", "DELETE_COMPLETE"}  # a change set alone makes a stack of the second kind
ABSENT = {"CREATE_FAILED", "DELETE_COMPLETE", "DELETE_SKIPPED"}  # states of resources that the stack does not have


@dataclass(frozen=True)
class Stack:
    """A stack to apply. A parameter that is None stays as it is; in a new stack it has the template's default."""

    name: str
    template: str
    parameters: Mapping[str, str | None] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    role_arn: str | None = None  # role that CloudFormation assumes; None: the caller


@dataclass(frozen=True)
class Change:
    """A change of one resource."""

    action: str  # Add, Modify, Remove
    resource: str
    kind: str  # such as AWS::S3::Bucket
    replaced: bool = False


@dataclass(frozen=True)
class Resource:
    """A resource of a stack."""

    logical: str
    kind: str
    physical: str
    status: str


def plan(cloudformation: Any, stack: Stack) -> list[Change]:
    """
    Return what `apply` would change, and change nothing.

    Raises:
        RefusedError: another process is changing the stack.
        FruitsError: AWS refuses, or finds an error.
    """
    found = describe(cloudformation, stack.name)
    state = found["StackStatus"] if found else None
    if state not in NOT_CREATED and str(state).endswith("_IN_PROGRESS"):
        raise RefusedError(f"stack `{stack.name}` is being changed: {state}", "wait until it has finished")
    _refuse_broken(cloudformation, stack.name, state)
    if state in MUST_RECREATE:  # CloudFormation refuses a change set here: `apply` deletes and creates the stack
        return [Change("Add", stack.name, "AWS::CloudFormation::Stack", replaced=True)]
    change_set, changes = _change_set(cloudformation, stack, found if state not in NOT_CREATED else None)
    if change_set:
        with translate_aws_errors("cloudformation:DeleteChangeSet"):
            cloudformation.delete_change_set(ChangeSetName=change_set)
    if state in NOT_CREATED:
        delete(cloudformation, stack.name, lambda _: None)  # the empty stack that the change set left
    return changes


def apply(cloudformation: Any, stack: Stack, tell: Callable[[str], None], before: Callable[[], None] | None = None) -> list[Change]:
    """
    Create or update the stack from its template and wait. `tell` gets a line per resource; `before` is called before a change.

    Raises:
        RefusedError: another process is changing the stack.
        FruitsError: AWS refuses, or something could not be created; CloudFormation has rolled back.
    """
    state = _wait_for_own_operation(cloudformation, stack.name, tell)
    _refuse_broken(cloudformation, stack.name, state)
    if state in MUST_RECREATE:
        delete(cloudformation, stack.name, tell)
        state = None
    found = None if state in NOT_CREATED else describe(cloudformation, stack.name)
    change_set, changes = _change_set(cloudformation, stack, found)
    if not change_set:
        return []
    if before:
        before()
    began = time.time()
    with translate_aws_errors("cloudformation:ExecuteChangeSet"):
        cloudformation.execute_change_set(ChangeSetName=change_set, ClientRequestToken=events.token())
    state = _wait(cloudformation, stack.name, began, tell)
    if state not in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
        raise _operation_error(cloudformation, stack.name, stack.name, str(state), began, "fruitsctl infra up")
    return changes


def delete(cloudformation: Any, name: str, tell: Callable[[str], None], gone: Callable[[Resource], bool] = lambda _: False) -> None:
    """
    Delete the stack and wait; a missing stack is ignored. After a failure it is tried once more, without what is `gone`.

    Raises:
        RefusedError: another process is changing the stack.
        FruitsError: AWS refuses, or something could not be deleted.
    """
    found = describe(cloudformation, name)
    if found is None:
        return
    if found["StackStatus"] != "DELETE_IN_PROGRESS":  # already being deleted
        _wait_for_own_operation(cloudformation, name, tell)
    identity, began, state = found["StackId"], time.time(), None
    for _ in range(2):
        # Only a stack whose deletion has failed takes a list of what to leave.
        failed = [item for item in resources(cloudformation, identity) if item.status == "DELETE_FAILED"]
        leave = [item.logical for item in failed if gone(item)]
        options = {"RetainResources": leave} if leave else {}
        with translate_aws_errors("cloudformation:DeleteStack"):
            cloudformation.delete_stack(StackName=identity, ClientRequestToken=events.token(), **options)
        state = _wait(cloudformation, identity, began, tell)
        if state != "DELETE_FAILED":
            break
    if state not in (None, "DELETE_COMPLETE"):
        raise _operation_error(cloudformation, name, identity, state, began, "fruitsctl infra down")


def describe(cloudformation: Any, name: str) -> dict[str, Any] | None:
    """Return the stack as DescribeStacks does, or None if it does not exist."""
    with translate_aws_errors("cloudformation:DescribeStacks"):
        try:
            found: dict[str, Any] = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
        except cloudformation.exceptions.ClientError as error:
            if "does not exist" in str(error):
                return None
            raise
    return found


def status(cloudformation: Any, name: str) -> str | None:
    """Return the state of the stack, or None if it does not exist."""
    found = describe(cloudformation, name)
    return found["StackStatus"] if found else None


def outputs(found: Mapping[str, Any] | None) -> dict[str, str]:
    """Return the outputs of a stack from `describe`."""
    return {item["OutputKey"]: item["OutputValue"] for item in (found or {}).get("Outputs", [])}


def parameters(found: Mapping[str, Any] | None) -> dict[str, str]:
    """Return the parameters of a stack from `describe`."""
    return {item["ParameterKey"]: item["ParameterValue"] for item in (found or {}).get("Parameters", [])}


def resources(cloudformation: Any, name: str) -> list[Resource]:
    """
    Return what the stack created and still has.

    A resource that existed before it, and made it fail, is not among them.
    """
    if describe(cloudformation, name) is None:
        return []
    with translate_aws_errors("cloudformation:ListStackResources"):
        pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=name)
        found = [item for page in pages for item in page["StackResourceSummaries"]]
    return [
        Resource(item["LogicalResourceId"], item["ResourceType"], item["PhysicalResourceId"], item["ResourceStatus"])
        for item in found
        if item.get("PhysicalResourceId") and item["ResourceStatus"] not in ABSENT
    ]


def _change_set(cloudformation: Any, stack: Stack, found: Mapping[str, Any] | None) -> tuple[str, list[Change]]:
    """Return id and changes of a change set; ("", []) if nothing changes. Changed outputs or tags alone are no `Change`."""
    values = parameters(found) | {name: value for name, value in stack.parameters.items() if value is not None}
    role = {"RoleARN": stack.role_arn} if stack.role_arn else {}
    with translate_aws_errors("cloudformation:CreateChangeSet"):
        made = cloudformation.create_change_set(
            StackName=stack.name,
            ChangeSetName=f"{events.OWN_TOKENS}{time.time_ns()}",
            ChangeSetType="UPDATE" if found else "CREATE",
            TemplateBody=stack.template,
            Parameters=[{"ParameterKey": name, "ParameterValue": values[name]} for name in stack.parameters if name in values],
            Tags=[{"Key": name, "Value": value} for name, value in stack.tags.items()],
            Capabilities=["CAPABILITY_NAMED_IAM"],
            **role,
        )
    with translate_aws_errors("cloudformation:DescribeChangeSet"):
        answer = wait_until(
            lambda: cloudformation.describe_change_set(ChangeSetName=made["Id"]),
            lambda found: found["Status"] not in ("CREATE_PENDING", "CREATE_IN_PROGRESS"),
            POLL_SECONDS,
            CHANGE_SET_SECONDS,
            lambda found: f"the change set of stack `{stack.name}` is still in {found['Status']}",
            EVENTS_HINT,
        )
    if answer["Status"] == "FAILED":
        reason = answer.get("StatusReason", "")
        with translate_aws_errors("cloudformation:DeleteChangeSet"):
            cloudformation.delete_change_set(ChangeSetName=made["Id"])
        if "didn't contain changes" in reason or "No updates are to be performed" in reason:
            return "", []
        raise FruitsError(f"CloudFormation rejected the stack `{stack.name}`: {reason}", "fix the cause, then run the command again")
    changes = [item["ResourceChange"] for item in answer["Changes"]]
    return made["Id"], [
        Change(item["Action"], item["LogicalResourceId"], item["ResourceType"], item.get("Replacement") == "True") for item in changes
    ]


def _wait_for_own_operation(cloudformation: Any, name: str, tell: Callable[[str], None]) -> str | None:
    """Wait for an operation of fruitsctl and return the state; raise RefusedError if another process started it."""
    state = status(cloudformation, name)
    if state in NOT_CREATED or not str(state).endswith("_IN_PROGRESS"):
        return state
    if not events.started_by_fruitsctl(cloudformation, name):
        raise RefusedError(f"stack `{name}` is being changed by another process: {state}", "wait until it has finished")
    tell(f"{name}: waiting for {str(state).replace('_', ' ').lower()}")
    return _wait(cloudformation, name, time.time(), tell)


def repair_hint(region: str, name: str, state: str | None) -> str | None:
    """Return the hint for a stack that is stuck in `state`; None for other states."""
    hint = NEEDS_REPAIR.get(str(state))
    return hint and hint.format(region=region, name=name)


def _refuse_broken(cloudformation: Any, name: str, state: str | None) -> None:
    if hint := repair_hint(cloudformation.meta.region_name, name, state):
        raise FruitsError(f"stack `{name}` is stuck in {state}", hint)


def _wait(cloudformation: Any, name: str, began: float, tell: Callable[[str], None]) -> str | None:
    """Wait and return the final state, None if the stack is gone. Raises FruitsError after STACK_SECONDS."""
    told: set[str] = set()

    def look() -> str | None:
        state = status(cloudformation, name)
        if state is not None:
            events.report_progress(cloudformation, name, began, told, tell)
        return state

    def at_rest(state: str | None) -> bool:
        return state is None or not state.endswith("_IN_PROGRESS")

    return wait_until(look, at_rest, POLL_SECONDS, STACK_SECONDS, lambda state: f"stack `{name}` is still in {state}", EVENTS_HINT)


def _operation_error(cloudformation: Any, name: str, identity: str, state: str, began: float, command: str) -> FruitsError:
    reasons = "; ".join(events.failures(cloudformation, identity, began)) or "no reason given by CloudFormation"
    return FruitsError(f"stack `{name}` failed with {state}: {reasons}", f"fix the cause, then run `{command}` again")
