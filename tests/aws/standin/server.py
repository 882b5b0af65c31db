"""
A stand-in for AWS where moto has none or too little: EMR Serverless, CloudFormation of the application, price list, vCPU quota, tags.

One HTTP server. The service of a request is in its signature; other requests are passed to moto unchanged, and all of
them are in `calls`. What it cannot show is in docs/how-to/rehearsal.md.
"""

from __future__ import annotations

import math
import re
import socket
import threading
import time
import uuid
from types import TracebackType
from typing import Any

import boto3
import requests
from botocore import xform_name
from moto.core.request import Request
from moto.core.routing import get_service_router
from werkzeug.exceptions import HTTPException
from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.wrappers import Response

from tests.aws.standin.buckets import Mirror
from tests.aws.standin.cloudformation import CloudFormation
from tests.aws.standin.emr_serverless import Caller, EmrServerless
from tests.aws.standin.images import ImageFacts
from tests.aws.standin.knobs import Call, Durations, Faults
from tests.aws.standin.prices import PriceList, ServiceQuotas
from tests.aws.standin.runner import Runner
from tests.aws.standin.tagging import Tagging
from tests.aws.standin.wire import ServiceError, read, write, write_error

REGION = "eu-west-3"  # of mirrored buckets
ACCOUNT = "123456789012"  # moto's, unless a role of another one is assumed
SCOPE = re.compile(r"Credential=([^/]+)/\d+/([^/]+)/([^/]+)/aws4_request")
# botocore's names of services that sign with another one
MODELS = {"tagging": "resourcegroupstaggingapi", "servicequotas": "service-quotas"}
ENDPOINTS = ("EMR_SERVERLESS", "CLOUDFORMATION", "PRICING", "SERVICE_QUOTAS", "RESOURCE_GROUPS_TAGGING_API")
HOP_BY_HOP = {"connection", "content-encoding", "content-length", "host", "transfer-encoding"}


