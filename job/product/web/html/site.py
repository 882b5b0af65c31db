"""Serve the pages: start, answer to a form, refusal, in the visitor's language."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from job.product.web.answers import Identified
from job.product.web.html import page
from job.product.web.html.words import language_of
from job.product.web.limits import Refused
from job.product.web.service import ServiceDep, service_of

PATH = "/"
router = APIRouter(include_in_schema=False)


@router.get(PATH)
async def start(request: Request, service: ServiceDep) -> HTMLResponse:
    view = await service.view()
    return html(request, lambda language: page.start_page(language, service.limits, view.identifier.gallery, view.numbers))


@router.post(PATH)
async def answer(request: Request, service: ServiceDep) -> HTMLResponse:
    def identify(content: bytes) -> tuple[Identified, str | None]:
        return service.identify(content), page.preview(content)

    found, photo = await service.process_photo(request, identify)
    return html(request, lambda language: page.answer_page(language, service.limits, found, photo))


def refusal(request: Request, error: Refused) -> HTMLResponse:
    response = html(request, lambda language: page.refusal_page(language, service_of(request).limits, error), error.status)
    response.headers.update(error.headers)
    return response


def html(request: Request, render: Callable[[str], str], status: int = 200) -> HTMLResponse:
    """Render for the language that the request asks for."""
    language = language_of(request.query_params.get("lang"), request.headers.get("accept-language", ""))
    return HTMLResponse(render(language), status, {"Content-Language": language, "Vary": "Accept-Language"})
