"""The resource AWS::EMRServerless::Application: its properties in, requests of EMR Serverless out and carried out."""

from __future__ import annotations

import uuid
from typing import Any

from botocore import xform_name
from moto.core.utils import get_service_model

from tests.aws.standin.emr_serverless import Caller, EmrServerless
from tests.aws.standin.wire import ServiceError, check

KIND = "AWS::EMRServerless::Application"
# https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-emrserverless-application.html
REPLACING = {"Name", "Type"}


class ApplicationResource:
    """What CloudFormation's handlers do."""

    def __init__(self, emr: EmrServerless, caller: Caller) -> None:
        self._emr, self._caller = emr, caller

    def create(self, properties: dict[str, Any], tags: dict[str, str]) -> str:
        """
        The application's id, once it is CREATED. `tags` are the stack's.

        Raises:
            ServiceError: the service refuses.
        """
        params = as_params("CreateApplication", properties)
        params["tags"] = {**tags, **params.get("tags", {})}
        made: str = self._call("CreateApplication", params)["applicationId"]
        with self._emr.applications.changed:
            self._emr.applications.changed.wait_for(lambda: self._emr.applications.get(made).state != "CREATING")
        return made

    def update(self, application_id: str, properties: dict[str, Any], changed: set[str]) -> None:
        params = as_params("UpdateApplication", {name: properties[name] for name in changed - {"Tags"} if name in properties})
        if params:
            self._call("UpdateApplication", {"applicationId": application_id, **params})
        if "Tags" in changed:
            tags = {tag["Key"]: tag["Value"] for tag in properties.get("Tags", [])}
            self._call("TagResource", {"resourceArn": self.attributes(application_id)["Arn"], "tags": tags})

    def delete(self, application_id: str) -> None:
        """One that is gone is no error, one that is not at rest is."""
        if self._emr.applications.get(application_id).state != "TERMINATED":
            self._call("DeleteApplication", {"applicationId": application_id})

    def attributes(self, application_id: str) -> dict[str, str]:
        arn = self._emr.applications.get(application_id).arn
        return {"Ref": application_id, "ApplicationId": application_id, "Arn": arn}

    def _call(self, operation: str, params: dict[str, Any]) -> dict[str, Any]:
        shape = get_service_model("emr-serverless").operation_model(operation).input_shape
        if "clientToken" in shape.members:
            params = {**params, "clientToken": str(uuid.uuid4())}
        if faults := check(params, shape):
            raise ServiceError("ValidationException", "; ".join(faults))
        answer: dict[str, Any] = getattr(self._emr, xform_name(operation))(params, self._caller)
        return answer


def as_params(operation: str, properties: dict[str, Any]) -> dict[str, Any]:
    """CloudFormation's names and texts as the API's names and types."""
    shape = get_service_model("emr-serverless").operation_model(operation).input_shape
    properties = dict(properties)
    tags = {tag["Key"]: tag["Value"] for tag in properties.pop("Tags", [])}
    capacity = {item["Key"]: item["Value"] for item in properties.pop("InitialCapacity", [])}  # lists there, maps here
    if capacity:
        properties["InitialCapacity"] = capacity
    found: dict[str, Any] = _convert(properties, shape, operation)
    return found | ({"tags": tags} if tags else {})


def _convert(value: Any, shape: Any, path: str) -> Any:
    if shape.type_name == "structure":
        found = {}
        for name, item in value.items():
            member = name[0].lower() + name[1:]
            if member not in shape.members:
                raise ServiceError("ValidationException", f"{path}: extraneous key [{name}] is not permitted")
            found[member] = _convert(item, shape.members[member], f"{path}.{name}")
        return found
    if shape.type_name == "list":
        return [_convert(item, shape.member, path) for item in value]
    if shape.type_name == "map":
        return {name: _convert(item, shape.value, path) for name, item in value.items()}
    if shape.type_name in ("integer", "long"):
        return int(value)
    if shape.type_name == "boolean":
        return str(value).lower() == "true"
    return str(value)
