"""Serve the API: JSON answers and thumbnails, each with its schema in /openapi.json."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from job.product.web.answers import Failed, Healthy, Identified, Learned
from job.product.web.limits import Refused
from job.product.web.photo import FIELD
from job.product.web.safety import refuse_other_origins
from job.product.web.service import ServiceDep
from job.product.web.teaching import AGREED, CONSENT, LABEL, Teaching

BINARY = {"type": "string", "format": "binary"}
BODY = {
    "required": True,
    "content": {
        "multipart/form-data": {"schema": {"type": "object", "properties": {FIELD: BINARY}, "required": [FIELD]}},
        **{
            kind: {"schema": BINARY}
            for kind in ("image/jpeg", "image/heic", "image/png", "image/webp", "image/avif", "application/octet-stream")
        },
    },
}
LESSON = {
    FIELD: BINARY,
    LABEL: {"type": "string", "minLength": 1, "maxLength": 255, "description": "What it shows: the name of a folder of INPUT"},
    CONSENT: {"const": AGREED, "description": "The visitor agrees that a copy without metadata is stored in INPUT"},
}
LESSON_BODY = {
    "required": True,
    "content": {"multipart/form-data": {"schema": {"type": "object", "properties": LESSON, "required": list(LESSON)}}},
}
KNOWN: dict[int | str, dict[str, Any]] = {200: {"model": Learned, "description": "The run had the photo"}}
ERRORS = {
    400: "The form is malformed, incomplete, or has no photo",
    403: "A page of another site sent it; its bucket is outside the European Union; or the photo was erased on request",
    404: "Photo not found",
    409: "A run or an erasure is writing to OUTPUT; retry after Retry-After seconds",
    408: "The upload timed out",
    413: "The photo is too large",
    415: "The body is neither a form nor an image",
    421: "The Host header does not match this server",
    422: "A parameter is out of range, or the photo or its label cannot be used",
    429: "Too many photos from one address; retry after Retry-After seconds",
    503: "All cores are busy, or the run cannot be read or written; retry after Retry-After seconds",
    504: "Processing the photo timed out",
}


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {status: {"model": Failed, "description": ERRORS[status]} for status in statuses}


router = APIRouter()
teaching = APIRouter(dependencies=[Depends(refuse_other_origins)])
without_teaching = APIRouter(include_in_schema=False)


@router.get("/healthz", response_model=Healthy, responses=errors(421, 503), summary="Report readiness and the run in use")
async def healthz(service: ServiceDep) -> Healthy:
    gallery = (await service.view()).identifier.gallery
    return Healthy(status="ok", run_id=gallery.run_id, model=gallery.model, images=len(gallery), labels=len(gallery.names))


@router.post(
    "/identify",
    response_model=Identified,
    responses=errors(400, 408, 413, 415, 421, 422, 429, 503, 504),
    openapi_extra={"requestBody": BODY},
    summary="Identify the fruit on a photo",
)
async def identify(
    request: Request, service: ServiceDep, top: Annotated[int, Query(ge=1, le=20, description="Maximum number of labels in the answer")] = 5
) -> Identified:
    return await service.process_photo(request, partial(service.identify, top=top))


@router.get(
    "/thumbnail/{row}",
    response_class=Response,
    responses={200: {"content": {"image/webp": {"schema": BINARY}}}, **errors(404, 421, 422, 503, 504)},
    summary="Get the thumbnail of a gallery photo",
)
async def thumbnail(service: ServiceDep, row: Annotated[int, Path(ge=0)]) -> Response:
    return Response(await service.thumbnail(row), media_type="image/webp")  # a browser keeps no copy: `SecurityMiddleware` sets no-store


def teaching_of(request: Request) -> Teaching:
    found: Teaching = request.app.state.teaching
    return found


TeachingDep = Annotated[Teaching, Depends(teaching_of)]


@teaching.post(
    "/teach",
    status_code=201,
    response_model=Learned,
    responses=KNOWN | errors(400, 403, 408, 409, 413, 415, 421, 422, 429, 503, 504),
    openapi_extra={"requestBody": LESSON_BODY},
    summary="Teach the run a photo with its right label",
)
async def teach(request: Request, response: Response, lessons: TeachingDep) -> Learned:
    kept = await lessons.process_photo(request)
    response.status_code = 201 if kept.new else 200
    return Learned(**kept._asdict())


@without_teaching.api_route("/teach", methods=["GET", "POST"])
async def teaching_is_off() -> None:
    raise Refused(404, "teaching_off", "this server does not take photos to teach", "start it with `fruitsctl serve --teach`")
