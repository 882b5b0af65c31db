"""A stack's events in; who began what is going on, what came of it, and why it failed, out."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import Any

from cli.aws.errors import translate_aws_errors

OWN_TOKENS = "fruitsctl-"  # begins every token that we send; CloudFormation repeats it in each event of that operation


def token() -> str:
    return OWN_TOKENS + uuid.uuid4().hex


def started_by_fruitsctl(cloudformation: Any, name: str) -> bool:
    """Whether what the stack is doing now was begun by this command, here or on another machine."""
    newest = next((event for event in events_since(cloudformation, name, 0) if event["PhysicalResourceId"] == event["StackId"]), {})
    return str(newest.get("ClientRequestToken", "")).startswith(OWN_TOKENS)


def report_progress(cloudformation: Any, name: str, began: float, told: set[str], tell: Callable[[str], None]) -> None:
    """A line for each end of a step since `began` (seconds, epoch) that is not in `told`, which grows."""
    for event in reversed(list(events_since(cloudformation, name, began))):
        if event["EventId"] not in told and not event["ResourceStatus"].endswith("_IN_PROGRESS"):
            tell(f"{event['LogicalResourceId']}: {event['ResourceStatus'].replace('_', ' ').lower()}")
        told.add(event["EventId"])


def failures(cloudformation: Any, name: str, began: float) -> list[str]:
    """What failed first comes first; what was cancelled because of it is left out."""
    failed = [event for event in events_since(cloudformation, name, began) if event["ResourceStatus"].endswith("_FAILED")]
    reasons = [f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason', '')}" for event in reversed(failed)]
    return [reason for reason in reasons if "cancelled" not in reason]


def events_since(cloudformation: Any, name: str, began: float) -> Iterator[dict[str, Any]]:
    """Newest first."""
    with translate_aws_errors("cloudformation:DescribeStackEvents"):
        for page in cloudformation.get_paginator("describe_stack_events").paginate(StackName=name):
            for event in page["StackEvents"]:
                if event["Timestamp"].timestamp() < began - 1:  # CloudFormation's clock is not ours
                    return
                yield event
