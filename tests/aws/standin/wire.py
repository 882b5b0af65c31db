"""
HTTP in, an operation and its parameters out; a result in, HTTP out. Both checked strictly against botocore's model of the service.

moto.core reads and writes AWS's protocols from the same model; it lets pass what the real services refuse, so that is checked here.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from functools import cache
from typing import Any
from xml.sax.saxutils import escape

from botocore.serialize import create_serializer
from botocore.utils import parse_timestamp
from botocore.validate import ParamValidator
from moto.core.parse import PROTOCOL_PARSERS
from moto.core.request import Request
from moto.core.routing import get_service_router
from moto.core.serialize import SerializationContext, get_serializer_class
from moto.core.utils import get_service_model
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

JSON = "application/x-amz-json-1.1"


class ServiceError(Exception):
    """What a service answers instead of a result."""

    def __init__(self, code: str, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.code, self.message = code, message
        self.status = status or STATUS.get(code, 400)


# Those of the model, https://docs.aws.amazon.com/emr-serverless/latest/APIReference/CommonErrors.html has the others.
STATUS = {
    "AccessDeniedException": 403,
    "ConflictException": 409,
    "ExpiredTokenException": 403,
    "InternalServerException": 500,
    "ResourceNotFoundException": 404,
    "ServiceQuotaExceededException": 402,
    "ServiceUnavailableException": 503,
    "ThrottlingException": 429,
    "UnrecognizedClientException": 403,
}


def read(service: str, request: Request) -> tuple[str, dict[str, Any]]:
    """
    Operation and parameters of a request.

    Raises:
        ServiceError: no such operation, or not what the model wants.
    """
    try:
        operation, labels = get_service_router(service).match(request)
    except HTTPException as error:
        raise ServiceError("UnknownOperationException", f"{request.method} {request.path}", 404) from error
    content: Any = {"body": request.get_data(), "headers": request.headers, "url_params": labels, "values": request.values}
    params = dict(PROTOCOL_PARSERS[_protocol(service)](operation, timestamp_parser=parse_timestamp).parse(content))
    # A list that is not in the query string is none, not an empty one.
    params = {
        name: value for name, value in params.items() if value != [] or name not in in_query_string(operation) or name in request.args
    }
    faults = check(params, operation.input_shape) or _lost(service, operation, params, request)
    if faults:
        raise ServiceError("ValidationError" if _protocol(service) == "query" else "ValidationException", "; ".join(faults))
    return str(operation.name), params


def in_query_string(operation: Any) -> set[str]:
    """The members that are in the query string."""
    members = operation.input_shape.members if operation.input_shape else {}
    return {name for name, shape in members.items() if shape.serialization.get("location") == "querystring"}


def check(value: Any, shape: Any, outgoing: bool = False) -> list[str]:
    """What the model does not allow of `value`. Services break their own minima and patterns in answers, so those are for requests."""
    if shape is None:
        return []
    report = ParamValidator().validate(value, shape)
    faults = [error for error in report._errors if not (outgoing and error[0] in ("invalid length", "invalid range"))]
    return [f"{name or 'the request'}: {reason} {details}" for reason, name, details in faults] + list(
        _strict(value, shape, shape.name, outgoing)
    )


def _strict(value: Any, shape: Any, name: str, outgoing: bool) -> Iterator[str]:
    """What botocore leaves to the service: maxima, patterns, enumerations."""
    yield from _limits(value, shape, name, outgoing)
    if shape.type_name == "structure" and isinstance(value, dict):
        for key in value.keys() & shape.members.keys():
            yield from _strict(value[key], shape.members[key], f"{name}.{key}", outgoing)
    elif shape.type_name == "list" and isinstance(value, list):
        for number, member in enumerate(value):
            yield from _strict(member, shape.member, f"{name}[{number}]", outgoing)
    elif shape.type_name == "map" and isinstance(value, dict):
        for key, member in value.items():
            yield from _strict(key, shape.key, f"{name} key", outgoing)
            yield from _strict(member, shape.value, f"{name}.{key}", outgoing)


def _limits(value: Any, shape: Any, name: str, outgoing: bool) -> Iterator[str]:
    failed = f"at '{name}' failed to satisfy constraint: Member must"
    size = value if isinstance(value, int) else len(value) if hasattr(value, "__len__") else 0
    if size > shape.metadata.get("max", size):
        yield f"Value {failed} be at most {shape.metadata['max']}, is {size}"
    if not isinstance(value, str):
        return
    allowed, pattern = shape.metadata.get("enum"), shape.metadata.get("pattern")
    if allowed and value not in allowed:
        yield f"Value '{value}' {failed} satisfy enum value set: {allowed}"
    if pattern and not outgoing and not re.fullmatch(pattern, value):
        yield f"Value '{value}' {failed} satisfy regular expression pattern: {pattern}"


def _lost(service: str, operation: Any, params: dict[str, Any], request: Request) -> list[str]:
    """What the request holds and the model does not know, or knows as another type: parsed and written again, it is missing."""
    again = create_serializer(_protocol(service), include_validation=False).serialize_to_request(params, operation)
    if _protocol(service) == "query":
        given, written = set(request.values), set(again["body"])
    else:
        given = set(_leaves(request.get_json(force=True, silent=True) or {})) | set(request.args)
        written = set(_leaves(json.loads(again["body"] or "{}"))) | set(again["query_string"])
    return [f"unknown member, or one of another type: {name}" for name in sorted(given - written)]


def _leaves(node: Any, path: str = "") -> Iterator[str]:
    """`a.b.0=1` for each value that is no container."""
    if isinstance(node, dict | list):
        for key, value in node.items() if isinstance(node, dict) else enumerate(node):
            yield from _leaves(value, f"{path}.{key}" if path else str(key))
    elif node is not None:
        yield f"{path}={json.dumps(node)}"


def write(service: str, operation: str, result: dict[str, Any]) -> Response:
    """
    Raises:
        AssertionError: the model does not allow this answer: the stand-in is wrong.
    """
    model = get_service_model(service).operation_model(operation)
    faults = check(result, model.output_shape, outgoing=True)
    assert not faults, f"{operation} would answer what its model forbids: {faults}"
    serializer = get_serializer_class(service, _protocol(service))(model, SerializationContext(str(uuid.uuid4())))
    answer = serializer.serialize(result)
    return Response(answer["body"], answer["status_code"], answer["headers"])


def write_error(service: str, error: ServiceError) -> Response:
    identifier = str(uuid.uuid4())
    headers = {"x-amzn-RequestId": identifier}
    if _protocol(service) == "query":
        said = f"<Error><Type>Sender</Type><Code>{error.code}</Code><Message>{escape(error.message)}</Message></Error>"
        body = f"<ErrorResponse>{said}<RequestId>{identifier}</RequestId></ErrorResponse>"
        return Response(body, error.status, headers, content_type="text/xml")
    body = json.dumps({"__type": error.code, "message": error.message})
    return Response(body, error.status, {**headers, "x-amzn-ErrorType": error.code}, content_type=JSON)


@cache
def _protocol(service: str) -> str:
    """Of those that the service speaks, the one that botocore and moto both do."""
    metadata = get_service_model(service).metadata
    return next(name for name in ("rest-json", "query", "json") if name in metadata.get("protocols", [metadata["protocol"]]))
