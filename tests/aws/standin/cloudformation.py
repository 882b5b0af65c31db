"""CloudFormation for stacks named `…-app`, which hold an EMR Serverless application; `None` of an operation sends it on to moto."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from tests.aws.standin.application_resource import KIND, ApplicationResource
from tests.aws.standin.emr_serverless import Caller, EmrServerless
from tests.aws.standin.knobs import Durations
from tests.aws.standin.stack import ChangeSet, Event, Stack, changes, describe, event_view, pairs
from tests.aws.standin.template import Template
from tests.aws.standin.wire import ServiceError

SUFFIX = "-app"
NO_CHANGE = "The submitted information didn't contain changes. Submit different information to create a change set."


class CloudFormation:
    def __init__(self, emr: EmrServerless, durations: Durations, moto: Callable[[str], Any]) -> None:
        """`moto` makes its client of CloudFormation in a Region."""
        self._emr, self._durations, self._moto = emr, durations, moto
        self._lock = threading.RLock()
        self._stacks: dict[str, Stack] = {}  # by id

    def create_change_set(self, params: dict[str, Any], caller: Caller) -> dict[str, Any] | None:
        if not is_ours(params["StackName"]):
            return None
        with self._lock:
            stack, kind = self._find(params["StackName"]), params.get("ChangeSetType", "UPDATE")
            if kind == "CREATE" and stack and stack.status != "REVIEW_IN_PROGRESS":
                name = f"Stack [{stack.name}] already exists and cannot be created again with the changeSet [{params['ChangeSetName']}]"
                raise ServiceError("ValidationError", name)
            if kind == "UPDATE":
                stack = self._existing(params["StackName"])
                if stack.status not in ("CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE"):
                    raise ServiceError("ValidationError", f"Stack:{stack.id} is in {stack.status} state and can not be updated.")
            if stack is None:
                name = params["StackName"]
                stack = Stack(name, f"arn:aws:cloudformation:{caller.region}:{caller.account}:stack/{name}/{uuid.uuid4()}", caller)
            made = self._change_set(stack, kind, params)
            self._stacks[stack.id] = stack
            stack.change_sets[made.id] = made
            return {"Id": made.id, "StackId": stack.id}

    def describe_change_set(self, params: dict[str, Any], caller: Caller) -> dict[str, Any] | None:
        found = self._ours(params)
        if found is None:
            return None
        stack, made = found
        state = {"Status": "CREATE_COMPLETE", "ExecutionStatus": "EXECUTE_COMPLETE" if made.executed else "AVAILABLE"}
        if not made.changes:
            state = {"Status": "FAILED", "StatusReason": NO_CHANGE, "ExecutionStatus": "UNAVAILABLE"}
        names = {"ChangeSetName": made.name, "ChangeSetId": made.id, "StackId": stack.id, "StackName": stack.name}
        return {**names, **state, "CreationTime": made.created_at, "Changes": made.changes, "Tags": pairs(made.tags, "Key", "Value")}

    def execute_change_set(self, params: dict[str, Any], caller: Caller) -> dict[str, Any] | None:
        found = self._ours(params)
        if found is None:
            return None
        stack, made = found
        with self._lock:
            if not made.changes or made.executed:
                raise ServiceError("InvalidChangeSetStatus", f"ChangeSet [{made.id}] cannot be executed in its current status")
            made.executed = True
            stack.tell(f"{made.kind}_IN_PROGRESS", reason="User Initiated")
        self._in_background(self._deploy, stack, made)
        return {}

    def delete_change_set(self, params: dict[str, Any], caller: Caller) -> dict[str, Any] | None:
        found = self._ours(params)
        if found is None:
            return None
        stack, made = found
        del stack.change_sets[made.id]
        return {}

    def describe_stacks(self, params: dict[str, Any], caller: Caller) -> dict[str, Any] | None:
        if "StackName" not in params:
            theirs = self._moto(caller.region).describe_stacks()["Stacks"]
            return {"Stacks": [*theirs, *[describe(stack) for stack in self._stacks.values() if stack.status != "DELETE_COMPLETE"]]}
        return {"Stacks": [describe(self._existing(params["StackName"]))]} if is_ours(params["StackName"]) else None

    def describe_stack_events(self, params: dict[str, Any], caller: Caller) -> dict[str, Any] | None:
        if not is_ours(params["StackName"]):
            return None
        stack = self._existing(params["StackName"])
        return {"StackEvents": [event_view(stack, event) for event in reversed(stack.events)]}

    def list_stack_resources(self, params: dict[str, Any], caller: Caller) -> dict[str, Any] | None:
        if not is_ours(params["StackName"]):
            return None
        newest: dict[str, Event] = {}
        for event in self._existing(params["StackName"]).events:
            if event.kind == KIND:
                newest[event.logical_id] = event
        found = [
            {"LogicalResourceId": event.logical_id, "ResourceType": KIND, "ResourceStatus": event.status, "LastUpdatedTimestamp": event.at}
            | ({"PhysicalResourceId": event.physical_id} if event.physical_id else {})
            for event in newest.values()
        ]
        return {"StackResourceSummaries": found}

    def get_template(self, params: dict[str, Any], caller: Caller) -> dict[str, Any] | None:
        return {"TemplateBody": self._existing(params["StackName"]).body} if is_ours(params.get("StackName", "")) else None

    def delete_stack(self, params: dict[str, Any], caller: Caller) -> dict[str, Any] | None:
        if not is_ours(params["StackName"]):
            return None
        with self._lock:
            stack = self._find(params["StackName"])
            if stack is None or stack.status in ("DELETE_COMPLETE", "DELETE_IN_PROGRESS"):
                return {}
            stack.tell("DELETE_IN_PROGRESS", reason="User Initiated")
        self._in_background(self._delete, stack)
        return {}

    def _change_set(self, stack: Stack, kind: str, params: dict[str, Any]) -> ChangeSet:
        given = {
            item["ParameterKey"]: stack.parameters[item["ParameterKey"]] if item.get("UsePreviousValue") else item.get("ParameterValue", "")
            for item in params.get("Parameters", [])
        }
        body = stack.body if params.get("UsePreviousTemplate") else params.get("TemplateBody", "")
        pseudo = {"AWS::Region": stack.caller.region, "AWS::AccountId": stack.caller.account, "AWS::Partition": "aws"}
        pseudo |= {"AWS::StackName": stack.name, "AWS::StackId": stack.id, "AWS::URLSuffix": "amazonaws.com"}
        template = Template(body, given, pseudo)
        if others := {what for what, _ in template.resources().values()} - {KIND}:
            raise ServiceError("ValidationError", f"the stand-in makes {KIND} only, not {', '.join(sorted(others))}")
        tags = {tag["Key"]: tag["Value"] for tag in params.get("Tags", [])}
        arn = stack.id.split(":stack/")[0] + f":changeSet/{params['ChangeSetName']}/{uuid.uuid4()}"
        return ChangeSet(arn, params["ChangeSetName"], kind, template, body, tags, changes(stack, template.resources()))

    def _deploy(self, stack: Stack, made: ChangeSet) -> None:
        handler, wanted = ApplicationResource(self._emr, stack.caller), made.template.resources()
        verb, before = made.kind, dict(stack.physical)
        logical_id = ""
        try:
            for change in (change["ResourceChange"] for change in made.changes):
                logical_id = change["LogicalResourceId"]
                verb = {"Add": "CREATE", "Modify": "UPDATE", "Remove": "DELETE"}[change["Action"]]
                stack.tell(f"{verb}_IN_PROGRESS", logical_id)
                self._emr.applications.closed.wait(self._durations.stack)
                properties = wanted.get(logical_id, ("", {}))[1]
                if change["Action"] == "Add" or change.get("Replacement") == "True":
                    stack.physical[logical_id] = handler.create(properties, made.tags)
                elif change["Action"] == "Modify":
                    handler.update(stack.physical[logical_id], properties, {detail["Target"]["Name"] for detail in change["Details"]})
                if change["Action"] != "Remove":
                    stack.tell(f"{verb}_COMPLETE", logical_id)
            for name, physical_id in before.items():
                if stack.physical[name] != physical_id or name not in wanted:
                    handler.delete(physical_id)
            stack.outputs = made.template.outputs({name: handler.attributes(physical_id) for name, physical_id in stack.physical.items()})
        except ServiceError as error:
            stack.tell(f"{verb}_FAILED", logical_id, f"Resource handler returned message: {error} (HandlerErrorCode: InvalidRequest)")
            self._roll_back(stack, made.kind, before, handler)
            return
        stack.body, stack.parameters, stack.tags, stack.resources = made.body, made.template.parameters, made.tags, wanted
        stack.tell(f"{made.kind}_COMPLETE")

    def _roll_back(self, stack: Stack, kind: str, before: dict[str, str], handler: ApplicationResource) -> None:
        state = "ROLLBACK" if kind == "CREATE" else "UPDATE_ROLLBACK"
        stack.tell(f"{state}_IN_PROGRESS", reason="The following resource(s) failed")
        self._emr.applications.closed.wait(self._durations.stack)
        for name, physical_id in list(stack.physical.items()):
            if before.get(name) != physical_id:
                handler.delete(physical_id)
        stack.physical = before
        stack.tell(f"{state}_COMPLETE")

    def _delete(self, stack: Stack) -> None:
        handler = ApplicationResource(self._emr, stack.caller)
        for logical_id, physical_id in list(stack.physical.items()):
            stack.tell("DELETE_IN_PROGRESS", logical_id)
            self._emr.applications.closed.wait(self._durations.stack)
            try:
                handler.delete(physical_id)
            except ServiceError as error:
                stack.tell("DELETE_FAILED", logical_id, f"Resource handler returned message: {error} (HandlerErrorCode: InvalidRequest)")
                stack.tell("DELETE_FAILED", reason=f"The following resource(s) failed to delete: [{logical_id}]. ")
                return
            stack.tell("DELETE_COMPLETE", logical_id)
        stack.physical, stack.deleted_at = {}, datetime.now(UTC)
        stack.tell("DELETE_COMPLETE")

    def _in_background(self, work: Callable[..., None], *arguments: Any) -> None:
        threading.Thread(target=work, args=arguments, name=work.__name__, daemon=True).start()

    def _ours(self, params: dict[str, Any]) -> tuple[Stack, ChangeSet] | None:
        """None: it is moto's."""
        wanted = params["ChangeSetName"]
        for stack in self._stacks.values():
            for made in stack.change_sets.values():
                if made.id == wanted or (made.name == wanted and params.get("StackName") in (stack.name, stack.id)):
                    return stack, made
        if is_ours(params.get("StackName", "")):
            raise ServiceError("ChangeSetNotFound", f"ChangeSet [{wanted}] does not exist", 404)
        return None

    def _find(self, name: str) -> Stack | None:
        """By id, also a deleted one; by name only one that is there."""
        if name in self._stacks:
            return self._stacks[name]
        return next((stack for stack in self._stacks.values() if stack.name == name and stack.status != "DELETE_COMPLETE"), None)

    def _existing(self, name: str) -> Stack:
        stack = self._find(name)
        if stack is None:
            raise ServiceError("ValidationError", f"Stack with id {name} does not exist")
        return stack


def is_ours(name: str) -> bool:
    """`name` may be an ARN."""
    return (name.split("/")[1] if name.startswith("arn:") else name).endswith(SUFFIX)
