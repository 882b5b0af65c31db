"""What programs ask: JSON answers, and pictures, each with its schema in /openapi.json."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response

from job.product.web.answers import Failed, Healthy, Identified
from job.product.web.desk import TheDesk
from job.product.web.photo import FIELD

BINARY = {"type": "string", "format": "binary"}
BODY = {
    "required": True,
    "content": {
        "multipart/form-data": {"schema": {"type": "object", "properties": {FIELD: BINARY}, "required": [FIELD]}},
        **{kind: {"schema": BINARY} for kind in ("image/jpeg", "image/png", "image/webp", "application/octet-stream")},
    },
}
ERRORS = {
    400: "The form cannot be read, has no photo, or broke off",
    404: "There is no such photo",
    408: "The photo did not arrive in time",
    413: "The photo is too large",
    415: "Neither a form nor an image",
    421: "The server was asked by a name that is not its own",
    422: "A parameter is out of range",
    429: "Too many photos from one address; Retry-After says when to go on",
    503: "No core became free in time; Retry-After says when to go on",
    504: "The photo took too long",
}


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {status: {"model": Failed, "description": ERRORS[status]} for status in statuses}


router = APIRouter()


@router.get("/healthz", response_model=Healthy, responses=errors(421), summary="Is it ready, and with which run")
async def healthz(desk: TheDesk) -> Healthy:
    gallery = desk.gallery
    return Healthy(status="ok", run_id=gallery.run_id, model=gallery.model, images=len(gallery), labels=len(gallery.names))


@router.post(
    "/identify",
    response_model=Identified,
    responses=errors(400, 408, 413, 415, 421, 422, 429, 503, 504),
    openapi_extra={"requestBody": BODY},
    summary="Which fruit is on this photo",
)
async def identify(
    request: Request, desk: TheDesk, top: Annotated[int, Query(ge=1, le=20, description="Labels in the answer, at most")] = 5
) -> Identified:
    return await desk.look(request, partial(desk.identify, top=top))


@router.get(
    "/thumbnail/{row}",
    response_class=Response,
    responses={200: {"content": {"image/webp": {"schema": BINARY}}}, **errors(404, 421, 422, 503, 504)},
    summary="A photo of the gallery, small",
)
async def thumbnail(desk: TheDesk, row: Annotated[int, Path(ge=0)]) -> Response:
    return Response(await desk.thumbnail(row), media_type="image/webp", headers={"Cache-Control": "private, max-age=86400"})
