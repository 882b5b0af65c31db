"""Read the events of a stack: who started the current operation, its progress, and why it failed."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import Any

from cli.aws.errors import translate_aws_errors

OWN_TOKENS = "fruitsctl-"  # begins every token that we send; CloudFormation repeats it in each event of that operation


def token() -> str:
    """Return a new token for an operation of fruitsctl."""
    return OWN_TOKENS + uuid.uuid4().hex


def started_by_fruitsctl(cloudformation: Any, name: str) -> bool:
    """Return whether fruitsctl started the current operation of the stack, here or on another machine."""
    newest = next((event for event in events_since(cloudformation, name, 0) if event["PhysicalResourceId"] == event["StackId"]), {})
    return str(newest.get("ClientRequestToken", "")).startswith(OWN_TOKENS)


def report_progress(cloudformation: Any, name: str, began: float, told: set[str], tell: Callable[[str], None]) -> None:
    """Tell each step that has ended since `began` (seconds, epoch) and is not in `told`, and add it there."""
    for event in reversed(list(events_since(cloudformation, name, began))):
        if event["EventId"] not in told and not event["ResourceStatus"].endswith("_IN_PROGRESS"):
            tell(f"{event['LogicalResourceId']}: {event['ResourceStatus'].replace('_', ' ').lower()}")
        told.add(event["EventId"])


def failures(cloudformation: Any, name: str, began: float) -> list[str]:
    """Return the failures, earliest first, without what was cancelled because of them."""
    failed = [event for event in events_since(cloudformation, name, began) if event["ResourceStatus"].endswith("_FAILED")]
    reasons = [f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason', '')}" for event in reversed(failed)]
    return [reason for reason in reasons if "cancelled" not in reason]


def events_since(cloudformation: Any, name: str, began: float) -> Iterator[dict[str, Any]]:
    """Yield the events since `began`, newest first."""
    with translate_aws_errors("cloudformation:DescribeStackEvents"):
        for page in cloudformation.get_paginator("describe_stack_events").paginate(StackName=name):
            for event in page["StackEvents"]:
                if event["Timestamp"].timestamp() < began - 1:  # the clock of CloudFormation may differ
                    return
                yield event
