"""Make the ASGI application for the gallery of one run: a page at / and an API described in /openapi.json."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles

from job.product.identify.identifier import Identifier
from job.product.web import api
from job.product.web.html import site
from job.product.web.limits import Limits, Refused
from job.product.web.safety import HEADERS, TEACHING_HEADERS, SecurityMiddleware, failed
from job.product.web.service import IdentifyService
from job.product.web.teaching import Clean, Teaching

DESCRIBED = "see /openapi.json"
STATIC = Path(__file__).parent / "static"


def make_app(identifier: Identifier, limits: Limits, hosts: frozenset[str] | None, clean: Clean | None = None) -> FastAPI:
    """
    Make the application. It reads the gallery and writes nothing, unless visitors may teach it photos: `clean` is given then.

    `hosts`: as in `safety.SecurityMiddleware`.
    """
    # FastAPI's own pages /docs and /redoc load scripts from other hosts, so they are off.
    app = FastAPI(
        title="fruitsctl serve", summary="Which fruit is on this photo?", version="1", docs_url=None, redoc_url=None, lifespan=lifespan
    )
    app.state.service = IdentifyService(identifier, limits)
    app.state.teaching = Teaching(app.state.service, clean) if clean else None
    app.add_middleware(SecurityMiddleware, hosts=hosts, headers=TEACHING_HEADERS if clean else HEADERS)
    app.include_router(api.router)
    app.include_router(site.router)
    for router in (api.teaching, site.teaching) if clean else (api.without_teaching,):
        app.include_router(router)
    app.mount("/static", StaticFiles(directory=STATIC))
    app.exception_handler(Refused)(refused)
    app.exception_handler(RequestValidationError)(invalid)
    app.exception_handler(HTTPException)(http_error)
    return app


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    yield
    app.state.service.close()
    if app.state.teaching:
        app.state.teaching.close()


async def refused(request: Request, error: Refused) -> Response:
    if request.url.path in (site.PATH, site.TAUGHT):
        return site.refusal(request, error)
    return failed(error.status, error.code, error.message, error.hint, error.headers)


async def invalid(_: Request, error: RequestValidationError) -> Response:
    first = error.errors()[0]
    return failed(422, "invalid", f"{first['loc'][-1]}: {first['msg']}", DESCRIBED)


async def http_error(_: Request, error: HTTPException) -> Response:
    return failed(error.status_code, "http", str(error.detail), DESCRIBED, error.headers)
