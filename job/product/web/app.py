"""Make the ASGI application for the gallery of one run: a page at / and an API described in /openapi.json."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles

from job.product.identify.identifier import Identifier
from job.product.web import api
from job.product.web.html import site
from job.product.web.limits import Limits, Refused
from job.product.web.safety import SecurityMiddleware
from job.product.web.service import IdentifyService

STATIC = Path(__file__).parent / "static"


def make_app(identifier: Identifier, limits: Limits, hosts: frozenset[str] | None) -> FastAPI:
    """Make the application. It reads the gallery and writes nothing. `hosts`: as in `safety.SecurityMiddleware`."""
    # FastAPI's own pages /docs and /redoc load scripts from other hosts, so they are off.
    app = FastAPI(
        title="fruitsctl serve", summary="Which fruit is on this photo?", version="1", docs_url=None, redoc_url=None, lifespan=lifespan
    )
    app.state.service = IdentifyService(identifier, limits)
    app.add_middleware(SecurityMiddleware, hosts=hosts)
    app.include_router(api.router)
    app.include_router(site.router)
    app.mount("/static", StaticFiles(directory=STATIC))
    app.exception_handler(Refused)(refused)
    app.exception_handler(RequestValidationError)(invalid)
    app.exception_handler(HTTPException)(http_error)
    return app


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    yield
    app.state.service.close()


async def refused(request: Request, error: Refused) -> Response:
    if request.url.path == site.PATH:
        return site.refusal(request, error)
    return failed(error.status, error.code, error.message, error.headers)


async def invalid(_: Request, error: RequestValidationError) -> Response:
    first = error.errors()[0]
    return failed(422, "invalid", f"{first['loc'][-1]}: {first['msg']}")


async def http_error(_: Request, error: HTTPException) -> Response:
    return failed(error.status_code, "http", str(error.detail), error.headers)


def failed(status: int, code: str, message: str, headers: Any = None) -> JSONResponse:
    return JSONResponse({"error": {"code": code, "message": message}}, status, headers)
