"""A stack of CloudFormation with its change sets and events: what it holds, what would change, what the API shows. Nothing happens here."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tests.aws.standin.application_resource import KIND, REPLACING
from tests.aws.standin.emr_serverless import Caller
from tests.aws.standin.template import Template


@dataclass
class Event:
    id: str
    at: datetime
    logical_id: str
    physical_id: str
    kind: str
    status: str
    reason: str | None


@dataclass
class ChangeSet:
    id: str
    name: str
    kind: str  # CREATE or UPDATE
    template: Template
    body: str
    tags: dict[str, str]
    changes: list[dict[str, Any]]
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    executed: bool = False


@dataclass
class Stack:
    name: str
    id: str
    caller: Caller
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    deleted_at: datetime | None = None
    status: str = "REVIEW_IN_PROGRESS"
    reason: str | None = None
    body: str = ""
    parameters: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    resources: dict[str, tuple[str, dict[str, Any]]] = field(default_factory=dict)  # as deployed last
    physical: dict[str, str] = field(default_factory=dict)  # logical to physical id
    outputs: dict[str, str] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    change_sets: dict[str, ChangeSet] = field(default_factory=dict)  # by id

    def tell(self, status: str, logical_id: str | None = None, reason: str | None = None) -> None:
        """An event, of the stack itself without `logical_id`."""
        now, identifier = datetime.now(UTC), str(uuid.uuid4())
        if logical_id is None:
            self.status, self.reason = status, reason
            event = Event(identifier, now, self.name, self.id, "AWS::CloudFormation::Stack", status, reason)
        else:
            event = Event(identifier, now, logical_id, self.physical.get(logical_id, ""), KIND, status, reason)
        self.events.append(event)


def changes(stack: Stack, wanted: dict[str, tuple[str, dict[str, Any]]]) -> list[dict[str, Any]]:
    """The model's Changes, from what the stack has to what it is to have."""
    found: list[dict[str, Any]] = []
    for name, (kind, properties) in wanted.items():
        if name not in stack.physical:
            found.append({"Action": "Add", "LogicalResourceId": name, "ResourceType": kind})
            continue
        old = stack.resources[name][1]
        differing = sorted(key for key in old.keys() | properties.keys() if old.get(key) != properties.get(key))
        if differing:
            details = [
                {"Target": {"Attribute": "Properties", "Name": key, "RequiresRecreation": "Always" if key in REPLACING else "Never"}}
                for key in differing
            ]
            change = {"Action": "Modify", "LogicalResourceId": name, "PhysicalResourceId": stack.physical[name], "ResourceType": kind}
            replaced = str(bool(REPLACING & set(differing)))
            found.append({**change, "Replacement": replaced, "Scope": ["Properties"], "Details": details})
    for name in stack.physical.keys() - wanted.keys():
        found.append({"Action": "Remove", "LogicalResourceId": name, "PhysicalResourceId": stack.physical[name], "ResourceType": KIND})
    return [{"Type": "Resource", "ResourceChange": change} for change in found]


def describe(stack: Stack) -> dict[str, Any]:
    """The model's Stack."""
    optional = {"StackStatusReason": stack.reason, "DeletionTime": stack.deleted_at}
    return {
        "StackId": stack.id,
        "StackName": stack.name,
        "CreationTime": stack.created_at,
        "StackStatus": stack.status,
        "Parameters": pairs(stack.parameters, "ParameterKey", "ParameterValue"),
        "Tags": pairs(stack.tags, "Key", "Value"),
        "Outputs": pairs(stack.outputs, "OutputKey", "OutputValue"),
    } | {name: value for name, value in optional.items() if value}


def pairs(values: dict[str, str], key: str, value: str) -> list[dict[str, str]]:
    return [{key: name, value: text} for name, text in values.items()]


def event_view(stack: Stack, event: Event) -> dict[str, Any]:
    found = {"StackId": stack.id, "StackName": stack.name, "EventId": event.id, "Timestamp": event.at, "ResourceType": event.kind}
    found |= {"LogicalResourceId": event.logical_id, "PhysicalResourceId": event.physical_id, "ResourceStatus": event.status}
    return found | ({"ResourceStatusReason": event.reason} if event.reason else {})
