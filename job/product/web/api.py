"""Serve the API: JSON answers and thumbnails, each with its schema in /openapi.json."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response

from job.product.web.answers import Failed, Healthy, Identified
from job.product.web.photo import FIELD
from job.product.web.service import ServiceDep

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
ERRORS = {
    400: "The form is malformed, incomplete, or has no photo",
    404: "Photo not found",
    408: "The upload timed out",
    413: "The photo is too large",
    415: "The body is neither a form nor an image",
    421: "The Host header does not match this server",
    422: "A parameter is out of range",
    429: "Too many photos from one address; retry after Retry-After seconds",
    503: "All cores are busy, or the run cannot be read; retry after Retry-After seconds",
    504: "Processing the photo timed out",
}


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {status: {"model": Failed, "description": ERRORS[status]} for status in statuses}


router = APIRouter()


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