class Standin:
    """`with Standin(moto_url, runner) as s:`; `runner` may be changed as long as no run is under way."""

    def __init__(self, moto_url: str, runner: Runner, s3: Any = None, durations: Durations | None = None, port: int = 0) -> None:
        """`s3`: a boto3 client of the server where logs go, unless that is moto."""
        self.moto_url, self.durations = moto_url, durations or Durations()
        self.calls: list[Call] = []
        self.faults = Faults()
        self._s3 = s3
        self.emr = EmrServerless(runner, self.durations, self._client)
        self.cloudformation = CloudFormation(self.emr, self.durations, lambda region: self._client("cloudformation", region))
        self.pricing, self.quotas = PriceList(), ServiceQuotas()
        tagging = Tagging(self.emr, lambda region: self._client("resourcegroupstaggingapi", region))
        self._own: dict[str, Any] = {
            "emr-serverless": self.emr,
            "cloudformation": self.cloudformation,
            "pricing": self.pricing,
            "servicequotas": self.quotas,
            "tagging": tagging,
        }
        self._mirror = Mirror(self._client("s3", REGION, moto_url), s3, REGION) if s3 is not None else None
        self.quota(16)
        self._server = make_server("127.0.0.1", port, self._application, threaded=True, request_handler=Quiet)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Standin:
        threading.Thread(target=self._server.serve_forever, args=[0.02], name="stand-in", daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.emr.close()
        self._server.shutdown()
        self._server.server_close()

    def environment(self, everything: bool = False) -> dict[str, str]:
        """What leads clients here and to moto. `everything`: all services but S3 by way of here, for `calls` and `fail`."""
        found = {"AWS_ENDPOINT_URL": self.url if everything else self.moto_url, "AWS_ENDPOINT_URL_S3": self.moto_url}
        if self._s3 is not None:
            found["AWS_ENDPOINT_URL_S3"] = self._s3.meta.endpoint_url
        return found | {f"AWS_ENDPOINT_URL_{name}": self.url for name in ENDPOINTS}

    @property
    def runner(self) -> Runner:
        return self.emr.job_runs.runner

    @runner.setter
    def runner(self, runner: Runner) -> None:
        self.emr.job_runs.runner = runner

    def fail(self, operation: str, code: str, times: float = math.inf) -> None:
        """`operation` is `StartJobRun`, `emr-serverless:StartJobRun` or `*`; 0 times ends it."""
        self.faults.fail(operation, code, times)

    def throttle(self, seconds: float) -> None:
        """Everything asked of EMR Serverless is too much, for so long."""
        self.faults.throttle(seconds)

    def lose_answer(self, operation: str, times: int = 1) -> None:
        """Carried out, but the connection breaks before the answer. botocore tries again by itself, up to four times."""
        self.faults.lose_answer(operation, times)

    def quota(self, vcpu: float) -> None:
        """Concurrent vCPU of the account, 16 on a new one: what Service Quotas says, and what fails runs."""
        self.emr.quota_vcpu = self.quotas.vcpu = vcpu

    def prices(self, known: dict[str, str] | None) -> None:
        """Usage type without its Region to USD; None: the caller may not ask."""
        self.pricing.known = known

    def image(self, architecture: str | None = None, release: str | None = None) -> None:
        """What every image is from now on."""
        self.emr.image_facts = lambda uri: ImageFacts(architecture, release)

    def _application(self, environ: dict[str, Any], start_response: Any) -> Any:
        return self._answer(Request(environ))(environ, start_response)

    def _answer(self, request: Request) -> Response:
        request.get_data()  # kept, before reading the form empties the stream
        signed = SCOPE.search(request.headers.get("Authorization", ""))
        if signed is None:
            return Response("not signed", 403)
        key, region, service = signed.groups()
        caller = Caller(f"arn:aws:iam::{ACCOUNT}:user/{key}", ACCOUNT, region)
        model = MODELS.get(service, service)
        try:
            self._mirror_buckets(service)
            response = self._serve(request, service, model, caller)
            self._mirror_buckets(service)
        except ServiceError as error:
            response = write_error(model, error)
        if self.calls and self.faults.loses(self.calls[-1]):
            request.environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
        return response

    def _serve(self, request: Request, service: str, model: str, caller: Caller) -> Response:
        own = self._own.get(service)
        operation = _operation(model, request)
        params: dict[str, Any] = {}
        if own is not None and hasattr(own, xform_name(operation)):
            operation, params = read(model, request)
        call = Call(service, operation, params, time.monotonic())
        self.calls.append(call)
        self.faults.check(call, caller.arn)
        if not params and not hasattr(own, xform_name(operation)):
            return self._forward(request)
        result = getattr(own, xform_name(operation))(params, caller)
        return self._forward(request) if result is None else write(model, operation, result)

    def _mirror_buckets(self, service: str) -> None:
        if self._mirror is not None and service in ("cloudformation", "tagging"):
            self._mirror.update()

    def _forward(self, request: Request) -> Response:
        """To moto, as it came."""
        headers = {name: value for name, value in request.headers.items() if name.lower() not in HOP_BY_HOP}
        target = self.moto_url + request.full_path.rstrip("?")
        answer = requests.request(request.method, target, headers=headers, data=request.get_data(), timeout=60, allow_redirects=False)
        kept = {name: value for name, value in answer.headers.items() if name.lower() not in HOP_BY_HOP}
        return Response(answer.content, answer.status_code, kept)

    def _client(self, service: str, region: str, endpoint: str | None = None) -> Any:
        if service == "s3" and self._s3 is not None and endpoint is None:
            return self._s3
        keys = {"aws_access_key_id": "standin", "aws_secret_access_key": uuid.uuid4().hex}
        with CLIENTS:
            return boto3.session.Session(**keys).client(service, region_name=region, endpoint_url=endpoint or self.moto_url)


CLIENTS = threading.Lock()  # making sessions and clients is not safe in threads


class Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - the name in the base class
        pass


def _operation(model: str, request: Request) -> str:
    try:
        return str(get_service_router(model).match(request)[0].name)
    except HTTPException:
        raise ServiceError("UnknownOperationException", f"{request.method} {request.path}", 404) from None
