"""Serve the pages: start, answer to a form, refusal, in the visitor's language."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, RedirectResponse

from job.product.web.answers import Identified
from job.product.web.api import TeachingDep
from job.product.web.html import page
from job.product.web.html.words import language_of
from job.product.web.limits import Refused
from job.product.web.safety import refuse_other_origins
from job.product.web.service import IdentifyService, ServiceDep

PATH, TAUGHT = "/", "/taught"
router = APIRouter(include_in_schema=False)
teaching = APIRouter(include_in_schema=False)


@router.get(PATH)
async def start(request: Request, service: ServiceDep) -> HTMLResponse:
    view = await service.view()
    return html(request, lambda language: page.start_page(look(request, language), view.identifier.gallery, view.numbers))


@router.post(PATH)
async def answer(request: Request, service: ServiceDep) -> HTMLResponse:
    def identify(content: bytes) -> tuple[Identified, str | None]:
        return service.identify(content), page.preview(content)

    found, photo = await service.process_photo(request, identify)
    return html(request, lambda language: page.answer_page(look(request, language), found, photo))


@teaching.post(TAUGHT, dependencies=[Depends(refuse_other_origins)])
async def taught(request: Request, lessons: TeachingDep) -> HTMLResponse:
    kept = await lessons.process_photo(request)
    return html(request, lambda language: page.taught_page(look(request, language), kept), 201 if kept.new else 200)


@teaching.get(TAUGHT)
async def taught_before(request: Request) -> RedirectResponse:
    """Lead back to the start: the answer to a form has no address."""
    return RedirectResponse(f"{PATH}?{request.url.query}", 303)


def refusal(request: Request, error: Refused) -> HTMLResponse:
    response = html(request, lambda language: page.refusal_page(look(request, language), error), error.status)
    response.headers.update(error.headers)
    return response


def look(request: Request, language: str) -> page.Look:
    """Return how pages of this server look to this visitor."""
    service: IdentifyService = request.app.state.service
    identifier = service.shown.identifier
    return page.Look(language, service.limits, tuple(sorted(set(identifier.groups))) if request.app.state.teaching else None)


def html(request: Request, render: Callable[[str], str], status: int = 200) -> HTMLResponse:
    """Render for the language that the request asks for."""
    language = language_of(request.query_params.get("lang"), request.headers.get("accept-language", ""))
    return HTMLResponse(render(language), status, {"Content-Language": language, "Vary": "Accept-Language"})
